"""Chart of ablation curves: accuracy against the ablated share, all methods in one view."""

from __future__ import annotations

from collections.abc import Iterator

from memstudy.derived.ablation import Ablation
from memstudy.derived.ablation.figures import PROTOCOLS, last_curves, what
from memstudy.report.chart import Chart
from memstudy.report.charting.choices import Choice, told
from memstudy.report.charting.data import of_runs, title_of
from memstudy.report.charting.lines import Quantity, over_runs
from memstudy.report.frames import comparable_runs, methods_of, percent
from memstudy.report.marks import marks
from memstudy.report.panels import over_seeds
from memstudy.store.store import Selection


def charts(selection: Selection, ablation: Ablation) -> Iterator[Chart]:
    """Accuracy against the ablated share, at the last kept epoch; a list chooses protocol and setting."""
    groups = comparable_runs(selection)
    curves = of_runs(last_curves(selection, ablation), groups)
    if curves.empty:
        return
    protocol = Choice("protocol", "protocol", list(PROTOCOLS.values()))
    setting = Choice("setting", "runs", [setting.words for setting, _ in groups])
    rows = percent(curves, "fraction", "accuracy")
    rows["protocol"] = rows["protocol"].map(PROTOCOLS)
    of_methods = marks(methods_of(groups))
    drawn = over_runs(
        rows,
        Quantity("fraction", ablation.axis, "d"),
        Quantity("accuracy", f"accuracy on {ablation.labels} labels, %", ".2f"),
        of_methods,
        (protocol, setting),
    )
    caption = " ".join(
        filter(None, (what(ablation), over_seeds(rows, ["setting", "method"]), title_of(groups), told(of_methods)))
    )
    yield Chart(f"{ablation.name}{ablation.suffix}", "Cumulative ablation", caption, drawn)
