"""Tables and figures of importance landscapes: how flat they are, how they look, and accuracy under test noise."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memstudy import files
from memstudy.report.frames import Setting, groups
from memstudy.report.saving import save
from memstudy.report.sheet import Sheet, cell
from memstudy.store.store import Selection
from memstudy.study.landscape import FLATNESS, INITIAL, MEASURED, NOISE, PIXELS, PREDICTED
from memstudy.study.rows import read

NAME = "landscape"
BEFORE, THEORY, AFTER = "before training", "before training, predicted", "after training"
PANELS = {(MEASURED, True): BEFORE, (PREDICTED, True): THEORY, (MEASURED, False): AFTER}
"""What of a landscape's kind, and of whether the network is untrained, is shown; by the name of it."""
HEADINGS = {
    (BEFORE, "cv"): "cv before training",
    (THEORY, "cv"): "predicted",
    (THEORY, "correlation"): "correlation",
    (BEFORE, "log_ratio"): "log10 max/min before training",
    (AFTER, "cv"): "cv after training",
    (AFTER, "log_ratio"): "log10 max/min after training",
}
NOISES = {"gaussian": "Gaussian noise, σ", "salt-and-pepper": "salt-and-pepper noise, rate"}
SIDE = 1.35  # inches, of one heat map
WIDE = 8  # heat maps side by side


def write(selection: Selection, found: Sequence[Sheet]) -> list[Path]:
    """Write tables as Markdown, LaTeX and CSV; those of an earlier selection go."""
    folder = selection.path / "tables"
    written = [path for sheet in found for path in sheet.write(folder)]
    files.remove(set(folder.glob(f"{NAME}*")) - set(written))
    return written


def sheets(selection: Selection) -> list[Sheet]:
    """Flatness, and accuracy under noise, of every group of comparable runs."""
    flat, noise = read(selection.path / FLATNESS), read(selection.path / NOISE)
    found = []
    for index, (setting, labels) in enumerate(groups(selection.runs)):
        suffix = f"-{index + 1}" if index else ""
        if len(rows := panels(flat, labels)):
            found.append(_flatness(setting, rows, suffix))
        if len(rows := merged(noise, labels)):
            found.append(_noise(setting, rows, suffix))
    return found


def merged(table: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """A derived table's rows of some runs, in their order, with the columns of `labels`; maybe none."""
    return labels.merge(table, on="run") if len(table) else table


def panels(table: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """The rows that are shown, with their `panel`: before training, and after each run's last epoch there is."""
    rows = merged(table, labels)
    if rows.empty:
        return rows
    rows = rows[(rows["epoch"] == INITIAL) | (rows["epoch"] == rows.groupby("run")["epoch"].transform("max"))]
    keys = zip(rows["kind"], rows["epoch"] == INITIAL, strict=True)
    rows = rows.assign(panel=[PANELS.get(key, "") for key in keys])
    return rows[rows["panel"] != ""]


def summary(rows: pd.DataFrame, by: Sequence[str], value: str) -> pd.DataFrame:
    """Mean, sd and n of a column over runs, one row for each value of `by`, in the order of the rows.

    A mean of which one value is infinite is none.
    """
    found = rows.groupby(list(by), sort=False)[value].agg(mean="mean", sd="std", n="size").reset_index()
    return found.replace([np.inf, -np.inf], np.nan)


def epochs(rows: pd.DataFrame) -> str:
    """After which epochs the trained networks are looked at, in words; empty if there are none."""
    last = sorted(set(rows.loc[rows["epoch"] != INITIAL, "epoch"]))
    return f"After training: the last kept epoch ({', '.join(map(str, last))}, counted from 0). " if last else ""


def _flatness(setting: Setting, rows: pd.DataFrame, suffix: str) -> Sheet:
    rows = rows.assign(log_ratio=np.log10(rows["max_over_min"]))  # it spans decades
    values = pd.concat(
        [
            summary(rows[rows["panel"] == panel], ["label"], quantity).assign(panel=panel, quantity=quantity)
            for panel, quantity in HEADINGS
        ],
        ignore_index=True,
    )
    values = values[["label", "panel", "quantity", "mean", "sd", "n"]]
    cells = [
        {"regularizers": str(name), "n": str(part["n"].max())}
        | {
            HEADINGS[row["panel"], row["quantity"]]: cell(row["mean"], row["sd"], 2)
            for row in part.to_dict("records")
        }
        for name, part in values.groupby("label", sort=False)
    ]
    notes = (
        "cv: standard deviation over mean of a pixel's importance, 0 if all are alike; max/min: the largest over "
        "the least, – where that is 0. Importance: squared gradients of the cross-entropy, summed over channels, "
        f"mean over at most {rows['images'].max():,} test images. Mean ± standard deviation over n seeds.",
        f"{epochs(rows)}Predicted: the cv that counting paths through the architecture gives (ours), and its "
        "landscape's correlation with the measured one, before training.",
    )
    title = f"Flatness of importance landscapes: {setting.title}"
    return Sheet(f"{NAME}_flatness{suffix}", title, notes, pd.DataFrame(cells).fillna("–"), values, 1)


def _noise(setting: Setting, rows: pd.DataFrame, suffix: str) -> Sheet:
    rows = _percent(_last(rows))
    values = summary(rows, ["label", "noise", "strength"], "accuracy")
    cells = []
    for name, part in values.groupby("label", sort=False):
        row = {"regularizers": str(name), "n": str(part["n"].max()), "none": ""}
        for entry in part.to_dict("records"):
            heading = f"{entry['noise'].capitalize()} {entry['strength']:g}" if entry["strength"] else "none"
            row[heading] = cell(entry["mean"], entry["sd"], 1)
        cells.append(row)
    notes = (
        "Accuracy in % on true labels after the last kept epoch, mean ± standard deviation over n seeds, on "
        f"at most {rows['images'].max():,} test images; without noise, the test accuracy on these.",
        "Numbers are the standard deviation in units of pixel intensity (0 to 1, noisy images clipped to that), "
        "and the share of pixels made black or white. The noise is the same for all networks.",
    )
    title = f"Accuracy under noise on test images: {setting.title}"
    return Sheet(f"{NAME}_noise{suffix}", title, notes, pd.DataFrame(cells).fillna("–"), values, 1)


def _last(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["epoch"] == rows.groupby("run")["epoch"].transform("max")]


def _percent(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(accuracy=100 * rows["accuracy"])


def draw(selection: Selection) -> list[Path]:
    """Heat maps, and accuracy against noise, of every group of comparable runs; earlier figures go."""
    folder = selection.path / "figures"
    pixels, noise = read(selection.path / PIXELS), read(selection.path / NOISE)
    written: list[Path] = []
    for index, (setting, labels) in enumerate(groups(selection.runs)):
        suffix = f"-{index + 1}" if index else ""
        if len(rows := panels(pixels, labels)):
            by = ["label", "panel", "row", "column"]
            means = summary(rows, by, "value").rename(columns={"mean": "importance"})
            figure = _maps(means, _variations(rows), setting.title)
            written += save(folder, f"{NAME}{suffix}", figure, means)
        if len(rows := merged(noise, labels)):
            data = _percent(_last(rows))[["run", "seed", "label", "noise", "strength", "accuracy"]]
            written += save(folder, f"{NAME}_noise{suffix}", _lines(data, setting.title), data)
    files.remove(set(folder.glob(f"{NAME}*")) - set(written))
    return written


def _variations(rows: pd.DataFrame) -> pd.Series:
    """The mean over runs of cv, by label and panel."""
    each = rows.groupby(["label", "panel", "run"])["value"].agg(lambda values: values.std(ddof=0) / values.mean())
    return each.groupby(["label", "panel"]).mean()


def _maps(means: pd.DataFrame, variations: pd.Series, title: str) -> Figure:
    """One column a label, WIDE of them side by side; one row a panel, on one scale in all of them."""
    labels = list(dict.fromkeys(means["label"]))
    blocks = [labels[start : start + WIDE] for start in range(0, len(labels), WIDE)]
    shown = [panel for panel in PANELS.values() if panel in set(means["panel"])]
    size = (SIDE * len(blocks[0]) + 1.6, ((SIDE + 0.25) * len(shown) + 0.3) * len(blocks) + 0.2)
    with sns.plotting_context("paper"):
        figure, axes = plt.subplots(
            len(shown) * len(blocks), len(blocks[0]), figsize=size, squeeze=False, layout="constrained"
        )
        for row, (block, panel) in zip(axes, itertools.product(blocks, shown), strict=True):
            part = means[means["panel"] == panel]
            for axis, name in itertools.zip_longest(row, block):
                _map(axis, part[part["label"] == name], part["importance"].max())
                if name is not None:
                    axis.set_xlabel(f"cv {variations.get((name, panel), math.nan):.2f}", fontsize="small")
                if name is not None and panel == shown[0]:
                    lines = [textwrap.fill(part, 20) for part in name.replace(" (", "\n(").splitlines()]
                    axis.set_title("\n".join(lines), fontsize="medium" if len(name) <= 16 else "small")
            row[0].set_ylabel(textwrap.fill(panel, 16), visible=True)
            figure.colorbar(next(image for axis in row for image in axis.images), ax=row, aspect=12, pad=0.02)
        figure.suptitle(
            textwrap.fill(f"importance of pixels, mean 1, mean over seeds; {title}", max(48, int(11 * size[0]))),
            fontsize="medium",
        )
        figure.draw_without_rendering()  # lays it out, before its bounds are asked for
        figure.set_layout_engine("none")
    return figure


def _map(axis: Axes, part: pd.DataFrame, highest: float) -> None:
    """A heat map of one landscape; nothing if there is none."""
    axis.set(xticks=[], yticks=[])
    if part.empty:
        axis.axis("off")
    else:
        grid = part.pivot(index="row", columns="column", values="importance")
        axis.imshow(grid.to_numpy(), cmap="viridis", vmin=0, vmax=highest)


def _lines(data: pd.DataFrame, title: str) -> Figure:
    """One panel a kind of noise, one line a label."""
    labels = list(dict.fromkeys(data["label"]))
    palette = sns.color_palette("colorblind" if len(labels) <= 10 else "husl", len(labels))
    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        grid = sns.relplot(
            data=data, kind="line", x="strength", y="accuracy", hue="label", hue_order=labels, palette=palette,
            style="label", style_order=labels, markers=True, dashes=False, errorbar="sd", col="noise",
            col_order=list(NOISES), height=2.8, aspect=1.15, facet_kws={"sharex": False},
        )  # fmt: skip
    for noise, axis in grid.axes_dict.items():
        axis.set_title("")
        axis.set_xlabel(NOISES[noise])
    grid.legend.set_title(None)
    grid.set_ylabels("accuracy on true labels, %")
    grid.figure.suptitle(textwrap.fill(title, 90), y=1.02, va="bottom", fontsize="medium")
    return grid.figure
