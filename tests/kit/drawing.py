"""Figures of an analysis, drawn and written as commands do; and the law of every figure for print."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from unittest import mock

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from memstudy.derived.analysis import Analysis
from memstudy.derived.deriving import write_figures
from memstudy.report.look import WIDTHS, Look
from memstudy.report.saving import Drawing
from memstudy.store.store import Selection

SMALLEST_TEXT = 6.5  # points, of the caption; all else has 7 or 8


def draw(analysis: Analysis, selection: Selection) -> list[Path]:
    """The paths of the figures and their data."""
    return list(map(Path, write_figures(analysis, selection)))


def fit_for_print(make: Callable[[], Iterable[Drawing]], widths: Iterable[float] = tuple(WIDTHS)) -> list[Drawing]:
    """The drawings at the last width. At each one nothing lies outside a figure, and no text is too small.

    Every figure has a caption that says n, and no title above its panels.
    """
    drawings: list[Drawing] = []
    for width in widths:
        look = Look(width=width)
        with look.applied(), tempfile.TemporaryDirectory() as folder, mock.patch.object(Figure, "savefig"):
            drawings = list(make())
            for drawing in drawings:
                assert "n = " in drawing.caption, drawing.caption
                assert drawing.figure.get_suptitle() == ""
                drawing.write(Path(folder), look)
                assert drawing.figure.get_figwidth() == width
                assert outside(drawing.figure) < 0.01, (drawing.name, width, outside(drawing.figure))
                sizes = {float(text.get_fontsize()) for text in texts(drawing.figure)}
                assert min(sizes) >= SMALLEST_TEXT, (drawing.name, width, sizes)
    assert drawings
    return drawings


def outside(figure: Figure) -> float:
    """By how many inches a figure's content reaches over its edge."""
    page = figure.bbox_inches
    boxes = [figure.get_tightbbox(), *(_inches(figure, text.get_window_extent()) for text in figure.texts)]
    found = Bbox.union(boxes)
    return float(np.max([page.x0 - found.x0, page.y0 - found.y0, found.x1 - page.x1, found.y1 - page.y1]))


def texts(figure: Figure) -> list[Text]:
    """What a reader sees of text."""
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]


def _inches(figure: Figure, box: Bbox) -> Bbox:
    return box.transformed(figure.dpi_scale_trans.inverted())
