"""How derived tables are written: as CSV files that are their own cache, filled by tasks.

Each row names the checkpoints (by digest) and settings that it was computed from. Rows that are there are not
computed again. After an interruption, the missing ones are computed the next time.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import pandas as pd

from memstudy import files, spreadsheet
from memstudy.derived.analysis import Unusable, Watch
from memstudy.derived.reading import read
from memstudy.errors import MemstudyError, Unreadable
from memstudy.store import sums


def write(path: Path, rows: pd.DataFrame) -> None:
    """Write a derived table. One without rows has no file, as none could be told from a damaged one."""
    if len(rows):
        sums.write(path, spreadsheet.csv(rows).encode())
    else:
        sums.remove(path)


class CachedTable:
    """A CSV file whose rows are found by the values of its `key` columns. A key may have many rows.

    Keys that differ only in their `version` columns are versions of the same numbers. The file never has two of
    them.

    It is a context manager. At its end, the file is replaced by the rows that were kept or added, in that order.
    If an exception ends it, old rows stay as well, unless a version of them was kept or added; and if nothing
    was added, the file stays as it is, even one of which no row could be used.
    """

    def __init__(self, path: Path, key: Sequence[str], version: Sequence[str] = ()) -> None:
        self.path = path
        self.key = list(key)
        self._identity = [index for index, name in enumerate(key) if name not in version]
        self._old: dict[tuple[str, ...], pd.DataFrame] = {}
        self._new: dict[tuple[str, ...], pd.DataFrame] = {}

    def __enter__(self) -> Self:
        try:
            read(self.path)
            lines, _, _ = files.read(self.path).decode().rpartition("\n")  # without a line cut short
            stored = spreadsheet.read_back(pd.read_csv(io.StringIO(lines), dtype=str, keep_default_na=False))
        except Unreadable:  # what is there may be whole, and is not written over
            raise
        except (ValueError, MemstudyError):  # missing or damaged: it is made anew
            return self
        else:
            if set(self.key) <= set(stored.columns):
                for key, rows in stored.groupby(self.key, sort=False):
                    self._old[tuple(map(str, key))] = rows
        return self

    def find(self, *key: Hashable) -> pd.DataFrame:
        """The old rows of a key, as text; maybe none. The caller decides whether they are complete."""
        return self._old.get(tuple(map(str, key)), pd.DataFrame())

    def expect(self, *key: Hashable) -> None:
        """Reserve a place in the order of the new file for a key whose rows may be added later."""
        self._new.setdefault(tuple(map(str, key)), pd.DataFrame())

    def keep(self, *key: Hashable) -> None:
        """Keep the old rows of a key in the new file."""
        self._new[tuple(map(str, key))] = self.find(*key)

    def add(self, rows: pd.DataFrame, key: Sequence[Hashable]) -> None:
        """Add new rows of a key."""
        values = tuple(map(str, key))
        names = pd.DataFrame([values] * len(rows), columns=self.key, index=rows.index)
        self._new[values] = pd.concat([names, rows.astype(str)], axis="columns")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        groups = list(self._new.values())
        if kind is not None:
            if all(group is self._old.get(key) for key, group in self._new.items() if len(group)):
                return
            identities = {self._identified(key) for key, group in self._new.items() if len(group)}
            groups += [group for key, group in self._old.items() if self._identified(key) not in identities]
        groups = [group for group in groups if len(group)]
        write(self.path, pd.concat(groups, ignore_index=True) if groups else pd.DataFrame())

    def _identified(self, key: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(key[index] for index in self._identity)


@dataclass(frozen=True)
class Task:
    """What is measured at once, for example one network.

    Attributes:
        key: the key of its rows in all tables.
        tables: the names of the tables that get rows.
        measure: computes the rows, by the table's name. May raise Unusable.
        count: the number of rows that each table gets, if known.

    """

    key: Sequence[Hashable]
    tables: Sequence[str]
    measure: Callable[[], Mapping[str, pd.DataFrame]]
    count: int | None = None

    def is_there(self, tables: Mapping[str, CachedTable]) -> bool:
        """Whether its rows are in all of its tables."""
        counts = [len(tables[name].find(*self.key)) for name in self.tables]
        return all(counts) and self.count in (None, *counts)


def completed(tables: Mapping[str, CachedTable], task: Task, watch: Watch) -> bool:
    """Keep a task's rows, or measure them; whether it has some then. The watch is told why it has none."""
    if task.is_there(tables):
        for name in task.tables:
            tables[name].keep(*task.key)
        return True
    try:
        for name, rows in task.measure().items():
            tables[name].add(rows, task.key)
    except Unusable as error:
        watch.left_out(str(error))
        return False
    return True


@contextlib.contextmanager
def opened(tables: Mapping[str, CachedTable]) -> Iterator[None]:
    """Write all tables at the end."""
    with contextlib.ExitStack() as stack:
        for table in tables.values():
            stack.enter_context(table)
        yield


def fill(tables: Mapping[str, CachedTable], tasks: Sequence[Task], watch: Watch) -> None:
    """Measure the tasks whose rows are not there. The watch is told of networks that diverged."""
    with opened(tables):
        for done, task in enumerate(tasks):
            completed(tables, task, watch)
            watch.progress(done + 1, len(tasks))
