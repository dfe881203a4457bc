"""A table of any shape: cells of text in many formats, and the values behind them as CSV and JSON.

Each format is a module beside this one (`markdown`, `latex`, `terminal`, `html`), CSV is `memstudy.spreadsheet`.
All of them know of a table what is declared here, so that whatever makes a `Table`, an analysis of another package
too, has them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from memstudy import files, spreadsheet
from memstudy.errors import quoted
from memstudy.report import html, latex, markdown, origin
from memstudy.report.cells import leading, unstarred
from memstudy.report.folders import ENDINGS, TABLES
from memstudy.report.typesetting import LATEX, USUAL, Typesetting

HIGH, LOW = "high", "low"
"""Which numbers of a column are the better ones."""
EPOCH = "epoch"
"""The heading of a column of epochs. Where there is little room, only the last is shown."""
ON_STARS = ("Stars:", "No stars")
"""How notes on stars begin. They go where stars are not shown."""


@dataclass(frozen=True)
class Table:
    """A table: its file name without ending, title, notes in plain sentences, cells, and the values behind them.

    cells: a data frame of text. Columns may have two levels: equal upper ones side by side become one heading
        above the lower ones; "" is no heading.
    values: a tidy data frame, which the CSV and JSON have with all digits.
    words: the columns of words, which are aligned left; columns of numbers are aligned right.
    group: a column whose equal cells below each other LaTeX shows once, with a line before the next; "" for none.
    better: HIGH or LOW for headings, upper or lower ones, of columns of numbers in which some are better, so that
        the best can be marked; nothing is marked in the other columns.
    among: columns in which rows are equal that compete for the best, such as the epoch; by default all compete.
    """

    name: str
    title: str
    notes: tuple[str, ...]
    cells: pd.DataFrame
    values: pd.DataFrame
    words: tuple[str, ...]
    group: str = ""
    better: Mapping[str, str] = field(default_factory=dict)
    among: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", origin.without(self.values))
        for name in filter(None, (*self.words, self.group, *self.among)):
            if name not in self.headings:
                raise ValueError(f"the table {self.name} has no column {quoted(name)}, only {self.headings}")
        if wrong := {*self.better.values()} - {HIGH, LOW}:
            raise ValueError(f"the table {self.name} may say {HIGH} or {LOW} is better, not {quoted(wrong.pop())}")

    @cached_property
    def headings(self) -> list[str]:
        """The (lower) heading of each column."""
        return list(map(str, self.cells.columns.get_level_values(-1)))

    @cached_property
    def upper(self) -> list[str]:
        """The upper heading of each column, or ""."""
        columns = self.cells.columns
        return [str(name) if columns.nlevels > 1 else "" for name in columns.get_level_values(0)]

    @cached_property
    def rows(self) -> list[list[str]]:
        """The cells."""
        return self.cells.to_numpy().tolist()

    @cached_property
    def keys(self) -> int:
        """How many of the first columns tell rows apart: to the last one of words, and until no two are equal.

        These are repeated where a table is split into blocks of columns.
        """
        least = max((self.headings.index(name) + 1 for name in self.words), default=1)
        for count in range(least, len(self.headings)):
            if len({tuple(row[:count]) for row in self.rows}) == len(self.rows):
                return count
        return least

    @property
    def best(self) -> set[tuple[int, int]]:
        """(row, column) of the best numbers as shown; several that are equal, none where there is no other."""
        found = set()
        places = [self.headings.index(name) for name in self.among]
        for column, (upper, heading) in enumerate(zip(self.upper, self.headings, strict=True)):
            better = self.better.get(heading) or self.better.get(upper)
            competing: dict[tuple[str, ...], dict[int, float]] = {}
            for row, cells in enumerate(self.rows if better else ()):
                if (number := leading(cells[column])) is not None:
                    competing.setdefault(tuple(cells[place] for place in places), {})[row] = number
            for numbers in competing.values():
                best = (max if better == HIGH else min)(numbers.values())
                if len(numbers) > 1:
                    found |= {(row, column) for row, number in numbers.items() if number == best}
        return found

    def unstarred(self) -> Table:
        """The same without marks of significance, and without notes on them."""
        cells = self.cells.copy()
        for place, heading in enumerate(self.headings):
            if heading not in self.words:
                cells.isetitem(place, cells.iloc[:, place].map(unstarred).to_numpy())
        return replace(
            self, cells=cells, notes=tuple(note for note in self.notes if not note.startswith(ON_STARS))
        )

    def without_constants(self) -> Table:
        """The same without those keys in which all rows are equal, which a note has: for where keys repeat."""
        keys = self.headings[: self.keys] if len(self.rows) > 1 else []
        equal = {
            name: self.rows[0][at] for at, name in enumerate(keys) if len({row[at] for row in self.rows}) == 1
        }
        equal = {name: cell for name, cell in equal.items() if keys.count(name) == 1}
        if not equal or len(equal) == self.keys:
            return self
        return replace(
            self,
            cells=self.cells.iloc[:, [at for at, name in enumerate(self.headings) if name not in equal]],
            words=tuple(name for name in self.words if name not in equal),
            group="" if self.group in equal else self.group,
            among=tuple(name for name in self.among if name not in equal),
            notes=(f"In all rows: {', '.join(f'{name} {cell}' for name, cell in equal.items())}.", *self.notes),
        )

    def brief(self) -> Table:
        """The same with only the last epoch of rows that are equal in all other keys, if epochs are a key."""
        keys = self.headings[: self.keys]
        if EPOCH not in keys or EPOCH in self.words:
            return self
        others = [at for at, name in enumerate(keys) if name != EPOCH]
        last = {tuple(row[at] for at in others): number for number, row in enumerate(self.rows)}
        return replace(self, cells=self.cells.iloc[sorted(last.values())].reset_index(drop=True))

    def markdown(self) -> str:
        """A GitHub table under its title, with the notes below."""
        return markdown.document(self)

    def latex(self, typesetting: Typesetting = USUAL) -> str:
        """Tables in LaTeX that fit a text width; a comment at their head says which packages they need."""
        return latex.document(self, typesetting)

    def html(self) -> str:
        """An HTML table with a caption, and headings that say of what they are."""
        return html.document(self)

    def csv(self) -> str:
        """The values, all their digits."""
        return spreadsheet.csv(self.values)

    def formatted(self, style: str, typesetting: Typesetting = USUAL) -> str:
        """The table in a format by its name, one of FORMATS."""
        if style == LATEX:
            return self.latex(typesetting)
        return {"markdown": self.markdown, "csv": self.csv, "html": self.html}[style]()

    def write(self, folder: Path, typesetting: Typesetting = USUAL) -> list[Path]:
        """Write it as Markdown, LaTeX and CSV."""
        written = [folder / f"{self.name}.{ending}" for ending in ENDINGS[TABLES]]
        for path, text in zip(written, (self.markdown(), self.latex(typesetting), self.csv()), strict=True):
            files.write(path, text)
        return written

    def records(self) -> list[dict[str, Any]]:
        """The values for JSON."""
        return records(self.values)


def records(values: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a data frame for JSON; a missing number is None."""
    plain = values.astype(object).where(values.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]
