"""Linear probes: what a linear classifier reads off a network's layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from memstudy.derived.analysis import Analysis, Needs, Watch, kept_epochs
from memstudy.derived.columns import Columns
from memstudy.options import option

if TYPE_CHECKING:
    from memstudy.derived.workbench import Workbench
    from memstudy.report.chart import Chart
    from memstudy.report.saving import Drawing
    from memstudy.report.table import Table
    from memstudy.store.store import Selection


@dataclass(frozen=True)
class Probe(Analysis):
    """Train a linear classifier with true labels on frozen layers: what they know, whatever the head memorized.

    Beside the network's own test accuracy; controls are the untrained network and raw pixels. Without arguments:
    the newest study.
    """

    name: ClassVar = "probe"
    needs: ClassVar = Needs.NETWORKS
    doing: ClassVar = "probing"
    source: ClassVar = "probe.csv"
    columns: ClassVar = {"probe": Columns("run layer", "epoch samples", "accuracy head_accuracy")}
    holds: ClassVar = "every probed epoch, and each single network"
    tabulates: ClassVar = ("probe",)
    draws: ClassVar = ("probe",)

    layers: tuple[str, ...] = option(
        "A module by its name: trunk.2, head.1, …; may be repeated.", ("trunk",), key="layer"
    )
    epochs: tuple[int, ...] | None = kept_epochs("probe")
    samples: int = option("Training images to learn from.", 2000, least=1)

    def measure(self, selection: Selection, bench: Workbench, watch: Watch) -> None:
        """See `memstudy.derived.probe.measure`."""
        from memstudy.derived.probe.measure import probes

        probes(selection, bench, self, watch)

    def tables(self, selection: Selection) -> list[Table]:
        """One table for each group of comparable runs."""
        from memstudy.derived.probe.tables import tables

        return tables(selection)

    def figures(self, selection: Selection) -> Iterator[Drawing]:
        """Accuracy over epochs."""
        from memstudy.derived.probe.figures import figures

        return figures(selection)

    def charts(self, selection: Selection) -> Iterator[Chart]:
        """Accuracy over epochs."""
        from memstudy.derived.probe.charts import charts

        return charts(selection)
