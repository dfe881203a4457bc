"""Curves of training for the report page: accuracy, losses and the floor, what corrupted samples are taken for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from memstudy.derived.methods.figures import ANSWERS
from memstudy.report.chart import Chart
from memstudy.report.frames import Groups, comparable_runs, evaluated, methods_of
from memstudy.report.marks import GRAY, Mark, marks
from memstudy.report.panels import over_seeds
from memstudy.store.store import Selection

HEIGHT = 320  # pixels


@dataclass(frozen=True)
class Curve:
    """A column of metrics.csv as a chart: title, axis, its factor to the axis' unit, and what is said of it."""

    column: str
    title: str
    axis: str
    scale: float
    caption: str


CURVES = (
    Curve("test_accuracy", "Test accuracy", "test accuracy, %", 100, "Test accuracy after each epoch."),
    Curve(
        "train_cross_entropy", "Training loss and its floor", "training loss L_c, nats", 1,
        "Training cross-entropy of each epoch. Dotted: the floor, the lowest that it can be on these labels "
        "without memorization.",
    ),
    *(
        Curve(
            name, f"Corrupted samples: {words}", "corrupted samples, %", 100,
            f"How many of the corrupted training samples are {words.partition(' ')[0]} after each epoch.",
        )
        for name, (words, _) in ANSWERS.items()
    ),
    Curve(
        "train_activation_loss", "Activation loss", "activation loss L_r, unscaled", 1,
        "Activation loss (AL2's penalty before its weight) of each epoch, whether it is trained on or not.",
    ),
)  # fmt: skip


def charts(selection: Selection) -> Iterator[Chart]:
    """One for each quantity that some run has."""
    groups = comparable_runs(selection)
    rows = pd.concat(
        [
            setting.metrics().drop(columns=["seed", "seeds"]).merge(members, on="run")
            .assign(setting=place, floor=setting.floor)
            for place, (setting, members) in enumerate(groups)
        ],
        ignore_index=True,
    )  # fmt: skip
    of_methods = marks(methods_of(groups))
    for curve in CURVES:
        data = evaluated(rows, ["setting", "label"], curve.column)
        if len(data):
            yield _chart(curve, data, of_methods, groups)


def _chart(curve: Curve, rows: pd.DataFrame, of_methods: Mapping[str, Mark], groups: Groups) -> Chart:
    data = rows[["setting", "label", "seeds", "epoch"]].assign(value=(curve.scale * rows[curve.column]).round(5))
    grouped = data.groupby(["setting", "label", "epoch"], sort=False)["value"]
    means = grouped.agg(mean="mean", sd="std", n="count").reset_index()
    means = means.assign(low=means["mean"] - means["sd"], high=means["mean"] + means["sd"]).round(5)
    names = {"label": "method", "seeds": "seed"}
    means, data = means.rename(columns=names), data.rename(columns=names)
    clicks = alt.selection_point(name="chosen", fields=["method"], bind="legend", toggle="true")
    zoom = alt.selection_interval(
        name="zoom", bind="scales",
        translate="[pointerdown[event.shiftKey], window:pointerup] > window:pointermove!",
        zoom="wheel![event.shiftKey]",
    )  # fmt: skip
    seeds = alt.param(name="single", value=False, bind=alt.binding_checkbox(name="single seeds instead of bands "))
    color = alt.Color(
        "method:N",
        scale=alt.Scale(domain=list(of_methods), range=[mark.color for mark in of_methods.values()]),
        legend=alt.Legend(orient="bottom", columns=4, symbolType="stroke", title=None),
    )
    y: dict[str, Any] = {"title": curve.axis, "scale": alt.Scale(zero=False)}
    x = alt.X("epoch:Q", title="epoch, counted from 0")
    shown = alt.when(clicks)
    of_means, of_runs = _chosen(alt.Chart(means), groups), _chosen(alt.Chart(data), groups)
    band = (
        of_means.mark_area()
        .encode(
            x=x, y=alt.Y("low:Q", **y), y2="high:Q", color=color,
            opacity=shown.then(alt.value(0.18)).otherwise(alt.value(0)),
        )
        .transform_filter("!single && isValid(datum.low)")
    )  # fmt: skip
    lines = of_means.mark_line(strokeWidth=1.8).encode(
        x=x, y=alt.Y("mean:Q", **y), color=color, opacity=shown.then(alt.value(1)).otherwise(alt.value(0.05)),
        tooltip=[
            "method:N", "epoch:Q", alt.Tooltip("mean:Q", format=".4g"), alt.Tooltip("sd:Q", format=".3g"), "n:Q",
        ],
        strokeDash=_dashes(of_methods),
    ).transform_filter("!single")  # fmt: skip
    single = of_runs.mark_line(strokeWidth=1).encode(
        x=x, y=alt.Y("value:Q", **y), color=color, detail="seed:N",
        opacity=shown.then(alt.value(0.9)).otherwise(alt.value(0.03)),
        tooltip=["method:N", "seed:N", "epoch:Q", alt.Tooltip("value:Q", format=".4g")],
    ).transform_filter("single")  # fmt: skip
    layers = [band, lines, single]
    floors = pd.DataFrame({"setting": range(len(groups)), "floor": [setting.floor for setting, _ in groups]})
    if curve.column == "train_cross_entropy" and (floors["floor"] > 0).any():
        lowest = _chosen(alt.Chart(floors), groups).mark_rule(strokeDash=[2, 3], color=GRAY)
        layers.append(lowest.encode(y=alt.Y("floor:Q", **y)))
    params = [clicks, zoom, seeds, *_choice(groups)]
    drawn = alt.layer(*layers).add_params(*params).properties(
        width="container", height=HEIGHT, usermeta={"log": True}
    )  # fmt: skip
    spread = over_seeds(rows.assign(method=rows["label"]), ["setting", "method"])
    caption = f"{curve.caption} {spread} Shift and the mouse wheel zoom, shift and dragging move."
    return Chart(curve.column, curve.title, caption, drawn)


def _dashes(of_methods: Mapping[str, Mark]) -> alt.StrokeDash:
    lines = [[1, 0] if mark.line == "-" else [1.8 * part for part in mark.line[1]] for mark in of_methods.values()]
    return alt.StrokeDash("method:N", scale=alt.Scale(domain=list(of_methods), range=lines), legend=None)


def _choice(groups: Groups) -> Sequence[alt.Parameter]:
    """A list of settings, if there are several."""
    if len(groups) < 2:
        return ()
    numbers: list[Any] = list(range(len(groups)))
    words = [setting.words for setting, _ in groups]
    return (
        alt.param(
            name="setting_shown", value=0, bind=alt.binding_select(options=numbers, labels=words, name="runs ")
        ),
    )


def _chosen(drawn: alt.Chart, groups: Groups) -> alt.Chart:
    return drawn.transform_filter("datum.setting == setting_shown") if len(groups) > 1 else drawn
