"""The figures: seaborn, colors that the color-blind can tell apart, SVG + PDF + PNG, the data as CSV beside each.

Lines are means over seeds; bands are ± one standard deviation unless the title says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import seaborn as sns

from memstudy import files
from memstudy.report.frames import WITH, WITHOUT, Setting, settings
from memstudy.report.lettering import style
from memstudy.report.saving import save
from memstudy.report.tables import baseline_order
from memstudy.store.store import Selection
from memstudy.study.ablate import USUAL, Ablation
from memstudy.study.derived import read

SIDES = (WITHOUT, WITH)
SHARES = {
    "memorized": "memorized (noisy label)",
    "recovered": "recovered (true label)",
    "other": "other class",
}
HEIGHT = 2.6  # inches, of one panel

Figure = tuple[str, pd.DataFrame, sns.FacetGrid, str]
"""A file name without ending, the data, what is drawn, and the title."""


def draw_training(selection: Selection) -> list[Path]:
    """Accuracy, losses with the floor, memorized / recovered / other, and activation loss, over epochs."""
    return written(selection, _training(selection), ("accuracy", "losses", "memorization", "activation_loss"))


def draw_ablation(selection: Selection, what: Ablation = USUAL) -> list[Path]:
    """Accuracy against the ablated share, at the last kept epoch, for both protocols."""
    return written(selection, _ablations(selection, what), (f"ablation{what.suffix}",))


def _training(selection: Selection) -> Iterator[Figure]:
    for setting, suffix in _each_setting(selection):
        for draw in (_accuracy, _losses, _memorization, _activation):
            if (drawn := draw(setting)) is not None:
                name, data, grid = drawn
                yield name + suffix, data, grid, setting.title


def _ablations(selection: Selection, what: Ablation) -> Iterator[Figure]:
    curves = read(selection.path / what.curves)
    if curves.empty:
        return
    for setting, suffix in _each_setting(selection):
        data = curves.merge(setting.labels(), on="run", suffixes=("_orders", ""))
        if len(data):
            data = data[data["epoch"] == data.groupby("run")["epoch"].transform("max")]
            # The orders of one network are no independent repetitions of it: a run counts once.
            by = ["run", "seed", "baseline", "al2", "epoch", "protocol", "fraction"]
            data = data.groupby(by, sort=False)["accuracy"].mean().reset_index()
            title = f"{setting.title}; after the last kept epoch" + (f"\n{what.title}" if what.title else "")
            yield f"ablation{what.suffix}{suffix}", data, _ablation(data, what), title


def _each_setting(selection: Selection) -> list[tuple[Setting, str]]:
    return [(setting, suffix(index)) for index, setting in enumerate(settings(selection.runs))]


def suffix(index: int) -> str:
    """What names of a setting's files end in: nothing for the first, then -2, -3 …"""
    return f"-{index + 1}" if index else ""


def _lines(data: pd.DataFrame, **choices: Any) -> sns.FacetGrid:
    """Lines in one panel a baseline, without and with AL2 in the same two colors everywhere."""
    present = [side for side in SIDES if side in set(data["al2"])]
    columns = sorted(data["baseline"].unique(), key=baseline_order)
    standard: dict[str, Any] = {
        "kind": "line", "x": "epoch", "col": "baseline", "col_order": columns,
        "hue": "al2", "hue_order": present, "palette": _palette(),
        "style": "al2", "style_order": present, "errorbar": "sd", "height": HEIGHT, "aspect": 1.05,
    }  # fmt: skip
    with style("ticks"):
        grid = sns.relplot(data=data, **(standard | choices))
    grid.set_titles("{col_name}")
    if grid.legend is not None:
        grid.legend.set_title(None)
    return grid


def _palette() -> dict[str, Any]:
    colors = sns.color_palette("colorblind")
    return {WITHOUT: colors[3], WITH: colors[0]}


def _accuracy(setting: Setting) -> tuple[str, pd.DataFrame, sns.FacetGrid]:
    data = setting.metrics()[["run", "seed", "baseline", "al2", "epoch", "test_accuracy"]]
    data = data.assign(test_accuracy=100 * data["test_accuracy"])
    grid = _lines(data, y="test_accuracy")
    return "accuracy", data, grid.set_axis_labels("epoch", "test accuracy, %")


def _losses(setting: Setting) -> tuple[str, pd.DataFrame, sns.FacetGrid]:
    """Training cross-entropy; below the floor, it is memorization. Without corruption the floor is 0: no line."""
    data = setting.metrics()[["run", "seed", "baseline", "al2", "epoch", "train_cross_entropy"]]
    grid = _lines(data, y="train_cross_entropy")
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
    grid = _lines(
        data, y="share", row="al2", row_order=rows, hue="answer", hue_order=order, palette=palette,
        style="answer", style_order=order,
    )  # fmt: skip
    grid.set_titles("{col_name}, {row_name}").set(ylim=(0, 100))
    return "memorization", data, grid.set_axis_labels("epoch", "of the corrupted samples, %")


def _activation(setting: Setting) -> tuple[str, pd.DataFrame, sns.FacetGrid]:
    data = setting.metrics()[["run", "seed", "baseline", "al2", "epoch", "train_activation_loss"]]
    grid = _lines(data, y="train_activation_loss").set(yscale="log")
    return "activation_loss", data, grid.set_axis_labels("epoch", "activation loss $L_r$, unscaled")


def _ablation(data: pd.DataFrame, what: Ablation) -> sns.FacetGrid:
    protocols = {"bernoulli": "Bernoulli masks", "units": "fixed orders"}
    data = data.assign(
        percent=100 * data["fraction"], accuracy=100 * data["accuracy"], masks=data["protocol"].map(protocols)
    )
    grid = _lines(data, x="percent", y="accuracy", style="masks", style_order=list(protocols.values()))
    if grid.legend is not None:
        for text in grid.legend.texts:
            text.set_text({"al2": "", "masks": ""}.get(text.get_text(), text.get_text()))
    units = "channels" if what.unit == "channel" else "activations"
    return grid.set_axis_labels(f"ablated {units}, %", f"accuracy on {what.labels} labels, %")


def written(selection: Selection, drawn: Iterable[Figure], names: Sequence[str]) -> list[Path]:
    """Write figures. Others of these names were drawn from numbers that are gone, and go too."""
    folder = selection.path / "figures"
    written = [path for figure in drawn for path in _save(folder, *figure)]
    for path in set(folder.glob("*")) - set(written):
        if re.sub(r"-\d+$", "", path.stem) in names:
            files.remove([path])
    return written


def _save(folder: Path, name: str, data: pd.DataFrame, grid: sns.FacetGrid, title: str) -> list[Path]:
    grid.figure.suptitle(title, y=1.02, va="bottom", fontsize="medium")
    return save(folder, name, grid.figure, data)
