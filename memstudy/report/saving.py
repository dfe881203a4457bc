"""A figure on disk: SVG, PDF and PNG, its data as CSV beside them, equal bytes for equal data."""

from __future__ import annotations

import io
import textwrap
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")  # files only: no display is needed, and none is opened

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from matplotlib.ticker import AutoLocator, MaxNLocator

from memstudy import files, spreadsheet
from memstudy.report.lettering import settle
from memstudy.report.look import USUAL, Look
from memstudy.report.tex import tex

_UNDATED = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}


LEAST_CHARACTERS = 20  # in a line of a caption


@dataclass(frozen=True)
class Drawing:
    """A figure that is drawn and not yet written: its file name without ending, its data, and its caption.

    caption: plain sentences: what is shown, of which runs, n, and what bands are.
    """

    name: str
    figure: Figure
    data: pd.DataFrame
    caption: str = ""

    def write(
        self, folder: Path, look: Look = USUAL, command: str = "", how: str = files.ANOTHER_STORE
    ) -> list[Path]:
        """Write it as SVG, PDF and PNG, its data as CSV, and close it; the caption stands where the look says.

        command: what makes the figure again, told in the caption's files. how: see `save`.
        """
        in_file = look.caption == "file"
        written = save(folder, self.name, self.figure, self.data, how, caption="" if in_file else self.caption)
        if in_file:
            made = f" Made by '{command}'" if command else " Made by memstudy"
            text = f"{self.caption}{made}; its data are in {self.name}.csv."
            for ending, content in {"caption.txt": text, "caption.tex": tex(text)}.items():
                written.append(folder / f"{self.name}.{ending}")
                files.write(written[-1], f"{content}\n")
        return written


def save(
    folder: Path,
    name: str,
    figure: Figure,
    data: pd.DataFrame,
    how: str = files.ANOTHER_STORE,
    caption: str = "",
) -> list[Path]:
    """Write a figure in every format and its data as CSV, and close it. A caption is set beneath it.

    The figure is as wide as it was drawn: nothing is cut off, so that its text has the size that it was given.

    how: what an error says on choosing a folder that can be written to.
    """
    _count_epochs(figure)
    note = settle(figure)
    _set_beneath(figure, " ".join(filter(None, (caption, note and f"{note}."))))
    figure.draw_without_rendering()  # lays it out once, instead of once a format
    bounds = None if _is_laid_out(figure) else figure.get_tightbbox().padded(0.05)
    figure.set_layout_engine("none")
    with mpl.rc_context({"svg.hashsalt": name}):
        for ending in _UNDATED:
            image = io.BytesIO()
            figure.savefig(image, format=ending, bbox_inches=bounds, metadata=_UNDATED[ending])
            files.write(folder / f"{name}.{ending}", image.getvalue(), how)
    plt.close(figure)
    files.write(folder / f"{name}.csv", spreadsheet.csv(data), how)
    return [folder / f"{name}.{ending}" for ending in (*_UNDATED, "csv")]


def _is_laid_out(figure: Figure) -> bool:
    """Whether all that a figure has lies within it, as ours do; others' need not, and get the bounds they have."""
    return isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine)


def _set_beneath(figure: Figure, text: str) -> None:
    """Set a text beneath all that a figure has; one that is laid out becomes higher."""
    if not text:
        return
    width, height = figure.get_size_inches()
    size = 0.85 * plt.rcParams["font.size"]
    engine = figure.get_layout_engine()
    note = figure.text(
        0.04 / width, 0, text, va="top", fontsize=size, color="0.25", parse_math=False, linespacing=1.15
    )
    note.set_in_layout(False)
    lines = _fill(note, text, int(width * 72 / (0.545 * size)))
    if isinstance(engine, ConstrainedLayoutEngine):
        room = (1.2 * size * lines + 3) / 72
        figure.set_size_inches(width, height + room)
        top = room / (height + room)
        engine.set(rect=(0, top, 1, 1 - top))
    else:
        top = figure.get_tightbbox().y0 / height
        note.set_in_layout(True)
    note.set_y(top)


def _fill(note: Text, text: str, characters: int) -> int:
    """Break a text into lines of about so many characters, of fewer if they are wider than its figure.

    Returns how many lines there are.
    """
    figure = note.get_figure()
    assert isinstance(figure, Figure)
    room = 0.99 * figure.bbox.width
    while True:
        lines = textwrap.wrap(text, characters)
        note.set_text("\n".join(lines))
        if note.get_window_extent().x1 <= room or characters <= LEAST_CHARACTERS:
            return len(lines)
        characters -= 1


def _count_epochs(figure: Figure) -> None:
    """Put the ticks of axes of epochs on whole epochs; other axes keep matplotlib's choice."""
    for axis in figure.axes:
        if axis.get_xlabel() == "epoch" and isinstance(axis.xaxis.get_major_locator(), AutoLocator):
            axis.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True))
