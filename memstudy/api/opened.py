"""What a store has, as data frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from memstudy.api.given import folder
from memstudy.api.runs import Run
from memstudy.errors import MemstudyError, quoted
from memstudy.store import Store as Directories
from memstudy.store import query, tidy

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Store:
    """A folder of runs. A query (`where`) is that of `memstudy runs --where`: `"reg=*al2 and corrupt>=0.5"`."""

    path: Path

    def runs(self, where: str = "") -> pd.DataFrame:
        """A row for each run: name, status, epochs, settings, and what was measured last. No run, no row.

        Runs that are damaged are not among them: see `damaged`. A MemstudyError for a query that makes no sense.
        """
        import pandas as pd

        listed = self._directories.listing().runs
        if where:
            listed = query.chosen(listed, where)
        rows = []
        for one in listed:
            short = one.summary
            facts = {name: short[name] for name in ("name", "id", "status", "date", "epochs_done")}
            last = {name: value for name, value in short["last"].items() if name != "epoch"}
            rows.append(facts | {"floor": short["floor"]} | one.settings | last)
        return pd.DataFrame(rows)

    def metrics(self, where: str = "") -> pd.DataFrame:
        """A row for each run and epoch, with the run's settings, as `memstudy export` writes it.

        A MemstudyError if no run is so, or one is damaged.
        """
        return tidy.metrics_of(self._directories.choose((), where))

    def records(self, where: str = "") -> pd.DataFrame:
        """A row for each run and training sample (see `Run.records`), of the runs whose samples were recorded.

        A MemstudyError if there is none.
        """
        import pandas as pd

        found = [run for run in self._directories.choose((), where) if run.has_records and run.epochs_done]
        if not found:
            raise MemstudyError(f"no run in {self.path} that is so has records of its samples (--dynamics).")
        tables = [Run(run).records() for run in found]
        for run, table in zip(found, tables, strict=True):
            table.insert(0, "run", run.name)
        return pd.concat(tables, ignore_index=True)

    def run(self, name: str) -> Run:
        """One run by its name, the start of it, a pattern, or its digits; a MemstudyError if it names not one."""
        return Run(self._directories.one(name))

    def studies(self) -> list[str]:
        """The names of the studies that were carried out here, the newest first."""
        return self._directories.studies()

    def damaged(self) -> dict[str, str]:
        """Why runs cannot be trusted, by their names."""
        return dict(self._directories.listing().damaged)

    def __iter__(self) -> Iterator[Run]:
        return (Run(one.run) for one in self._directories.listing().runs)

    def __len__(self) -> int:
        return len(self._directories.names())

    @property
    def _directories(self) -> Directories:
        return Directories(self.path)


def open(store: str | Path = "runs") -> Store:
    """Open a store, the folder of runs; nothing is read yet. A MemstudyError if there is no such folder."""
    path = folder(store, "store")
    if not path.is_dir():
        raise MemstudyError(f"there is no store {path}; memstudy.run(store={quoted(str(path))}) begins one.")
    return Store(path)
