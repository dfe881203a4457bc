"""Figures of per-sample dynamics: what tells corrupted samples, when samples are learned, and their losses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, SymmetricalLogLocator

from memstudy.analysis.dynamics import SCORES
from memstudy.derived.dynamics import Dynamics
from memstudy.derived.dynamics.measure import AUCS, CLEAN, CORRUPTED, COUNTS, LOSSES, MIXTURE
from memstudy.derived.reading import each_group
from memstudy.report.cells import span
from memstudy.report.frames import Setting
from memstudy.report.marks import COLORS, DASHES, MARKERS, Mark
from memstudy.report.panels import (
    Kind,
    fitting,
    label_axes,
    legend,
    legend_of,
    level,
    lines,
    of_part,
    over_seeds,
    paged,
    panel_rows,
    panels,
    rows_fit_page,
    text_scale,
    wrapped,
)
from memstudy.report.saving import Drawing
from memstudy.store.store import Selection

AS_NOISY, AS_TRUE = "corrupted, noisy label", "corrupted, true label"
SERIES = {
    ("first_learned", CLEAN): CLEAN,
    ("first_learned", CORRUPTED): AS_NOISY,
    ("first_learned_true", CORRUPTED): AS_TRUE,
}
OF_SERIES = {CLEAN: "#0072B2", AS_NOISY: "#D55E00", AS_TRUE: "#009E73"}
OF_GROUPS = {CLEAN: OF_SERIES[CLEAN], CORRUPTED: OF_SERIES[AS_NOISY]}
HATCHES = {CLEAN: None, AS_NOISY: "//////", CORRUPTED: "//////"}  # so that groups are told apart in gray, too
BARS = 25  # of a histogram of epochs, at most
REFERENCE = "loss"
OF_ONE_EPOCH = 4  # the first of SCORES; the others are of all epochs up to it
KINDS = {
    "auc": Kind("epoch", "ROC AUC"),
    "difference": Kind("epoch", "AUC minus loss's"),
}
TELLING = (
    "Telling corrupted from clean training samples: ROC AUC of scores of one epoch (solid) or of all up to it "
    "(dashed),"
)
ALIKE = 0.01  # differences of AUC up to which their axis is linear
OF_SCORES = {
    score: Mark(COLORS[place], DASHES[place >= OF_ONE_EPOCH], MARKERS[place])
    for place, score in enumerate(SCORES.values())
}
DECADES = 3.5  # of density below the highest that are shown


def figures(selection: Selection) -> Iterator[Drawing]:
    """Three figures of every group of comparable runs."""
    for setting, rows, suffix in each_group(selection, AUCS):
        pages = paged(list(dict.fromkeys(rows["label"])), partial(rows_fit_page, kinds=KINDS))
        for place, labels in enumerate(pages, start=1):
            if (drawn := _aucs(rows[rows["label"].isin(labels)], setting, suffix + of_part(place))) is not None:
                part = f" Part {place} of {len(pages)}." if len(pages) > 1 else ""
                yield replace(drawn, caption=drawn.caption + part)
    for table, make in ((COUNTS, _learned), (LOSSES, _losses)):
        for setting, rows, suffix in each_group(selection, table):
            if (drawn := make(rows, setting, suffix)) is not None:
                yield drawn


# What tells corrupted samples from clean ones


def aucs(rows: pd.DataFrame) -> pd.DataFrame:
    """ROC AUC of each score and its `difference` to the loss's of the same run and epoch.

    Empty if all samples are corrupted, or none.
    """
    data = rows[["run", "seed", "label", "epoch", "score", "auc"]].dropna()
    losses = data[data["score"] == REFERENCE].set_index(["run", "epoch"])["auc"]
    data = data.join(losses.rename("difference"), on=["run", "epoch"])
    return data.assign(difference=data["auc"] - data["difference"])


def _aucs(rows: pd.DataFrame, setting: Setting, suffix: str) -> Drawing | None:
    """Two panels a label, one line a score; None if all samples are corrupted, or none.

    Most scores have almost the same AUC, so the second panel is of their difference to that of the loss.
    """
    data = aucs(rows)
    if data.empty:
        return None
    shown = data.assign(score=data["score"].map(SCORES))
    figure, axes = panel_rows(list(dict.fromkeys(shown["label"])), KINDS)
    for (label, kind), axis in axes.items():
        here = shown[(shown["label"] == label) & ((kind == "auc") | (shown["score"] != SCORES[REFERENCE]))]
        lines(axis, here, "epoch", kind, OF_SCORES, by="score")
        for line, mark in zip(axis.lines, _drawn(here, OF_SCORES), strict=True):
            line.set(
                marker=mark.marker, markevery=max(1, here["epoch"].nunique() // 6), markersize=2.6 * text_scale()
            )
        axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        if kind == "difference":
            axis.set_yscale("symlog", linthresh=ALIKE)
            axis.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=ALIKE))
            axis.yaxis.set_major_formatter("{x:g}")
        level(axis, 0 if kind == "difference" else 0.5)
    legend(figure, OF_SCORES, markers=True)
    caption = (
        f"{TELLING} and their difference to the AUC of the same run's loss at the same epoch, on an axis that is "
        f"linear to ±{ALIKE:g} and logarithmic beyond. {over_seeds(data, ['label', 'epoch'])} {setting.title}."
    )
    return Drawing(f"{Dynamics.name}_auc{suffix}", figure, data, caption)


def _drawn(rows: pd.DataFrame, marks: Mapping[str, Mark]) -> list[Mark]:
    """The marks of the scores that there are, in the order of drawing."""
    return [mark for score, mark in marks.items() if score in set(rows["score"])]


# When samples are learned


def learned(rows: pd.DataFrame, setting: Setting) -> tuple[pd.DataFrame, str]:
    """Samples of each method and series by `value`, the epoch that first predicts them; and a caption.

    `value` is `epochs`, the number of epochs, where none does; `percent` are of the series.
    """
    keys = zip(rows["quantity"], rows["group"], strict=True)
    rows = rows.assign(series=[SERIES.get(key, "") for key in keys])
    rows = rows[rows["series"] != ""]
    counts = rows.groupby(["label", "series", "value", "epochs"], sort=False)["count"].sum().reset_index()
    total = counts.groupby(["label", "series"])["count"].transform("sum")
    n = span(rows.groupby("label")["run"].nunique())
    return counts.assign(percent=100 * counts["count"] / total), (
        "The epoch that first predicts a sample's label, of clean samples, and of corrupted ones by their noisy "
        f"and by their true label; shares of the samples of n = {n} runs of each method. {setting.title}."
    )


def _learned(rows: pd.DataFrame, setting: Setting, suffix: str) -> Drawing:
    """One panel a label: shares of samples by the epoch that first predicts their label."""
    data, caption = learned(rows, setting)
    figure, axes = panels(list(dict.fromkeys(data["label"])), sharex=False)
    for label, axis in axes.items():
        _histogram(axis, data[data["label"] == label])
    label_axes(figure, axes, "epoch", "samples, %")
    handles: dict[str, Artist] = {name: _patch(name, OF_SERIES[name]) for name in (CLEAN, AS_NOISY)}
    handles[AS_TRUE] = Line2D([], [], color=OF_SERIES[AS_TRUE], linestyle="--")
    legend_of(figure, {name: handle for name, handle in handles.items() if name in set(data["series"])})
    return Drawing(f"{Dynamics.name}_learned{suffix}", figure, data, caption)


def _patch(group: str, color: str) -> Patch:
    return Patch(facecolor=(color, 0.35), edgecolor=color, hatch=HATCHES[group])


def _histogram(axis: Axes, rows: pd.DataFrame) -> None:
    """Bars over epochs (in a long run, several epochs a bar), and one bar apart for never."""
    epochs = int(rows["epochs"].max())
    width = -(-epochs // BARS)
    edges = np.arange(0, epochs + width, width)
    apart = edges[-1] + width
    for series, color in OF_SERIES.items():
        of_series = rows[rows["series"] == series]
        learned = of_series[of_series["value"] < of_series["epochs"]]
        heights, _ = np.histogram(learned["value"], edges, weights=learned["percent"])
        never = 100 - heights.sum() if len(of_series) else 0
        for values, places in ((heights, edges), ([never], [apart, apart + 1.5 * width])):
            if series == AS_TRUE:  # an outline alone: it lies on that of clean samples
                axis.stairs(values, places, color=color, linestyle="--")
            else:
                axis.stairs(
                    values, places, fill=True, facecolor=(color, 0.35), hatch=HATCHES[series], edgecolor=color
                )
    inner = [
        tick for tick in MaxNLocator(3, integer=True).tick_values(0, edges[-1]) if 0 <= tick < 0.75 * edges[-1]
    ]
    axis.set_xticks([*(tick + width / 2 for tick in inner), apart + 0.75 * width])
    axis.set_xticklabels([*(f"{tick:.0f}" for tick in inner), "never"])


# Losses


def losses(rows: pd.DataFrame, setting: Setting) -> tuple[pd.DataFrame, str]:
    """The density of losses, and of the mixture fitted to them, of one run of each method; and a caption."""
    seeds = rows.groupby("label")["seed"].transform("min")
    data = rows.loc[rows["seed"] == seeds, ["run", "seed", "label", "epoch", "part", "loss", "density"]]
    data = data[data["run"] == data.groupby("label")["run"].transform("first")]
    return data, (
        "Density of training losses (per nat, on logarithmic axes) of clean and of corrupted samples, whose areas "
        "add up to 1, and the two components of a mixture of two Gaussians fitted to all. One run of each method "
        f"(n = 1, seed {span(data['seed'])}). {setting.title}."
    )


def _losses(rows: pd.DataFrame, setting: Setting, suffix: str) -> Drawing:
    """A row a label, a column an epoch: the losses of one seed, and the mixture fitted to them."""
    data, caption = losses(rows, setting)
    labels, epochs = list(dict.fromkeys(data["label"])), sorted(set(data["epoch"]))
    width, scale = plt.rcParams["figure.figsize"][0], text_scale()
    across = fitting(len(epochs), 1.3)
    shown = [epochs[place] for place in np.linspace(0, len(epochs) - 1, across).round().astype(int)]
    size = (width, len(labels) * 1.05 * scale + 0.6 * scale)
    figure, axes = plt.subplots(len(labels), across, figsize=size, squeeze=False, layout="constrained")
    for label, row in zip(labels, axes, strict=True):
        for epoch, axis in zip(shown, row, strict=True):
            _distribution(axis, data[(data["label"] == label) & (data["epoch"] == epoch)])
        row[0].set_ylabel(wrapped(label, 1.0 * scale))
    for epoch, axis in zip(shown, axes[0], strict=True):
        axis.set_title(f"epoch {epoch}")
    for axis in axes[-1]:
        axis.set_xlabel("loss, nats")
    handles: dict[str, Artist] = {group: _patch(group, color) for group, color in OF_GROUPS.items()}
    dashes = {MIXTURE[group]: Line2D([], [], color=color, linestyle="--") for group, color in OF_GROUPS.items()}
    legend_of(figure, handles | dashes)
    return Drawing(f"{Dynamics.name}_losses{suffix}", figure, data, caption)


def _distribution(axis: Axes, rows: pd.DataFrame) -> None:
    """Whole bins, on a scale that has the highest density of samples and of the mixture, and all that there is."""
    if rows.empty:  # a run that has other epochs; the label of its row stays
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        return
    for group, color in OF_GROUPS.items():
        measured = rows[rows["part"] == group]
        axis.stairs(
            measured["density"], _edges(measured["loss"].to_numpy()), fill=True, facecolor=(color, 0.35),
            hatch=HATCHES[group], edgecolor=color, linewidth=0.5,
        )  # fmt: skip
        fitted = rows[rows["part"] == MIXTURE[group]]
        axis.plot(fitted["loss"], fitted["density"], color=color, linestyle="--", linewidth=0.9 * text_scale())
    axis.set_yscale("log")
    axis.set_ylim(*ends(rows))
    axis.yaxis.set_major_locator(LogLocator(numticks=3))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_locator(MaxNLocator(3))


def ends(rows: pd.DataFrame) -> tuple[float, float]:
    """The least and the highest density that are shown."""
    samples = rows.loc[rows["part"].isin(OF_GROUPS) & (rows["density"] > 0), "density"]
    top = max(rows["density"].max(), samples.max())
    return max(0.6 * samples.min(), samples.max() / 10**DECADES), 1.8 * top


def _edges(centers: np.ndarray) -> np.ndarray:
    """The edges of bins of one width."""
    half = (centers[1] - centers[0]) / 2 if len(centers) > 1 else 0.5
    return np.append(centers - half, centers[-1] + half)
