"""Color scales: one for all panels of a figure, from dark to light, so that it reads the same in gray."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import BoundaryNorm, Colormap, LinearSegmentedColormap, ListedColormap, Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from memstudy.report.marks import MARKERS, Mark
from memstudy.report.panels import text_scale

LIGHTEST = 0.9  # of viridis: its end is too light for lines on white
LEAST_SPAN = 0.1  # of a scale, so that equal values do not make one of nothing
HEIGHT = 0.4  # inches on paper, of a bar with its words
NAMED = 0.3  # inches on paper that the name of a value has beneath a bar


def color_map() -> Colormap:
    """Of values in cells, and of ordered lines."""
    return LinearSegmentedColormap.from_list("dark to light", colormaps["viridis"](np.linspace(0, LIGHTEST, 256)))


def round_scale(values: Iterable[float]) -> list[float]:
    """The ticks of a scale around values, NaN aside: round numbers, of which the first and last are its ends."""
    known = [value for value in values if np.isfinite(value)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if (more := LEAST_SPAN - (high - low)) > 0:
        low, high = low - more / 2, high + more / 2
    ticks = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high)
    return [float(round(tick, 10)) for tick in ticks]


def ramp(values: Iterable[float]) -> dict[float, Mark]:
    """Marks of ordered values, such as epochs or layers, from dark to light by their ranks."""
    ordered = sorted(set(values))
    colors = color_map()(np.linspace(0, 1, len(ordered)))
    markers = itertools.cycle(MARKERS)
    return {
        value: Mark(to_hex(color), "-", marker)
        for value, color, marker in zip(ordered, colors, markers, strict=False)
    }


def ramp_bar(figure: Figure, values: Collection[float], words: str) -> None:
    """One bar above all panels that says which color is which value of a `ramp`; none of a single value."""
    if len(ordered := sorted(set(values))) < 2:
        return
    edges = np.arange(len(ordered) + 1) - 0.5
    mappable = ScalarMappable(
        BoundaryNorm(edges, len(ordered)), ListedColormap(color_map()(np.linspace(0, 1, len(ordered))))
    )
    bar = _bar(figure, mappable, words)
    every = -(-len(ordered) // max(1, int(_width(figure.get_figwidth()) / (NAMED * text_scale()))))
    ticks = range(0, len(ordered), every)
    bar.set_ticks(list(ticks), labels=[f"{ordered[tick]:g}" for tick in ticks])
    bar.ax.tick_params(length=0)
    bar.minorticks_off()


def scale_bar(
    figure: Figure, ticks: Sequence[float], words: str, room: float | None = None, norm: Normalize | None = None
) -> None:
    """One bar above all panels, of a `round_scale`, which all of them have.

    room: how wide all panels together are, inches, if not as wide as the figure. norm: if colors are not linear.
    """
    bar = _bar(figure, ScalarMappable(norm or Normalize(ticks[0], ticks[-1]), color_map()), words, room)
    bar.set_ticks(list(ticks), labels=[f"{tick:g}" for tick in ticks])


def _width(room: float) -> float:
    """Of a bar, inches."""
    return float(min(0.8 * room, 3.2 * text_scale()))


def _bar(figure: Figure, mappable: ScalarMappable, words: str, room: float | None = None) -> Colorbar:
    figure.set_figheight(figure.get_figheight() + HEIGHT * text_scale())
    room = room or figure.get_figwidth()
    width = _width(room)
    shown = [axis for axis in figure.axes if axis.get_visible()]
    bar = figure.colorbar(
        mappable, ax=shown, location="top", label=words, shrink=width / room,
        aspect=width / (0.09 * text_scale()), pad=0.1 * text_scale() / figure.get_figheight(),
    )  # fmt: skip
    bar.outline.set_linewidth(0)
    return bar
