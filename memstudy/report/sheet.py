"""A table of any shape: cells of text as Markdown and LaTeX, the values behind them as CSV and JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from memstudy import files

MATH = {
    "±": r"\pm", "×": r"\times", "·": r"\cdot", "²": "^2", "√": r"\surd", "≤": r"\le", "≥": r"\ge", "−": "-",
    "→": r"\to", "λ": r"\lambda", "η": r"\eta", "γ": r"\gamma", "σ": r"\sigma",
}  # fmt: skip
PLAIN = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--",
    **{character: f"\\{character}" for character in "%&#_${}"},
}  # fmt: skip
"""What stands in LaTeX for what, in math and outside of it."""
SYMBOLS = rf"\bL_[cr]\b|\|w\||[<>{''.join(MATH)}]"


@dataclass(frozen=True)
class Sheet:
    """A table: file name without ending, title, plain notes, cells of text, and the values they come from.

    The first `names` columns of the cells are words, the others numbers.
    """

    name: str
    title: str
    notes: tuple[str, ...]
    cells: pd.DataFrame
    values: pd.DataFrame
    names: int = 3

    def markdown(self) -> str:
        """A GitHub table under its title, with the notes below."""
        columns = list(self.cells.columns)
        ruler = ["---"] * self.names + ["---:"] * (len(columns) - self.names)
        lines = [markdown_row(each) for each in [columns, ruler, *self.cells.to_numpy().tolist()]]
        return "\n".join([*heading(self.title), *lines, "", *(f"{markdown(note)}\n" for note in self.notes)])

    def latex(self) -> str:
        r"""A booktabs table (`\usepackage{booktabs}`)."""
        columns = "l" * self.names + "r" * (len(self.cells.columns) - self.names)
        rows = [" & ".join(map(tex, each)) + r" \\" for each in [self.cells.columns, *self.cells.to_numpy()]]
        return "\n".join(
            [
                r"\begin{table}", r"\centering", rf"\caption{{{tex(self.title)}}}",
                rf"\begin{{tabular}}{{{columns}}}", r"\toprule",
                rows[0], r"\midrule", *rows[1:], r"\bottomrule", r"\end{tabular}",
                *(rf"\par\smallskip\footnotesize {tex(note)}" for note in self.notes),
                r"\end{table}", "",
            ]
        )  # fmt: skip

    def csv(self) -> str:
        """The values, all their digits."""
        return self.values.to_csv(index=False, lineterminator="\n")

    def write(self, folder: Path) -> list[Path]:
        """Write it as Markdown, LaTeX and CSV."""
        return write(folder, self.name, self.markdown(), self.latex(), self.csv())

    def records(self) -> list[dict[str, Any]]:
        """The values for JSON; a missing number is None."""
        plain = self.values.astype(object).where(self.values.notna(), None)
        return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]


def write(folder: Path, name: str, markdown: str, latex: str, csv: str) -> list[Path]:
    """Write a table's three forms."""
    written = []
    for ending, text in {"md": markdown, "tex": latex, "csv": csv}.items():
        written.append(folder / f"{name}.{ending}")
        files.write(written[-1], text)
    return written


def markdown_row(cells: Iterable[str]) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(markdown(cell).replace("|", "\\|") for cell in cells) + " |"


def heading(title: str) -> list[str]:
    """The lines above a Markdown table."""
    return [f"**{markdown(title)}**", ""]


def markdown(text: str) -> str:
    """Escape what GitHub would read as math."""
    return text.replace("$", "\\$")


def tex(text: str) -> str:
    """Escape what LaTeX would read as commands, or cannot print; symbols become math."""
    return re.sub(rf"(?:{SYMBOLS})+|[{re.escape(''.join(PLAIN))}]", lambda found: _tex(found[0]), text)


def _tex(text: str) -> str:
    """Of one character, or of symbols in a row."""
    symbols = [MATH.get(symbol, symbol) for symbol in re.findall(SYMBOLS, text)]
    return f"${' '.join(symbols)}$" if symbols else PLAIN[text]
