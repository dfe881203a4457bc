"""Charts of the ranking: gains with their intervals, and heat maps by rate and of pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import altair as alt
import pandas as pd

from memstudy.derived.ranking import Ranking
from memstudy.derived.ranking.figures import gains, over, pairs, rates
from memstudy.derived.ranking.methods import QUANTITIES, Group, each_ranking
from memstudy.report.chart import Chart
from memstudy.report.charting.choices import Choice
from memstudy.report.charting.data import inlined
from memstudy.report.charting.lines import Quantity
from memstudy.report.charting.maps import Names, heat_map
from memstudy.report.charting.marks import GRAY_WORDS, color
from memstudy.report.frames import comparable_runs, methods_of
from memstudy.report.marks import Mark, marks
from memstudy.store.store import Selection

GAIN, LOW, HIGH = "gain", "gain_low", "gain_high"
ROW = 24  # pixels, of a method


def charts(selection: Selection) -> Iterator[Chart]:
    """Of every group: gains, final accuracy and what is memorized by rate, and pairs where there are any."""
    methods = methods_of(comparable_runs(selection))
    for group, suffix in each_ranking(selection):
        if group.ranking["gain"].notna().any():
            yield _gains(group, suffix, marks([*methods, *group.methods]))
        yield _rates(group, suffix)
        if len(table := pairs(group)):
            yield _pairs(table, group, suffix)


def _gains(group: Group, suffix: str, of_methods: Mapping[str, Mark]) -> Chart:
    """A dot a method with its interval, the greatest gain on top."""
    data, caption = gains(group)
    table = data.assign(n=data["method"].map(group.ranking.set_index("method")["n"]))
    columns = ["method", GAIN, LOW, HIGH, "gain_p_holm", "n"]
    gain = Quantity(GAIN, f"gain over {group.reference}, percentage points", "+.2f")
    words = [
        alt.Tooltip("method:N"), gain.tooltip(), gain.tooltip(LOW, "95 % from"), gain.tooltip(HIGH, "95 % to"),
        alt.Tooltip("n:Q", title="n, seeds"), alt.Tooltip("gain_p_holm:Q", title="p (Holm)", format=".3~g"),
    ]  # fmt: skip
    names = alt.Y("method:N", sort=None, title=None, axis=alt.Axis(labelLimit=140, grid=True))
    shade = color({name: of_methods[name] for name in data["method"]}, symbol="")
    base = alt.Chart(inlined(table[columns])).encode(y=names, color=shade, tooltip=words)
    intervals = base.mark_rule(strokeWidth=2).encode(x=alt.X(**gain.encoded(LOW)), x2=alt.X2(f"{HIGH}:Q"))
    dots = base.mark_point(filled=True, size=70, opacity=1).encode(x=alt.X(**gain.encoded()))
    zero = alt.Chart(inlined(pd.DataFrame({GAIN: [0]}))).mark_rule(strokeDash=[2, 3], color=GRAY_WORDS)
    layers = [zero.encode(x=alt.X(**gain.encoded())), intervals.transform_filter(f"isValid(datum.{LOW})"), dots]
    drawn = alt.layer(*layers).properties(width="container", height=max(60, ROW * len(data)))
    return Chart(f"{Ranking.name}_gain{suffix}", f"Gain over {group.reference}", caption, drawn)


def _rates(group: Group, suffix: str) -> Chart:
    """Method × corruption, of accuracy or of what is memorized."""
    data, caption = rates(group)
    words = {name: QUANTITIES[name][0] for name in QUANTITIES if name in data}
    shown = Choice("quantity", "shown", list(words.values()))
    table = data.rename(columns=words).melt(["method", "corruption"], shown.options, "quantity", "value")
    rows = Names("method", "method", list(dict.fromkeys(data["method"])))
    columns = Names("corruption", "corruption", group.corruptions)
    drawn = heat_map(table, rows, columns, Quantity("value", "%", ".1f"), [shown])
    return Chart(f"{Ranking.name}_rates{suffix}", "Accuracy and memorization by rate", caption, drawn)


def _pairs(table: pd.DataFrame, group: Group, suffix: str) -> Chart:
    """Method × method, at a corruption that a list chooses."""
    rate = Choice("corruption", "corruption", list(dict.fromkeys(table["corruption"])))
    names = list(dict.fromkeys(table["a"]))
    also = [Quantity("reference", f"{group.reference} alone", ".1f")] if group.reference else []
    accuracy = Quantity("accuracy", "test accuracy, %", ".1f")
    axes = Names("a", "", names), Names("b", "", names)
    drawn = heat_map(table, *axes, accuracy, [rate], also)
    caption = (
        "Test accuracy after the last epoch of pairs of methods, and of each method alone on the diagonal. "
        f"{over(group)} {group.title}."
    )
    return Chart(f"{Ranking.name}_pairs{suffix}", "Pairs of methods", caption, drawn)
