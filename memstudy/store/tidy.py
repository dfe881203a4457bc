"""The metrics of many runs as one tidy table: a row for each run and epoch, with the run's settings."""

from __future__ import annotations

import contextlib
import importlib.util
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from memstudy import distinctions, files, spreadsheet
from memstudy.errors import MemstudyError
from memstudy.store.run import RunDirectory
from memstudy.store.summary import settings

if TYPE_CHECKING:
    import pandas as pd

FORMATS = (".csv", ".parquet")


ROWS = 20_000
"""About how many rows are in memory at once while a table is written."""


def metrics_of(runs: Sequence[RunDirectory]) -> pd.DataFrame:
    """Columns: `run`, `id`, `status`, the settings by name, and those of metrics.csv. What is no number is text.

    What a run does not have (an option of a method that it does not use) is missing there. A MemstudyError if a
    run cannot be trusted.
    """
    import pandas as pd

    return pd.concat(_parts(runs, _kinds(runs)), ignore_index=True)


def _parts(runs: Sequence[RunDirectory], kinds: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The same table, some runs at a time, with the columns and types of `kinds`."""
    some: list[tuple[dict[str, Any], Mapping[str, Any]]] = []
    count = 0
    for run in runs:
        columns = run.columns()
        some.append((_told(run), columns))
        if (count := count + len(columns["epoch"])) >= ROWS:
            yield _part(some, kinds)
            some, count = [], 0
    if some:
        yield _part(some, kinds)


def _kinds(runs: Sequence[RunDirectory]) -> pd.DataFrame:
    """A row of each kind of run: with its columns, and values of its types."""
    import pandas as pd

    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    measured: dict[str, None] = {}
    for run in runs:
        columns, told = run.columns(), _told(run)
        measured |= dict.fromkeys(columns)
        first = {name: values[0] for name, values in columns.items()} if len(columns["epoch"]) else {}
        kind = (bool(first), *((name, type(value)) for name, value in (told | first).items()))
        found.setdefault(kind, told | first)
    of_rows = [row for kind, row in found.items() if kind[0]] or list(found.values())[:1]
    rows = pd.concat([pd.DataFrame([row]) for row in of_rows], ignore_index=True)
    rows = rows.assign(**{name: math.nan for name in measured if name not in rows})
    return rows[[*(name for name in rows if name not in measured), *measured]]


def _told(run: RunDirectory) -> dict[str, Any]:
    """What is equal in all rows of a run."""
    told = {"run": run.name, "id": run.recipe.id, "status": str(run.status)}
    return told | {name: _plain(name, value) for name, value in settings(run.recipe).items()}


def _part(runs: Sequence[tuple[dict[str, Any], Mapping[str, Any]]], kinds: pd.DataFrame) -> pd.DataFrame:
    """The rows of some runs, of each what is told of it, and its metrics."""
    import pandas as pd

    lengths = [len(columns["epoch"]) for _, columns in runs]
    values = {}
    for name, kind in zip(map(str, kinds), kinds.dtypes, strict=True):
        if any(name in columns for _, columns in runs):
            parts = [
                columns.get(name, np.full(n, math.nan)) for (_, columns), n in zip(runs, lengths, strict=True)
            ]
            values[name] = pd.Series(np.concatenate(parts)).astype(kind)
        else:
            of_runs = pd.Series([told.get(name) for told, _ in runs], dtype=object)
            values[name] = of_runs.repeat(lengths).reset_index(drop=True).astype(kind)
    return pd.DataFrame(values)


def _plain(name: str, value: Any) -> Any:
    """A setting as a cell: a number, true or false, or a text; missing where it is empty."""
    if value in ((), ""):
        return None
    if isinstance(value, tuple) and name != "matrix":
        return ",".join(map(str, value))
    return value if value is None or isinstance(value, bool | int | float) else distinctions.text(name, value)


def check_name(path: Path) -> None:
    """Raise a MemstudyError if a table cannot be written under this name here."""
    if path.suffix not in FORMATS:
        raise MemstudyError(f"a table is written to a file that ends in .csv or .parquet; {path} does not.")
    if path.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise MemstudyError(
            "Parquet needs pyarrow, which is not installed: pip install 'memstudy[parquet]', or write -o FILE.csv."
        )


def write(runs: Sequence[RunDirectory], path: Path) -> tuple[int, list[str]]:
    """Write the table of some runs as the end of its name says, wholly or not at all; floats keep all digits.

    Returns how many rows and which columns it has. Some runs at a time are in memory.
    """
    kinds, count = _kinds(runs), 0
    with (
        files.writing(path, "with -o") as file,
        _as_csv(file) if path.suffix == ".csv" else _as_parquet(file, kinds) as add,
    ):
        for part in _parts(runs, kinds):
            add(part)
            count += len(part)
    return count, list(map(str, kinds))


@contextlib.contextmanager
def _as_csv(file: BinaryIO) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Adds rows to a CSV, the first under their header."""
    begun = False

    def add(part: pd.DataFrame) -> None:
        nonlocal begun
        file.write(spreadsheet.csv(part, header=not begun).encode())
        begun = True

    yield add


@contextlib.contextmanager
def _as_parquet(file: BinaryIO, kinds: pd.DataFrame) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Adds rows to a Parquet file, as a group each time."""
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    schema = pa.Schema.from_pandas(kinds, preserve_index=False)
    with pq.ParquetWriter(file, schema) as writer:
        yield lambda part: writer.write_table(pa.Table.from_pandas(part, schema, preserve_index=False))
