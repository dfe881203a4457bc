"""A table of any shape: cells of text as Markdown and LaTeX, the values behind them as CSV and JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from memstudy import files


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
        lines = [_row(row) for row in [columns, ruler, *self.cells.to_numpy().tolist()]]
        return "\n".join([f"**{self.title}**", "", *lines, "", *(f"{note}\n" for note in self.notes)])

    def latex(self) -> str:
        r"""A booktabs table (`\usepackage{booktabs}`)."""
        columns = "l" * self.names + "r" * (len(self.cells.columns) - self.names)
        rows = [" & ".join(map(_tex, row)) + r" \\" for row in [self.cells.columns, *self.cells.to_numpy()]]
        return "\n".join(
            [
                r"\begin{table}", r"\centering", rf"\caption{{{_tex(self.title)}}}",
                rf"\begin{{tabular}}{{{columns}}}", r"\toprule",
                rows[0], r"\midrule", *rows[1:], r"\bottomrule", r"\end{tabular}",
                *(rf"\par\smallskip\footnotesize {_tex(note)}" for note in self.notes),
                r"\end{table}", "",
            ]
        )  # fmt: skip

    def csv(self) -> str:
        """The values, all their digits."""
        return self.values.to_csv(index=False, lineterminator="\n")

    def write(self, folder: Path) -> list[Path]:
        """Write it as Markdown, LaTeX and CSV."""
        written = []
        for ending, text in {"md": self.markdown(), "tex": self.latex(), "csv": self.csv()}.items():
            written.append(folder / f"{self.name}.{ending}")
            files.write(written[-1], text)
        return written

    def records(self) -> list[dict[str, Any]]:
        """The values for JSON; a missing number is None."""
        plain = self.values.astype(object).where(self.values.notna(), None)
        return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]


def cell(mean: float, sd: float, digits: int) -> str:
    """`0.85 ± 0.02`; a dash if there is no mean, and no spread if there is none."""
    if math.isnan(mean):
        return "–"
    return f"{mean:.{digits}f}" + ("" if math.isnan(sd) else f" ± {sd:.{digits}f}")


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _tex(text: str) -> str:
    for character in "%&#_":
        text = text.replace(character, f"\\{character}")
    symbols = {"|w|": "|w|", ">": ">", "<": "<", "±": r"\pm", "×": r"\times"}
    symbols |= {"λ": r"\lambda", "η": r"\eta", "γ": r"\gamma"}
    for plain, symbol in symbols.items():
        text = text.replace(plain, f"${symbol}$")
    return text.replace("–", "--")
