"""A table on a terminal: as wide as that is, in blocks of columns where it is narrow; laid out by rich.

Colors and bold text are the console's matter: it leaves colors out where NO_COLOR is set, and both where its
output is no terminal.
"""

from __future__ import annotations

import io
import itertools
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import pandas as pd
from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from memstudy.report import layout
from memstudy.report.tex import breakable, pieces

if TYPE_CHECKING:
    from memstudy.report.table import Table

GAP = 2
"""Spaces between columns."""
BRIEFLY = 12
"""Rows of a table that is printed briefly."""
HEADING, DIM = "bold", "dim"


def shown(table: Table, wide: int) -> Group:
    """The whole table: its title, blocks, and notes."""
    blocks = _blocks(table, wide)
    if len(blocks) > 1:
        table = table.without_constants()
        blocks = _blocks(table, wide)
    return Group(
        Text(table.title, style=HEADING), *_apart(blocks), *(Text(note, style=DIM) for note in table.notes)
    )


def brief(table: Table, wide: int) -> Group:
    """The table's last epochs, BRIEFLY rows of them, and the first note, which says what numbers are."""
    last = table.brief()
    cells = last.cells.head(BRIEFLY)
    left_out = len(table.rows) - len(cells)
    more = [f"{left_out} of {len(table.rows)} rows are not shown here."] if left_out else []
    return shown(replace(last, cells=cells, notes=(*table.notes[:1], *more)), wide)


def plain(rows: pd.DataFrame, digits: int) -> str:
    """A data frame as text for a terminal of this width, numbers with so many decimals."""
    from memstudy.report.table import Table

    formats = {name: f"{{:.{digits}f}}" if rows[name].dtype.kind == "f" else "{}" for name in rows}
    cells = pd.DataFrame({str(name): rows[name].map(form.format) for name, form in formats.items()})
    words = tuple(str(name) for name in rows if rows[name].dtype.kind not in "fiu")
    wide = shutil.get_terminal_size().columns
    blocks = _blocks(Table("", "", (), cells, rows, words), wide)
    return text(Group(*_apart(blocks)), wide).strip("\n")


def text(content: RenderableType, wide: int) -> str:
    """What rich renders as plain text."""
    console = Console(file=io.StringIO(), width=wide, color_system=None, highlight=False, emoji=False)
    console.print(content)
    written = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    return "\n".join(line.rstrip() for line in written.splitlines())


def _blocks(table: Table, wide: int) -> list[Group]:
    columns = [_column(table, place) for place in range(len(table.headings))]
    return [
        Group(*_over(table, block.places, widths), _grid(table, block.places, widths))
        for block in layout.blocks(columns, table.keys, wide, GAP)
        if (widths := [min(max(1, int(width)), wide) for width in block.widths])
    ]


def _apart(blocks: Sequence[RenderableType]) -> Iterator[RenderableType]:
    """Blocks with an empty line before each, and one behind the last."""
    for block in blocks:
        yield from (Text(""), block)
    yield Text("")


def _column(table: Table, place: int) -> layout.Column:
    """What a column needs, in characters; headings wrap between words."""
    heading, upper = table.headings[place], table.upper[place]
    cells = [row[place] for row in table.rows]
    of_heading = [cell_len(piece) for text in (heading, upper) for piece in pieces(breakable(text))]
    natural = max([*map(cell_len, cells), *of_heading, 1])
    if heading not in table.words:
        return layout.Column(upper, natural, natural)
    least = max([cell_len(piece) for cell in cells for piece in pieces(breakable(cell))] + [*of_heading, 1])
    return layout.Column(upper, max(natural, cell_len(heading)), min(least, natural))


def _over(table: Table, places: Sequence[int], widths: Sequence[int]) -> Iterator[Text]:
    """Upper headings above their columns, in as many lines as these are narrow."""
    spans, at = [], 0
    for upper, group in itertools.groupby(range(len(places)), lambda index: table.upper[places[index]]):
        members = list(group)
        wide = sum(widths[index] for index in members) + GAP * (len(members) - 1)
        spans.append((upper, at, wide))
        at += wide + GAP
    lines = {at: _wrapped(upper, wide) for upper, at, wide in spans if upper}
    for row in range(max(map(len, lines.values()), default=0)):
        line = ""
        for upper, at, wide in spans:
            words = lines.get(at, [])
            shift = row - (max(map(len, lines.values())) - len(words))
            if upper and shift >= 0:
                line = line.ljust(at) + words[shift].center(wide)
        yield Text(line.rstrip(), style=HEADING)


def _wrapped(text: str, wide: int) -> list[str]:
    console = Console(width=wide, file=io.StringIO())
    return [str(line).rstrip() for line in Text(text).wrap(console, wide)]


def _grid(table: Table, places: Sequence[int], widths: Sequence[int]) -> Grid:
    grid = Grid(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0), header_style=HEADING
    )
    for place, wide in zip(places, widths, strict=True):
        heading = table.headings[place]
        justify: Literal["left", "right"] = "left" if heading in table.words else "right"
        grid.add_column(Text(heading), justify=justify, width=wide, overflow="fold", vertical="bottom")
    before = None
    for row in table.rows:
        cells = [row[place] for place in places]
        if table.group and (group := table.headings.index(table.group)) in places:
            cells[places.index(group)] = "" if row[group] == before else row[group]
            before = row[group]
        grid.add_row(*(Text(cell) for cell in cells))
    return grid
