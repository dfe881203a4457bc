"""Figures of importance landscapes: how they look, how flat they become, and accuracy under noise."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from memstudy.derived.kept import INITIAL
from memstudy.derived.landscape import Landscape
from memstudy.derived.landscape.measure import FLATNESS, MAPS, MEASURED, NOISE, PREDICTED
from memstudy.derived.landscape.tables import PANELS, panels, percent
from memstudy.derived.reading import read
from memstudy.regularizers import BARE
from memstudy.report.cells import number
from memstudy.report.differences import mean_over_runs
from memstudy.report.frames import comparable_runs, is_last, merged
from memstudy.report.lettering import set_math, style
from memstudy.report.saving import Drawing
from memstudy.store.store import Selection

SIDE = 1.35  # inches, of one heat map
WIDE = 8  # heat maps side by side
MOST_TOGETHER = 8  # labels whose lines share panels; of more, each has its own


@dataclass(frozen=True)
class Panel:
    """Words for both axes of a panel of lines, and the scale of y."""

    x: str
    y: str
    scale: str = "linear"


FLAT = {
    "cv": Panel("epochs trained", "cv of importance"),
    "max_over_min": Panel("epochs trained", "max/min of importance", "log"),
}
NOISES = {
    "gaussian": Panel("Gaussian noise, σ", "accuracy on true labels, %"),
    "salt-and-pepper": Panel("salt-and-pepper, rate", "accuracy on true labels, %"),
}


def figures(selection: Selection) -> Iterator[Drawing]:
    """Heat maps, flatness over training, and accuracy against noise, of every group of comparable runs."""
    maps, flat, noise = (read(selection.path / name) for name in (MAPS, FLATNESS, NOISE))
    for setting, members in comparable_runs(selection):
        if len(rows := panels(maps, members)):
            by = ["label", "panel", "row", "column"]
            means = mean_over_runs(rows, by, "value").rename(columns={"mean": "importance"})
            yield Drawing(
                f"{Landscape.name}{setting.suffix}", _maps(means, _variations(rows), setting.title), means
            )
        if len(rows := merged(flat, members)) and (rows["epoch"] != INITIAL).any():
            data = rows[["run", "seed", "label", "epoch", "kind", *FLAT]]
            yield Drawing(f"{Landscape.name}_flatness{setting.suffix}", _over_training(data, setting.title), data)
        if len(rows := merged(noise, members)):
            data = percent(rows[is_last(rows)])[["run", "seed", "label", "noise", "strength", "accuracy"]]
            yield Drawing(f"{Landscape.name}_noise{setting.suffix}", _under_noise(data, setting.title), data)


def _variations(rows: pd.DataFrame) -> pd.Series:
    """The coefficient of variation, mean over runs, by label and panel."""
    of_runs = rows.groupby(["label", "panel", "run"])["value"].agg(
        lambda values: values.std(ddof=0) / values.mean()
    )
    return of_runs.groupby(["label", "panel"]).mean()


def _maps(means: pd.DataFrame, variations: pd.Series, title: str) -> Figure:
    """One column a label, WIDE of them side by side; one row a panel, on one scale in all of them."""
    labels = list(dict.fromkeys(means["label"]))
    blocks = [labels[start : start + WIDE] for start in range(0, len(labels), WIDE)]
    shown = [panel for panel in PANELS.values() if panel in set(means["panel"])]
    size = (SIDE * len(blocks[0]) + 1.6, ((SIDE + 0.25) * len(shown) + 0.3) * len(blocks) + 0.2)
    with style():
        figure, axes = plt.subplots(
            len(shown) * len(blocks), len(blocks[0]), figsize=size, squeeze=False, layout="constrained"
        )
        for row, (block, panel) in zip(axes, itertools.product(blocks, shown), strict=True):
            part = means[means["panel"] == panel]
            for axis, name in itertools.zip_longest(row, block):
                _map(axis, part[part["label"] == name], part["importance"].max())
                if name is not None:
                    axis.set_xlabel(f"cv {number(variations.get((name, panel)), '.2f')}", fontsize="small")
                if name is not None and panel == shown[0]:
                    _head(axis, name)
            row[0].set_ylabel(textwrap.fill(panel, 16), visible=True)
            figure.colorbar(next(image for axis in row for image in axis.images), ax=row, aspect=12, pad=0.02)
        figure.suptitle(
            textwrap.fill(f"importance of pixels, mean 1, mean over seeds; {title}", max(48, int(11 * size[0]))),
            fontsize="medium",
        )
        set_math(figure)
        figure.draw_without_rendering()  # lays it out, before its bounds are asked for
        figure.set_layout_engine("none")
    return figure


def _head(axis: Axes, label: str) -> None:
    lines = [textwrap.fill(part, 20) for part in label.replace(" (", "\n(").splitlines()]
    axis.set_title("\n".join(lines), fontsize="medium" if len(label) <= 16 else "small")


def _map(axis: Axes, part: pd.DataFrame, highest: float) -> None:
    """A heat map of one landscape; nothing if there is none."""
    axis.set(xticks=[], yticks=[])
    if part.empty:
        axis.axis("off")
    else:
        grid = part.pivot(index="row", columns="column", values="importance")
        axis.imshow(grid.to_numpy(), cmap="viridis", vmin=0, vmax=highest)


def _over_training(data: pd.DataFrame, title: str) -> Figure:
    """Flatness of measured landscapes, before training (0) and after the epochs that were looked at."""
    tidy = data.melt(["label", "epoch", "kind"], list(FLAT), "panel", "y")
    measured = tidy[tidy["kind"] == MEASURED].assign(x=lambda rows: rows["epoch"] + 1)
    finite = measured.groupby(["label", "panel", "x"])["y"].transform(lambda values: np.isfinite(values).all())
    theory = tidy[(tidy["kind"] == PREDICTED) & (tidy["epoch"] == INITIAL)]
    levels = theory[np.isfinite(theory["y"])].groupby(["label", "panel"], sort=False)["y"].mean()
    words = f"flatness of importance landscapes over training; dotted: predicted, before training; {title}"
    return _lines(measured[finite], FLAT, words, levels)


def _under_noise(data: pd.DataFrame, title: str) -> Figure:
    tidy = data.rename(columns={"noise": "panel", "strength": "x", "accuracy": "y"})
    return _lines(tidy, NOISES, title, pd.Series(dtype=float))


def _lines(data: pd.DataFrame, panels: Mapping[str, Panel], title: str, levels: pd.Series) -> Figure:
    """Lines of `y` over `x` by `label` and `panel`, mean and standard deviation over seeds.

    `levels`, by label and panel, are references, drawn as dotted lines.
    """
    labels = list(dict.fromkeys(data["label"]))
    apart = len(labels) > MOST_TOGETHER
    words = f"{title}; gray: {BARE}" if apart and BARE in labels else title
    with style("ticks"):
        figure = (_apart if apart else _together)(data, panels, levels, labels)
        figure.suptitle(textwrap.fill(words, max(48, int(12 * figure.get_figwidth()))), fontsize="medium")
        sns.despine(figure)
        if data["x"].dtype.kind == "i":
            for axis in figure.axes:
                axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        set_math(figure)
        figure.draw_without_rendering()  # lays it out, before its bounds are asked for
        figure.set_layout_engine("none")
    return figure


def _together(data: pd.DataFrame, panels: Mapping[str, Panel], levels: pd.Series, labels: list[str]) -> Figure:
    """One panel beside the other, in each a line a label."""
    alike = len({panel.y for panel in panels.values()}) == 1
    figure, axes = plt.subplots(
        1, len(panels), figsize=(3.2 * len(panels) + 1.2, 2.9), squeeze=False, sharey=alike, layout="constrained"
    )
    colors = dict(zip(labels, sns.color_palette("colorblind"), strict=False))
    shown: tuple[Sequence[Any], Sequence[Any]] = [], []
    for (name, panel), axis in zip(panels.items(), axes[0], strict=True):
        axis.set_yscale(panel.scale)
        if len(of_panel := data[data["panel"] == name]):  # ratios may be infinite everywhere
            sns.lineplot(
                of_panel, x="x", y="y", hue="label", hue_order=labels, palette=colors, style="label",
                style_order=labels, markers=True, dashes=False, errorbar="sd", ax=axis,
            )  # fmt: skip
            shown = axis.get_legend_handles_labels()
            axis.get_legend().remove()
        for label, level in _told_apart(levels, name, labels).items():
            axis.axhline(level, color=colors.get(label, "0.4"), linestyle=":", linewidth=1.2)
        axis.set(xlabel=panel.x, ylabel="" if alike and axis is not axes[0, 0] else panel.y)
    figure.legend(*shown, loc="outside right center", frameon=False)
    return figure


def _told_apart(levels: pd.Series, name: str, labels: list[str]) -> dict[str, float]:
    """A panel's levels by label; a single one, without a label, if all are equal to a hundredth."""
    by_label = {label: float(levels[label, name]) for label in labels if (label, name) in levels}
    equal = len(by_label) > 0 and max(by_label.values()) <= 1.01 * min(by_label.values())
    return {"": next(iter(by_label.values()))} if equal else by_label


def _apart(data: pd.DataFrame, panels: Mapping[str, Panel], levels: pd.Series, labels: list[str]) -> Figure:
    """One column a label, WIDE of them side by side; one row a panel, on one scale. Bare is gray in all."""
    blocks = [labels[start : start + WIDE] for start in range(0, len(labels), WIDE)]
    rows = list(itertools.product(blocks, panels))
    size = (SIDE * WIDE + 0.8, SIDE * len(rows) + 0.6)
    figure, axes = plt.subplots(len(rows), WIDE, figsize=size, squeeze=False, layout="constrained")
    for row, (block, name) in zip(axes, rows, strict=True):
        shown = data[data["panel"] == name]
        for axis, label in itertools.zip_longest(row, block):
            axis.set(visible=label is not None, yscale=panels[name].scale)
            sns.lineplot(shown[shown["label"] == BARE], x="x", y="y", color="0.7", errorbar=None, ax=axis)
            of_label = shown[shown["label"] == label]
            sns.lineplot(of_label, x="x", y="y", marker="o", markersize=4, errorbar="sd", ax=axis)
            if (label, name) in levels:
                axis.axhline(levels[label, name], color="0.4", linestyle=":", linewidth=1.2)
            axis.set(xlabel="", ylabel="")
            axis.tick_params(labelleft=axis is row[0])
            if label is not None and name == next(iter(panels)):
                _head(axis, label)
        row[0].set(xlabel=panels[name].x, ylabel=textwrap.fill(panels[name].y, 14))
    for index in range(len(panels)):
        _one_scale([axis for axis in axes[index :: len(panels)].flat if axis.get_visible()])
    return figure


def _one_scale(axes: Sequence[Axes]) -> None:
    bounds = [axis.get_ylim() for axis in axes]
    for axis in axes:
        axis.set_ylim(min(low for low, _ in bounds), max(high for _, high in bounds))
