"""Derived numbers as a CSV file that is its own cache.

Each row names the checkpoints (by digest) and settings that it was computed from. What is there is not
computed again, and what an interruption left out is computed the next time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pandas as pd

from memstudy.store import files


class Rows:
    """Rows of a CSV file, found by the values of its `key` columns; a key may have many rows.

    A context: at its end the file is replaced by the rows that were kept or added, in that order; when an
    exception ends it, the rows not yet asked for stay too.
    """

    def __init__(self, path: Path, key: Sequence[str]) -> None:
        self.path = path
        self.key = list(key)
        self._old: dict[tuple[str, ...], pd.DataFrame] = {}
        self._new: list[pd.DataFrame] = []

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError, ValueError):  # missing or damaged: it is made anew
            found = pd.read_csv(self.path, dtype=str, keep_default_na=False)
            if set(self.key) <= set(found.columns):
                for key, group in found.groupby(self.key, sort=False):
                    self._old[tuple(map(str, key))] = group
        return self

    def keep(self, *key: Hashable) -> bool:
        """Keep the rows of a key for the new file; False if there are none, so that they must be computed."""
        group = self._old.pop(tuple(map(str, key)), None)
        if group is None:
            return False
        self._new.append(group)
        return True

    def add(self, rows: pd.DataFrame, key: Sequence[Hashable]) -> None:
        """Add rows just computed for a key."""
        names = pd.DataFrame([list(map(str, key))] * len(rows), columns=self.key, index=rows.index)
        self._new.append(pd.concat([names, rows.astype(str)], axis="columns"))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        rows = self._new if kind is None else [*self._new, *self._old.values()]
        if rows:
            table = pd.concat(rows, ignore_index=True)
            files.write(self.path, table.to_csv(index=False, lineterminator="\n"))


def read(path: Path) -> pd.DataFrame:
    """A derived table with its types; empty if it has not been made."""
    try:
        return pd.read_csv(path)
    except (OSError, ValueError):
        return pd.DataFrame()
