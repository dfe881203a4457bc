"""How tables are typeset in LaTeX: for which text width, how they are made to fit it, and what is marked."""

from __future__ import annotations

from dataclasses import dataclass

from memstudy import options
from memstudy.options import option
from memstudy.report.look import WIDTHS

SPLIT, TABULARX, RESIZE = "split", "tabularx", "resize"
FITS = {
    SPLIT: "blocks of columns below each other",
    TABULARX: "words wrap, then blocks",
    RESIZE: "one block, shrunk",
}
LATEX = "latex"
"""The table of a study's [report] that these options are keys of."""
FORMATS = ("markdown", LATEX, "csv", "html")
"""What a table can be written as."""


@dataclass(frozen=True)
class Typesetting:
    """The options of tables in LaTeX, keys of a study's [report.latex].

    A MemstudyError if one cannot be so.
    """

    width: float = option(
        f"Text width, inches: {', '.join(f'{width:g} ({what})' for width, what in WIDTHS.items())}.",
        5.5, least=2, most=60,
    )  # fmt: skip
    fit: str = option(
        f"How tables fit it: {', '.join(f'{name} ({how})' for name, how in FITS.items())}.", SPLIT, choices=FITS
    )
    siunitx: bool = option("Align numbers at their decimal points, by siunitx.", False)
    stars: bool = option("Mark what differs significantly by stars.", True)
    best: bool = option("Set the best number of a column in bold, where it is known what is better.", False)

    def __post_init__(self) -> None:
        options.check(self)

    @property
    def points(self) -> float:
        """The text width in TeX's points."""
        return 72.27 * self.width

    @property
    def environment(self) -> str:
        """`table*`, which spans both columns, if it is wider than one; in a single column that is `table`."""
        return "table*" if self.width > max(width for width in WIDTHS if width < max(WIDTHS)) else "table"


USUAL = Typesetting()
