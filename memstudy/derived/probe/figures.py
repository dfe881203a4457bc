"""Figure of linear probes: what layers know, beside what the network's own head makes of it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from memstudy.derived.kept import INITIAL
from memstudy.derived.probe import Probe
from memstudy.derived.probe.measure import PIXELS, PROBES
from memstudy.derived.probe.tables import percent
from memstudy.derived.reading import each_group
from memstudy.report.frames import Setting
from memstudy.report.lettering import style
from memstudy.report.saving import Drawing
from memstudy.store.store import Selection

HEAD_LINE, PIXEL_LINE = "network's own head", "probe, raw pixels"
HEIGHT = 2.9  # inches, of one panel


def figures(selection: Selection) -> Iterator[Drawing]:
    """Accuracy over epochs, a panel for each combination of regularizers."""
    for setting, rows, suffix in each_group(selection, PROBES):
        if (rows["epoch"] != INITIAL).any():
            data = _lines(percent(rows))
            yield Drawing(f"{Probe.name}{suffix}", _figure(data, setting), data)


def _lines(rows: pd.DataFrame) -> pd.DataFrame:
    """Tidy: run, seed, label, epoch, line, accuracy; the controls at every epoch of their runs."""
    columns = ["run", "seed", "label", "epoch", "line", "accuracy"]
    after = rows[rows["epoch"] != INITIAL]
    heads = after.drop_duplicates(["run", "epoch"])
    heads = heads.assign(line=HEAD_LINE, accuracy=heads["head_accuracy"])
    before = rows[rows["epoch"] == INITIAL].drop(columns="epoch").merge(heads[["run", "epoch"]], on="run")
    names = ("probe, " + before["layer"] + ", untrained").where(before["layer"] != PIXELS, PIXEL_LINE)
    probes = after.assign(line="probe, " + after["layer"])
    return pd.concat([probes, heads, before.assign(line=names)], ignore_index=True)[columns]


def _figure(data: pd.DataFrame, setting: Setting) -> Figure:
    """Probes solid, controls dotted in the same color, the network's own head dashed."""
    colors, layers = sns.color_palette("colorblind"), [line for line in data["line"].unique() if _is_layer(line)]
    palette: dict[str, Any] = {}
    dashes: dict[str, Any] = {}
    for index, line in enumerate(layers):
        palette |= {line: colors[index % len(colors)], f"{line}, untrained": colors[index % len(colors)]}
        dashes |= {line: "", f"{line}, untrained": (1, 1.5)}
    palette |= {HEAD_LINE: "0.15", PIXEL_LINE: "0.55"}
    dashes |= {HEAD_LINE: (4, 1.5), PIXEL_LINE: (1, 1.5)}
    order = [line for line in palette if line in set(data["line"])]
    labels = list(dict.fromkeys(data["label"]))
    with style("ticks"):
        grid = sns.relplot(
            data=data, kind="line", x="epoch", y="accuracy", hue="line", hue_order=order, palette=palette,
            style="line", style_order=order, dashes=dashes, errorbar="sd", col="label", col_order=labels,
            col_wrap=min(4, len(labels)), height=HEIGHT, aspect=1.05,
            markers=dict.fromkeys(order, "o") if data["epoch"].nunique() == 1 else None,  # no line is seen there
        )  # fmt: skip
    for label, axis in grid.axes_dict.items():
        axis.set_title(textwrap.fill(str(label), 32))
    if grid.legend is not None:
        grid.legend.set_title(None)
    grid.set_axis_labels("epoch", "test accuracy, %")
    width = max(48, 34 * min(4, len(labels)))
    grid.figure.suptitle(textwrap.fill(setting.title, width), y=1.02, va="bottom", fontsize="medium")
    return grid.figure


def _is_layer(line: str) -> bool:
    return line not in (HEAD_LINE, PIXEL_LINE) and not line.endswith(", untrained")
