"""The last epoch by corruption rate, and by the strength of a method, where runs differ in these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from memstudy import distinctions
from memstudy.derived.methods.tables import at_end
from memstudy.report.frames import methods_of, reference_of
from memstudy.report.marks import Mark, marks
from memstudy.report.methods import CORRUPTION, in_words, method_labels, settings_of
from memstudy.report.panels import legend, level, lines, over_seeds, panels
from memstudy.report.saving import Drawing
from memstudy.store.store import Selection

QUANTITIES = {"test_accuracy": "test accuracy, %", "memorized": "memorized of the corrupted, %"}
WIDE = 5.0  # values that differ by more than this factor are drawn on a logarithmic axis


def by_rate(selection: Selection) -> Iterator[Drawing]:
    """Accuracy and the memorized share against the corruption rate, a line a method; none at one rate alone."""
    recipes = {run.name: run.recipe for run in selection.runs}
    others = [key for key in settings_of(recipes.values()) if key not in CORRUPTION]
    rules = {recipe.corruption.rule for recipe in recipes.values()}
    rows = at_end(selection)
    rows = rows.assign(rate=[100 * (recipes[run].corruption.rate or 0.0) for run in rows["run"]])
    rows["group"] = [
        ", ".join(filter(None, [in_words(recipes[run], others), recipes[run].corruption.rule * (len(rules) > 1)]))
        for run in rows["run"]
    ]
    rows = rows[rows.groupby("group")["rate"].transform("nunique") > 1]
    if rows.empty:
        return
    of_methods = {
        label: mark for label, mark in marks(methods_of(selection)).items() if label in set(rows["label"])
    }
    data = _long(rows.rename(columns={"rate": "value"}), ["group", "label"])
    figure = _figure(data, of_methods, "label", dict.fromkeys(data["panel"], "corruption rate, %"))
    data = data.rename(columns={"value": "corrupt_percent"}).drop(columns="panel")
    yield Drawing("rates", figure, data, _caption("corruption rate", data, ["group", "label", "corrupt_percent"]))


def by_strength(selection: Selection) -> Iterator[Drawing]:
    """The same against each option of a method that has several values; the reference is a dotted line."""
    recipes = [run.recipe for run in selection.runs]
    numeric = [
        key
        for key in distinctions.differing(recipes)
        if "." in key
        and all(type(v) in (int, float) for r in recipes if (v := distinctions.value(r, key)) is not None)
    ]
    if not numeric:
        return
    ends = at_end(selection)
    parts = []
    for key in numeric:
        values = {run.name: distinctions.value(run.recipe, key) for run in selection.runs}
        families = dict(
            zip((run.name for run in selection.runs), method_labels(recipes, ("reg",), (key,)), strict=True)
        )
        rows = ends.assign(value=ends["run"].map(values), family=ends["run"].map(families), key=key)
        rows = rows.dropna(subset="value").assign(group=rows["setting"])
        several = rows.groupby(["setting", "family"])["value"].transform("nunique") > 1
        parts.append(
            rows[several].assign(
                group=[", ".join(filter(None, [key, words])) for words in rows[several]["setting"]]
            )
        )
    rows = pd.concat(parts, ignore_index=True)
    if rows.empty:
        return
    data = _long(rows, ["key", "setting", "group", "family"])
    axis_words = {panel: part["key"].iloc[0] for panel, part in data.groupby("panel", sort=False)}
    of_families = marks(dict.fromkeys(data["family"]))
    figure = _figure(data, of_families, "family", axis_words)
    _references(figure, data, ends, reference_of(selection, list(ends["label"])))
    caption = _caption("a method's strength", data, ["group", "family", "value"])
    yield Drawing("strengths", figure, data.drop(columns="panel"), f"{caption} Dotted: the reference.")


def _long(rows: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """One row a run and quantity that it has: `amount`, and the title of its `panel`."""
    ids = ["run", "seed", "value", *by]
    data = rows.melt(ids, list(QUANTITIES), "quantity", "amount").dropna(subset="amount")
    data["quantity"] = data["quantity"].map(QUANTITIES)
    groups = data["group"].nunique()
    titles = data["quantity"] + (", " + data["group"]).where((data["group"] != "") & (groups > 1), "")
    return data.assign(panel=titles)


def _figure(data: pd.DataFrame, of_lines: Mapping[str, Mark], by: str, x: Mapping[str, str]) -> Figure:
    """One panel a quantity and group, one line each; `x` says what is along a panel's axis."""
    titles = list(dict.fromkeys(data["panel"]))
    figure, axes = panels(titles, most=2 if len(titles) % 3 else 3, aspect=1.4, sharex=False, sharey=False)
    for panel, axis in axes.items():
        rows = data[data["panel"] == panel]
        lines(axis, rows, "value", "amount", of_lines, by=by, bars=True)
        axis.set_xlabel(x[panel])
        values = sorted(rows["value"].unique())
        if values[0] > 0 and values[-1] > WIDE * values[0]:
            axis.set_xscale("log")
            axis.xaxis.set_minor_locator(NullLocator())
        if len(values) <= 6:
            axis.set_xticks(values, [f"{value:g}" for value in values])
    legend(figure, of_lines, markers=True)
    return figure


def _references(figure: Figure, data: pd.DataFrame, ends: pd.DataFrame, reference: str) -> None:
    """The reference's mean in each panel, if it has none of these strengths itself."""
    panels_in_order = data.drop_duplicates("panel")
    for axis, panel in zip(figure.axes, panels_in_order.to_dict("records"), strict=False):
        here = ends[(ends["setting"] == panel["setting"]) & (ends["label"] == reference)]
        name = next(name for name, words in QUANTITIES.items() if words == panel["quantity"])
        if len(here) and here[name].notna().any():
            level(axis, float(here[name].mean()), reference)


def _caption(what: str, data: pd.DataFrame, by: Sequence[str]) -> str:
    return (
        f"After the last epoch, against {what}: test accuracy, and the share of corrupted training samples that "
        f"are predicted as their noisy label. {over_seeds(data, [*by, 'quantity'], 'bars')}"
    )
