"""A figure on disk: SVG, PDF and PNG, its data as CSV beside them, equal bytes for equal data."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")  # files only: no display is needed, and none is opened

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import AutoLocator, MaxNLocator

from memstudy import files
from memstudy.report.folders import ENDINGS, FIGURES
from memstudy.report.lettering import settle

HEIGHT = 2.6  # inches, of one panel
_UNDATED = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}


@dataclass(frozen=True)
class Drawing:
    """A figure that is drawn and not yet written: its file name without ending, and its data."""

    name: str
    figure: Figure
    data: pd.DataFrame

    def write(self, folder: Path) -> list[Path]:
        """Write it as SVG, PDF and PNG, its data as CSV beside them, and close it."""
        return save(folder, self.name, self.figure, self.data)


def titled(name: str, grid: sns.FacetGrid, data: pd.DataFrame, title: str) -> Drawing:
    """A grid of panels as a drawing, under a title."""
    grid.figure.suptitle(title, y=1.02, va="bottom", fontsize="medium")
    return Drawing(name, grid.figure, data)


def save(
    folder: Path, name: str, figure: Figure, data: pd.DataFrame, how: str = files.ANOTHER_STORE
) -> list[Path]:
    """Write a figure in every format and its data as CSV, and close it.

    how: what an error says on choosing a folder that can be written to.
    """
    _count_epochs(figure)
    note = settle(figure)
    bounds = figure.get_tightbbox().padded(0.1)  # once: "tight" would draw each format twice
    if note:
        width, height = figure.get_size_inches()
        place = (bounds.x0 + 0.1) / width, bounds.y0 / height
        figure.text(*place, note, va="top", fontsize="x-small", color="0.3", parse_math=False)
        bounds = figure.get_tightbbox().padded(0.1)
    with mpl.rc_context({"svg.hashsalt": name}):
        for ending in _UNDATED:
            image = io.BytesIO()
            figure.savefig(image, format=ending, dpi=150, bbox_inches=bounds, metadata=_UNDATED[ending])
            files.write(folder / f"{name}.{ending}", image.getvalue(), how)
    plt.close(figure)
    files.write(folder / f"{name}.csv", data.to_csv(index=False, lineterminator="\n"), how)
    return [folder / f"{name}.{ending}" for ending in ENDINGS[FIGURES]]


def _count_epochs(figure: Figure) -> None:
    """Put the ticks of axes of epochs on whole epochs; other axes keep matplotlib's choice."""
    for axis in figure.axes:
        if axis.get_xlabel() == "epoch" and isinstance(axis.xaxis.get_major_locator(), AutoLocator):
            axis.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True))
