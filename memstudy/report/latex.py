r"""A table in LaTeX that fits a text width.

Where columns stand is decided here, by the widths of Computer Modern at 8 pt, a size that every table is set in.
Another font may be wider: so LaTeX measures each block, and shrinks it if it is wider than the line. What does not
fit a page goes on in another table with the same number.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from memstudy.report import layout
from memstudy.report.cells import Parts, parts
from memstudy.report.layout import Block
from memstudy.report.tex import breakable, needs_t1, pieces, tex, unprinted, width
from memstudy.report.typesetting import RESIZE, TABULARX, Typesetting

if TYPE_CHECKING:
    from memstudy.report.table import Table

GAP = 8.0
"""Between columns, points: twice tabcolsep."""
LINE = 9.5
RULE = 5.5
"""Points: a line between groups, and the space around it."""
SLACK = 0.5
"""Points that a block leaves of the text width, as widths of characters are rounded and pairs are kerned."""
PAGE = 500.0
"""Points: the most that a table takes of a page, caption and notes included. 550 have room on letter paper."""
BOLD = "Bold: the best of a column"


def document(table: Table, how: Typesetting) -> str:
    """The table's LaTeX: a comment, then one table environment or, where that is higher than a page, several."""
    sheet = _Sheet(table if how.stars else table.unstarred(), how)
    if len(sheet.blocks) > 1:
        sheet = _Sheet(sheet.table.without_constants(), how)
    floats = sheet.floats()
    lines = [line for place, parts in enumerate(floats) for line in sheet.environment(parts, place, len(floats))]
    return "\n".join([*sheet.comment(), *lines, ""])


@dataclass(frozen=True)
class _Part:
    """Some rows of a block."""

    block: Block
    rows: tuple[int, ...]


@dataclass(frozen=True)
class _Sheet:
    """A table and how it is typeset."""

    table: Table
    how: Typesetting

    @cached_property
    def best(self) -> set[tuple[int, int]]:
        return self.table.best if self.how.best else set()

    @cached_property
    def notes(self) -> list[str]:
        among = f", at the same {' and '.join(self.table.among)}" if self.table.among else ""
        return [*self.table.notes, *([f"{BOLD}{among}."] if self.best else [])]

    @cached_property
    def texts(self) -> list[str]:
        """All that is printed."""
        cells = itertools.chain.from_iterable(self.table.rows)
        return [self.table.title, *self.table.headings, *self.table.upper, *cells, *self.notes]

    @cached_property
    def aligned(self) -> list[_Aligned | None]:
        """How siunitx aligns each column; None where it does not."""
        found: list[_Aligned | None] = []
        for place, heading in enumerate(self.table.headings):
            cells, has_bold = [row[place] for row in self.table.rows], any(at == place for _, at in self.best)
            is_number = self.how.siunitx and heading not in self.table.words
            found.append(_aligned(cells, has_bold) if is_number else None)
        return found

    @cached_property
    def columns(self) -> list[layout.Column]:
        """What each column needs."""
        return [self._column(place) for place in range(len(self.table.headings))]

    @cached_property
    def blocks(self) -> list[Block]:
        if self.how.fit == RESIZE:
            return [Block((*range(len(self.columns)),), tuple(column.natural for column in self.columns))]
        narrow = layout.NARROW / 2 if self.how.fit == TABULARX else layout.NARROW
        return layout.blocks(self.columns, self.table.keys, self.how.points - SLACK, GAP, narrow)

    @cached_property
    def ruled(self) -> set[int]:
        """Rows that begin a group; none if every row is a group of its own."""
        if not self.table.group:
            return set()
        group = self.table.headings.index(self.table.group)
        cells = [row[group] for row in self.table.rows]
        first = {at for at, cell in enumerate(cells) if at == 0 or cells[at - 1] != cell}
        return first if len(first) < len(cells) else set()

    def comment(self) -> Iterator[str]:
        """What the file is and needs."""
        array = any(self._wraps(block, place) for block in self.blocks for place in block.places)
        needed = ["booktabs", "graphicx", *(["array"] if array else [])]
        needed += ["tabularx"] if any(map(self._stretches, self.blocks)) else []
        needed += ["siunitx"] if any(self.aligned) else []
        yield from (rf"% \usepackage{{{name}}}" for name in needed)
        if needs_t1(self.texts):
            yield r"% \usepackage[T1]{fontenc}"
        yield f"% for a text width of {self.how.width:g} in; where a line is shorter, the table is shrunk to it"
        if self.how.fit == RESIZE and (factor := self.how.points / self._wide(self.blocks[0])) < 1:
            yield f"% to fit, it is shrunk to {100 * factor:.0f} % of its size"
        for mark in unprinted(self.texts):
            yield f"% {mark.encode('unicode_escape').decode()} is {mark}, which pdfLaTeX cannot print"

    def floats(self) -> list[list[_Part]]:
        """The parts of the table by the environment that they are in; the last one has the notes, too."""
        caption = self._lines(self.table.title) * 12.0 + 20
        most = PAGE - caption
        found: list[list[_Part]] = [[]]
        taken = 0.0
        for part in (_Part(block, rows) for block in self.blocks for rows in self._pages(block, most)):
            high = self._height(part)
            if found[-1] and taken + high > most:
                found.append([])
                taken = 0.0
            found[-1].append(part)
            taken += high
        notes = sum(self._lines(note) * LINE + 3 for note in self.notes)
        return [*found, []] if taken + notes > most else found

    def environment(self, parts: Sequence[_Part], place: int, count: int) -> Iterator[str]:
        """One table environment: caption, parts, and in the last one notes."""
        name = self.how.environment
        yield rf"\begin{{{name}}}"
        yield r"\centering"
        if place:
            yield r"\addtocounter{table}{-1}"
        title = tex(breakable(self.table.title))
        yield rf"\caption{{{title} (continued)}}" if place else rf"\caption{{{title}}}"
        if not place:
            yield rf"\label{{tab:{_label(self.table.name)}}}"
        yield r"\fontsize{8}{9.5}\selectfont"
        yield rf"\setlength{{\tabcolsep}}{{{GAP / 2:g}pt}}"
        if any(self.aligned):
            yield r"\sisetup{detect-weight=true,retain-explicit-plus=true,table-align-text-post=false}"
        for part in parts:
            yield from (r"\par\medskip", r"\sbox0{%")
            yield from self._tabular(part)
            yield r"}\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi"
        if place == count - 1 and self.notes:
            yield r"\par\medskip"
            yield r"\begin{minipage}{\linewidth}\raggedright"
            yield from (rf"{tex(breakable(note))}\par" for note in self.notes)
            yield r"\end{minipage}"
        yield rf"\end{{{name}}}"

    def _tabular(self, part: _Part) -> Iterator[str]:
        block = part.block
        specs = "".join(self._spec(block, place) for place in block.places)
        name = "tabularx" if self._stretches(block) else "tabular"
        fits = self._wide(block) <= self.how.points
        wide = r"\linewidth" if fits else f"{self._wide(block):.1f}pt"  # then it is shrunk
        yield rf"\begin{{{name}}}{f'{{{wide}}}' if self._stretches(block) else ''}{{@{{}}{specs}@{{}}}}"
        yield r"\toprule"
        yield from self._over(block)
        yield " & ".join(self._heading(block, place) for place in block.places) + r" \\"
        yield r"\midrule"
        yield from self._body(part)
        yield r"\bottomrule"
        yield rf"\end{{{name}}}%"

    def _spec(self, block: Block, place: int) -> str:
        """How a column is set."""
        if self._wraps(block, place):
            natural = block.widths[block.places.index(place)]
            if not self._stretches(block):
                return rf">{{\raggedright\arraybackslash}}p{{{natural:.1f}pt}}"
            stretched = [each for each in block.places if self._wraps(block, each)]
            every = sum(block.widths[block.places.index(each)] for each in stretched)
            factor = natural * len(stretched) / every if every else 1
            return rf">{{\hsize={factor:.3f}\hsize\linewidth=\hsize\raggedright\arraybackslash}}X"
        if aligned := self.aligned[place]:
            return aligned.spec
        return "l" if self.table.headings[place] in self.table.words else "r"

    def _wraps(self, block: Block, place: int) -> bool:
        """Whether the cells of a column wrap: words, if there is too little room, or in tabularx."""
        if self.table.headings[place] not in self.table.words or place >= self.table.keys:
            return False
        too_narrow = block.widths[block.places.index(place)] < self.columns[place].natural - 0.05
        return too_narrow or self._stretches(block)

    def _stretches(self, block: Block) -> bool:
        """Whether a block is a tabularx: if it has words, which alone wrap."""
        words = {self.table.headings[place] for place in block.places if place < self.table.keys}
        return self.how.fit == TABULARX and not words.isdisjoint(self.table.words)

    def _over(self, block: Block) -> Iterator[str]:
        """The row of upper headings, if there are any, and the lines beneath."""
        upper = [self.table.upper[place] for place in block.places]
        if not any(upper):
            return
        cells, lines, at = [], [], 1
        for name, group in itertools.groupby(range(len(upper)), lambda index: upper[index]):
            span = len(list(group))
            wide = sum(block.widths[at - 1 : at - 1 + span]) + GAP * (span - 1)
            cells.append(
                rf"\multicolumn{{{span}}}{{c}}{{{_stacked(name, wide, 'c')}}}" if name else " &" * (span - 1)
            )
            lines += [rf"\cmidrule(lr){{{at}-{at + span - 1}}}"] if name else []
            at += span
        yield " & ".join(cells) + r" \\"
        yield "".join(lines)

    def _heading(self, block: Block, place: int) -> str:
        """A heading in as many lines as its column is narrow."""
        name = self.table.headings[place]
        if self._wraps(block, place):
            return tex(breakable(name))
        is_word = name in self.table.words
        text = _stacked(name, block.widths[block.places.index(place)], "l" if is_word else "r")
        return rf"\multicolumn{{1}}{{r}}{{{text}}}" if self.aligned[place] else text

    def _body(self, part: _Part) -> Iterator[str]:
        """The rows, with a line between groups. In the column `group` only the first of equal cells is shown."""
        group = self.table.headings.index(self.table.group) if self.table.group else None
        before = None
        for row in part.rows:
            texts = [self._cell(part.block, row, place) for place in part.block.places]
            if group is not None and group in part.block.places:
                now = self.table.rows[row][group]
                if before is not None and row in self.ruled:
                    yield r"\midrule"
                if now == before:
                    texts[part.block.places.index(group)] = ""
                before = now
            guard = "{}" if texts[0].startswith(("[", "*")) else ""  # else it is an option of the line before
            yield guard + " & ".join(texts) + r" \\"

    def _cell(self, block: Block, row: int, place: int) -> str:
        text, bold = self.table.rows[row][place], (row, place) in self.best
        if aligned := self.aligned[place]:
            return aligned.cell(text, bold)
        made = tex(breakable(text)) if self._wraps(block, place) else tex(text)
        return rf"\textbf{{{made}}}" if bold else made

    def _column(self, place: int) -> layout.Column:
        heading = self.table.headings[place]
        cells = [row[place] for row in self.table.rows]
        bold = any(column == place for _, column in self.best)
        of_heading = [
            width(piece) for text in (heading, self.table.upper[place]) for piece in pieces(breakable(text))
        ]
        natural = max([*(width(cell, bold) for cell in cells), *of_heading], default=0.0)
        if self.aligned[place]:
            natural += 3 * width("0")  # whole parts and those of spreads may be longest in different cells
        if heading in self.table.words:
            natural = max(natural, width(heading))
        else:
            return layout.Column(self.table.upper[place], natural, natural)
        least = [width(piece) for text in (heading, *cells) for piece in pieces(breakable(text))]
        return layout.Column(self.table.upper[place], natural, min(natural, max(least, default=0.0)))

    def _wide(self, block: Block) -> float:
        return sum(block.widths) + GAP * (len(block.widths) - 1)

    def _pages(self, block: Block, most: float) -> Iterator[tuple[int, ...]]:
        """The rows of a block, by page; groups stay together where they fit one."""
        group = self.table.headings.index(self.table.group) if self.table.group else None
        head, rows, taken = self._height(_Part(block, ())), list[int](), 0.0
        keyed = itertools.groupby(
            range(len(self.table.rows)), lambda row: row if group is None else self.table.rows[row][group]
        )
        for _, members in keyed:
            together = list(members)
            high = sum(self._row_height(block, row) for row in together)
            if rows and head + taken + high > most:
                yield tuple(rows)
                rows, taken = [], 0.0
            for row in together:
                if rows and head + taken + self._row_height(block, row) > most:
                    yield tuple(rows)
                    rows, taken = [], 0.0
                rows.append(row)
                taken += self._row_height(block, row)
        yield tuple(rows)

    def _height(self, part: _Part) -> float:
        """Of a part, in points: rules, headings, rows; rather too much than too little."""
        block = part.block
        headings = max(
            (
                len(_lines(self.table.headings[place], wide))
                for place, wide in zip(block.places, block.widths, strict=True)
            ),
            default=1,
        )
        upper = 3 if any(self.table.upper) else 0
        return 30 + (headings + upper) * LINE + sum(self._row_height(block, row) for row in part.rows)

    def _row_height(self, block: Block, row: int) -> float:
        lines = [
            math.ceil(1.3 * width(self.table.rows[row][place]) / max(wide, 1.0))
            for place, wide in zip(block.places, block.widths, strict=True)
            if self._wraps(block, place)
        ]
        return LINE * max([1, *lines]) + (RULE if row in self.ruled else 0.1)

    def _lines(self, text: str) -> int:
        """How many lines a caption or note takes."""
        return math.ceil(1.15 * width(text) / self.how.points)


@dataclass(frozen=True)
class _Aligned:
    """A column that siunitx aligns, with room for the most digits of its cells, and for the longest text behind.

    Where a number is bold, there is room for that: for a digit more.

    A standard deviation is such text, too: siunitx would drop one of zero.
    """

    sign: str
    whole: int
    decimals: int
    of_spread: int
    after: str
    has_bold: bool

    @property
    def spec(self) -> str:
        """S with its format."""
        after = rf"\bfseries{{}}{self.after}" if self.has_bold else self.after
        room = rf",table-space-text-post={{{after}}}" if self.after else ""
        return f"S[table-format={self.sign}{self.whole + self.has_bold}.{self.decimals}{room}]"

    def cell(self, text: str, bold: bool) -> str:
        """A number with what stands behind it; any other text in braces, in the middle."""
        found = parts(text)
        if found is None:
            made = rf"\textbf{{{tex(text)}}}" if bold else tex(text)
            return f"{{{made}}}" if text else ""
        number = found.sign + found.whole + (f".{found.decimals}" if found.decimals else "")
        after = _after(found, self.of_spread)
        if bold:
            return rf"\bfseries {number}" + (rf"{{\bfseries{{}}{after}}}" if after else "")
        return number + (f"{{{after}}}" if after else "")


def _aligned(cells: Sequence[str], has_bold: bool) -> _Aligned | None:
    """How siunitx aligns these; None if there are no decimals, as right-aligned numbers are aligned then."""
    found = [each for each in map(parts, cells) if each is not None]
    if not any(each.decimals for each in found):
        return None
    of_spread = max(len(_whole(each.spread)) for each in found)
    return _Aligned(
        sign="+" if any(each.sign for each in found) else "",
        whole=max(len(each.whole) for each in found),
        decimals=max(len(each.decimals) for each in found),
        of_spread=of_spread,
        after=_after(max(found, key=lambda cell: width(f"{cell.spread}{cell.stars}{cell.rest}")), of_spread),
        has_bold=has_bold,
    )


def _after(cell: Parts, of_spread: int) -> str:
    """What stands behind a number: its standard deviation, aligned at the decimal point, stars and notes."""
    blank = "0" * (of_spread - len(_whole(cell.spread)))
    pad = rf"\phantom{{{blank}}}" if blank else ""
    spread = rf" $\pm$ {pad}{cell.spread}" if cell.spread else ""
    return spread + tex(cell.stars + cell.rest)


def _whole(number: str) -> str:
    return number.partition(".")[0]


def _lines(heading: str, room: float) -> list[str]:
    """The lines of a heading that is wrapped, long words too."""
    lines: list[str] = []
    for word in heading.split():
        for number, piece in enumerate(pieces(breakable(word))):
            together = f"{lines[-1]}{' ' if number == 0 else ''}{piece}" if lines else piece
            if lines and width(together) <= room:
                lines[-1] = together
            else:
                lines.append(piece)
    return lines or [""]


def _stacked(heading: str, room: float, align: str) -> str:
    """A heading, its lines below each other if it is wider than the room."""
    lines = [tex(line) for line in _lines(heading, room)]
    if len(lines) == 1:
        return lines[0]
    stacked = r"\\".join(lines)
    return rf"\begin{{tabular}}[b]{{@{{}}{align}@{{}}}}{stacked}\end{{tabular}}"


def _label(name: str) -> str:
    r"""A name as \label may have it."""
    return "".join(
        character if character.isascii() and (character.isalnum() or character in "-_.") else "-"
        for character in name
    )
