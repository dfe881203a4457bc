"""Rows and columns of text for a terminal: each line is one row, whatever the width.

Not by rich's tables: they fold cells or cut them, and take seconds for a thousand rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rich.cells import cell_len

if TYPE_CHECKING:
    from rich.console import Console

GAP = "  "


@dataclass(frozen=True)
class Column:
    """A heading and one text a row. Numbers are aligned right; the least `wanted` columns are left out first."""

    heading: str
    cells: Sequence[str]
    number: bool = False
    wanted: int = 0

    @cached_property
    def width(self) -> int:
        """Cells of a terminal."""
        return max(map(_cells, (self.heading, *self.cells)))


def _cells(text: str) -> int:
    """How many cells a text takes; asked for ten thousand rows."""
    return len(text) if text.isascii() else cell_len(text)


def room(console: Console) -> int | None:
    """Columns of the terminal; None where lines may have any length, as in a file or a pipe."""
    return console.width if console.is_terminal or os.environ.get("COLUMNS", "").isdecimal() else None


def fitted(columns: Sequence[Column], width: int | None) -> tuple[list[Column], list[Column]]:
    """The columns that fit into a width, and those that are left out: the least wanted, of equals the last."""
    shown = list(columns)
    while width is not None and len(shown) > 1 and _total(shown) > width:
        shown.remove(min(reversed(shown), key=lambda column: column.wanted))
    return shown, [column for column in columns if column not in shown]


def lines(columns: Sequence[Column], headings: bool = True) -> list[str]:
    """A line of headings, and one for each row."""
    widths = [column.width for column in columns]
    texts = zip(*([*[column.heading] * headings, *column.cells] for column in columns), strict=True)
    return [GAP.join(map(_padded, row, widths, columns)).rstrip() for row in texts]


def _padded(text: str, width: int, column: Column) -> str:
    space = " " * (width - _cells(text))
    return space + text if column.number else text + space


def _total(columns: Iterable[Column]) -> int:
    widths = [column.width for column in columns]
    return sum(widths) + len(GAP) * (len(widths) - 1)
