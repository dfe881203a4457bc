"""What is behind a cell of a table: its runs, their seeds and values, and the arithmetic, in words and for JSON.

A cell is addressed by names that its table shows, parted by colons, in any order: its row's, its column's, and,
where it takes that, the table's: `al2:test accuracy`, `table1:Bare:24:test accuracy:with AL2`.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from memstudy.errors import MemstudyError, listed, quoted
from memstudy.report.origin import Cell, Member, Origin
from memstudy.report.table import Table

MOST_NAMED = 8
"""No sentence lists more cells than these."""


@dataclass(frozen=True, eq=False)
class Place:
    """A cell: its table, and its row and column in it, from 0."""

    table: Table
    row: int
    column: int

    @property
    def text(self) -> str:
        """What is printed."""
        return self.table.rows[self.row][self.column]

    @property
    def names(self) -> tuple[str, ...]:
        """Its table's name, what tells its row from others, and its headings."""
        keys = [cell for cell in self.table.rows[self.row][: self.table.keys] if cell]
        headings = filter(None, (self.table.upper[self.column], self.table.headings[self.column]))
        return (self.table.name, *keys, *headings)

    @property
    def address(self) -> str:
        """The names, as they can be given."""
        return ":".join(self.names)

    def unnamed(self, asked: Sequence[str]) -> int | None:
        """How many of its names were not asked for, besides the table's; None if one asked for is none of them."""
        pieces = [_pieces(name) for name in self.names]
        if not all(any(one == piece for name in pieces for piece in name) for one in asked):
            return None
        return sum(not any(piece in asked for piece in name) for name in pieces[1:])


def _pieces(name: str) -> list[str]:
    """A name as it may be given: whole, without its unit, and in the parts between its colons."""
    plain = _plain(name)
    return [plain, plain.removesuffix(", %"), *map(str.strip, plain.split(":"))]


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())


def places(tables: Sequence[Table]) -> list[Place]:
    """All cells that can be explained: those with something in them, but for what tells rows apart."""
    return [
        Place(table, row, column)
        for table in tables
        for row, cells in enumerate(table.rows)
        for column in range(table.keys, len(table.headings))
        if cells[column]
    ]


def found(tables: Sequence[Table], asked: str) -> Place:
    """The cell that was asked for. A MemstudyError names the nearest ones, or those that are all meant."""
    every = places(tables)
    if not every:
        raise MemstudyError("there is no table of these runs, and so no cell to explain.")
    whole = [place for place in every if _plain(place.address) == _plain(asked)]
    if whole:
        return whole[0]
    pieces = [_plain(piece) for piece in asked.split(":") if piece.strip()]
    counts = {place: left for place in every if (left := place.unnamed(pieces)) is not None} if pieces else {}
    meant = [place for place, left in counts.items() if left == min(counts.values())]
    if len(meant) == 1:
        return meant[0]
    how = "'memstudy table --cells' lists all"
    if meant:
        names = listed([place.address for place in meant][:MOST_NAMED])
        raise MemstudyError(
            f"{quoted(asked)} names {len(meant)} cells, such as {names}; give more of a name. {how}."
        )
    near = difflib.get_close_matches(_plain(asked), [_plain(place.address) for place in every], 3, 0)
    shown = [place.address for place in every if _plain(place.address) in near]
    raise MemstudyError(f"no table has a cell {quoted(asked)}; near are {listed(shown[:3])}. {how}.")


def explained(place: Place, left_out: dict[str, str]) -> dict[str, Any]:
    """The cell for JSON. left_out: the runs that no mean of these tables counts, and why, by name."""
    origin = place.text.origin if isinstance(place.text, Cell) else None
    return {
        "cell": place.address,
        "shown": str(place.text),
        "table": place.table.name,
        "title": place.table.title,
        "members": [vars(member) for member in _members(place)],
        "of_row": origin is None,
        "arithmetic": _arithmetic(origin) if origin else "",
        "numbers": _numbers(origin) if origin else {},
        "left_out": left_out,
        "notes": list(place.table.notes),
    }


def _members(place: Place) -> list[Member]:
    """The values behind it; of a number computed otherwise, those behind its row's means, each run once."""
    if isinstance(place.text, Cell):
        return list(place.text.origin.members.each())
    cells = [cell for cell in place.table.rows[place.row] if isinstance(cell, Cell)]
    runs = {member.run: member for cell in cells for member in cell.origin.members.each()}
    return list(runs.values())


def _numbers(origin: Origin) -> dict[str, Any]:
    """What was computed, unrounded, without what is missing."""
    return {name: value for name, value in origin.numbers.items() if not pd.isna(value)}


def _arithmetic(origin: Origin) -> str:
    """How the mean was computed, in words."""
    n = len(origin.members.each())
    if n < 2:
        return f"the value of one run, rounded to {_decimals(origin.digits)}"
    return (
        f"the sum of {n} values over {n}, ± the root of their squared deviations' sum over {n - 1}, both rounded "
        f"to {_decimals(origin.digits)}"
    )


def _decimals(digits: int) -> str:
    return f"{digits} decimal{'' if digits == 1 else 's'}"


def told(facts: dict[str, Any]) -> Iterator[str]:
    """The same for a reader, in lines."""
    yield f"{facts['cell']} = {facts['shown']}"
    yield f"{facts['table']}: {facts['title']}"
    yield ""
    if facts["of_row"]:
        yield "Not a mean of runs' values itself: the notes say how it is computed. The runs of its row:"
    for member in facts["members"]:
        after = "" if member["epoch"] is None else f", after epoch {member['epoch']}"
        value = "" if facts["of_row"] else f": {quoted(member['value'])}"
        yield f"  {member['run']} (seeds {member['seeds']}{after}){value}"
    if facts["arithmetic"]:
        yield f"Computed as {facts['arithmetic']}."
        yield "  " + ", ".join(f"{name} {_short(value)}" for name, value in facts["numbers"].items())
    for name, why in facts["left_out"].items():
        yield f"left out: {name} ({why})"
    yield ""
    yield from facts["notes"]


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) and math.isfinite(value) else re.sub(r"\s+", " ", str(value))
