"""A table of any shape: cells of text as Markdown and LaTeX, the values behind them as CSV and JSON."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from memstudy import files
from memstudy.errors import quoted
from memstudy.report.folders import ENDINGS, TABLES

MATH = {
    "±": r"\pm", "×": r"\times", "·": r"\cdot", "²": "^2", "√": r"\surd", "≤": r"\le", "≥": r"\ge", "−": "-",
    "→": r"\to", "λ": r"\lambda", "η": r"\eta", "γ": r"\gamma", "σ": r"\sigma",
}  # fmt: skip
PLAIN = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--",
    **{character: f"\\{character}" for character in "%&#_${}"},
}  # fmt: skip
"""Characters and what LaTeX has for them, in math and outside of it."""
SYMBOLS = rf"\bL_[cr]\b|\|w\||[<>{''.join(MATH)}]"


@dataclass(frozen=True)
class Table:
    """A table: its file name without ending, title, notes in plain sentences, cells, and the values behind them.

    cells: a data frame of text. Columns may have two levels: equal upper ones side by side become one heading
    above
        the lower ones; "" is no heading.
    values: a tidy data frame, which the CSV and JSON have with all digits.
    words: the columns of words, which are aligned left; columns of numbers are aligned right.
    group: a column whose equal cells below each other LaTeX shows once, with a line before the next; "" for none.
    """

    name: str
    title: str
    notes: tuple[str, ...]
    cells: pd.DataFrame
    values: pd.DataFrame
    words: tuple[str, ...]
    group: str = ""

    def __post_init__(self) -> None:
        for name in filter(None, (*self.words, self.group)):
            if name not in self._headings:
                raise ValueError(f"the table {self.name} has no column {quoted(name)}, only {self._headings}")

    def markdown(self) -> str:
        """A GitHub table under its title, with the notes below."""
        whole = [", ".join(filter(None, pair)) for pair in zip(self._upper, self._headings, strict=True)]
        ruler = ["---" if heading in self.words else "---:" for heading in self._headings]
        lines = [markdown_row(row) for row in [whole, ruler, *self._rows]]
        notes = [f"{markdown(note)}\n" for note in self.notes]
        return "\n".join([f"**{markdown(self.title)}**", "", *lines, "", *notes])

    def latex(self) -> str:
        r"""A booktabs table (`\usepackage{booktabs}`)."""
        alignment = "".join("l" if heading in self.words else "r" for heading in self._headings)
        return "\n".join(
            [
                r"\begin{table}", r"\centering", rf"\caption{{{tex(self.title)}}}",
                rf"\begin{{tabular}}{{{alignment}}}", r"\toprule", *self._latex_upper(),
                latex_row(self._headings), r"\midrule", *self._latex_rows(),
                r"\bottomrule", r"\end{tabular}",
                *(rf"\par\smallskip\footnotesize {tex(note)}" for note in self.notes),
                r"\end{table}", "",
            ]
        )  # fmt: skip

    def csv(self) -> str:
        """The values, all their digits."""
        return self.values.to_csv(index=False, lineterminator="\n")

    def write(self, folder: Path) -> list[Path]:
        """Write it as Markdown, LaTeX and CSV."""
        written = [folder / f"{self.name}.{ending}" for ending in ENDINGS[TABLES]]
        for path, text in zip(written, (self.markdown(), self.latex(), self.csv()), strict=True):
            files.write(path, text)
        return written

    def records(self) -> list[dict[str, Any]]:
        """The values for JSON."""
        return records(self.values)

    @property
    def _headings(self) -> list[str]:
        return list(map(str, self.cells.columns.get_level_values(-1)))

    @property
    def _upper(self) -> list[str]:
        """The upper heading of each column, or ""."""
        columns = self.cells.columns
        return [str(name) if columns.nlevels > 1 else "" for name in columns.get_level_values(0)]

    @property
    def _rows(self) -> list[list[str]]:
        return self.cells.to_numpy().tolist()

    def _latex_upper(self) -> Iterator[str]:
        """The row of upper headings, if there are any."""
        if any(self._upper):
            spans = [(name, len(list(same))) for name, same in itertools.groupby(self._upper)]
            yield " & ".join(_over(name, columns) for name, columns in spans) + r" \\"

    def _latex_rows(self) -> Iterator[str]:
        """The rows, with a line between groups. In the column `group` only the first of equal cells is shown."""
        place, before = self._headings.index(self.group) if self.group else None, None
        for row in self._rows:
            if place is None:
                yield latex_row(row)
                continue
            if before not in (None, row[place]):
                yield r"\midrule"
            yield latex_row([*row[:place], "" if row[place] == before else row[place], *row[place + 1 :]])
            before = row[place]


def _over(name: str, columns: int) -> str:
    """A LaTeX cell that spans columns; without a name, empty cells."""
    return rf"\multicolumn{{{columns}}}{{c}}{{{tex(name)}}}" if name else " &" * (columns - 1)


def records(values: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a data frame for JSON; a missing number is None."""
    plain = values.astype(object).where(values.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]


def plain(rows: pd.DataFrame, digits: int) -> str:
    """A data frame as aligned columns, for a terminal."""
    return rows.to_string(index=False, float_format=lambda value: f"{value:.{digits}f}")


def markdown_row(cells: Iterable[str]) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(markdown(cell).replace("|", "\\|") for cell in cells) + " |"


def latex_row(cells: Iterable[str]) -> str:
    """A row of a LaTeX table."""
    return " & ".join(map(tex, cells)) + r" \\"


def markdown(text: str) -> str:
    """Escape what GitHub would read as math."""
    return text.replace("$", "\\$")


def tex(text: str) -> str:
    """Escape what LaTeX would read as commands, or cannot print; symbols become math."""
    return re.sub(rf"(?:{SYMBOLS})+|[{re.escape(''.join(PLAIN))}]", lambda match: _tex(match[0]), text)


def _tex(text: str) -> str:
    """LaTeX for one character, or for symbols in a row."""
    symbols = [MATH.get(symbol, symbol) for symbol in re.findall(SYMBOLS, text)]
    return f"${' '.join(symbols)}$" if symbols else PLAIN[text]
