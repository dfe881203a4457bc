"""Norm Loss' figures: error against λ and batch size, and cross-entropy during training.

That weight decay and Norm Loss stand side by side, and that cross-entropy is shown, is the paper's (stated); the
values swept are ours. All methods are in one panel for each setting, as they are to be compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import matplotlib.ticker
import pandas as pd

from memstudy.distinctions import REG
from memstudy.papers.norm_loss import NormLossTables
from memstudy.papers.norm_loss.runs import (
    NORM_LOSS,
    STRENGTH_OPTIONS,
    at_usual_values,
    by_batch_size,
    by_strength,
    errors,
)
from memstudy.report.frames import Setting, evaluated, shared, shared_title
from memstudy.report.marks import Mark, marks
from memstudy.report.methods import told_apart
from memstudy.report.panels import MARKED, label_axes, legend, lines, over_seeds, panels
from memstudy.report.saving import Drawing
from memstudy.store import RunDirectory
from memstudy.store.store import Selection

CROSS_ENTROPIES = {"train_cross_entropy": "training", "test_cross_entropy": "test"}
STRENGTHS = {"wd": "weight decay", NORM_LOSS: "λ of Norm Loss"}
DECADE = 10.0  # values that differ by more than this factor are drawn on a logarithmic axis
ERROR = "test error, %"


@dataclass(frozen=True)
class Part:
    """The rows of a figure, with their `setting` in words: the panel's title, empty if there is only one.

    about: what all of them share, for the caption.
    """

    rows: pd.DataFrame
    about: str

    @property
    def settings(self) -> list[str]:
        """The titles of panels."""
        return list(dict.fromkeys(self.rows["setting"]))


def figures(selection: Selection) -> Iterator[Drawing]:
    """Every figure that there are runs for; none without Norm Loss."""
    rows = errors(selection)
    if rows.empty:
        return
    runs = {run.name: run for run in selection.runs}
    of_methods = marks(rows["family"])
    if len(swept := by_strength(rows)):
        yield _strengths(_part(swept, ["batch_size"], runs), of_methods)
    if len(sizes := by_batch_size(rows)):
        yield _batch_sizes(_part(sizes, [], runs), of_methods)
    yield _cross_entropy(_part(at_usual_values(rows), ["batch_size"], runs), runs, of_methods)


def _part(rows: pd.DataFrame, by: Sequence[str], runs: Mapping[str, RunDirectory]) -> Part:
    """The settings that the rows are of, in words. by: what makes one, besides all that they have in common."""
    groups = [part for _, part in rows.groupby(["setting", *by], sort=False)]
    methods = (REG,) if by else (REG, "batch_size")
    recipes = [shared(runs[str(part["run"].iloc[0])].recipe, methods) for part in groups]
    words = told_apart(recipes)
    sizes = {part["batch_size"].iloc[0] for part in groups}
    size = f", batch size {sizes.pop()}" if by and len(sizes) == 1 else ""
    about = shared_title(Setting(recipe, (), 0.0) for recipe in recipes) + size
    named = [part.assign(setting=title) for part, title in zip(groups, words, strict=True)]
    return Part(pd.concat(named, ignore_index=True), about)


def _strengths(part: Part, of_methods: Mapping[str, Mark]) -> Drawing:
    """Error against weight decay and λ, on one axis: both are weights of a penalty on the size of weights."""
    swept = [name for name in STRENGTHS if f"{name}.{STRENGTH_OPTIONS[name]}" in set(part.rows["swept"])]
    words = " or ".join(STRENGTHS[name] for name in swept)
    what = f"Test error after the last epoch against {words}."
    if len(swept) > 1:
        what += " Both are on one axis: decay c adds c·w to the gradient, Norm Loss 2λ·w·(1 - 1/‖w‖)."
    return _robustness("lambda", part, of_methods, words, what)


def _batch_sizes(part: Part, of_methods: Mapping[str, Mark]) -> Drawing:
    drawn = _robustness(
        "batch_size", part, of_methods, "batch size", "Test error after the last epoch against the batch size."
    )
    values = sorted(part.rows["value"].unique())
    for axis in drawn.figure.axes:
        axis.set_xticks(values, [f"{value:g}" for value in values])
        axis.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    return drawn


def _robustness(name: str, part: Part, of_methods: Mapping[str, Mark], x: str, what: str) -> Drawing:
    rows = part.rows
    of_series = _marks(rows, "series", of_methods)
    figure, axes = panels(part.settings, 1.4, sharey=False)
    for setting, axis in axes.items():
        axis.set_xscale("log")
        here = rows[rows["setting"] == setting]
        lines(axis, here, "value", "error", of_series, by="series", bars=True)
    label_axes(figure, axes, x, ERROR)
    legend(figure, of_series, markers=True)
    columns = ["run", "seed", "dataset", "network", "batch_size", "series", "swept", "value", "error"]
    spread = over_seeds(rows, ["setting", "series", "swept", "value"], "bars")
    data = _settings(rows, columns, part.settings)
    return Drawing(f"{NormLossTables.name}_{name}", figure, data, _caption(what, spread, part))


def _marks(rows: pd.DataFrame, by: str, of_methods: Mapping[str, Mark]) -> Mapping[str, Mark]:
    """The mark of each line: its method's, whatever its strength is, if no two lines have the same."""
    families = rows.drop_duplicates(by).set_index(by)["family"]
    if families.is_unique:
        return {str(label): of_methods[family] for label, family in families.items()}
    return marks(families.index)


def _settings(rows: pd.DataFrame, columns: Sequence[str], settings: Sequence[str]) -> pd.DataFrame:
    """These columns, and the setting if there are several."""
    return rows[[*columns, *(["setting"] if len(settings) > 1 else [])]].reset_index(drop=True)


def _caption(what: str, spread: str, part: Part) -> str:
    return " ".join(filter(None, (what, spread, part.about and f"{part.about}.")))


def _cross_entropy(part: Part, runs: Mapping[str, RunDirectory], of_methods: Mapping[str, Mark]) -> Drawing:
    """One panel for training and one for test images; noisy labels are those of training alone."""
    data = _losses(part.rows, runs)
    of_lines = _marks(part.rows, "method", of_methods)
    shown = [images for images in CROSS_ENTROPIES.values() if images in set(data["images"])]
    titles = {
        (setting, images): ", ".join(filter(None, (setting, images)))
        for setting in part.settings
        for images in shown
    }
    figure, axes = panels(list(titles.values()), 1.4, most=len(shown), least=2.2, sharey=False)
    for (setting, images), title in titles.items():
        rows = data[(data["setting"] == setting) & (data["images"] == images)]
        log = _spans_decades(rows["cross_entropy"])
        lines(axes[title], rows, "epoch", "cross_entropy", of_lines, by="method", log=log)
    label_axes(figure, axes, "epoch", "cross-entropy, nats")
    legend(figure, of_lines, markers=data["epoch"].nunique() <= MARKED)
    what = "Cross-entropy of each epoch: of the labels trained on, and of the true ones of test images."
    spread = over_seeds(data, ["setting", "method", "images"])
    if any(axis.get_yscale() == "log" for axis in axes.values()):
        spread += " On logarithmic axes they are of the logarithms."
    columns = ["run", "seed", "dataset", "network", "method", "epoch", "images", "cross_entropy"]
    written = _settings(data, columns, part.settings)
    return Drawing(f"{NormLossTables.name}_cross_entropy", figure, written, _caption(what, spread, part))


def _losses(rows: pd.DataFrame, runs: Mapping[str, RunDirectory]) -> pd.DataFrame:
    """Tidy: one row an epoch, method, seed and loss; `images` says whether it is of training or test images."""
    parts = []
    for row in rows.to_dict("records"):
        names = {name: row[name] for name in ("run", "seed", "setting", "dataset", "network", "method")}
        parts.append(runs[str(row["run"])].metrics().assign(**names))
    metrics = pd.concat(parts, ignore_index=True)
    present = [name for name in CROSS_ENTROPIES if name in metrics]
    ids = ["run", "seed", "setting", "dataset", "network", "method", "epoch"]
    data = metrics.melt(ids, present, var_name="images", value_name="cross_entropy")
    data = evaluated(data, ["setting", "dataset", "network", "method", "images"], "cross_entropy")
    return data.assign(images=data["images"].map(CROSS_ENTROPIES))


def _spans_decades(losses: pd.Series) -> bool:
    return len(losses) > 0 and losses.min() > 0 and bool(losses.max() > DECADE * losses.min())
