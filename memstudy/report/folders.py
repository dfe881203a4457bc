"""Where tables and figures are written, and the endings of their files."""

from __future__ import annotations

from pathlib import Path

TABLES, FIGURES = "tables", "figures"
ENDINGS = {
    TABLES: ("md", "tex", "csv"),
    FIGURES: ("svg", "pdf", "png", "csv", "caption.txt", "caption.tex"),
}
"""By folder. Of a figure `csv` is its data; it has a caption's files only where the caption is not in it."""
SEPARATOR = "--"
"""What a name has before that of its group of runs, where a selection has several: `accuracy--lr-0.1`."""


def named(path: Path) -> str:
    """The name of the table or figure that a file belongs to; empty if it is the file of none.

    Names may have dots: `ablation-trunk.2.png` belongs to `ablation-trunk.2`.
    """
    endings = ENDINGS.get(path.parent.name, ())
    whole = max((f".{ending}" for ending in endings if path.name.endswith(f".{ending}")), key=len, default="")
    return path.name.removesuffix(whole) if whole else ""
