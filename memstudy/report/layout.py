"""Columns of a table spread over blocks that fit a width, one below the other; in any unit of length.

The first columns, the keys, tell rows apart, and are repeated in every block. Columns under one upper heading stay
together where they can.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

NARROW = 0.6
"""The share of the room that keys may take without wrapping, where they leave too little to the others."""


@dataclass(frozen=True)
class Column:
    """What a column needs.

    Attributes:
        upper: its upper heading, or "".
        natural: its width if no cell wraps.
        least: its width if its cells wrap wherever they can; looked at only of keys.

    """

    upper: str
    natural: float
    least: float


@dataclass(frozen=True)
class Block:
    """Places of columns that stand side by side, and how wide each is; keys below `natural` must wrap."""

    places: tuple[int, ...]
    widths: tuple[float, ...]


def blocks(columns: Sequence[Column], keys: int, room: float, gap: float, narrow: float = NARROW) -> list[Block]:
    """The blocks of a table whose first columns are keys.

    room: the width of a block. gap: the space between columns. narrow: see NARROW.

    Of ways with equally many blocks, keys wrap in none that leaves them as they are. A block is wider than the
    room only if one column beside wrapped keys is too wide for it.
    """
    natural, least = (
        sum(getattr(column, width) + gap for column in columns[:keys]) for width in ("natural", "least")
    )
    ways = [_packed(columns, keys, room + gap - taken, gap) for taken in (natural, max(least, narrow * room))]
    chosen = ways[0] if len(ways[0]) <= len(ways[1]) or natural <= narrow * room else ways[1]
    widest = max((_width(columns, places, gap) for places in chosen), default=0.0)
    of_keys = _wrapped(columns[:keys], room + gap - widest - gap * keys)
    return [
        Block((*range(keys), *places), (*of_keys, *(columns[place].natural for place in places)))
        for places in chosen or [[]]
    ]


def _packed(columns: Sequence[Column], keys: int, room: float, gap: float) -> list[list[int]]:
    """Places of columns that are no keys in as few blocks as fit the room, and these about equally wide."""
    units: list[list[int]] = []
    for upper, group in itertools.groupby(range(keys, len(columns)), lambda place: columns[place].upper):
        places = list(group)
        together = upper and _width(columns, places, gap) <= room
        units += [places] if together else [[place] for place in places]
    widths = [_width(columns, unit, gap) for unit in units]
    packed = _filled(units, widths, room)
    sums = (sum(widths[i:j]) for i in range(len(units)) for j in range(i + 1, len(units) + 1))
    for limit in sorted(limit for limit in {*sums} if limit <= room):
        if len(even := _filled(units, widths, limit)) == len(packed):
            return even
    return packed


def _filled(units: Sequence[Sequence[int]], widths: Sequence[float], room: float) -> list[list[int]]:
    """Each unit in the last block if it fits there, else in the next."""
    filled: list[list[int]] = []
    taken = float("inf")
    for unit, width in zip(units, widths, strict=True):
        if taken + width > room:
            filled.append([])
            taken = 0.0
        filled[-1] += unit
        taken += width
    return filled


def _width(columns: Sequence[Column], places: Sequence[int], gap: float) -> float:
    return sum(columns[place].natural + gap for place in places)


def _wrapped(columns: Sequence[Column], room: float) -> list[float]:
    """Widths that fill the room, between the least and the natural ones."""
    natural, least = sum(column.natural for column in columns), sum(column.least for column in columns)
    part = 1.0 if natural <= max(room, least) else max(0.0, (room - least) / (natural - least))
    return [column.least + part * (column.natural - column.least) for column in columns]
