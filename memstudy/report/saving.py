"""A figure on disk: SVG, PDF and PNG, its data as CSV beside them, equal bytes for equal data."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")  # files only: no display is needed, and none is opened

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import AutoLocator, MaxNLocator

from memstudy import files
from memstudy.report.lettering import settle
from memstudy.store.store import Selection

HEIGHT = 2.6  # inches, of one panel
Drawn = tuple[str, pd.DataFrame, sns.FacetGrid, str]
"""A figure to be written: a file name without ending, the data, what is drawn, and the title."""
FORMATS = ("svg", "pdf", "png")
_UNDATED = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}


def save(
    folder: Path, name: str, figure: Figure, data: pd.DataFrame, how: str = files.ANOTHER_STORE
) -> list[Path]:
    """Write `name` in every format, and close the figure; `how` to choose a folder that can be written to."""
    _count_epochs(figure)
    note = settle(figure)
    bounds = figure.get_tightbbox().padded(0.1)  # once: "tight" would draw each format twice
    if note:
        width, height = figure.get_size_inches()
        place = (bounds.x0 + 0.1) / width, bounds.y0 / height
        figure.text(*place, note, va="top", fontsize="x-small", color="0.3", parse_math=False)
        bounds = figure.get_tightbbox().padded(0.1)
    with mpl.rc_context({"svg.hashsalt": name}):
        for ending in FORMATS:
            image = io.BytesIO()
            figure.savefig(image, format=ending, dpi=150, bbox_inches=bounds, metadata=_UNDATED[ending])
            files.write(folder / f"{name}.{ending}", image.getvalue(), how)
    plt.close(figure)
    files.write(folder / f"{name}.csv", data.to_csv(index=False, lineterminator="\n"), how)
    return [folder / f"{name}.{ending}" for ending in (*FORMATS, "csv")]


def written(selection: Selection, drawn: Iterable[Drawn], names: Sequence[str]) -> list[Path]:
    """Write figures. Others of these names were drawn from numbers that are gone, and go too."""
    folder = selection.path / "figures"
    written = [path for figure in drawn for path in _save(folder, *figure)]
    for path in set(folder.glob("*")) - set(written):
        if re.sub(r"-\d+$", "", path.stem) in names:
            files.remove([path])
    return written


def _save(folder: Path, name: str, data: pd.DataFrame, grid: sns.FacetGrid, title: str) -> list[Path]:
    grid.figure.suptitle(title, y=1.02, va="bottom", fontsize="medium")
    return save(folder, name, grid.figure, data)


def _count_epochs(figure: Figure) -> None:
    """No tick between two epochs; of all else, matplotlib's choice."""
    for axis in figure.axes:
        if axis.get_xlabel() == "epoch" and isinstance(axis.xaxis.get_major_locator(), AutoLocator):
            axis.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True))
