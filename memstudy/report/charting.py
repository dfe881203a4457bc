"""What several charts of the report page are made of: data, marks of methods, lines with bands, lists and sliders.

A chart says what is drawn; the page gives it its size, fonts and theme. Names of methods, settings and layers are
anybody's text: they are values of data, of scales or of lists, and never part of an expression. Columns of data
have names of ours.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from memstudy.report.bands import bands
from memstudy.report.chart import Drawn
from memstudy.report.color_scales import color_map, round_scale
from memstudy.report.frames import Groups, shared_title
from memstudy.report.marks import Mark

DIGITS = 5
"""Significant digits of numbers in a chart's data."""
SIZE: dict[str, Any] = {"width": "container", "height": 320}
"""Of a chart: as wide as the page, and so many pixels high."""
PIXELS = 336  # wide, of an image, at most
NARROW = 340  # pixels that a legend has on a phone
LETTER, SYMBOL = 6.5, 34  # pixels of a legend: a letter, and what stands before a name
MOST_AT_FIRST = 8  # lines that are shown in full before anything was clicked
FAINT = 0.06  # the opacity of what is not chosen
GRAY_WORDS, BLANK = "#767676", "#C8C8C8"  # of references, and of cells without a number: on white and on black
WITH_NUMBERS = 10  # columns of a heat map up to which its cells have their numbers
MARKED = 30  # places on an axis up to which each has a point that is seen


# Data


def inlined(table: pd.DataFrame) -> alt.InlineData:
    """A table as data in the chart itself, numbers to DIGITS significant digits; what is not finite is missing.

    Not as CSV, a third of the size: Vega reads that by code that it makes of the names of columns, which a page's
    policy forbids.
    """
    columns = {str(name): list(map(_value, table[name])) for name in table}
    return alt.InlineData(
        values=[dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    )


def _value(value: Any) -> Any:
    """As JSON has it: numbers no longer than they need be."""
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, int | np.integer):
        return int(value)
    return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None


def placed(groups: Groups) -> pd.DataFrame:
    """The runs of all settings, one row each: `run`, `seed`, `method`, and the words of its `setting`."""
    columns = {"run": "run", "seed": "seed", "label": "method"}
    parts = [members[[*columns]].assign(setting=setting.words) for setting, members in groups]
    return pd.concat(parts, ignore_index=True).rename(columns=columns)


def of_runs(table: pd.DataFrame, groups: Groups) -> pd.DataFrame:
    """The rows of a derived table that are of these runs, in its order, with the columns of `placed`."""
    return table.drop(columns="seed", errors="ignore").merge(placed(groups), on="run") if len(table) else table


def title_of(groups: Groups) -> str:
    """A sentence for a caption on what all runs share."""
    title = groups[0][0].title if len(groups) == 1 else shared_title(setting for setting, _ in groups)
    return f"{title}." if title else ""


# What can be chosen


@dataclass(frozen=True)
class Choice:
    """A list beneath a chart, one of which is shown: rows of the data have their option in a column.

    With a single option there is no list. by_number: what is chosen is the place of an option, from 0.
    """

    column: str
    words: str
    options: Sequence[str]
    first: int = 0
    by_number: bool = False

    @property
    def params(self) -> list[alt.Parameter]:
        """The list."""
        if len(self.options) < 2:
            return []
        values: list[Any] = list(range(len(self.options)) if self.by_number else self.options)
        bound = alt.binding_select(options=values, labels=list(self.options), name=f"{self.words}: ")
        return [alt.param(name=self.shown, value=values[self.first], bind=bound)]

    @property
    def shown(self) -> str:
        """The name of what is chosen."""
        return f"{self.column}_shown"

    @property
    def place(self) -> tuple[str, int]:
        """Which option is chosen, from 0, as an expression; and how many there are. For choices by number."""
        return self.shown if self.params else "0", len(self.options)

    def of(self, drawn: alt.Chart) -> alt.Chart:
        """A chart of the rows that are chosen."""
        return drawn.transform_filter(f"datum.{self.column} == {self.shown}") if self.params else drawn


@dataclass(frozen=True)
class Slider:
    """A slider over the values of a numeric column, such as kept epochs: each step is the next of them.

    The last is shown at first. The number beside the slider is the value itself where values are evenly spaced,
    else its place, from 1; `title` says the value in any case.
    """

    column: str
    words: str
    values: Sequence[int]
    before: str = "after epoch"

    @property
    def params(self) -> list[alt.Parameter]:
        """The slider, and the value where that is another number; none of a single value."""
        if len(self.values) < 2:
            return []
        gaps = {after - before for before, after in zip(self.values, self.values[1:], strict=False)}
        if len(gaps) == 1:
            low, high = self.values[0], self.values[-1]
            bound = alt.binding_range(min=low, max=high, step=gaps.pop(), name=f"{self.words}: ")
            return [alt.param(name=self.shown, value=high, bind=bound)]
        count, place = len(self.values), f"{self.column}_place"
        bound = alt.binding_range(min=1, max=count, step=1, name=f"{self.words}, {count} of them: ")
        return [
            alt.param(name=place, value=count, bind=bound),
            alt.param(name=self.shown, expr=f"{self._listed}[{place} - 1]"),
        ]

    @property
    def shown(self) -> str:
        """The name of the value that is chosen."""
        return f"{self.column}_shown"

    @property
    def place(self) -> tuple[str, int]:
        """Which value is chosen, from 0, as an expression; and how many there are."""
        return f"indexof({self._listed}, {self.shown})" if self.params else "0", len(self.values)

    @property
    def _listed(self) -> str:
        return f"[{', '.join(map(str, map(int, self.values)))}]"

    @property
    def title(self) -> alt.Title:
        """A chart's title: words of ours (`before`) and the value."""
        shown = self.shown if self.params else str(int(self.values[0]))
        return alt.Title(text=alt.ExprRef(f"{json.dumps(self.before)} + ' ' + {shown}"))

    def of(self, drawn: alt.Chart) -> alt.Chart:
        """A chart of the rows that are chosen."""
        return drawn.transform_filter(f"datum.{self.column} == {self.shown}") if self.params else drawn


def _columns(choices: Iterable[Choice | Slider]) -> list[str]:
    """Those that rows are chosen by."""
    return [choice.column for choice in choices if choice.params]


def toggle(marks: Mapping[str, Mark], column: str = "method") -> alt.Parameter:
    """Clicks in the legend: each shows one more, or one less; all while none is chosen."""
    few: Any = [{column: label} for label in list(marks)[:MOST_AT_FIRST]]
    more = {"value": few} if len(marks) > MOST_AT_FIRST else {}
    return alt.selection_point(name="chosen", fields=[column], bind="legend", toggle="true", **more)


def told(marks: Collection[str], what: str = "methods") -> str:
    """A sentence on how `toggle` is used; empty where there is nothing to choose."""
    if len(marks) < 2:
        return ""
    first = f", the first {MOST_AT_FIRST} of {len(marks)} before" if len(marks) > MOST_AT_FIRST else ""
    return f"Those {what} are shown that are clicked in the legend{first}."


# Marks


def color(marks: Mapping[str, Mark], column: str = "method", symbol: str = "stroke") -> alt.Color:
    """The color of each label, in the figures of a study and in all charts of its page.

    symbol: of the legend, where it is no line; no legend at all, if it is empty.
    """
    scale = alt.Scale(domain=list(marks), range=[mark.color for mark in marks.values()])
    legend = _legend(marks, symbol) if symbol else None
    return alt.Color(field=column, type="nominal", scale=scale, legend=legend, title=None)


def dash(marks: Mapping[str, Mark], column: str = "method") -> alt.StrokeDash:
    """The line of each label, which tells apart those that share a color, and all of them in gray."""
    scale = alt.Scale(domain=list(marks), range=[_dashes(mark) for mark in marks.values()])
    return alt.StrokeDash(field=column, type="nominal", scale=scale, legend=_legend(marks), title=None)


def _dashes(mark: Mark) -> list[float]:
    """Of a line 1.5 pixels wide; matplotlib's are in widths of the line."""
    named: dict[Any, list[float]] = {"-": [1, 0], ":": [1.8, 3], "--": [6.6, 2.8]}
    return named[mark.line] if isinstance(mark.line, str) else [round(1.8 * length, 1) for length in mark.line[1]]


def _legend(labels: Collection[str], symbol: str = "stroke") -> alt.Legend | None:
    """Beneath the chart, in as many columns as a phone has room for; none of a single label."""
    if len(labels) < 2:
        return None
    columns = max(1, int(NARROW / (SYMBOL + LETTER * max(map(len, labels)))))
    return alt.Legend(
        orient="bottom", columns=min(columns, len(labels)), labelLimit=NARROW - SYMBOL, labelOpacity=1,
        symbolType=symbol, symbolOpacity=1, symbolStrokeWidth=2, symbolSize=300 if symbol == "stroke" else 100,
    )  # fmt: skip


# Lines


@dataclass(frozen=True)
class Quantity:
    """An axis of numbers.

    Attributes:
        column: of the data.
        words: what it is, with its unit.
        form: of a number, in d3's notation.
        scale: linear, log or symlog.
        ends: of the axis, where they are given.
        ticks: the form of numbers at the axis, if it is another.

    """

    column: str
    words: str
    form: str = ".4~g"
    scale: Any = "linear"
    ends: tuple[float, float] | None = None
    ticks: str | None = None

    def encoded(self, column: str | None = None) -> dict[str, Any]:
        """What X and Y take: its field, scale and title. column: another one with values of the same kind."""
        linear: dict[str, Any] = {"zero": False} if self.scale == "linear" else {"nice": False}
        scale: dict[str, Any] = {"type": self.scale, **linear}
        if self.ends is not None:
            scale |= {"domain": list(self.ends), "nice": False}
        field = column or self.column
        return {"field": field, "type": "quantitative", "title": self.words, "scale": alt.Scale(**scale)}

    def vertical(self, column: str | None = None) -> alt.Y:
        """The y axis."""
        return alt.Y(**self.encoded(column), axis=alt.Axis(format=self.ticks) if self.ticks else alt.Axis())

    def tooltip(self, column: str | None = None, words: str = "") -> alt.Tooltip:
        """What is said of it where the pointer is."""
        return alt.Tooltip(
            field=column or self.column, type="quantitative", title=words or self.words, format=self.form
        )


EPOCH = Quantity("epoch", "epoch", "d")


@dataclass(frozen=True)
class _Plot:
    """What all layers of lines have in common."""

    x: Quantity
    y: Quantity
    marks: Mapping[str, Mark]
    choices: Sequence[Choice | Slider]
    by: str
    axis: alt.Axis

    def of(self, data: alt.InlineData, opacity: float = 1) -> alt.Chart:
        """The rows that are chosen, those of labels that are not clicked faint."""
        clicked = alt.when(self.clicks).then(alt.value(opacity)).otherwise(alt.value(round(FAINT * opacity, 3)))
        drawn = alt.Chart(data).encode(
            x=alt.X(**self.x.encoded(), axis=self.axis), y=self.y.vertical(),
            color=color(self.marks, self.by), opacity=clicked,
        )  # fmt: skip
        for choice in self.choices:
            drawn = choice.of(drawn)
        return drawn

    @property
    def clicks(self) -> alt.Parameter:
        return toggle(self.marks, self.by)

    @property
    def label(self) -> alt.Tooltip:
        return alt.Tooltip(field=self.by, type="nominal", title=self.by)

    def lines(self, data: alt.InlineData, **options: Any) -> alt.Chart:
        return self.of(data).mark_line(strokeWidth=1.8, **options).encode(strokeDash=dash(self.marks, self.by))

    def points(self, data: alt.InlineData, tooltip: Sequence[alt.Tooltip], seen: bool) -> alt.Chart:
        """What the pointer finds: a point at each place of a line."""
        drawn = self.of(data).mark_point(filled=True, size=30 if seen else 60, fillOpacity=1 if seen else 0)
        return drawn.encode(tooltip=[self.label, self.x.tooltip(), *tooltip])

    def put_together(self, layers: Iterable[alt.Chart], params: Iterable[alt.Parameter] = ()) -> Drawn:
        """The layers with all that can be chosen."""
        return _titled(alt.layer(*layers).properties(**SIZE), self.choices, self.clicks, *params)


def lines(
    table: pd.DataFrame,
    x: Quantity,
    y: Quantity,
    marks: Mapping[str, Mark],
    choices: Sequence[Choice | Slider] = (),
    by: str = "method",
    also: Iterable[alt.Chart] = (),
    levels: Mapping[str, float] | None = None,
    **options: Any,
) -> Drawn:
    """A line for each label, of one number for each x; it is broken where that is missing.

    table: columns of x, y, the label (`by`), and those of `choices`. also: other layers, beneath the lines.
    levels: of reference, by what they are. options: of the lines' mark, such as `interpolate`.
    """
    plot = _Plot(x, y, marks, choices, by, _whole(table[x.column]))
    data = inlined(table[[*_columns(choices), by, x.column, y.column]])
    seen = table[x.column].nunique() <= MARKED
    points = plot.points(data, [y.tooltip()], seen)
    return plot.put_together([*also, *_levels(levels or {}, y), plot.lines(data, **options), points])


def over_runs(
    table: pd.DataFrame,
    x: Quantity,
    y: Quantity,
    marks: Mapping[str, Mark],
    choices: Sequence[Choice] = (),
    by: str = "method",
    levels: Mapping[str, float] | None = None,
) -> Drawn:
    """A line for each label: means over runs with a band of ± one standard deviation, and single runs on demand.

    table: one row a run and x: `seed`, x, y, a column of the label (`by`), and those of `choices`. levels: of
    reference, by what they are.
    """
    plot = _Plot(x, y, marks, choices, by, _whole(table[x.column]))
    keys = [*_columns(choices), by, x.column]
    means = bands(table, keys, y.column, log=y.scale == "log").drop(columns="spread").reset_index()
    means = means.rename(columns={"mean": y.column})
    data = inlined(means)
    layers, params, words = [], [], [y.tooltip(words=f"{y.words}, mean")]
    layers += _levels(levels or {}, y)
    if means["low"].notna().any():
        words += [y.tooltip("low", "mean − s.d."), y.tooltip("high", "mean + s.d.")]
        area = plot.of(data, 0.18).mark_area().transform_filter("isValid(datum.low)")
        layers.append(area.encode(y=y.vertical("low"), y2=alt.Y2("high:Q")))
        params.append(alt.param(name="single_runs", value=False, bind=alt.binding_checkbox(name="single runs: ")))
        thin = alt.when("single_runs").then(alt.value(0.8)).otherwise(alt.value(0))  # no filter: axes stay
        lone = plot.of(inlined(table[[*keys, "seed", y.column]]), 0.8).mark_line()
        said = [plot.label, alt.Tooltip("seed:Q", title="seed")]
        layers.append(lone.encode(detail="seed:N", strokeWidth=thin, tooltip=said))
    seen = means[x.column].nunique() <= MARKED
    points = plot.points(data, [*words, alt.Tooltip("n:Q", title="n, runs")], seen)
    return plot.put_together([*layers, plot.lines(data), points], params)


def _levels(levels: Mapping[str, float], y: Quantity) -> list[alt.Chart]:
    """Dotted lines across, each with what it is."""
    if not levels:
        return []
    data = inlined(pd.DataFrame({"what": list(levels), y.column: list(levels.values())}))
    drawn = alt.Chart(data).encode(y=y.vertical())
    words = [alt.Tooltip("what:N", title="reference"), y.tooltip()]
    named = drawn.mark_text(align="right", dx=-4, dy=-6, color=GRAY_WORDS).encode(
        text="what:N", x=alt.value(alt.ExprRef("width"))
    )
    return [drawn.mark_rule(strokeDash=[2, 3], color=GRAY_WORDS).encode(tooltip=words), named]


def _whole(values: pd.Series) -> alt.Axis:
    """An axis whose ticks are whole numbers, where values are, and whose labels are apart."""
    whole: dict[str, Any] = {"format": "d", "tickMinStep": 1} if pd.api.types.is_integer_dtype(values) else {}
    return alt.Axis(labelOverlap=True, labelSeparation=8, **whole)


# Heat maps


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
        [rows.column, columns.column, value.column, *(each.column for each in also), *_columns(choices)]
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
    return _titled(alt.layer(*layers).properties(width="container", height=height), choices)


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
    return _titled(drawn, chosen_by)


def _titled(drawn: Drawn, choices: Sequence[Choice | Slider], *more: alt.Parameter) -> Drawn:
    """With all that can be chosen, and above it the values of sliders."""
    drawn = drawn.add_params(*(param for choice in choices for param in choice.params), *more)
    for choice in choices:
        if isinstance(choice, Slider):
            drawn = drawn.properties(title=choice.title)
    return drawn


def ramp_colors() -> list[str]:
    """Of values in cells, dark to light, as in figures."""
    return [to_hex(of_value) for of_value in color_map()(np.linspace(0, 1, 9))]
