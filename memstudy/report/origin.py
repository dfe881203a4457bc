"""What is behind a number: the runs' values that it was computed of, kept with it until somebody asks.

A data frame of means has the column MEMBERS; `cells` hands what is in it on to the cell that it writes. It is in
no CSV and no JSON of a table.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MEMBERS = "(members)"
"""The column of the values behind a mean, each a `Members`."""


@dataclass(frozen=True)
class Member:
    """A run's value, in the unit of the table: `seeds` both, `epoch` from 0 or None where there is none."""

    run: str
    seeds: str
    epoch: int | None
    value: float


@dataclass(frozen=True, eq=False)
class Members:
    """Those rows of a data frame, a run each, that one number is of; looked at when somebody asks."""

    rows: pd.DataFrame
    places: NDArray[np.intp]
    column: str

    def each(self) -> tuple[Member, ...]:
        """The values that are numbers; the others are in no mean."""
        rows = self.rows.iloc[self.places].dropna(subset=self.column)
        return tuple(map(self._member, rows.to_dict("records")))

    def _member(self, row: Mapping[Hashable, Any]) -> Member:
        epoch = row.get("epoch")
        name = row.get("run", row.get("network", ""))
        return Member(
            str(name), str(row.get("seeds", "")), None if pd.isna(epoch) else int(epoch), row[self.column]
        )


def members(rows: pd.DataFrame, by: Sequence[str], value: str, *, dropna: bool = True) -> list[Members]:
    """The rows of each group of equal values of `by`, in the order of the rows."""
    number = rows.groupby(list(by), sort=False, dropna=dropna).ngroup().fillna(-1).to_numpy(dtype=np.int64)
    order = np.argsort(number, kind="stable")
    order = order[np.searchsorted(number[order], 0) :]  # -1 is of no group
    bounds = np.searchsorted(number[order], np.arange(1, number.max(initial=-1) + 1))
    return [Members(rows, places, value) for places in np.split(order, bounds)] if len(order) else []


@dataclass(frozen=True)
class Origin:
    """How a cell was made.

    Attributes:
        numbers: of the row that it shows, unrounded: mean, sd, n, and those of its test, by name.
        digits: decimals that are shown.
        members: what the mean is of.

    """

    numbers: Mapping[str, Any]
    digits: int
    members: Members


class Cell(str):
    """The text of a cell that knows what it was made of."""

    origin: Origin
    __slots__ = ("origin",)

    @classmethod
    def of(cls, text: str, row: Mapping[Hashable, Any], digits: int) -> str:
        """The text; with its origin, if the row has one."""
        behind = row.get(MEMBERS)
        if not isinstance(behind, Members):
            return text
        cell = cls(text)
        cell.origin = Origin({str(name): row[name] for name in row if name != MEMBERS}, digits, behind)
        return cell

    def rewritten(self, text: str) -> Cell:
        """Another text, with a note, of the same origin."""
        cell = Cell(text)
        cell.origin = self.origin
        return cell


def without(values: pd.DataFrame) -> pd.DataFrame:
    """Values as files have them."""
    return values.drop(columns=MEMBERS, errors="ignore")
