"""Text in a CSV that a spreadsheet may open: none of it is a formula there, and it can be read back exactly.

A spreadsheet runs a cell that begins with =, +, -, @, a tab or a carriage return. Such text gets an apostrophe in
front, as spreadsheets mark text themselves. What is a number (-0.5, also as text) is left as it is.
"""

from __future__ import annotations

import re
from csv import QUOTE_MINIMAL, QUOTE_NONNUMERIC
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

_RUN = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]inf")


def inert(value: object) -> object:
    """A cell's value; text that would be run, or that looks as if this had been done to it, with an apostrophe."""
    if isinstance(value, str) and _RUN.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def restored(value: object) -> object:
    """What `inert` was given."""
    if isinstance(value, str) and value.startswith("'") and _RUN.match(value):
        return value[1:]
    return value


def csv(rows: pd.DataFrame, header: bool = True) -> str:
    """Rows as CSV, numbers with all their digits; maybe without a header, to be added to others."""
    import pandas as pd

    cells = pd.DataFrame({place: _inert(rows.iloc[:, place]) for place in range(rows.shape[1])}, index=rows.index)
    names = [str(inert(str(name))) for name in rows.columns]
    breaks = any("\r" in text for text in [*names, *cells.to_numpy().ravel().tolist()] if isinstance(text, str))
    quoting: Literal[0, 2] = (
        QUOTE_NONNUMERIC if breaks else QUOTE_MINIMAL
    )  # the latter leaves a carriage return as it is
    return cells.to_csv(index=False, header=names if header else False, lineterminator="\n", quoting=quoting)


def read_back(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows that were read from what `csv` wrote, their text and the names of columns as they were given."""
    names = [str(restored(name)) for name in rows.columns]
    found = rows.set_axis(names, axis="columns")
    for place in range(found.shape[1]):
        column = found.iloc[:, place]
        if column.dtype.kind == "O" and any(isinstance(value, str) and value[:1] == "'" for value in column):
            found.isetitem(place, [restored(value) for value in column])
    return found


def _inert(column: pd.Series) -> pd.Series:
    """A column whose text is inert; what is none stays of the kind that it is."""
    import pandas as pd

    if column.dtype.kind != "O":
        return column
    return pd.Series([inert(value) for value in column], index=column.index, dtype=object)
