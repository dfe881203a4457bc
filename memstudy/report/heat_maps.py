"""Tables of numbers as colors on one scale, with their numbers as far as cells have the room for them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from memstudy.report.panels import text_scale, wrapped

PALETTE = "viridis"  # its lightness grows with the value, so it is read in gray, too
ROW, LETTER = 0.15, 0.06  # inches on paper: a row of one line, and a letter of a tick's label


def heat_map(
    axis: Axes,
    table: pd.DataFrame,
    labels: Sequence[str],
    cell: float,
    ends: tuple[float, float],
    zeros: bool = True,
) -> None:
    """Draw a table, which may have gaps; its columns are named below it, upright where names are too long.

    labels: of its rows. cell: a cell's width, inches: it decides how many digits numbers have, or none.
    ends: of the scale of colors. zeros: whether they are written.
    """
    room = cell / text_scale()
    columns, across = _feet(table.columns, room)
    form = ".1f" if room >= 0.01 + LETTER * max(4, len(f"{ends[1]:.1f}")) else ".0f"
    numbers = table.map(lambda value: format(value, form) if value or zeros else "").where(table.notna(), "")
    sns.heatmap(
        table, ax=axis, cmap=PALETTE, vmin=ends[0], vmax=ends[1], cbar=False, fmt="",
        annot=numbers if room >= 0.01 + LETTER * len(f"{ends[1]:.0f}") else False,
        annot_kws={"fontsize": plt.rcParams["xtick.labelsize"]}, yticklabels=labels,
        xticklabels=columns, linewidths=0.5 if room > 0.1 else 0, linecolor="white",
    )  # fmt: skip
    axis.set(xlabel="", ylabel="")
    axis.tick_params(length=0)
    axis.tick_params(axis="x", rotation=0 if across else 90)
    axis.tick_params(axis="y", rotation=0)


def bounds(tables: Iterable[pd.DataFrame]) -> tuple[float, float]:
    """The least and the greatest number in some tables: the ends of one scale of colors."""
    numbers = np.concatenate([table.to_numpy(dtype=float).ravel() for table in tables])
    low, high = float(np.nanmin(numbers)), float(np.nanmax(numbers))
    return (low, high) if low < high else (low - 0.5, low + 0.5)


def color_bar(figure: Figure, ends: tuple[float, float], label: str) -> None:
    """The scale of all panels, beneath them."""
    colors = ScalarMappable(Normalize(*ends), PALETTE)
    figure.colorbar(colors, ax=figure.axes, label=label, location="bottom", shrink=0.5, aspect=35, pad=0.02)


def row_labels(names: Iterable[str]) -> list[str]:
    """Names of rows, in lines of at most a third of the figure's width."""
    return [wrapped(name, plt.rcParams["figure.figsize"][0] / 3) for name in names]


def reach(labels: Sequence[str]) -> float:
    """How wide the labels of rows are, inches."""
    return (_longest(labels) * LETTER + 0.1) * text_scale()


def height(labels: Sequence[str]) -> float:
    """How high rows with these labels are, inches; all rows are alike."""
    return len(labels) * max(ROW, 0.12 * max(1 + label.count("\n") for label in labels)) * text_scale()


def foot(names: Iterable[str], cell: float) -> float:
    """How high the names of columns are, inches, with cells of this width."""
    columns, across = _feet(names, cell / text_scale())
    lines = max(1 + name.count("\n") for name in columns)
    return (0.12 * lines + 0.1) * text_scale() if across else reach(columns)


def _feet(names: Iterable[str], room: float) -> tuple[list[str], bool]:
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
