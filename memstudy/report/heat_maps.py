"""Heat maps: tables of numbers as colors, one scale for all panels of a figure.

Numbers stand in cells where they fit. A cell that was not measured is hatched. Columns have their names where
these fit, upright if they must be, and in `named_maps` else the numbers of their rows, so that text has the same
size whatever there is to show.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from memstudy.report.color_scales import color_map, round_scale, scale_bar
from memstudy.report.panels import PAGE, panels, text_scale, wrapped

# Inches on paper, with labels of 7 points
LETTER, LINE, ROW = 0.06, 0.12, 0.15  # a letter, a further line, a row of one line
WITH_NAME, LARGEST = 0.125, 0.36  # cells with an upright name, and of named maps at most
TITLE = 1.3  # that a panel's title may take, however few columns there are
LONGEST = 18  # letters of an upright name in named maps

PERCENT: tuple[Callable[[float], str], ...] = ("{:.1f}".format, "{:.0f}".format)
FRACTION: tuple[Callable[[float], str], ...] = (lambda value: f"{value:.2f}".replace("0.", ".", 1),)
"""How numbers are written: the first form that fits, or none."""


# One map


def heat_map(
    axis: Axes,
    table: pd.DataFrame,
    ticks: Sequence[float],
    cell: float,
    forms: Sequence[Callable[[float], str]] = (),
    hatched: pd.DataFrame | None = None,
) -> None:
    """Draw a table, which may have gaps, with no names yet.

    ticks: of the scale of colors, whose first and last are its ends. cell: a cell's width, inches, and forms: its
    numbers' (PERCENT, FRACTION), of which one fits that width or none is written. hatched: which cells are.
    """
    texts = _texts(table, cell, forms)
    sns.heatmap(
        table.astype(float), ax=axis, vmin=ticks[0], vmax=ticks[-1], cmap=color_map(), cbar=False, fmt="",
        annot=texts, annot_kws={"fontsize": plt.rcParams["xtick.labelsize"]}, xticklabels=False,
        yticklabels=False, linewidths=0 if texts is None else 0.5, linecolor="white",
    )  # fmt: skip
    for row, column in () if hatched is None else np.argwhere(hatched.to_numpy()):
        axis.add_patch(
            Rectangle((column, row), 1, 1, facecolor="white", edgecolor="0.6", hatch="/////", linewidth=0)
        )
    axis.set(xlabel="", ylabel="")
    axis.tick_params(length=0)


def _texts(table: pd.DataFrame, cell: float, forms: Sequence[Callable[[float], str]]) -> pd.DataFrame | None:
    for form in forms:
        texts = table.map(lambda value, form=form: form(value) if np.isfinite(value) else "")
        if cell / text_scale() >= 0.01 + LETTER * _longest(texts.to_numpy().ravel()):
            return texts
    return None


def name_rows(axis: Axes, labels: Sequence[str]) -> None:
    """Label the rows, in lines as they are."""
    axis.set_yticks(np.arange(len(labels)) + 0.5, labels=labels)


def name_columns(axis: Axes, names: Iterable[object], cell: float) -> None:
    """Label the columns, whose cells have this width: across in lines where these fit, else upright."""
    labels, across = _feet(names, cell / text_scale())
    axis.set_xticks(np.arange(len(labels)) + 0.5, labels=labels, rotation=0 if across else 90)


# Sizes


def row_labels(names: Iterable[str]) -> list[str]:
    """Names of rows, in lines of at most a third of the figure's width."""
    return [wrapped(name, plt.rcParams["figure.figsize"][0] / 3) for name in names]


def reach(labels: Sequence[str]) -> float:
    """How wide the labels of rows are, inches."""
    return (_longest(labels) * LETTER + 0.1) * text_scale()


def height(labels: Sequence[str]) -> float:
    """How high rows with these labels are, inches; all rows are alike."""
    return len(labels) * max(ROW, LINE * max(1 + label.count("\n") for label in labels)) * text_scale()


def foot(names: Iterable[object], cell: float) -> float:
    """How high the names of columns are, inches, with cells of this width."""
    columns, across = _feet(names, cell / text_scale())
    lines = max(1 + name.count("\n") for name in columns)
    return (LINE * lines + 0.1) * text_scale() if across else reach(columns)


def _feet(names: Iterable[object], room: float) -> tuple[list[str], bool]:
    """The names of columns in lines, and whether they fit below cells; else they are upright, in one line."""
    plain = list(map(str, names))
    columns = [_in_words(name, room) for name in plain]
    across = _longest(columns) * LETTER <= room
    return (columns, True) if across else (plain, False)


def _in_words(text: str, inches: float) -> str:
    """A text in lines that fit a width, no word of it broken."""
    return textwrap.fill(text, max(1, int(inches / LETTER)), break_long_words=False, break_on_hyphens=False)


def _longest(texts: Iterable[str]) -> int:
    return max((len(line) for text in texts for line in text.splitlines()), default=0)


# Many maps


@dataclass(frozen=True)
class HeatMap:
    """A table of numbers, rows × columns.

    measured: False where a cell is hatched, as nothing could be measured; a cell without a number that is not
    hatched is left blank. None: every cell without a number is hatched. rows, columns: what all of them are.
    """

    table: pd.DataFrame
    measured: pd.DataFrame | None = None
    rows: str = ""
    columns: str = ""

    @property
    def hatched(self) -> pd.DataFrame:
        """Which cells are."""
        return self.table.isna() if self.measured is None else ~self.measured


def epoch_maps(maps: Mapping[str, HeatMap], words: str) -> Figure:
    """One panel a title, of tables by epoch × epoch. `words` label the bar."""
    figure, axes = panels(list(maps), aspect=1.15, least=1.0, sharex=False, sharey=False)
    ticks = _scale(maps)
    room = figure.get_figwidth() / len({axis.get_position().x0 for axis in axes.values()})
    most = max(2, int((room - 0.4 * text_scale()) / (0.22 * text_scale())))
    for title, each in maps.items():
        axis = axes[title]
        heat_map(axis, each.table, ticks, 0, hatched=each.hatched)
        axis.tick_params(length=2)
        for name, of_axis in (("columns", axis.xaxis), ("index", axis.yaxis)):
            epochs = list(getattr(each.table, name))
            every = -(-len(epochs) // most)
            shown = range(0, len(epochs), every)
            of_axis.set_ticks([place + 0.5 for place in shown], labels=[f"{epochs[place]:g}" for place in shown])
    scale_bar(figure, ticks, words)
    return figure


def named_maps(maps: Mapping[str, HeatMap], words: str) -> tuple[Figure, str]:
    """One panel a title, of tables whose rows and columns have names; and a sentence on columns without them.

    `words` label the bar.
    """
    grid = _grid(maps)
    width = plt.rcParams["figure.figsize"][0]
    rest = max(0.01, width - grid.across * grid.width)
    figure, axes = plt.subplots(
        -(-len(maps) // grid.across), grid.across + 1, figsize=(width, grid.height(maps)), squeeze=False,
        layout="constrained", width_ratios=[*[grid.width] * grid.across, rest],
    )  # fmt: skip
    ticks, numbers = _scale(maps), grid.numbers(maps)
    places = axes[:, :-1].flat  # the last column is what is left of the width
    for axis in axes.flat:
        axis.set_visible(False)
    for axis, (title, each) in zip(places, maps.items(), strict=False):
        axis.set_visible(True)
        heat_map(axis, each.table, ticks, grid.cell, FRACTION, each.hatched)
        axis.tick_params(length=2)
        _name(axis, each.table, grid, numbers)
        title_width = max(TITLE * text_scale(), len(each.table.columns) * grid.cell)
        axis.set_title(wrapped(title, title_width))
        axis.set(ylabel=each.rows, xlabel=each.columns)
    scale_bar(figure, ticks, words, grid.across * grid.width)
    rows_named = {name for each in maps.values() for name in each.table.index}
    others = [f"{number} {name}" for name, number in numbers.items() if name not in rows_named]
    return figure, f"Columns: {', '.join(others)}." if others else ""


def _scale(maps: Mapping[str, HeatMap]) -> list[float]:
    return round_scale(np.concatenate([each.table.to_numpy(float).ravel() for each in maps.values()]))


@dataclass(frozen=True)
class _Grid:
    """The sizes of panels whose rows and columns have names, inches.

    Attributes:
        across: panels in a row.
        width: of a panel.
        cell: the width of a cell; row: the height of one.
        names: whether columns have their names.
        lines: characters in a line of a row's name.

    """

    across: int
    width: float
    cell: float
    row: float
    names: bool
    lines: int

    def numbers(self, maps: Mapping[str, HeatMap]) -> dict[str, int]:
        """A number for every name, where columns do not have their names."""
        names = [name for each in maps.values() for name in (*each.table.index, *each.table.columns)]
        return {} if self.names else {name: place + 1 for place, name in enumerate(dict.fromkeys(names))}

    def height(self, maps: Mapping[str, HeatMap]) -> float:
        """Of the figure."""
        rows = max(len(each.table) for each in maps.values())
        longest = max(len(str(name)) for each in maps.values() for name in each.table.columns)
        beneath = (longest if self.names else 2) * LETTER
        beneath += 0.15 * any(each.columns for each in maps.values())
        panel = rows * self.row + (beneath + 0.45) * text_scale()
        return -(-len(maps) // self.across) * panel


def _grid(maps: Mapping[str, HeatMap]) -> _Grid:
    """As many panels in a row as leave room for numbers in their cells, else for names of columns, else one."""
    width, scale = plt.rcParams["figure.figsize"][0], text_scale()
    columns = max(len(each.table.columns) for each in maps.values())
    longest = max(len(str(name)) for each in maps.values() for name in each.table.columns)
    row_names = [str(name) for each in maps.values() for name in each.table.index]
    cells = {across: _cell(width / across, row_names, columns) for across in range(min(4, len(maps)), 0, -1)}
    least = ((0.01 + 3 * LETTER) * scale, WITH_NAME * scale)
    fitting = (across for enough in least for across, cell in cells.items() if cell >= enough)
    across = next(fitting, 1)
    cell = min(cells[across], LARGEST * scale)
    lines = _characters(width / across, row_names)
    high = max(len(textwrap.wrap(name, lines)) for name in row_names) * LINE * scale
    used = width / across - columns * (cells[across] - cell)
    of_page = PAGE * scale / -(-len(maps) // across) - scale  # of a panel, without what is around its cells
    rows = max(len(each.table) for each in maps.values())
    return _Grid(
        across,
        used,
        cell,
        max(min(cell, of_page / rows), high),
        cell >= WITH_NAME * scale and longest <= LONGEST,
        lines,
    )


def _cell(width: float, names: Sequence[str], columns: int) -> float:
    """The width of a cell in a panel of this width."""
    return (width - (_characters(width, names) + 5) * LETTER * text_scale() - 0.1) / columns


def _characters(width: float, names: Sequence[str]) -> int:
    """In a line of a row's name: all of the longest, or as many as fit into two fifths of the panel."""
    return min(max(map(len, names)), max(8, int(0.4 * width / (LETTER * text_scale()))))


def _name(axis: Axes, table: pd.DataFrame, grid: _Grid, numbers: Mapping[str, int]) -> None:
    rows = [f"{numbers[name]}  {name}" if numbers else name for name in table.index]
    axis.set_yticks(
        np.arange(len(rows)) + 0.5,
        labels=[textwrap.fill(name, grid.lines + 4 * bool(numbers), break_on_hyphens=False) for name in rows],
    )
    columns = [str(numbers.get(name, name)) for name in table.columns]
    every = 1 if grid.names else -(-WITH_NAME * text_scale() * 1.5 // grid.cell)
    shown = range(0, len(columns), max(1, int(every)))
    axis.set_xticks(
        [place + 0.5 for place in shown],
        labels=[columns[place] for place in shown],
        rotation=90 if grid.names else 0,
    )
