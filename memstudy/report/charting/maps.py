"""Heat maps, and images of numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from memstudy.report.chart import Drawn
from memstudy.report.charting.choices import Choice, Slider, columns_of, titled
from memstudy.report.charting.data import inlined
from memstudy.report.charting.lines import Quantity
from memstudy.report.charting.marks import BLANK, LETTER, NARROW
from memstudy.report.color_scales import color_map, round_scale

PIXELS = 336  # wide, of an image, at most
WITH_NUMBERS = 10  # columns of a heat map up to which its cells have their numbers


@dataclass(frozen=True)
class Names:
    """An axis of names, or of numbers as names: a column of the data, its words, and what there is in order."""

    column: str
    words: str
    there: Sequence[Any]

    def encoded(self, short: bool) -> dict[str, Any]:
        """What X and Y take. short: whether names stand below the axis as they are."""
        return {
            "field": self.column, "type": "ordinal", "title": self.words or None,
            "scale": alt.Scale(domain=list(self.there)),
            "axis": alt.Axis(grid=False, labelLimit=140, labelAngle=0 if short else -45),
        }  # fmt: skip

    def tooltip(self, words: str) -> alt.Tooltip:
        """What is said of it where the pointer is."""
        return alt.Tooltip(field=self.column, type="ordinal", title=self.words or words)


def heat_map(
    table: pd.DataFrame,
    rows: Names,
    columns: Names,
    value: Quantity,
    choices: Sequence[Choice | Slider] = (),
    also: Sequence[Quantity] = (),
) -> Drawn:
    """Cells by row and column, dark to light, on one scale for all that can be chosen; gray without a number.

    table: one row a cell. also: what is told of a cell besides.
    """
    ticks = round_scale(table[value.column])
    names = dict.fromkeys(
        [rows.column, columns.column, value.column, *(each.column for each in also), *columns_of(choices)]
    )
    short = LETTER * max(len(str(name)) for name in columns.there) * len(columns.there) <= NARROW
    base = alt.Chart(inlined(table[[*names]])).encode(
        x=alt.X(**columns.encoded(short)), y=alt.Y(**rows.encoded(short=True))
    )
    for choice in choices:
        base = choice.of(base)
    missing = f"!isValid(datum.{value.column})"
    scale = alt.Scale(domain=[ticks[0], ticks[-1]], range=ramp_colors())
    bar = alt.Legend(orient="top", title=value.words, titleLimit=NARROW, gradientLength=220, format=value.form)
    colors = alt.Color(field=value.column, type="quantitative", scale=scale, legend=bar)
    said = [rows.tooltip("row"), columns.tooltip("column"), *(each.tooltip() for each in (value, *also))]
    layers = [base.mark_rect().encode(color=colors, tooltip=said).transform_filter(f"!({missing})")]
    if table[value.column].isna().any():
        layers.append(base.mark_rect(color=BLANK).transform_filter(missing))
    if len(columns.there) <= WITH_NUMBERS:
        middle = (ticks[0] + ticks[-1]) / 2
        ink = alt.when(f"datum.{value.column} > {middle:g}").then(alt.value("black")).otherwise(alt.value("white"))
        number = alt.Text(field=value.column, type="quantitative", format=value.form)
        layers.append(base.mark_text(fontSize=10).encode(text=number, color=ink).transform_filter(f"!({missing})"))
    height = max(60, min(26 * len(rows.there), 560))
    return titled(alt.layer(*layers).properties(width="container", height=height), choices)


def pixels(
    grids: Sequence[np.ndarray],
    choices: Sequence[Choice | Slider],
    value: Quantity,
    scale: alt.Scale,
) -> Drawn:
    """An image, of numbers that are told where the pointer is; lists and sliders choose which.

    grids: (H, W) for each combination of what can be chosen, the last choice's changing first; all on one `scale`.
    NaN is left blank.
    """
    height, width = grids[0].shape
    side = max(1, PIXELS // width)  # whole, or there were lines between pixels
    row, column = np.indices((height, width)).reshape(2, -1)
    values = {f"v{number}": grid.ravel() for number, grid in enumerate(grids)}
    chosen_by = [replace(each, by_number=True) if isinstance(each, Choice) else each for each in choices]
    place = "0"
    for choice in chosen_by:
        chosen, count = choice.place
        place = f"({place}) * {count} + {chosen}"
    bar = alt.Legend(orient="top", title=value.words, titleLimit=NARROW, gradientLength=220, format=value.form)
    axes: Iterator[dict[str, Any]] = (
        {"field": name, "type": "ordinal", "axis": None, "scale": alt.Scale(domain=list(range(size)), padding=0)}
        for name, size in (("column", width), ("row", height))
    )
    across, down = axes
    where = [alt.Tooltip("row:O"), alt.Tooltip("column:O"), value.tooltip()]
    drawn = (
        alt.Chart(inlined(pd.DataFrame({"row": row, "column": column, **values})))
        .transform_calculate(**{value.column: f"datum['v' + ({place})]"})
        .transform_filter(f"isValid(datum.{value.column})")
        .mark_rect()
        .encode(
            x=alt.X(**across),
            y=alt.Y(**down),
            color=alt.Color(field=value.column, type="quantitative", scale=scale, legend=bar),
            tooltip=where,
        )
        .properties(width=width * side, height=height * side)
    )
    return titled(drawn, chosen_by)


def ramp_colors() -> list[str]:
    """Of values in cells, dark to light, as in figures."""
    return [to_hex(of_value) for of_value in color_map()(np.linspace(0, 1, 9))]
