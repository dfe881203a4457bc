"""Lines over epochs and other quantities, a method each, with bands over runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from memstudy.report.bands import bands
from memstudy.report.chart import Drawn
from memstudy.report.charting.choices import Choice, Slider, columns_of, titled, toggle
from memstudy.report.charting.data import inlined
from memstudy.report.charting.marks import GRAY_WORDS, color, dash
from memstudy.report.marks import Mark

SIZE: dict[str, Any] = {"width": "container", "height": 320}
"""Of a chart: as wide as the page, and so many pixels high."""
FAINT = 0.06  # the opacity of what is not chosen
MARKED = 30  # places on an axis up to which each has a point that is seen


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
        return titled(alt.layer(*layers).properties(**SIZE), self.choices, self.clicks, *params)


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
    data = inlined(table[[*columns_of(choices), by, x.column, y.column]])
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
    keys = [*columns_of(choices), by, x.column]
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
