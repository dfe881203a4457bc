"""Figure of ablation curves: accuracy against the ablated share, without and with AL2."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import seaborn as sns

from memstudy.derived.ablation import Ablation
from memstudy.derived.reading import read
from memstudy.report.frames import is_last
from memstudy.report.saving import Drawing, titled
from memstudy.report.twins import each_setting, lines
from memstudy.store.store import Selection


def figures(selection: Selection, ablation: Ablation) -> Iterator[Drawing]:
    """Accuracy against the ablated share, at the last kept epoch, for both protocols."""
    curves = read(selection.path / ablation.curves)
    if curves.empty:
        return
    for setting, suffix in each_setting(selection):
        data = curves.merge(setting.labels(), on="run", suffixes=("_orders", ""))
        if len(data):
            data = data[is_last(data)]
            # The orders of one network are no independent repetitions of it: a run counts once.
            by = ["run", "seed", "baseline", "al2", "epoch", "protocol", "fraction"]
            data = data.groupby(by, sort=False)["accuracy"].mean().reset_index()
            title = f"{setting.title}; after the last kept epoch" + (
                f"\n{ablation.title}" if ablation.title else ""
            )
            yield titled(f"ablation{ablation.suffix}{suffix}", _curves(data, ablation), data, title)


def _curves(data: pd.DataFrame, ablation: Ablation) -> sns.FacetGrid:
    protocols = {"bernoulli": "Bernoulli masks", "units": "fixed orders"}
    data = data.assign(
        percent=100 * data["fraction"], accuracy=100 * data["accuracy"], masks=data["protocol"].map(protocols)
    )
    grid = lines(data, x="percent", y="accuracy", style="masks", style_order=list(protocols.values()))
    if grid.legend is not None:
        for text in grid.legend.texts:
            text.set_text({"al2": "", "masks": ""}.get(text.get_text(), text.get_text()))
    units = "channels" if ablation.unit == "channel" else "activations"
    return grid.set_axis_labels(f"ablated {units}, %", f"accuracy on {ablation.labels} labels, %")
