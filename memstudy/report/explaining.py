"""What is behind a cell of a table: its runs, their seeds, values and files, and the arithmetic, written out.

A cell is addressed by names that its table shows, parted by colons, in any order: its row's, its column's, and,
where it takes that, the table's: `al2:test accuracy`, `table1:Bare:24:test accuracy:with AL2`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from memstudy.errors import MemstudyError, listed, quoted
from memstudy.report.origin import NOTATION, Cell, Member, Origin, Read
from memstudy.report.table import Table
from memstudy.store.pack import compressed
from memstudy.store.store import Selection

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


NOTHING = Origin()


def explained(place: Place, selection: Selection, left_out: Mapping[str, str]) -> dict[str, Any]:
    """The cell for JSON. left_out: the runs that no mean of these tables counts, and why, by name."""
    origin = place.text.origin if isinstance(place.text, Cell) else NOTHING
    steps = origin.steps()
    return {
        "cell": place.address,
        "shown": str(place.text),
        "table": place.table.name,
        "title": place.table.title,
        "of_row": origin is NOTHING,
        "members": [_member(member, selection) for member in _members(place)],
        "reference": [_member(member, selection) for member in origin.reference()],
        "against": str(origin.numbers.get("against") or ""),
        "arithmetic": [asdict(step) for step in steps],
        "notation": {
            name: words for name, words in NOTATION.items() if _used(name, [s.expression for s in steps])
        },
        "digits": origin.digits,
        "numbers": {name: value for name, value in origin.numbers.items() if not pd.isna(value)},
        "published": [asdict(cited) for cited in origin.cited],
        "left_out": dict(left_out),
        "notes": list(place.table.notes),
    }


def _used(name: str, expressions: Sequence[str]) -> bool:
    word = name.partition("(")[0]
    return any(re.search(rf"\b{word}\b[(.]", expression) for expression in expressions)


def _members(place: Place) -> list[Member]:
    """The values behind it; of a number computed otherwise, those behind its row's means, each run once."""
    if isinstance(place.text, Cell):
        return list(place.text.origin.members())
    cells = [cell for cell in place.table.rows[place.row] if isinstance(cell, Cell)]
    runs = {member.run: member for cell in cells for member in cell.origin.members()}
    return list(runs.values())


def _member(member: Member, selection: Selection) -> dict[str, Any]:
    """A run's value, and the file that it is read from, as a path below the store."""
    read = None if member.read is None else asdict(member.read) | {"file": _file(member.read, selection)}
    return vars(member) | {"read": read}


def _file(read: Read, selection: Selection) -> str:
    if "/" in read.file:
        return read.file
    path = selection.path / read.file
    path = path if path.is_file() else compressed(path)
    return path.relative_to(selection.path.parent.parent).as_posix()


def told(facts: dict[str, Any]) -> Iterator[str]:
    """The same for a reader, in lines."""
    yield f"{facts['cell']} = {facts['shown']}"
    yield f"{facts['table']}: {facts['title']}"
    yield ""
    if facts["of_row"]:
        yield "It is not computed of runs' values; it counts, or tells of, the runs of its row:"
    for member in facts["members"]:
        yield f"  {_told(member, not facts['of_row'])}"
    if facts["reference"]:
        yield f"compared with {facts['against'] or 'its reference'}:"
        for member in facts["reference"]:
            yield f"  {_told(member)}"
    if facts["arithmetic"]:
        yield ""
    for step in facts["arithmetic"]:
        yield f"{step['name']} = {step['expression']}"
        yield f"    = {step['value']!r}" + (f"    ({step['how']})" if step["how"] else "")
    if facts["arithmetic"] and facts["digits"] is not None:
        yield f"shown as {facts['shown']}: rounded to {_decimals(facts['digits'])}"
    for name, words in facts["notation"].items():
        yield f"  {name}: {words}"
    for cited in facts["published"]:
        yield f"published: {cited['value']!r} in {cited['paper']}: {cited['file']}, {_row(cited)}"
    if facts["left_out"]:
        yield ""
    for name, why in facts["left_out"].items():
        yield f"left out: {name} ({why})"
    yield ""
    yield from facts["notes"]


def _told(member: Mapping[str, Any], with_value: bool = True) -> str:
    after = "" if member["epoch"] is None else f", after epoch {member['epoch']}"
    whose = f"{member['run']} (seeds {member['seeds']}{after})"
    if not with_value:
        return whose
    read = member["read"]
    how = f"{read['how']}, " if read and read["how"] else ""
    where = f"  [{how}{read['file']}: {_row(read)}]" if read else ""
    return f"{whose}: {member['value']!r}{where}"


def _row(place: Mapping[str, Any]) -> str:
    """Where in a file: `epoch 24, column test_accuracy`."""
    return ", ".join([*(f"{name} {value}" for name, value in place["row"].items()), f"column {place['column']}"])


def _decimals(digits: int) -> str:
    return f"{digits} decimal{'' if digits == 1 else 's'}"
