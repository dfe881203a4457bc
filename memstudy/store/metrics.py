"""metrics.csv: a row is appended with each epoch that is done. A killed run's last one may be half written."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from memstudy import files

MEASURED = (
    "epoch", "test_accuracy", "test_cross_entropy", "clean_accuracy", "memorized", "recovered", "other",
    "train_cross_entropy", "train_activation_loss",
)  # fmt: skip
"""Columns that every run's metrics have; a file without them is another's."""


def row(epoch: int, values: Mapping[str, float]) -> bytes:
    """One epoch's row, the first one under its header; floats keep all their digits."""
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


def parse(path: Path, content: bytes) -> pd.DataFrame:
    """The whole rows in the content of the file at `path`; a MemstudyError if they are no run's metrics."""
    whole = content[: content.rfind(b"\n") + 1]
    try:
        # By way of text: pandas' own float parser may miss the last digit.
        table = pd.read_csv(io.BytesIO(whole), dtype=str).astype(float)
    except (ValueError, OverflowError) as error:
        raise files.damaged(path, error) from error
    if not isinstance(table.index, pd.RangeIndex):
        raise files.damaged(path, "it has more values in a row than columns")
    if missing := [name for name in MEASURED if name not in table]:
        raise files.damaged(path, f"it has no column {', '.join(missing)}")
    if table["epoch"].tolist() != list(range(len(table))):
        raise files.damaged(path, "its epochs are not 0, 1, 2, …")
    return table.astype({"epoch": int})
