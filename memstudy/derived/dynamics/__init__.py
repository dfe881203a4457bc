"""Per-sample dynamics: what becomes of each training sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from memstudy.derived.analysis import Analysis, Needs, Watch
from memstudy.derived.columns import Columns
from memstudy.options import option

if TYPE_CHECKING:
    from memstudy.derived.workbench import Workbench
    from memstudy.report.chart import Chart
    from memstudy.report.saving import Drawing
    from memstudy.report.table import Table
    from memstudy.store.store import Selection


@dataclass(frozen=True)
class Dynamics(Analysis):
    """When each training sample is learned and forgotten, and which of its records tell that its label is wrong.

    Of runs whose samples were recorded, as they usually are (see memstudy run --dynamics): loss, margin, AUM,
    EL2N, forgetting events, the epoch that first predicts the label, and DivideMix' mixture. Without arguments:
    the newest study.
    """

    name: ClassVar = "dynamics"
    needs: ClassVar = Needs.RECORDS
    doing: ClassVar = "reading records"
    source: ClassVar = "dynamics.csv"
    columns: ClassVar = {
        "dynamics": Columns("run score", "epoch", "auc accuracy"),
        "dynamics_counts": Columns("run quantity group", "value count epochs", key="value", low=0, high=10**8),
        "dynamics_losses": Columns("run part", "epoch", "loss density", key=""),
    }
    holds: ClassVar = "every score at every epoch, of each single run"
    tabulates: ClassVar = ("dynamics", "dynamics_learned")
    draws: ClassVar = ("dynamics_auc", "dynamics_learned", "dynamics_losses")

    samples: bool = option("Write every sample's scores, too: samples/RUN.csv, a row each.", False)

    def measure(self, selection: Selection, bench: Workbench, watch: Watch) -> None:
        """See `memstudy.derived.dynamics.measure`."""
        from memstudy.derived.dynamics.measure import measure, write_samples

        measure(selection, watch)
        if self.samples:
            write_samples(selection)

    def tables(self, selection: Selection) -> list[Table]:
        """What tells corrupted samples from clean ones, and when each kind is learned."""
        from memstudy.derived.dynamics.tables import tables

        return tables(selection)

    def figures(self, selection: Selection) -> Iterator[Drawing]:
        """Scores over epochs, when samples are learned, and their losses."""
        from memstudy.derived.dynamics.figures import figures

        return figures(selection)

    def charts(self, selection: Selection) -> Iterator[Chart]:
        """Scores over epochs, when samples are learned, and their losses with a slider over epochs."""
        from memstudy.derived.dynamics.charts import charts

        return charts(selection)

    def summary(self, selection: Selection, tables: Sequence[Table]) -> tuple[str, dict[str, Any]]:
        """Where every sample is, `samples` in --json, which has the tables, too."""
        from memstudy.derived.dynamics.measure import samples_paths

        text, summary = super().summary(selection, tables)
        if self.samples:
            paths = samples_paths(selection)
            text = f"every sample of {len(paths)} runs: {selection.path / 'samples'}"
            summary["samples"] = list(map(str, paths))
        return text, summary
