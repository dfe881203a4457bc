"""What is behind a number: the runs' values that it was computed of, kept with it until somebody asks.

A data frame of means has the column BEHIND; `cells` hands what is in it on to the cell that it writes. It is in
no CSV and no JSON of a table.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from memstudy.store.layout import METRICS

BEHIND = "(behind)"
"""The column of what is behind a number, each a `Behind`; names of other such columns end so."""
PARTS = "(parts)"
"""The column of the runs' values, each a `Member`, that a row's value is the mean of, where it is of several."""


@dataclass(frozen=True)
class Read:
    """Where a run's value stands.

    Attributes:
        file: below the store, as `RUN/metrics.csv`; or, if it is in the directory of the study, its name alone.
        row: what its row, or rows, have in some columns.
        column: where the value stands in it.
        how: what was done with it, as `× 100`; "" if nothing.

    """

    file: str
    row: Mapping[str, Any]
    column: str
    how: str = ""


@dataclass(frozen=True)
class Cited:
    """A published number: as it stands in one of the package's files (see `published.PAPERS`).

    Attributes:
        value: as it stands there.
        paper: the paper, and its table.
        file: the data file of the package, below `memstudy/`.
        row, column: where in it.

    """

    value: float
    paper: str
    file: str
    row: Mapping[str, Any]
    column: str


Row = Mapping[Hashable, Any]
Reader = Callable[[Row], Read]
"""Says of a run's row, in a data frame of values, where its value stands."""


def of_metrics(row: Row, column: str, how: str = "") -> Read:
    """A value of a run's metrics.csv after the epoch of its row."""
    return Read(f"{row['run']}/{METRICS}", {"epoch": row["epoch"]}, column, how)


def derived(file: str, row: Row, keys: Sequence[str], column: str, how: str = "") -> Read:
    """A value of a table in the study's directory, in the line with this row's values of `keys`."""
    return Read(file, {name: row[name] for name in keys}, column, how)


@dataclass(frozen=True)
class Member:
    """A run's value, in the unit of the table: `seeds` both, `epoch` from 0 or None where there is none."""

    run: str
    seeds: str
    epoch: int | None
    value: float
    read: Read | None = None


@dataclass(frozen=True, eq=False)
class Members:
    """Those rows of a data frame, a run each, that one number is of; looked at when somebody asks."""

    rows: pd.DataFrame
    places: NDArray[np.intp]
    column: str
    read: Reader | None = None

    @property
    def frame(self) -> pd.DataFrame:
        """The rows whose values are numbers; the others are in no mean."""
        return self.rows.iloc[self.places].dropna(subset=self.column)

    def each(self) -> tuple[Member, ...]:
        """The values of `frame`."""
        rows = self.frame.to_dict("records")
        return tuple(member for row in rows for member in row.get(PARTS) or (self._member(row),))

    def _member(self, row: Row) -> Member:
        epoch = row.get("epoch")
        return Member(
            str(row.get("run", row.get("network", ""))),
            str(row.get("seeds", "")),
            None if pd.isna(epoch) else int(epoch),
            float(row[self.column]),
            self.read(row) if self.read else None,
        )

    def at(self, column: str, value: Any) -> Members:
        """Those of them that have this value in a column."""
        return replace(self, places=self.places[(self.rows[column].iloc[self.places] == value).to_numpy()])


def members(rows: pd.DataFrame, by: Sequence[str], value: str, read: Reader | None = None) -> list[Members]:
    """The rows of each group of equal values of `by`, in the order of the rows."""
    number = rows.groupby(list(by), sort=False).ngroup().fillna(-1).to_numpy(dtype=np.int64)
    order = np.argsort(number, kind="stable")
    order = order[np.searchsorted(number[order], 0) :]  # -1 is of no group
    bounds = np.searchsorted(number[order], np.arange(1, number.max(initial=-1) + 1))
    return [Members(rows, places, value, read) for places in np.split(order, bounds)] if len(order) else []


@dataclass(frozen=True, eq=False)
class Behind:
    """What a row of means is of.

    Attributes:
        ours: the values of the mean.
        theirs: those of the mean that it was compared with; None if it was with none.
        epoch: the column in which both were compared at the last epoch that they have in common; "" for none.
        p_values: of all tests of the table, from which Holm's are.

    """

    ours: Members
    theirs: Members | None = None
    epoch: str = ""
    p_values: Sequence[float] = ()

    def compared(self) -> tuple[Members, Members] | None:
        """The values of both sides of the difference; None if there is no other side."""
        if self.theirs is None or not self.epoch:
            return None if self.theirs is None else (self.ours, self.theirs)
        sides = (self.ours, self.theirs)
        last = max(set.intersection(*({*side.rows[self.epoch].iloc[side.places]} for side in sides)), default=None)
        ours, theirs = (side.at(self.epoch, last) for side in sides)
        return ours, theirs

    def reference(self) -> tuple[Member, ...]:
        """The runs of the other side, maybe none."""
        sides = self.compared()
        return sides[1].each() if sides else ()


@dataclass(frozen=True)
class Step:
    """A number of a computation.

    Attributes:
        name: which the later steps call it by.
        expression: how it comes about, in Python's notation, every number with all its digits. Besides the
            operators it uses NOTATION.
        value: what the program has for it.
        how: the formula in words, where the expression does not say enough; or "".

    """

    name: str
    expression: str
    value: float
    how: str = ""


NOTATION = {
    "sqrt": "the square root",
    "erfc": "math.erfc",
    "log10": "math.log10",
    "rank(x, values)": "1 + how many of the values are above x, + half of how many others equal it",
    "t": "scipy.stats.t, Student's distribution",
    "binomial(k, n)": "scipy.stats.binomtest(k, n).pvalue, two-sided",
    "chi2": "scipy.stats.chi2",
    "bootstrap(values)": "memstudy.analysis.significance.bootstrap_interval, its (low, high)",
}
"""What expressions use."""

Steps = Callable[[], Sequence[Step]]
"""A computation, written out when somebody asks."""


@dataclass(frozen=True)
class Origin:
    """How a cell was made.

    Attributes:
        members: the values that it is of; empty for a published number.
        steps: the computation; the last one, or those that `shown` names, are what the cell shows.
        numbers: of the row that it shows, unrounded: mean, sd, n, and those of its test, by name.
        reference: the values that it was compared with, if it was.
        cited: the published numbers in it.
        digits: decimals that are shown; None where that differs.

    """

    members: Callable[[], Sequence[Member]] = tuple
    steps: Steps = tuple
    numbers: Mapping[str, Any] = field(default_factory=dict)
    reference: Callable[[], Sequence[Member]] = tuple
    cited: tuple[Cited, ...] = ()
    digits: int | None = None


class Cell(str):
    """The text of a cell that knows what it was made of."""

    origin: Origin
    __slots__ = ("origin",)

    @classmethod
    def made(cls, text: str, origin: Origin) -> Cell:
        """The text, with its origin."""
        cell = cls(text)
        cell.origin = origin
        return cell

    def rewritten(self, text: str) -> Cell:
        """Another text, with a note, of the same origin."""
        return Cell.made(text, self.origin)

    def citing(self, *cited: Cited) -> Cell:
        """The same, with more published numbers in it."""
        return Cell.made(self, replace(self.origin, cited=(*self.origin.cited, *cited)))


def without(values: pd.DataFrame) -> pd.DataFrame:
    """Values as files have them."""
    return values.drop(columns=[name for name in values if str(name).endswith(BEHIND)])
