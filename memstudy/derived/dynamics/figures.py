"""Figures of per-sample dynamics: what tells corrupted samples, when samples are learned, and their losses."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from memstudy.analysis.dynamics import SCORES
from memstudy.derived.dynamics import Dynamics
from memstudy.derived.dynamics.measure import AUCS, CLEAN, CORRUPTED, COUNTS, LOSSES, MIXTURE
from memstudy.derived.reading import each_group
from memstudy.report.lettering import style
from memstudy.report.saving import Drawing
from memstudy.store.store import Selection

AS_NOISY, AS_TRUE = "corrupted, noisy label", "corrupted, true label"
SERIES = {
    ("first_learned", CLEAN): CLEAN,
    ("first_learned", CORRUPTED): AS_NOISY,
    ("first_learned_true", CORRUPTED): AS_TRUE,
}
BARS = 25  # of a histogram of epochs, at most
PANELS_ACROSS = 4  # panels
COLORS = (0, 1, 2, 3, 4, 5, 7, 9)  # of the palette, for the scores: without the palest


def figures(selection: Selection) -> Iterator[Drawing]:
    """Three figures of every group of comparable runs."""
    for table, name, make in (
        (AUCS, f"{Dynamics.name}_auc", _aucs),
        (COUNTS, f"{Dynamics.name}_learned", _learned),
        (LOSSES, f"{Dynamics.name}_losses", _losses),
    ):
        for setting, rows, suffix in each_group(selection, table):
            if (drawn := make(rows)) is not None:
                figure, data, subject = drawn
                words = textwrap.fill(
                    f"{subject}; {setting.title}", max(48, int(11 * figure.get_size_inches()[0]))
                )
                figure.suptitle(words, y=1.01, va="bottom", fontsize="medium")
                yield Drawing(f"{name}{suffix}", figure, data)


def _aucs(rows: pd.DataFrame) -> tuple[Figure, pd.DataFrame, str] | None:
    """One panel a label, one line a score; None if all samples are corrupted, or none."""
    data = rows[["run", "seed", "label", "epoch", "score", "auc"]].dropna()
    if data.empty:
        return None
    shown = data.assign(score=data["score"].map(SCORES))
    order = list(SCORES.values())
    at_once, over_all = ("", (4, 1.5))
    colors = sns.color_palette("colorblind")
    dashes = dict(zip(order, [at_once] * 4 + [over_all] * 4, strict=True))
    with style("ticks"):
        grid = sns.relplot(
            data=shown, kind="line", x="epoch", y="auc", hue="score", hue_order=order, style="score",
            style_order=order, dashes=dashes, palette=[colors[index] for index in COLORS], errorbar="sd",
            col="label", col_wrap=min(PANELS_ACROSS, shown["label"].nunique()), height=2.6, aspect=1.1,
        )  # fmt: skip
    for name, axis in grid.axes_dict.items():
        axis.set_title(textwrap.fill(str(name), 30), fontsize="medium")
        axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axis.axhline(0.5, color="0.6", linestyle=":", linewidth=1)
    grid.legend.set_title(None)
    grid.set_axis_labels("epoch", "ROC AUC")
    return grid.figure, data, "telling corrupted from clean samples, by the epoch (solid) or all up to it (dashed)"


def _learned(rows: pd.DataFrame) -> tuple[Figure, pd.DataFrame, str]:
    """One panel a label: shares of samples by the epoch that first predicts their label."""
    keys = zip(rows["quantity"], rows["group"], strict=True)
    rows = rows.assign(series=[SERIES.get(key, "") for key in keys])
    rows = rows[rows["series"] != ""]
    counts = rows.groupby(["label", "series", "value", "epochs"], sort=False)["count"].sum().reset_index()
    total = counts.groupby(["label", "series"])["count"].transform("sum")
    data = counts.assign(percent=100 * counts["count"] / total)
    figure, panels = _panels(list(dict.fromkeys(data["label"])))
    colors = dict(zip((CLEAN, AS_NOISY, AS_TRUE), sns.color_palette("colorblind"), strict=False))
    for label, axis in panels.items():
        _histogram(axis, data[data["label"] == label], colors)
    handles: list[Artist] = [Patch(color=colors[name], alpha=0.6) for name in (CLEAN, AS_NOISY)]
    handles.append(Line2D([], [], color=colors[AS_TRUE], linestyle="--"))
    return _finished(figure, handles, list(colors)), data, "the epoch that first predicts a sample's label"


def _panels(labels: list[str]) -> tuple[Figure, dict[str, Axes]]:
    across = min(PANELS_ACROSS, len(labels))
    down = -(-len(labels) // across)
    with style("ticks"):
        figure, axes = plt.subplots(
            down, across, figsize=(2.9 * across + 0.4, 2.1 * down + 0.6), squeeze=False, sharey=True,
            layout="constrained",
        )  # fmt: skip
    for axis in axes.flat[len(labels) :]:
        axis.axis("off")
    for row in axes:
        row[0].set_ylabel("samples, %")
    for axis, label in zip(axes.flat, labels, strict=False):
        axis.set_title(textwrap.fill(label, 30), fontsize="medium")
        axis.set_xlabel("epoch")
    sns.despine(figure)
    return figure, dict(zip(labels, axes.flat, strict=False))


def _histogram(axis: Axes, rows: pd.DataFrame, colors: dict[str, tuple[float, float, float]]) -> None:
    """Bars over epochs (in a long run, several epochs a bar), and one bar apart for never."""
    epochs = int(rows["epochs"].max())
    width = -(-epochs // BARS)
    edges = np.arange(0, epochs + width, width)
    apart = edges[-1] + width
    for series, color in colors.items():
        of_series = rows[rows["series"] == series]
        learned = of_series[of_series["value"] < of_series["epochs"]]
        heights, _ = np.histogram(learned["value"], edges, weights=learned["percent"])
        never = 100 - heights.sum() if len(of_series) else 0
        for values, places in ((heights, edges), ([never], [apart, apart + 1.5 * width])):
            if series != AS_TRUE:  # an outline alone: it lies on that of clean samples
                axis.stairs(values, places, fill=True, alpha=0.35, color=color)
            axis.stairs(values, places, color=color, linestyle="--" if series == AS_TRUE else "-")
    inner = [tick for tick in axis.get_xticks() if 0 <= tick < 0.9 * edges[-1] and tick == int(tick)]
    axis.set_xticks([*(tick + width / 2 for tick in inner), apart + 0.75 * width])
    axis.set_xticklabels([*(f"{tick:.0f}" for tick in inner), "never"])


def _losses(rows: pd.DataFrame) -> tuple[Figure, pd.DataFrame, str]:
    """A row a label, a column an epoch: the losses of one seed, and the mixture fitted to them."""
    seeds = rows.groupby("label")["seed"].transform("min")
    data = rows.loc[rows["seed"] == seeds, ["run", "seed", "label", "epoch", "part", "loss", "density"]]
    data = data[data["run"] == data.groupby("label")["run"].transform("first")]
    labels, epochs = list(dict.fromkeys(data["label"])), sorted(set(data["epoch"]))
    with style("ticks"):
        figure, axes = plt.subplots(
            len(labels), len(epochs), squeeze=False, layout="constrained",
            figsize=(2.1 * len(epochs) + 0.6, 1.35 * len(labels) + 0.7),
        )  # fmt: skip
    colors = dict(zip((CLEAN, CORRUPTED), sns.color_palette("colorblind"), strict=False))
    for label, row in zip(labels, axes, strict=True):
        for epoch, axis in zip(epochs, row, strict=True):
            _distribution(axis, data[(data["label"] == label) & (data["epoch"] == epoch)], colors)
        row[0].set_ylabel(textwrap.fill(label, 16))
    for epoch, axis in zip(epochs, axes[0], strict=True):
        axis.set_title(f"epoch {epoch}", fontsize="medium")
    for axis in axes[-1]:
        axis.set_xlabel("loss, nats")
    sns.despine(figure)
    patches = [Patch(color=color, alpha=0.5) for color in colors.values()]
    lines = [Line2D([], [], color=color, linestyle="--") for color in colors.values()]
    figure = _finished(figure, [*patches, *lines], [*colors, *MIXTURE.values()])
    return figure, data, "training losses of one seed, density; and a mixture of two Gaussians"


def _distribution(axis: Axes, rows: pd.DataFrame, colors: dict[str, tuple[float, float, float]]) -> None:
    axis.set(yticks=[])
    if rows.empty:
        axis.axis("off")
        return
    highest = rows.loc[rows["part"].isin(colors), "density"].max()
    for group, color in colors.items():
        measured = rows[rows["part"] == group]
        axis.fill_between(measured["loss"], measured["density"], step="mid", color=color, alpha=0.5, linewidth=0)
        fitted = rows[rows["part"] == MIXTURE[group]]
        axis.plot(fitted["loss"], fitted["density"], color=color, linestyle="--", linewidth=1)
    axis.set_ylim(0, 1.08 * highest)


def _finished(figure: Figure, handles: Sequence[Artist], labels: list[str]) -> Figure:
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize="small")
    figure.draw_without_rendering()  # lays it out, before its bounds are asked for
    figure.set_layout_engine("none")
    return figure
