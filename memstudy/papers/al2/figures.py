"""AL2's figures of training: accuracy, losses with the floor, what corrupted samples are taken for, and L_r.

Lines are means over seeds; bands are ± one standard deviation.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import seaborn as sns

from memstudy.report.frames import Setting
from memstudy.report.saving import Drawing, titled
from memstudy.report.twins import SIDES, each_setting, lines
from memstudy.store.store import Selection

SHARES = {
    "memorized": "memorized (noisy label)",
    "recovered": "recovered (true label)",
    "other": "other class",
}


def figures(selection: Selection) -> Iterator[Drawing]:
    """Accuracy, losses with the floor, memorized / recovered / other, and activation loss, over epochs."""
    for setting, suffix in each_setting(selection):
        for draw in (_accuracy, _losses, _memorization, _activation):
            if (drawn := draw(setting)) is not None:
                name, data, grid = drawn
                yield titled(name + suffix, grid, data, setting.title)


def _accuracy(setting: Setting) -> tuple[str, pd.DataFrame, sns.FacetGrid]:
    data = setting.metrics()[["run", "seed", "baseline", "al2", "epoch", "test_accuracy"]]
    data = data.assign(test_accuracy=100 * data["test_accuracy"])
    grid = lines(data, y="test_accuracy")
    return "accuracy", data, grid.set_axis_labels("epoch", "test accuracy, %")


def _losses(setting: Setting) -> tuple[str, pd.DataFrame, sns.FacetGrid]:
    """Training cross-entropy; below the floor, it is memorization. Without corruption the floor is 0: no line."""
    data = setting.metrics()[["run", "seed", "baseline", "al2", "epoch", "train_cross_entropy"]]
    grid = lines(data, y="train_cross_entropy")
    if setting.floor > 0:
        for axis in grid.axes.flat:
            axis.axhline(setting.floor, color="0.3", linestyle=":", linewidth=1.2)
        axis = grid.axes.flat[0]
        note = f"dotted: floor {setting.floor:.4f}, the lowest\non these labels without memorization"
        axis.text(0.03, 0.04, note, transform=axis.transAxes, fontsize="small", color="0.3")
    data = data.assign(floor=setting.floor)
    return "losses", data, grid.set_axis_labels("epoch", "training loss $L_c$, nats")


def _memorization(setting: Setting) -> tuple[str, pd.DataFrame, sns.FacetGrid] | None:
    """What corrupted training samples are taken for (ELR's figure); None if no sample is corrupted."""
    metrics = setting.metrics()
    data = metrics.melt(
        id_vars=["run", "seed", "baseline", "al2", "epoch"],
        value_vars=list(SHARES),
        var_name="answer",
        value_name="share",
    ).dropna(subset="share")
    if data.empty:
        return None
    data = data.assign(answer=data["answer"].map(SHARES), share=100 * data["share"])
    order = list(SHARES.values())
    rows = [side for side in SIDES if side in set(data["al2"])]
    palette = dict(zip(order, sns.color_palette("colorblind")[3:0:-1], strict=True))
    grid = lines(
        data, y="share", row="al2", row_order=rows, hue="answer", hue_order=order, palette=palette,
        style="answer", style_order=order,
    )  # fmt: skip
    grid.set_titles("{col_name}, {row_name}").set(ylim=(0, 100))
    return "memorization", data, grid.set_axis_labels("epoch", "of the corrupted samples, %")


def _activation(setting: Setting) -> tuple[str, pd.DataFrame, sns.FacetGrid]:
    data = setting.metrics()[["run", "seed", "baseline", "al2", "epoch", "train_activation_loss"]]
    grid = lines(data, y="train_activation_loss").set(yscale="log")
    return "activation_loss", data, grid.set_axis_labels("epoch", "activation loss $L_r$, unscaled")
