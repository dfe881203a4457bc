"""metrics.csv: one row an epoch, appended when it is done. The last row of a killed run may be half written."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from memstudy import files

if TYPE_CHECKING:
    import pandas as pd

MEASURED = (
    "epoch", "test_accuracy", "test_cross_entropy", "clean_accuracy", "memorized", "recovered", "other",
    "train_cross_entropy", "train_activation_loss",
)  # fmt: skip
"""Columns that every run's metrics have; a file without them is none of ours.

After an epoch that was not evaluated (see `training.evaluated`) those of the evaluation are empty.
"""

EVALUATION = ("test_accuracy", "test_cross_entropy", "clean_accuracy", "memorized", "recovered", "other")


def evaluated(columns: Mapping[str, Any] | pd.DataFrame) -> NDArray[np.bool_]:
    """Which epochs of a run's columns, or of a data frame of metrics, were evaluated.

    A share of no samples at all is NaN, and so is the test accuracy of a run that was recorded without test
    images: an epoch was evaluated if it has any of these numbers.
    """
    found = [np.asarray(columns[name], dtype=float) for name in EVALUATION if name in columns]
    return np.logical_or.reduce(~np.isnan(found))


def last_evaluated(columns: Mapping[str, Any] | pd.DataFrame) -> int:
    """The place of the last evaluated epoch; of the last one, if none was."""
    places = np.flatnonzero(evaluated(columns))
    return int(places[-1]) if len(places) else len(columns["test_accuracy"]) - 1


def joined(runs: Sequence[Mapping[str, NDArray[Any]]], labels: pd.DataFrame) -> pd.DataFrame:
    """The columns of several runs in one data frame, a row an epoch; `labels` has a row a run, of words on it.

    A column that a run does not have is empty in its rows. Frame by frame it would take ten times as long.
    """
    import pandas as pd

    lengths = [len(run["epoch"]) for run in runs]
    names = dict.fromkeys(name for run in runs for name in run)
    empty = [np.full(length, math.nan) for length in lengths]
    table = pd.DataFrame(
        {
            name: np.concatenate([run.get(name, part) for run, part in zip(runs, empty, strict=True)])
            for name in names
        }
    )
    places = np.repeat(np.arange(len(runs)), lengths)
    return table.assign(**{str(name): labels[name].to_numpy()[places] for name in labels})


def row(epoch: int, values: Mapping[str, float]) -> bytes:
    """One epoch's row, the first one under its header; floats keep all their digits."""
    import pandas as pd  # not at the top: a store is listed without it

    table = pd.DataFrame([{"epoch": epoch, **values}])
    text: str = table.to_csv(index=False, header=epoch == 0, lineterminator="\n")
    return text.encode()


def rows(content: bytes) -> int:
    """How many whole rows there are."""
    return max(0, content.count(b"\n") - 1)


def first(content: bytes, epochs: int) -> bytes:
    """The header and the rows of the first `epochs` epochs, or as many as there are whole ones."""
    lines = content.splitlines(keepends=True)[: epochs + 1]
    return b"".join(line for line in lines if line.endswith(b"\n"))


def parse(path: Path, content: bytes) -> dict[str, NDArray[Any]]:
    """The columns of the file at `path`, whole rows only; a MemstudyError if they are no run's metrics.

    Not by pandas: its own float parser may miss the last digit, it takes a row that is too short for one with
    missing numbers, and a store has hundreds of these files.
    """
    try:
        text = content[: content.rfind(b"\n") + 1].decode()
        names, *lines = [line for line in csv.reader(io.StringIO(text)) if line] or [[]]
        if wrong := [line for line in lines if len(line) != len(names)]:
            raise ValueError(f"{len(names)} columns, but {len(wrong[0])} values in a row")
        values = np.array([[float(value) if value else math.nan for value in line] for line in lines])
    except (ValueError, OverflowError, csv.Error) as error:
        raise files.damaged(path, error) from error
    if missing := [name for name in MEASURED if name not in names]:
        raise files.damaged(path, f"it has no column {', '.join(missing)}")
    if len(set(names)) < len(names):
        raise files.damaged(path, "two of its columns have one name")
    columns = dict(zip(names, values.reshape(len(lines), len(names)).T, strict=True))
    if columns["epoch"].tolist() != list(range(len(lines))):
        raise files.damaged(path, "its epochs are not 0, 1, 2, …")
    return columns | {"epoch": np.arange(len(lines))}
