"""Charts of linear probes: what layers know, beside what the network's own head makes of it."""

from __future__ import annotations

from collections.abc import Iterator

from memstudy.derived.kept import INITIAL
from memstudy.derived.probe import Probe
from memstudy.derived.probe.figures import HEAD, HEAD_LINE, caption, line_marks, probed
from memstudy.derived.probe.measure import PROBES
from memstudy.derived.probe.tables import QUANTITIES
from memstudy.derived.reading import each_group
from memstudy.report.chart import Chart
from memstudy.report.charting.choices import Choice, told
from memstudy.report.charting.lines import EPOCH, Quantity, over_runs
from memstudy.report.frames import percent
from memstudy.store.store import Selection

ACCURACY = Quantity("accuracy", "test accuracy, %", ".2f")


def charts(selection: Selection) -> Iterator[Chart]:
    """Accuracy over epochs of each setting, of a method that a list chooses."""
    for setting, rows, suffix in each_group(selection, PROBES):
        if (rows["epoch"] == INITIAL).all():
            continue
        data = probed(percent(rows, *QUANTITIES), setting)
        of_probes, levels = line_marks(list(dict.fromkeys(data["line"])))
        of_lines = {HEAD_LINE: HEAD} | of_probes | levels
        method = Choice("label", "method", list(dict.fromkeys(data["label"])))
        table = data.dropna(subset="accuracy")
        drawn = over_runs(table, EPOCH, ACCURACY, of_lines, [method], by="line")
        text = f"{caption(data, setting)} {told(of_lines, 'lines')}"
        yield Chart(f"{Probe.name}{suffix}", "Linear probes", text, drawn)
