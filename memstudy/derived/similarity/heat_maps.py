"""Heat maps: tables of numbers as colors, one scale for all panels of a figure.

Numbers stand in cells where they fit. A cell that was not measured is hatched. Columns have their names where
these fit, and else the numbers of their rows, so that text has the same size whatever there is to show.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
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
WITH_NUMBER, WITH_NAME, LARGEST = 0.19, 0.125, 0.36  # cells
CHARACTER, LINE = 0.061, 0.125
TITLE = 1.3  # inches that a panel's title may take, however few columns there are
LONGEST = 18  # characters of a column's name


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
    for title, heat_map in maps.items():
        axis = axes[title]
        _draw(axis, heat_map, ticks)
        for name, of_axis in (("columns", axis.xaxis), ("index", axis.yaxis)):
            epochs = list(getattr(heat_map.table, name))
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
    for axis, (title, heat_map) in zip(places, maps.items(), strict=False):
        axis.set_visible(True)
        _draw(axis, heat_map, ticks, grid.cell >= WITH_NUMBER * text_scale())
        _name(axis, heat_map.table, grid, numbers)
        title_width = max(TITLE * text_scale(), len(heat_map.table.columns) * grid.cell)
        axis.set_title(wrapped(title, title_width))
        axis.set(ylabel=heat_map.rows, xlabel=heat_map.columns)
    scale_bar(figure, ticks, words, grid.across * grid.width)
    rows_named = {name for each in maps.values() for name in each.table.index}
    others = [f"{number} {name}" for name, number in numbers.items() if name not in rows_named]
    return figure, f"Columns: {', '.join(others)}." if others else ""


def _scale(maps: Mapping[str, HeatMap]) -> list[float]:
    return round_scale(np.concatenate([each.table.to_numpy(float).ravel() for each in maps.values()]))


def _draw(axis: Axes, heat_map: HeatMap, ticks: Sequence[float], numbers: bool = False) -> None:
    table = heat_map.table
    texts = table.map(lambda value: f"{value:.2f}".replace("0.", ".", 1) if np.isfinite(value) else "")
    sns.heatmap(
        table.astype(float), ax=axis, vmin=ticks[0], vmax=ticks[-1], cmap=color_map(), cbar=False, fmt="",
        annot=texts if numbers else None, annot_kws={"fontsize": plt.rcParams["xtick.labelsize"]},
        xticklabels=False, yticklabels=False,
    )  # fmt: skip
    for row, column in np.argwhere(heat_map.hatched.to_numpy()):
        axis.add_patch(
            Rectangle((column, row), 1, 1, facecolor="white", edgecolor="0.6", hatch="/////", linewidth=0)
        )
    axis.set(xlabel="", ylabel="")
    axis.tick_params(length=2)


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
        beneath = (longest if self.names else 2) * CHARACTER
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
    least = (WITH_NUMBER * scale, WITH_NAME * scale)
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
    return (width - (_characters(width, names) + 5) * CHARACTER * text_scale() - 0.1) / columns


def _characters(width: float, names: Sequence[str]) -> int:
    """In a line of a row's name: all of the longest, or as many as fit into two fifths of the panel."""
    return min(max(map(len, names)), max(8, int(0.4 * width / (CHARACTER * text_scale()))))


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
