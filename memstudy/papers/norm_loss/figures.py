"""Norm Loss' figures: error against λ and batch size, and cross-entropy during training.

That weight decay and Norm Loss stand side by side, and that cross-entropy is shown, is the paper's (stated); the
values swept are ours. Means over seeds, bars and bands ± one standard deviation.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import matplotlib.ticker
import pandas as pd
import seaborn as sns

from memstudy.papers.norm_loss import NormLossTables
from memstudy.papers.norm_loss.runs import NORM_LOSS, at_usual_values, by_batch_size, by_strength, errors
from memstudy.report.frames import suffixed
from memstudy.report.lettering import style
from memstudy.report.saving import HEIGHT, Drawing, titled
from memstudy.store import RunDirectory
from memstudy.store.store import Selection

CROSS_ENTROPIES = {"train_cross_entropy": "training", "test_cross_entropy": "test"}
AXES = {"wd.decay": "weight decay", f"{NORM_LOSS}.weight": "λ"}
DECADE = 10.0  # values that differ by more than this factor are drawn on a logarithmic axis


def figures(selection: Selection) -> Iterator[Drawing]:
    """Every figure that there are runs for; none without Norm Loss."""
    rows = errors(selection)
    if rows.empty:
        return
    runs = {run.name: run for run in selection.runs}
    for (title, part), suffix in suffixed(_by_setting(by_strength(rows), ["batch_size"])):
        data = _data(part)
        yield _titled(f"{NormLossTables.name}_lambda{suffix}", _robustness(data, None), data, title)
    for (title, part), suffix in suffixed(_by_setting(by_batch_size(rows), [])):
        data = _data(part)
        yield _titled(f"{NormLossTables.name}_batch_size{suffix}", _robustness(data, "batch size"), data, title)
    for (title, part), suffix in suffixed(_by_setting(at_usual_values(rows), ["batch_size"])):
        data = _losses(part, runs)
        yield _titled(f"{NormLossTables.name}_cross_entropy{suffix}", _curves(data), data, title)


def _titled(name: str, grid: sns.FacetGrid, data: pd.DataFrame, title: str) -> Drawing:
    return titled(name, grid, data, textwrap.fill(title, max(48, int(12 * grid.figure.get_figwidth()))))


def _by_setting(rows: pd.DataFrame, by: list[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    for _, part in rows.groupby(["setting", *by], sort=False):
        first = part.iloc[0]
        yield first["title"] + (f", batch size {first['batch_size']}" if by else ""), part


def _data(rows: pd.DataFrame) -> pd.DataFrame:
    columns = ["run", "seed", "dataset", "network", "batch_size", "series", "swept", "value", "error"]
    return rows[columns].reset_index(drop=True)


def _robustness(data: pd.DataFrame, label: str | None) -> sns.FacetGrid:
    """One panel a method, on one scale of errors.

    label: of all x axes; None: each axis is labeled by its swept option.
    """
    data = data.assign(panel=data["series"] + "|" + data["swept"])
    panels = list(dict.fromkeys(data["panel"]))
    with style("ticks"):
        grid = sns.relplot(
            data=data, kind="line", x="value", y="error", hue="panel", hue_order=panels,
            palette=_colors(len(panels)), col="panel", col_order=panels, col_wrap=min(4, len(panels)),
            marker="o", errorbar="sd", err_style="bars", legend=False, height=HEIGHT, aspect=1.05,
            facet_kws={"sharex": False},
        )  # fmt: skip
    grid.set(xscale="log")
    for panel, axis in grid.axes_dict.items():
        series, swept = panel.split("|")
        axis.set_title(textwrap.fill(series, 32), fontsize="medium")
        axis.set_xlabel(label or AXES[swept])
        if label:
            values = sorted(data.loc[data["panel"] == panel, "value"].unique())
            axis.set_xticks(values, [f"{value:g}" for value in values])
            axis.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    grid.set_ylabels("test error, %")
    return grid


def _colors(count: int) -> Any:
    return sns.color_palette("colorblind" if count <= 10 else "husl", count)


def _losses(rows: pd.DataFrame, runs: dict[str, RunDirectory]) -> pd.DataFrame:
    """Tidy: one row an epoch, method, seed and loss; `images` says whether it is of training or test images."""
    parts = []
    for row in rows.to_dict("records"):
        names = {name: row[name] for name in ("run", "seed", "dataset", "network", "method")}
        parts.append(runs[row["run"]].metrics().assign(**names))
    metrics = pd.concat(parts, ignore_index=True)
    present = [name for name in CROSS_ENTROPIES if name in metrics]
    ids = ["run", "seed", "dataset", "network", "method", "epoch"]
    data = metrics.melt(ids, present, var_name="images", value_name="cross_entropy").dropna(subset="cross_entropy")
    return data.assign(images=data["images"].map(CROSS_ENTROPIES))


def _curves(data: pd.DataFrame) -> sns.FacetGrid:
    """One panel for training and one for test images; noisy labels are those of training alone."""
    methods = list(dict.fromkeys(data["method"]))
    with style("ticks"):
        grid = sns.relplot(
            data=data, kind="line", x="epoch", y="cross_entropy", hue="method", hue_order=methods,
            palette=_colors(len(methods)), style="method", style_order=methods, col="images",
            col_order=list(dict.fromkeys(data["images"])), errorbar="sd", height=HEIGHT, aspect=1.3,
            facet_kws={"sharey": False},
        )  # fmt: skip
    for images, axis in grid.axes_dict.items():
        losses = data.loc[data["images"] == images, "cross_entropy"]
        if losses.min() > 0 and losses.max() > DECADE * losses.min():
            axis.set_yscale("log")
    grid.set_titles("{col_name}").set_axis_labels("epoch", "cross-entropy, nats")
    if grid.legend is not None:
        grid.legend.set_title(None)
    return grid
