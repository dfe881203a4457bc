"""The metrics of many runs as one tidy table: a row for each run and epoch, with the run's settings."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memstudy import distinctions, files
from memstudy.errors import MemstudyError
from memstudy.store.run import RunDirectory
from memstudy.store.summary import settings

if TYPE_CHECKING:
    import pandas as pd

FORMATS = (".csv", ".parquet")


def metrics_of(runs: Sequence[RunDirectory]) -> pd.DataFrame:
    """Columns: `run`, `id`, `status`, the settings by name, and those of metrics.csv. What is no number is text.

    What a run does not have (an option of a method that it does not use) is missing there. A MemstudyError if a
    run cannot be trusted.
    """
    import pandas as pd

    tables: list[pd.DataFrame] = []
    measured: dict[str, None] = {}
    for run in runs:
        told = {"run": run.name, "id": run.recipe.id, "status": str(run.status)}
        told |= {name: _plain(name, value) for name, value in settings(run.recipe).items()}
        metrics = run.metrics()
        known = pd.DataFrame({name: [value] * len(metrics) for name, value in told.items() if name not in metrics})
        measured |= dict.fromkeys(map(str, metrics))
        tables.append(pd.concat([known, metrics], axis=1))
    every = pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
    return every[
        [*(name for name in every if name not in measured), *(name for name in every if name in measured)]
    ]


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


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table as the end of the name says, wholly or not at all; floats keep all their digits."""
    if path.suffix == ".csv":
        content = table.to_csv(index=False, lineterminator="\n").encode()
    else:
        buffer = io.BytesIO()
        table.to_parquet(buffer, index=False, engine="pyarrow")
        content = buffer.getvalue()
    files.write(path, content, "with -o")
