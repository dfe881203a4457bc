"""Figures of the ranking of all methods under label noise, their rows in the order of what they show."""

from __future__ import annotations

import math
from collections.abc import Iterator

import matplotlib.pyplot as plt
import pandas as pd

from memstudy.derived.ranking import Ranking
from memstudy.derived.ranking.methods import QUANTITIES, Group, each_ranking
from memstudy.report.cells import span
from memstudy.report.color_scales import round_scale, scale_bar
from memstudy.report.heat_maps import (
    PERCENT,
    foot,
    heat_map,
    height,
    name_columns,
    name_rows,
    reach,
    row_labels,
)
from memstudy.report.marks import COLORS, GRAY, Mark
from memstudy.report.panels import fitting, legend_of, text_scale, wrapped
from memstudy.report.saving import Drawing
from memstudy.store.store import Selection

MAPPED = ("final", "memorized")
KINDS = {"one method": Mark(COLORS[0], "-", "o"), "several together": Mark(COLORS[4], "-", "s")}
CELL = 0.3  # inches on paper, of a cell with its number


def figures(selection: Selection) -> Iterator[Drawing]:
    """Heat maps by rate, a matrix of pairs, and gains with their intervals, of every group."""
    for group, suffix in each_ranking(selection):
        yield _rates(group, suffix)
        if len(of_pairs := pairs(group)):
            yield _matrices(of_pairs, group, suffix)
        if group.ranking["gain"].notna().any():
            yield _gains(group, suffix)


def over(group: Group) -> str:
    """A sentence on how many seeds a mean is over."""
    n = span(group.runs.groupby(["method", "corruption"]).size())
    return "One seed each (n = 1)." if n == "1" else f"Means over n = {n} seeds."


# Heat maps


def rates(group: Group) -> tuple[pd.DataFrame, str]:
    """Means over seeds of what is MAPPED, by `method`, its `place`, and `corruption`; and a caption."""
    shown = [measure for measure in MAPPED if measure in group.runs]
    order = list(group.ranking["method"])
    means = group.runs.groupby(["method", "corruption"])[shown].mean()
    data = means.reset_index().assign(place=lambda table: table["method"].map(order.index) + 1)
    caption = (
        f"Test accuracy after the last epoch, and the share of corrupted training samples that are memorized; "
        f"methods in the order of their mean rank. {over(group)} {group.title}."
    )
    return data.sort_values(["place", "corruption"], ignore_index=True), caption


def _rates(group: Group, suffix: str) -> Drawing:
    """Final accuracy and what is memorized: rows are methods, columns rates, all on one scale."""
    data, caption = rates(group)
    order = list(dict.fromkeys(data["method"]))
    maps = {
        name: data.pivot(index="method", columns="corruption", values=name)
        .reindex(index=order, columns=group.corruptions)
        .dropna(axis=1, how="all")
        for name in MAPPED
        if name in data
    }
    widths = [table.shape[1] for table in maps.values()]
    width = plt.rcParams["figure.figsize"][0]
    labels = row_labels(order)
    cell = (width - reach(labels) - 0.25 * text_scale()) / sum(widths)
    figure, axes = plt.subplots(
        1, len(maps), sharey=True, squeeze=False, width_ratios=widths, layout="constrained",
        figsize=(width, height(labels) + 0.7 * text_scale()),
    )  # fmt: skip
    ticks = round_scale(data[list(maps)].to_numpy().ravel())
    for axis, (name, table) in zip(axes[0], maps.items(), strict=True):
        heat_map(axis, table, ticks, cell, PERCENT)
        name_columns(axis, table.columns, cell)
        axis.set_title(wrapped(QUANTITIES[name][0], cell * table.shape[1]))
    name_rows(axes[0, 0], labels)
    scale_bar(figure, ticks, "% in all panels")
    return Drawing(f"{Ranking.name}_rates{suffix}", figure, data, caption)


# Pairs


def pairs(group: Group) -> pd.DataFrame:
    """Tidy: corruption, a, b, accuracy (mean over seeds), and the reference's; a method alone has a = b.

    Only methods that were trained alone are there; empty if no two of them were paired.
    """
    alone = {method[0]: name for name, method in group.methods.items() if len(method) == 1}
    placed = []
    for name, method in group.methods.items():
        parts = [alone[part] for part in method if part in alone]
        if len(parts) == len(method) and len(parts) in (1, 2):
            both = {(parts[0], parts[-1]), (parts[-1], parts[0])}
            placed += [{"method": name, "a": a, "b": b} for a, b in both]
    means = group.runs.groupby(["method", "corruption"])["final"].mean().rename("accuracy").reset_index()
    levels = means[means["method"] == group.reference].set_index("corruption")["accuracy"].to_dict()
    accuracies = (
        pd.DataFrame(placed, columns=["method", "a", "b"]).merge(means, on="method").drop(columns="method")
    )
    accuracies["reference"] = accuracies["corruption"].map(levels).astype(float)
    names = [*group.corruptions, *alone.values()]
    accuracies = accuracies.sort_values(
        ["corruption", "a", "b"], key=lambda column: column.map(names.index), ignore_index=True
    )
    return accuracies if (accuracies["a"] != accuracies["b"]).any() else accuracies.iloc[:0]


def _matrices(pairs: pd.DataFrame, group: Group, suffix: str) -> Drawing:
    """One panel a rate, all on one scale."""
    by_rate = {name: pairs[pairs["corruption"] == name] for name in dict.fromkeys(pairs["corruption"])}
    names = list(dict.fromkeys(pairs["a"]))
    labels, scale = row_labels(names), text_scale()
    width = plt.rcParams["figure.figsize"][0]
    across = fitting(min(3, len(by_rate)), reach(labels) / scale + CELL * len(names))
    down = -(-len(by_rate) // across)
    cell = (width - reach(labels) - 0.2 * scale * across) / across / len(names)
    panel = max(height(labels), 0.6 * cell * len(names))
    figure, axes = plt.subplots(
        down, across, squeeze=False, layout="constrained", sharex=True, sharey=True,
        figsize=(width, down * (panel + 0.3 * scale) + foot(names, cell) + 0.2 * scale),
    )  # fmt: skip
    ticks = round_scale(pairs["accuracy"])
    for axis in axes.flat[len(by_rate) :]:
        axis.axis("off")
    for axis, (corruption, rows) in zip(axes.flat, by_rate.items(), strict=False):
        wide = rows.pivot(index="a", columns="b", values="accuracy").reindex(index=names, columns=names)
        heat_map(axis, wide, ticks, cell, PERCENT)
        name_rows(axis, labels)
        name_columns(axis, names, cell)
        level = rows["reference"].iloc[0]
        words = "" if math.isnan(level) else f" ({group.reference}: {level:.1f})"
        axis.set_title(wrapped(f"{corruption}{words}", cell * len(names)))
    for axis in axes.flat[: len(by_rate)][-across:]:
        axis.tick_params(labelbottom=True)
    scale_bar(figure, ticks, "test accuracy, %")
    caption = (
        "Test accuracy after the last epoch of pairs of methods, and of each method alone on the diagonal. "
        f"{over(group)} {group.title}."
    )
    return Drawing(f"{Ranking.name}_pairs{suffix}", figure, pairs, caption)


# Gains


def gains(group: Group) -> tuple[pd.DataFrame, str]:
    """The gain of each method with its interval and test, the greatest first; and a caption."""
    columns = ["method", "regularizers", "gain", "gain_low", "gain_high", "gain_pairs", "gain_p", "gain_p_holm"]
    data = group.ranking.loc[group.ranking["gain"].notna(), columns]
    data = data.sort_values("gain", ascending=False, kind="stable", ignore_index=True)
    counts = group.ranking.set_index("method").loc[data["method"], "n"]
    bars = ", with 95 % intervals by t" if data["gain_low"].notna().any() else "; one seed has no interval"
    return data, (
        f"Gain in test accuracy over {group.reference} at the same rates and seed, mean over "
        f"{', '.join(group.ranked)} and over n = {span(counts)} seeds{bars}; methods in its order. {group.title}."
    )


def _gains(group: Group, suffix: str) -> Drawing:
    """Gain over the reference with its interval: one point a method, the greatest gain on top."""
    data, caption = gains(group)
    labels = row_labels(data["method"])
    width = plt.rcParams["figure.figsize"][0]
    figure, axis = plt.subplots(figsize=(width, height(labels) + 0.9 * text_scale()), layout="constrained")
    axis.axvline(0, color=GRAY, linestyle=":", linewidth=1, zorder=0.5)
    handles = {}
    for one, (kind, mark) in zip((True, False), KINDS.items(), strict=True):
        rows = data[data["regularizers"].eq(1) == one]
        if len(rows):
            arms = [(rows["gain"] - rows["gain_low"]).to_numpy(), (rows["gain_high"] - rows["gain"]).to_numpy()]
            handles[kind] = axis.errorbar(
                rows["gain"], rows.index, xerr=arms, fmt=mark.marker, color=mark.color, elinewidth=0.9
            )
    axis.set_yticks(data.index, labels)
    axis.set_ylim(len(data) - 0.4, -0.6)
    axis.set_xlabel(wrapped(f"gain over {group.reference}, percentage points", width - reach(labels)))
    if len(handles) > 1:
        legend_of(figure, handles)
    return Drawing(f"{Ranking.name}_gain{suffix}", figure, data, caption)
