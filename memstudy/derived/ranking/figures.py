"""Figures of the ranking of all methods under label noise, their rows in its order."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memstudy.derived.ranking import Ranking
from memstudy.derived.ranking.methods import QUANTITIES, Group, ranking_groups
from memstudy.regularizers import BARE
from memstudy.report.frames import suffixed
from memstudy.report.lettering import style
from memstudy.report.saving import Drawing
from memstudy.store.store import Selection

ALONE, TOGETHER = "alone", "together"
MAPPED = ("final", "memorized")
TITLES = {"pairs": "test accuracy, %, of pairs, and of each method alone on the diagonal\n"}
CELL, ROW = 0.62, 0.24  # inches: a cell's width, and a row's height


def figures(selection: Selection) -> Iterator[Drawing]:
    """Heat maps by rate, a matrix of pairs, and gains with their intervals, of every group."""
    for group, suffix in suffixed(ranking_groups(selection)):
        for name, (figure, data) in _figures(group).items():
            words = textwrap.fill(group.title, max(48, int(11 * figure.get_size_inches()[0])))
            figure.suptitle(TITLES.get(name, "") + words, y=1.01, va="bottom", fontsize="medium")
            yield Drawing(f"{Ranking.name}_{name}{suffix}", figure, data)


def _figures(group: Group) -> dict[str, tuple[Figure, pd.DataFrame]]:
    drawn = {"rates": _rates(group)}
    if len(pairs := _pairs(group)):
        drawn["pairs"] = _matrices(pairs), pairs
    if group.ranking["gain"].notna().any():
        drawn["gain"] = _gains(group)
    return drawn


def _rates(group: Group) -> tuple[Figure, pd.DataFrame]:
    """Final accuracy and what is memorized: rows are methods, columns rates."""
    shown = [measure for measure in MAPPED if measure in group.runs]
    order = list(group.ranking["method"])
    means = group.runs.groupby(["method", "corruption"])[shown].mean()
    panels = {
        name: means[name]
        .unstack("corruption")
        .reindex(index=order, columns=group.corruptions)
        .dropna(axis=1, how="all")
        for name in shown
    }
    widths = [panel.shape[1] for panel in panels.values()]
    with style():
        figure, axes = plt.subplots(
            1, len(shown), sharey=True, squeeze=False, width_ratios=widths, layout="constrained",
            figsize=(CELL * sum(widths) + 2.2 + 0.5 * len(shown), ROW * len(order) + 1.4),
        )  # fmt: skip
        for axis, (name, panel), colors in zip(axes[0], panels.items(), ("viridis", "rocket_r"), strict=False):
            _heat_map(axis, panel, colors)
            axis.set_title(QUANTITIES[name][0])
        _lay_out(figure)
    data = means.reset_index().assign(place=lambda table: table["method"].map(order.index) + 1)
    return figure, data.sort_values(["place", "corruption"], ignore_index=True)


def _heat_map(axis: Axes, panel: pd.DataFrame, colors: str) -> None:
    sns.heatmap(
        panel, ax=axis, cmap=colors, annot=True, fmt=".1f", annot_kws={"fontsize": 7}, cbar=False,
        linewidths=0.5, linecolor="white",
    )  # fmt: skip
    axis.set(xlabel="", ylabel="")
    axis.tick_params(length=0)
    axis.set_xticks(axis.get_xticks(), [textwrap.fill(str(name), 10) for name in panel.columns], rotation=0)
    axis.tick_params(axis="y", rotation=0)


def _lay_out(figure: Figure) -> None:
    figure.draw_without_rendering()  # lays it out, before its bounds are asked for
    figure.set_layout_engine("none")


def _pairs(group: Group) -> pd.DataFrame:
    """Tidy: corruption, a, b, accuracy (mean over seeds), and bare's accuracy; a method alone has a = b.

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
    bare = means[means["method"] == BARE].set_index("corruption")["accuracy"].to_dict()
    accuracies = (
        pd.DataFrame(placed, columns=["method", "a", "b"]).merge(means, on="method").drop(columns="method")
    )
    accuracies["bare"] = accuracies["corruption"].map(bare).astype(float)
    names = [*group.corruptions, *alone.values()]
    accuracies = accuracies.sort_values(
        ["corruption", "a", "b"], key=lambda column: column.map(names.index), ignore_index=True
    )
    return accuracies if (accuracies["a"] != accuracies["b"]).any() else accuracies.iloc[:0]


def _matrices(pairs: pd.DataFrame) -> Figure:
    """One panel a rate, each with its own color scale, as rates differ by more than methods do."""
    panels = {name: pairs[pairs["corruption"] == name] for name in dict.fromkeys(pairs["corruption"])}
    names = list(dict.fromkeys(pairs["a"]))
    across = min(2, len(panels))
    down = -(-len(panels) // across)
    side = CELL * len(names)
    with style():
        figure, axes = plt.subplots(
            down, across, squeeze=False, layout="constrained",
            figsize=(max(3.0, side + 0.8) * across, (0.6 * side + 1.0) * down),
        )  # fmt: skip
        for axis in axes.flat[len(panels) :]:
            axis.axis("off")
        for axis, (corruption, rows) in zip(axes.flat, panels.items(), strict=False):
            wide = rows.pivot(index="a", columns="b", values="accuracy").reindex(index=names, columns=names)
            _heat_map(axis, wide, "viridis")
            bare = rows["bare"].iloc[0]
            words = "" if math.isnan(bare) else f" (bare: {bare:.1f})"
            axis.set_title(f"{corruption}{words}", fontsize="medium")
        _lay_out(figure)
    return figure


def _gains(group: Group) -> tuple[Figure, pd.DataFrame]:
    """Gain over bare with its interval: one point a method, the best on top."""
    columns = ["method", "regularizers", "gain", "gain_low", "gain_high", "gain_pairs", "gain_p", "gain_p_holm"]
    data = group.ranking.loc[group.ranking["gain"].notna(), columns].reset_index(drop=True)
    kinds = data["regularizers"].eq(1).map({True: ALONE, False: TOGETHER})
    with style("ticks"):
        figure, axis = plt.subplots(figsize=(5.2, ROW * len(data) + 1.3), layout="constrained")
        axis.axvline(0, color="0.6", linewidth=0.8)
        colors = dict(zip((ALONE, TOGETHER), sns.color_palette("colorblind"), strict=False))
        for kind, rows in data.groupby(kinds):
            reach = [rows["gain"] - rows["gain_low"], rows["gain_high"] - rows["gain"]]
            axis.errorbar(rows["gain"], rows.index, xerr=reach, fmt="o", markersize=4, color=colors[str(kind)],
                          label=str(kind))  # fmt: skip
        axis.set_yticks(data.index, data["method"])
        axis.set_ylim(len(data) - 0.4, -0.6)
        words = f"gain over bare, percentage points, with 95 % intervals; mean over {', '.join(group.ranked)}"
        axis.set_xlabel(textwrap.fill(words, 60))
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
        sns.despine(figure)
        _lay_out(figure)
    return figure, data
