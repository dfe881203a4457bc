"""Figure of ablation curves: accuracy against the ablated share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from memstudy.derived.ablation import Ablation
from memstudy.derived.reading import read
from memstudy.report.frames import comparable_runs, is_last
from memstudy.report.panels import fits_page, label_axes, legend, lines, over_seeds, panels
from memstudy.report.saving import Drawing
from memstudy.report.views import View, views
from memstudy.store.store import Selection

PROTOCOLS = {"bernoulli": "Bernoulli masks", "units": "fixed orders"}


def figures(selection: Selection, ablation: Ablation) -> Iterator[Drawing]:
    """Accuracy against the ablated share, at the last kept epoch: a row of panels for each protocol."""
    curves = last_curves(selection, ablation)
    if curves.empty:
        return
    for view in views(comparable_runs(selection)):
        for part in view.parts(lambda panels: fits_page(list(_titles(panels).values()))):
            rows = part.of(curves)
            if len(rows):
                yield _figure(rows, part, ablation)


def last_curves(selection: Selection, ablation: Ablation) -> pd.DataFrame:
    """Of each run, after its last kept epoch: `run`, `epoch`, `protocol`, `fraction`, and `accuracy`, a fraction.

    A mean over orders: those of one network are no independent repetitions of it, and a run counts once. Empty
    where nothing was ablated.
    """
    curves = read(selection.path / ablation.curves)
    if curves.empty:
        return curves
    by = ["run", "epoch", "protocol", "fraction"]
    return curves[is_last(curves)].groupby(by, sort=False)["accuracy"].mean().reset_index()


def what(ablation: Ablation) -> str:
    """What is shown, for a caption."""
    layer = f" ({ablation.title})" if ablation.title else ""
    return (
        f"Accuracy left when a growing share of the trunk's output is ablated{layer}, after the last kept epoch. "
        "Bernoulli masks are drawn for each sample, fixed orders for all."
    )


def _titles(panels: Sequence[str]) -> dict[tuple[str, str], str]:
    """Of each protocol's panels."""
    return {
        (protocol, panel): ", ".join(filter(None, (panel, words)))
        for protocol, words in PROTOCOLS.items()
        for panel in panels
    }


def _figure(rows: pd.DataFrame, view: View, ablation: Ablation) -> Drawing:
    data = rows[["run", "seed", "panel", "line", "method", "epoch", "protocol", "fraction", "accuracy"]]
    shown = data.assign(percent=100 * data["fraction"], accuracy=100 * data["accuracy"])
    titles = _titles(view.panels)
    across = len(view.panels) if 1 < len(view.panels) <= 4 else 4
    figure, axes = panels(list(titles.values()), most=across)
    for (protocol, panel), title in titles.items():
        here = shown[(shown["protocol"] == protocol) & (shown["panel"] == panel)]
        lines(axes[title], here, "percent", "accuracy", view.marks, by="line")
    label_axes(figure, axes, ablation.axis, f"accuracy on {ablation.labels} labels, %")
    legend(figure, view.marks)
    caption = f"{what(ablation)} {over_seeds(data, ['panel', 'line'])}"
    caption += f" {view.title}." if view.title else ""
    return Drawing(f"ablation{ablation.suffix}{view.suffix}", figure, data, caption)
