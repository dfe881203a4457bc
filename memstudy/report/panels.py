"""Panels of a figure, and lines with bands in them: what most figures are made of.

Panels are as wide as the look of the moment has it (see `look`), however many there are.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from memstudy.report.bands import bands
from memstudy.report.cells import span
from memstudy.report.folders import SEPARATOR
from memstudy.report.marks import GRAY, Mark

LEAST_WIDTH = 1.55  # inches on paper, of a panel with text of 8 points
NARROWEST = 0.8  # where there are so many that they would not fit a page otherwise
PAGE = 8.5  # inches, the height of a page's text
NARROW = 1.0  # of one in a row that shares its y axis
MARKED = 12  # points on a line up to which each has its marker


def panels(
    titles: Sequence[str], aspect: float = 1.2, most: int = 4, least: float = LEAST_WIDTH, **shared: Any
) -> tuple[Figure, dict[str, Axes]]:
    """Axes by title, in rows that are as wide as figures are; `aspect` is a panel's width over its height.

    most: panels in a row; fewer where they would be narrower than `least` (inches on paper), and more where all
    of them would be higher than a page. `shared`: sharex and sharey, True unless said.
    """
    width, columns = plt.rcParams["figure.figsize"][0], _columns(titles, aspect, most, least)
    rows, height = -(-len(titles) // columns), _height(titles, columns, aspect)
    figure, grid = plt.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained",
        **({"sharex": True, "sharey": True} | shared),
    )  # fmt: skip
    for axis in grid.flat[len(titles) :]:
        axis.set_visible(False)
    for column in range(columns):  # the lowest panel of a column has the labels, where the last row is not full
        lowest = grid[rows - 1 if (rows - 1) * columns + column < len(titles) else rows - 2, column]
        lowest.tick_params(labelbottom=True)
    axes = dict(zip(titles, grid.flat, strict=False))
    for title, axis in axes.items():
        axis.set_title(_title(title, width / columns))
    return figure, axes


def fits_page(titles: Sequence[str], aspect: float = 1.2, most: int = 4, least: float = LEAST_WIDTH) -> bool:
    """Whether `panels` of these titles are no higher than a page."""
    return _height(titles, _columns(titles, aspect, most, least), aspect) <= PAGE * text_scale()


def paged(titles: Sequence[str], fits: Callable[[Sequence[str]], bool]) -> list[Sequence[str]]:
    """The titles of each of the fewest figures that fit a page, as alike in number as can be; often of one.

    fits: whether panels of some titles do, such as `fits_page`. A single one is taken to.
    """
    most = next((count for count in range(len(titles), 1, -1) if fits(titles[:count])), 1)
    figures = -(-len(titles) // most)
    return _chunks(titles, -(-len(titles) // max(1, figures)))


def of_part(place: int) -> str:
    """The end of the name of a figure that is one of several because of its height; the first has none."""
    return f"{SEPARATOR}part-{place}" if place > 1 else ""


def _columns(titles: Sequence[str], aspect: float, most: int, least: float) -> int:
    """Panels in a row: see `panels`."""
    width, scale = plt.rcParams["figure.figsize"][0], text_scale()
    narrowest = max(NARROWEST * scale, *(_room(title) for title in titles))
    columns = fitting(min(len(titles), most), least)
    while _height(titles, columns, aspect) > PAGE * scale and width / (columns + 1) >= narrowest:
        columns += 1
    return columns


def _height(titles: Sequence[str], columns: int, aspect: float) -> float:
    """Of a figure of so many panels in a row, inches: panels, their titles, and what is above and below all."""
    scale = text_scale()
    width = plt.rcParams["figure.figsize"][0] / columns
    lines = max(_title(title, width).count("\n") for title in titles)
    rows = -(-len(titles) // columns)
    return float(rows * (min(width, 2.5 * scale) / aspect + (0.25 + 0.13 * lines) * scale) + 0.35 * scale)


def _title(text: str, width: float) -> str:
    """In lines that are no wider than the axes of a panel of this width, which would become narrower else."""
    return wrapped(text, width - 0.25 * text_scale())


def _room(title: str) -> float:
    """The width of a panel whose title has no word that is broken, inches."""
    longest = max(map(len, re.split(r"\s|(?<=\+)", title)))
    return (longest / 15 + 0.25) * text_scale()


@dataclass(frozen=True)
class Kind:
    """What some panels show: the words of both axes, and the scale of y."""

    x: str
    y: str
    scale: str = "linear"


def panel_rows(
    titles: Sequence[str], kinds: Mapping[str, Kind], aspect: float = 1.3
) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """Axes by title and kind: a column for each title, a row for each kind, in blocks as wide as figures are.

    With a single title its kinds are beside each other. Panels with the same words have one scale.
    """
    width, single, across = plt.rcParams["figure.figsize"][0], len(titles) == 1, _across(titles, kinds)
    if single:
        cells = _chunks([(titles[0], kind) for kind in kinds], across)
    else:
        cells = [[(title, kind) for title in block] for block in _chunks(titles, across) for kind in kinds]
    side, height = _of_rows(len(cells), across, aspect)
    figure, grid = plt.subplots(len(cells), across, figsize=(width, height), squeeze=False, layout="constrained")
    axes: dict[tuple[str, str], Axes] = {}
    for row, axes_of_row in zip(cells, grid, strict=True):
        for axis in axes_of_row[len(row) :]:
            axis.set_visible(False)
        for (title, kind), axis in zip(row, axes_of_row, strict=False):
            _share(axis, kinds[kind], {kinds[other]: there for (_, other), there in axes.items()})
            axis.set_yscale(kinds[kind].scale)
            if axis is axes_of_row[0] or row[0][1] != kind:
                axis.set_ylabel(wrapped(kinds[kind].y, side))
            else:
                axis.tick_params(labelleft=False)
            if single or kind == next(iter(kinds)):
                axis.set_title(wrapped(title, width / across))
            axes[title, kind] = axis
    _label_x(axes, kinds, titles if single else _chunks(titles, across)[-1], width / across)
    return figure, axes


def rows_fit_page(titles: Sequence[str], kinds: Mapping[str, Kind], aspect: float = 1.3) -> bool:
    """Whether `panel_rows` of these titles and kinds are no higher than a page."""
    across = _across(titles, kinds)
    rows = -(-len(kinds) // across) if len(titles) == 1 else len(kinds) * -(-len(titles) // across)
    return _of_rows(rows, across, aspect)[1] <= PAGE * text_scale()


def _across(titles: Sequence[str], kinds: Mapping[str, Kind]) -> int:
    """Panels in a row: see `panel_rows`."""
    return fitting(len(kinds)) if len(titles) == 1 else fitting(min(4, len(titles)), NARROW)


def _of_rows(rows: int, across: int, aspect: float) -> tuple[float, float]:
    """The height of a panel and of the figure, inches, of so many rows."""
    scale = text_scale()
    side = min(plt.rcParams["figure.figsize"][0] / across, 3.4 * scale) / aspect
    return side, rows * (side + 0.2 * scale) + 0.5 * scale


def _share(axis: Axes, kind: Kind, others: Mapping[Kind, Axes]) -> None:
    """Give an axis the y scale of another one with the same words."""
    for other, there in others.items():
        if other.y == kind.y:
            axis.sharey(there)
            return


def _label_x(
    axes: Mapping[tuple[str, str], Axes], kinds: Mapping[str, Kind], lowest: Sequence[str], width: float
) -> None:
    """The words of x beneath each panel, or beneath the lowest ones if all kinds have the same."""
    alike, last = len({kind.x for kind in kinds.values()}) == 1, list(kinds)[-1]
    beside = len(lowest) == 1 and len({title for title, _ in axes}) == 1
    for (title, kind), axis in axes.items():
        above = alike and kind != last and not beside
        if not alike or (title in lowest and not above):
            axis.set_xlabel(wrapped(kinds[kind].x, width))
        if above:
            axis.tick_params(labelbottom=False)


T = TypeVar("T")


def _chunks(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def fitting(most: int, least: float = LEAST_WIDTH) -> int:
    """How many columns, `most` of them, are at least so wide (inches on paper); one if none is."""
    return max(1, min(most, int(plt.rcParams["figure.figsize"][0] / (least * text_scale()))))


def text_scale() -> float:
    """How much larger text is than on paper."""
    return float(plt.rcParams["font.size"]) / 8


class _Wrapper(textwrap.TextWrapper):
    """Breaks lines behind the + of methods, too: `normloss+pilcro`."""

    wordsep_simple_re = re.compile(r"([\t\n\r\f\v ]+|(?<=\+))")


def wrapped(text: str, inches: float, words: bool = False) -> str:
    """A text of the usual size in lines that fit a width; what is in parentheses begins a line.

    words: long ones stay whole.
    """
    characters = max(8, int(inches * 15 / text_scale()))
    wrapper = _Wrapper(characters, break_on_hyphens=False, break_long_words=not words)
    parts = [text] if len(text) <= characters else text.replace(" (", "\n(", 1).split("\n")
    return "\n".join(map(wrapper.fill, parts))


def label_axes(figure: Figure, axes: Mapping[str, Axes], x: str, y: str) -> None:
    """One label for each axis that is shown: below the lowest panels, and left of the first ones."""
    shown = list(axes.values())
    place_in_grid = shown[0].get_subplotspec()
    width = 1 if place_in_grid is None else place_in_grid.get_gridspec().ncols
    height = figure.get_figheight() / -(-len(shown) // width) - 0.5 * text_scale()
    across = figure.get_figwidth() / width
    for place, axis in enumerate(shown):
        axis.set_xlabel(wrapped(x, across, words=True) if place + width >= len(shown) else "")
        axis.set_ylabel(wrapped(y, height, words=True) if place % width == 0 else "")


def lines(
    axis: Axes,
    data: pd.DataFrame,
    x: str,
    y: str,
    marks: Mapping[Any, Mark],
    by: str = "label",
    bars: bool = False,
    points: bool = False,
    log: bool = False,
) -> None:
    """One line for each label: means over runs at each x, with a band (or bars) of ± one standard deviation.

    data: one row a run and x. Where there is one run there is no band. points: each x has its marker, and the line
    between them is thin, as nothing was measured there. log: geometric means on a logarithmic axis, and bands of
    logarithms; all values are positive then.
    """
    if log:
        axis.set_yscale("log")
    for label, mark in marks.items():
        band = bands(data[data[by] == label], [x], y, log)
        if band.empty:
            continue
        marker = mark.marker if bars or points or len(band) <= MARKED else None
        usual = plt.rcParams["lines.linewidth"]
        if bars:
            axis.errorbar(
                band.index, band["mean"], band["spread"].fillna(0), **mark.of_line, marker=marker, capsize=1.5,
                elinewidth=0.7,
            )  # fmt: skip
            continue
        width = 0.6 * usual if points else usual
        axis.plot(band.index, band["mean"], **mark.of_line, marker=marker, linewidth=width)
        if band["spread"].notna().any():
            axis.fill_between(band.index, band["low"], band["high"], color=mark.color, alpha=0.18, linewidth=0)


def legend(figure: Figure, marks: Mapping[str, Mark], markers: bool = False, columns: int = 4) -> None:
    """One legend for all panels, above them, in as many columns as fit."""
    handles = {
        label: Line2D([], [], **mark.of_line, marker=mark.marker if markers else None)
        for label, mark in marks.items()
    }
    if len(handles) > 1:
        legend_of(figure, handles, columns)


def legend_of(figure: Figure, handles: Mapping[str, Any], columns: int = 4) -> None:
    """A legend of artists by label above all panels, in at most so many columns. Its second lines make room."""
    width, scale = figure.get_figwidth(), text_scale()
    labels = [wrapped(label, width - scale) for label in handles]
    longest = max(len(line) for label in labels for line in label.splitlines())
    fit = max(1, int(width / (scale * (0.062 * longest + 0.45))))  # inches of a letter, and of a line
    columns = min(columns, fit, len(labels))
    more = sum(label.count("\n") + 1 for label in labels[: -(-len(labels) // columns)]) - 1
    figure.set_figheight(figure.get_figheight() + more * 0.15 * scale)
    figure.legend(list(handles.values()), labels, loc="outside upper center", ncols=columns, handlelength=2.4)


def level(axis: Axes, value: float, line: str = ":") -> None:
    """A horizontal line for reference, dotted unless said; the caption says what it is."""
    axis.axhline(value, color=GRAY, linestyle=line, linewidth=1, zorder=0.5)


def over_seeds(data: pd.DataFrame, by: Sequence[str], spread: str = "bands") -> str:
    """A sentence for the caption on what lines are: means over n runs of each value of `by`, and their spread."""
    counts = data.groupby(list(by), sort=False)["run"].nunique()
    n = span(counts)
    if n == "1":
        return "One run each (n = 1)."
    return f"Lines are means over n = {n} seeds, {spread} ± one standard deviation."
