"""What several charts of the report page are made of: data, marks of methods, lines with bands, lists and sliders.

A chart says what is drawn; the page gives it its size, fonts and theme. Names of methods, settings and layers are
anybody's text: they are values of data, of scales or of lists, and never part of an expression. Columns of data
have names of ours.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from memstudy.report.bands import bands
from memstudy.report.chart import Drawn
from memstudy.report.frames import Groups, shared_title
from memstudy.report.marks import Mark

DIGITS = 5
"""Significant digits of numbers in a chart's data."""
SIZE: dict[str, Any] = {"width": "container", "height": 320}
"""Of a chart: as wide as the page, and so many pixels high."""
NARROW = 340  # pixels that a legend has on a phone
LETTER, SYMBOL = 6.5, 34  # pixels of a legend: a letter, and what stands before a name
MOST_AT_FIRST = 8  # lines that are shown in full before anything was clicked
FAINT = 0.06  # the opacity of what is not chosen
MARKED = 30  # places on an axis up to which each has a point that is seen


# Data


def inlined(table: pd.DataFrame) -> alt.InlineData:
    """A table as data in the chart itself: CSV, a third of JSON's size, numbers to DIGITS significant digits.

    What is not finite is missing.
    """
    numbers = [name for name in table if pd.api.types.is_numeric_dtype(table[name])]
    kinds = {str(name): "number" if name in numbers else "string" for name in table}
    rounded = table.assign(**{str(name): rounded_off(table[name]) for name in numbers})
    text = rounded.to_csv(index=False, lineterminator="\n")
    return alt.InlineData(values=text, format=alt.CsvDataFormat(type="csv", parse=kinds))


def rounded_off(values: pd.Series) -> pd.Series:
    """Numbers to DIGITS significant digits, written no longer than they need be; NaN for what is not finite."""
    if pd.api.types.is_integer_dtype(values):
        return values
    return values.map(lambda value: f"{value:.{DIGITS}g}" if np.isfinite(value) else np.nan)


def placed(groups: Groups) -> pd.DataFrame:
    """The runs of all settings, one row each: `run`, `seed`, `method`, and the number of its `setting`."""
    columns = {"run": "run", "seed": "seed", "label": "method"}
    parts = [members[[*columns]].assign(setting=place) for place, (_, members) in enumerate(groups)]
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
    """A list beneath a chart, one of which is shown: a column of the data has the number of its option, from 0.

    With a single option there is no list.
    """

    column: str
    words: str
    options: Sequence[str]
    first: int = 0

    @property
    def params(self) -> list[alt.Parameter]:
        """The list."""
        if len(self.options) < 2:
            return []
        numbers: list[Any] = list(range(len(self.options)))
        bound = alt.binding_select(options=numbers, labels=list(self.options), name=f"{self.words}: ")
        return [alt.param(name=self.shown, value=self.first, bind=bound)]

    @property
    def shown(self) -> str:
        """The name of the number that is chosen."""
        return f"{self.column}_shown"

    def of(self, drawn: alt.Chart) -> alt.Chart:
        """A chart of the rows that are chosen."""
        return drawn.transform_filter(f"datum.{self.column} == {self.shown}") if self.params else drawn

    def number(self, values: pd.Series) -> pd.Series:
        """The numbers of options."""
        return values.map({option: place for place, option in enumerate(self.options)}).astype(int)


@dataclass(frozen=True)
class Slider:
    """A slider over the values of a numeric column, such as kept epochs: each step is the next of them.

    The last is shown at first. The number beside the slider is the value itself where values are evenly spaced,
    else its place, from 1; `title` says the value in any case.
    """

    column: str
    words: str
    values: Sequence[int]

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
        listed = ", ".join(map(str, map(int, self.values)))
        return [
            alt.param(name=place, value=count, bind=bound),
            alt.param(name=self.shown, expr=f"[{listed}][{place} - 1]"),
        ]

    @property
    def shown(self) -> str:
        """The name of the value that is chosen."""
        return f"{self.column}_shown"

    def title(self, before: str) -> alt.Title:
        """A chart's title: words of ours and the value."""
        shown = self.shown if self.params else str(self.values[0])
        return alt.Title(text=alt.ExprRef(f"{before!r} + ' ' + {shown}"))

    def of(self, drawn: alt.Chart) -> alt.Chart:
        """A chart of the rows that are chosen."""
        return drawn.transform_filter(f"datum.{self.column} == {self.shown}") if self.params else drawn


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


def color(marks: Mapping[str, Mark], column: str = "method", title: str | None = None) -> alt.Color:
    """The color of each label, in the figures of a study and in all charts of its page."""
    scale = alt.Scale(domain=list(marks), range=[mark.color for mark in marks.values()])
    return alt.Color(f"{column}:N", scale=scale, legend=_legend(marks), title=title)


def dash(marks: Mapping[str, Mark], column: str = "method", title: str | None = None) -> alt.StrokeDash:
    """The line of each label, which tells apart those that share a color, and all of them in gray."""
    scale = alt.Scale(domain=list(marks), range=[_dashes(mark) for mark in marks.values()])
    return alt.StrokeDash(f"{column}:N", scale=scale, legend=_legend(marks), title=title)


def _dashes(mark: Mark) -> list[float]:
    """Of a line 1.5 pixels wide; matplotlib's are in widths of the line."""
    return [1, 0] if mark.line == "-" else [round(1.8 * length, 1) for length in mark.line[1]]


def _legend(labels: Collection[str]) -> alt.Legend | None:
    """Beneath the chart, in as many columns as a phone has room for; none of a single label."""
    if len(labels) < 2:
        return None
    columns = max(1, int(NARROW / (SYMBOL + LETTER * max(map(len, labels)))))
    return alt.Legend(
        orient="bottom", columns=min(columns, len(labels)), labelLimit=NARROW - SYMBOL, labelOpacity=1,
        symbolType="stroke", symbolOpacity=1, symbolStrokeWidth=2, symbolSize=300,
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

    """

    column: str
    words: str
    form: str = ".4~g"
    scale: Any = "linear"
    ends: tuple[float, float] | None = None

    def encoded(self, column: str | None = None) -> dict[str, Any]:
        """What X and Y take: its field, scale and title. column: another one with values of the same kind."""
        scale: dict[str, Any] = {"type": self.scale, "zero": False}
        if self.ends is not None:
            scale |= {"domain": list(self.ends), "nice": False}
        field = column or self.column
        return {"field": field, "type": "quantitative", "title": self.words, "scale": alt.Scale(**scale)}

    def tooltip(self, column: str | None = None, words: str = "") -> alt.Tooltip:
        """What is said of it where the pointer is."""
        return alt.Tooltip(
            field=column or self.column, type="quantitative", title=words or self.words, format=self.form
        )


EPOCH = Quantity("epoch", "epoch", "d")


def over_runs(
    table: pd.DataFrame,
    x: Quantity,
    y: Quantity,
    marks: Mapping[str, Mark],
    choices: Iterable[Choice] = (),
    by: str = "method",
) -> Drawn:
    """A line for each label: means over runs with a band of ± one standard deviation, and single runs on demand.

    table: one row a run and x: `seed`, x, y, a column of the label (`by`), and those of `choices`.
    """
    chosen = [choice for choice in choices if choice.params]
    keys = [*(choice.column for choice in chosen), by, x.column]
    means = bands(table, keys, y.column, log=y.scale == "log").drop(columns="spread").reset_index()
    means = means.rename(columns={"mean": y.column})
    clicks = toggle(marks, by)
    horizontal, vertical = alt.X(**x.encoded(), axis=_whole(table[x.column])), alt.Y(**y.encoded())

    def of(data: alt.InlineData, opacity: float) -> alt.Chart:
        shown = alt.when(clicks).then(alt.value(opacity)).otherwise(alt.value(round(FAINT * opacity, 3)))
        drawn = alt.Chart(data).encode(x=horizontal, y=vertical, color=color(marks, by), opacity=shown)
        for choice in chosen:
            drawn = choice.of(drawn)
        return drawn

    of_means = inlined(means)
    several = means["low"].notna().any()
    label = [alt.Tooltip(field=by, type="nominal", title=by), x.tooltip()]
    words = [*label, y.tooltip(words=f"{y.words}, mean")]
    layers, params = [], [clicks, *(param for choice in chosen for param in choice.params)]
    if several:
        words += [y.tooltip("low", "mean − s.d."), y.tooltip("high", "mean + s.d.")]
        area = of(of_means, 0.18).mark_area().transform_filter("isValid(datum.low)")
        layers.append(area.encode(y=alt.Y(**y.encoded("low")), y2=alt.Y2("high:Q")))
    layers.append(of(of_means, 1).mark_line(strokeWidth=1.8).encode(strokeDash=dash(marks, by)))
    if several:
        params.append(alt.param(name="single_runs", value=False, bind=alt.binding_checkbox(name="single runs: ")))
        lone = of(inlined(table[[*keys, "seed", y.column]]), 0.8).transform_filter("single_runs")
        lone = lone.mark_line(strokeWidth=0.8).encode(detail="seed:N")
        layers.append(lone.encode(tooltip=[label[0], alt.Tooltip("seed:Q", title="seed")]))
    few = means[x.column].nunique() <= MARKED
    points = of(of_means, 1).mark_point(filled=True, size=30 if few else 60, fillOpacity=1 if few else 0)
    layers.append(points.encode(tooltip=[*words, alt.Tooltip("n:Q", title="n, runs")]))
    return alt.layer(*layers).add_params(*params).properties(**SIZE)


def _whole(values: pd.Series) -> alt.Axis:
    """An axis whose ticks are whole numbers, where values are."""
    return alt.Axis(format="d", tickMinStep=1) if pd.api.types.is_integer_dtype(values) else alt.Axis()
