"""The last epoch by corruption rate, and by the strength of a method, where runs differ in these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from memstudy import distinctions
from memstudy.derived.methods.tables import at_end
from memstudy.distinctions import REG
from memstudy.report.frames import Groups, methods_of
from memstudy.report.marks import Mark, marks
from memstudy.report.methods import CORRUPTION, in_words, method_labels, settings_of
from memstudy.report.panels import legend, level, lines, over_seeds, panels
from memstudy.report.saving import Drawing
from memstudy.report.views import MOST_TOGETHER
from memstudy.store.store import Selection

QUANTITIES = {"test_accuracy": "test accuracy, %", "memorized": "memorized of the corrupted, %"}
WIDE = 5.0  # values that differ by more than this factor are drawn on a logarithmic axis


def by_rate(selection: Selection, groups: Groups) -> Iterator[Drawing]:
    """Accuracy and the memorized share against the corruption rate, a line a method.

    None at one rate alone, or for more methods than can be told apart: these are in the ranking's figures.
    """
    recipes = {run.name: run.recipe for run in selection.runs}
    others = [key for key in settings_of(recipes.values()) if key not in CORRUPTION]
    rules = {recipe.corruption.rule for recipe in recipes.values()}
    if len({recipe.corruption.rate or 0.0 for recipe in recipes.values()}) < 2:
        return
    rows = at_end(groups)
    rows = rows.assign(rate=[100 * (recipes[run].corruption.rate or 0.0) for run in rows["run"]])
    rows["group"] = [
        ", ".join(filter(None, [in_words(recipes[run], others), recipes[run].corruption.rule * (len(rules) > 1)]))
        for run in rows["run"]
    ]
    rows = rows[rows.groupby("group")["rate"].transform("nunique") > 1]
    if rows.empty or rows["label"].nunique() > MOST_TOGETHER:
        return
    of_methods = {label: mark for label, mark in marks(methods_of(groups)).items() if label in set(rows["label"])}
    data = _long(rows.rename(columns={"rate": "value"}), ["group", "label"])
    figure = _figure(data, of_methods, "label", dict.fromkeys(data["panel"], "corruption rate, %"))
    data = data.rename(columns={"value": "corrupt_percent"}).drop(columns="panel")
    yield Drawing("rates", figure, data, _caption("corruption rate", data, ["group", "label", "corrupt_percent"]))


def by_strength(selection: Selection, groups: Groups) -> Iterator[Drawing]:
    """The same against each option of a method that has several values; the reference is a dotted line."""
    if not (options := _numeric_options(selection)):
        return
    ends = at_end(groups)
    swept = [_swept(ends, selection, key) for key in options]
    if not sum(map(len, swept)):
        return
    rows = pd.concat(swept, ignore_index=True)
    told = [name for name in ("key", "setting") if rows[name].nunique() > 1]
    rows["group"] = [", ".join(filter(None, map(row.get, told))) for row in rows.to_dict("records")]
    data = _long(rows, ["key", "setting", "group", "family"])
    keys = {str(panel): str(part["key"].iloc[0]) for panel, part in data.groupby("panel", sort=False)}
    figure = _figure(data, marks(dict.fromkeys(data["family"])), "family", keys)
    caption = _caption("a method's strength", data, ["group", "family", "value"])
    reference = methods_of(groups)[0]
    if _references(figure, data, ends, reference):
        caption += f" Dotted: {reference}."
    yield Drawing("strengths", figure, data.drop(columns="panel"), caption)


def _numeric_options(selection: Selection) -> list[str]:
    """The options of regularizers in which runs differ, if these are numbers: `loco.weight`."""
    recipes = [run.recipe for run in selection.runs]
    differing = [key for key in distinctions.differing(recipes) if "." in key]
    values = {key: [distinctions.value(recipe, key) for recipe in recipes] for key in differing}
    return [key for key, of_runs in values.items() if {*map(type, of_runs)} <= {int, float, type(None)}]


def _swept(ends: pd.DataFrame, selection: Selection, key: str) -> pd.DataFrame:
    """The runs of families that have several values of an option: its `value`, and the `family` in words."""
    recipes = [run.recipe for run in selection.runs]
    names = [run.name for run in selection.runs]
    values = {name: distinctions.value(recipe, key) for name, recipe in zip(names, recipes, strict=True)}
    families = dict(zip(names, method_labels(recipes, (REG,), (key,)), strict=True))
    rows = ends.assign(value=ends["run"].map(values), family=ends["run"].map(families), key=key)
    rows = rows.dropna(subset="value")
    return rows[rows.groupby(["setting", "family"])["value"].transform("nunique") > 1]


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


def _references(figure: Figure, data: pd.DataFrame, ends: pd.DataFrame, reference: str) -> bool:
    """Draw the reference's mean in each panel; whether there is one, which has none of these strengths itself."""
    runs = ends[(ends["label"] == reference) & ~ends["run"].isin(data["run"])]
    names = {words: name for name, words in QUANTITIES.items()}
    for axis, panel in zip(figure.axes, data.drop_duplicates("panel").to_dict("records"), strict=False):
        here = runs.loc[runs["setting"] == panel["setting"], names[panel["quantity"]]].dropna()
        if len(here):
            level(axis, float(here.mean()))
    return len(runs) > 0


def _caption(what: str, data: pd.DataFrame, by: Sequence[str]) -> str:
    memorized = ""
    if QUANTITIES["memorized"] in set(data["quantity"]):
        memorized = ", and the share of corrupted training samples that are predicted as their noisy label"
    spread = over_seeds(data, [*by, "quantity"], "bars")
    return f"After the last epoch, against {what}: test accuracy{memorized}. {spread}"
