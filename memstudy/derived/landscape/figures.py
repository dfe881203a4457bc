"""Figures of importance landscapes: how they look, how flat they become, and accuracy under noise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from memstudy.derived.kept import INITIAL
from memstudy.derived.landscape import FLATNESS, MAPS, MEASURED, NOISE, PREDICTED, Landscape
from memstudy.derived.landscape.tables import AFTER, BEFORE, PANELS, THEORY, panels
from memstudy.derived.reading import read
from memstudy.report.cells import number, span
from memstudy.report.color_scales import color_map, round_scale, scale_bar
from memstudy.report.differences import mean_over_runs
from memstudy.report.frames import Setting, comparable_runs, is_last, percent
from memstudy.report.panels import (
    Kind,
    fitting,
    legend,
    level,
    lines,
    over_seeds,
    panel_rows,
    rows_fit_page,
    text_scale,
    wrapped,
)
from memstudy.report.saving import Drawing
from memstudy.report.views import View, views
from memstudy.store.store import Selection

SIDE, MOST_ACROSS = 0.8, 8  # inches on paper of a heat map, at least; and heat maps side by side, at most
TOGETHER = 3  # methods whose lines share a panel, at most: more of them hide each other
LARGEST_RATIO = 1e15  # above it the least importance is less than the rounding of the greatest
FLAT = {
    "cv": Kind("epochs trained", "cv of importance"),
    "max_over_min": Kind("epochs trained", "max/min of importance", "log"),
}
OVER_TRAINING = (
    "Flatness of importance landscapes over training: cv, the standard deviation over the mean of a pixel's "
    "importance, and the largest over the least importance, by geometric means and bands of its logarithm."
)
LEFT_OUT = "Left out: epochs at which a network has no finite value, or a ratio above 10¹⁵."
UNDER_NOISE = (
    "Accuracy on the true labels of noisy test images after the last kept epoch, against the standard "
    "deviation of Gaussian noise (pixels are 0 to 1), and the share of pixels made black or white."
)
NOISES = {
    "gaussian": Kind("Gaussian, σ", "accuracy, %"),
    "salt-and-pepper": Kind("salt-and-pepper", "accuracy, %"),
}


def figures(selection: Selection) -> Iterator[Drawing]:
    """Heat maps of every group of comparable runs; flatness over training, and accuracy against noise."""
    maps, flat, noise = (read(selection.path / name) for name in (MAPS, FLATNESS, NOISE))
    groups = comparable_runs(selection)
    for setting, members in groups:
        if len(rows := panels(maps, members)):
            yield _maps(setting, rows)
    for view in views(groups, TOGETHER):
        for part in view.parts(partial(rows_fit_page, kinds=FLAT)):
            if len(flat) and (part.of(flat)["epoch"] != INITIAL).any():
                yield _over_training(part.of(flat), part)
        for part in view.parts(partial(rows_fit_page, kinds=NOISES)):
            if len(noise) and len(rows := part.of(noise)):
                yield _under_noise(rows, part)


# Heat maps


def pixel_means(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over runs: `importance` of each pixel (`row`, `column`), by `label` and `panel`."""
    by = ["label", "panel", "row", "column"]
    return mean_over_runs(rows, by, "value").rename(columns={"mean": "importance"})


def _maps(setting: Setting, rows: pd.DataFrame) -> Drawing:
    """Landscapes before and after training, and as predicted, on one scale of colors; equal ones once."""
    means = pixel_means(rows)
    labels = list(dict.fromkeys(means["label"]))
    shown = [
        (panel, alike, grid)
        for panel in PANELS.values()
        for alike, grid in _distinct(means[means["panel"] == panel], panel != AFTER)
    ]
    titles = [("predicted: " if panel == THEORY else "") + _in_short(alike, labels) for panel, alike, _ in shown]
    figure, axes = _heat_maps([panel for panel, _, _ in shown], titles)
    variations = _variations(rows)
    ticks = round_scale([0, means["importance"].max()])
    norm = PowerNorm(0.5, 0, ticks[-1])
    for (panel, alike, grid), axis in zip(shown, axes, strict=True):
        axis.imshow(grid, cmap=color_map(), norm=norm)
        axis.set_xlabel(f"cv {number(variations.get((alike[0], panel)), '.2f')}", labelpad=2)
    scale_bar(figure, ticks, "importance, mean 1", norm=norm)
    n = span(rows.groupby(["label", "panel"])["run"].nunique())
    caption = (
        f"Importance of pixels, in units of its mean; means over n = {n} networks, colors by its square root. "
        f"cv: coefficient of variation over pixels, 0 is flat. {_told(shown, labels)}{setting.title}."
    )
    return Drawing(f"{Landscape.name}{setting.suffix}", figure, means, caption)


def _distinct(means: pd.DataFrame, merge: bool) -> list[tuple[list[str], np.ndarray]]:
    """The maps of one panel (H, W), each with the labels that have it: untrained networks often share theirs."""
    found: list[tuple[list[str], np.ndarray]] = []
    for label, part in means.groupby("label", sort=False):
        grid = part.pivot(index="row", columns="column", values="importance").to_numpy()
        same = [alike for alike, other in found if merge and np.allclose(grid, other, rtol=1e-3, atol=1e-3)]
        if same:
            same[0].append(str(label))
        else:
            found.append(([str(label)], grid))
    return found


def _heat_maps(kinds: Sequence[str], titles: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """Axes for maps: trained networks begin a new row, and each row says which its networks are."""
    untrained = sum(kind != AFTER for kind in kinds)
    parts = [range(untrained), range(untrained, len(kinds))]
    across = fitting(min(MOST_ACROSS, max(map(len, parts))), SIDE)
    rows = [part[start : start + across] for part in parts for start in range(0, len(part), across)]
    width, scale = plt.rcParams["figure.figsize"][0], text_scale()
    side = min(width / across, 1.7 * scale)
    heads = [wrapped(title, 1.1 * (side - 0.1)) for title in titles]
    lines = sum(max(1 + heads[place].count("\n") for place in row) for row in rows)
    height = len(rows) * (0.95 * side + 0.3 * scale) + (0.12 * lines + 0.05) * scale
    figure, grid = plt.subplots(len(rows), across, figsize=(width, height), squeeze=False, layout="constrained")
    axes = []
    for row, axes_of_row in zip(rows, grid, strict=True):
        axes_of_row[0].set_ylabel(AFTER if kinds[row[0]] == AFTER else BEFORE)
        for axis in axes_of_row[len(row) :]:
            axis.set_visible(False)
        for place, axis in zip(row, axes_of_row, strict=False):
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            axis.set_title(heads[place], fontsize=plt.rcParams["xtick.labelsize"])
            axis.xaxis.label.set_fontsize(plt.rcParams["xtick.labelsize"])
            axes.append(axis)
    return figure, axes


def _in_short(alike: Sequence[str], labels: Sequence[str]) -> str:
    """The labels that have a map, in few words."""
    if len(alike) == len(labels) > 1:
        return "all"
    return alike[0] if len(alike) == 1 else f"{alike[0]} and {len(alike) - 1} more"


def _told(shown: Sequence[tuple[str, list[str], np.ndarray]], labels: Sequence[str]) -> str:
    """A sentence that names the labels of maps that are drawn once; empty if there are none."""
    shared = {tuple(alike): None for _, alike, _ in shown if 1 < len(alike) < len(labels)}
    if not shared:
        return ""
    return f"Equal maps are drawn once: those of {'; of '.join(', '.join(alike) for alike in shared)}. "


def _variations(rows: pd.DataFrame) -> pd.Series:
    """The coefficient of variation, mean over runs, by label and panel; that of a landscape of 0 is in no mean."""
    of_runs = rows.groupby(["label", "panel", "run"])["value"].agg(["mean", "std", "size"])
    deviations = of_runs["std"] * np.sqrt(1 - 1 / of_runs["size"])
    return (deviations / of_runs["mean"].replace(0, np.nan)).groupby(["label", "panel"]).mean()


# Lines


def flatness(rows: pd.DataFrame) -> tuple[pd.DataFrame, bool, pd.DataFrame]:
    """Of measured landscapes each `quantity` of FLAT at `x`, epochs trained; whether some are left out; theory.

    rows: with `panel` and `line`. Left out are epochs at which a run of a line has no number that can be trusted.
    The theory is what is predicted before training.
    """
    tidy = rows.melt(["run", "seed", "panel", "line", "epoch", "kind"], list(FLAT), "quantity", "y")
    tidy["y"] = tidy["y"].where(np.isfinite(tidy["y"]) & (tidy["y"] <= LARGEST_RATIO))
    measured = tidy[tidy["kind"] == MEASURED].assign(x=lambda table: table["epoch"] + 1)
    whole = measured.groupby(["panel", "line", "quantity", "x"])["y"].transform(
        lambda values: values.notna().all()
    )
    theory = tidy[(tidy["kind"] == PREDICTED) & (tidy["epoch"] == INITIAL)]
    return measured[whole], not whole.all(), theory


def _over_training(rows: pd.DataFrame, view: View) -> Drawing:
    """Flatness of measured landscapes, before training (0) and after the epochs that were looked at."""
    drawn_of, left_out, theory = flatness(rows)
    figure, axes = panel_rows(view.panels, FLAT)
    for (panel, quantity), axis in axes.items():
        drawn = drawn_of[(drawn_of["panel"] == panel) & (drawn_of["quantity"] == quantity)]
        lines(axis, drawn, "x", "y", view.marks, by="line", log=FLAT[quantity].scale == "log")
        here = theory[(theory["panel"] == panel) & (theory["quantity"] == quantity)]
        _levels(axis, here.groupby("line", sort=False)["y"].mean().dropna(), view)
        axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    legend(figure, view.marks, markers=True)
    what = OVER_TRAINING
    if theory["y"].notna().any():
        what += " Dotted: predicted, before training."
    if left_out:
        what += f" {LEFT_OUT}"
    data = _data(rows, view, ["epoch", "kind", *FLAT])
    caption = _caption(what, rows[rows["kind"] == MEASURED], view)
    return Drawing(f"{Landscape.name}_flatness{view.suffix}", figure, data, caption)


def _levels(axis: Axes, levels: Mapping[str, float] | pd.Series, view: View) -> None:
    """Dotted lines at the levels of lines, in their colors; one, in gray, if all are equal to a hundredth."""
    by_line = {str(line): float(value) for line, value in levels.items()}
    if by_line and max(by_line.values()) <= 1.01 * min(by_line.values()):
        level(axis, next(iter(by_line.values())))
        return
    for line, value in by_line.items():
        axis.axhline(value, color=view.marks[line].color, linestyle=":", linewidth=1, zorder=0.5)


def under_noise(rows: pd.DataFrame) -> pd.DataFrame:
    """Accuracy in percent after the last kept epoch."""
    return percent(rows[is_last(rows)], "accuracy")


def _under_noise(rows: pd.DataFrame, view: View) -> Drawing:
    rows = under_noise(rows)
    figure, axes = panel_rows(view.panels, NOISES)
    for (panel, noise), axis in axes.items():
        drawn = rows[(rows["panel"] == panel) & (rows["noise"] == noise)]
        lines(axis, drawn, "strength", "accuracy", view.marks, by="line")
    legend(figure, view.marks, markers=True)
    data = _data(rows, view, ["noise", "strength", "accuracy"])
    return Drawing(f"{Landscape.name}_noise{view.suffix}", figure, data, _caption(UNDER_NOISE, rows, view))


def _data(rows: pd.DataFrame, view: View, columns: Sequence[str]) -> pd.DataFrame:
    """What is drawn, each run once; with its setting if there are several."""
    several = len(view.settings) > 1
    named = rows.assign(label=rows["method"], setting=rows["panel"])
    shown = named[["run", "seed", "label", *columns, *(["setting"] if several else [])]]
    return shown.drop_duplicates(ignore_index=True)


def _caption(what: str, rows: pd.DataFrame, view: View) -> str:
    spread = over_seeds(rows, ["panel", "line"])
    return " ".join(filter(None, (what, spread, view.title and f"{view.title}.")))
