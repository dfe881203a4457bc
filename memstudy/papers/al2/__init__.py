"""AL2's tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from memstudy.derived.analysis import Analysis, Needs, kept_epochs
from memstudy.derived.methods import untrained

if TYPE_CHECKING:
    from memstudy.report.table import Table
    from memstudy.store.store import Selection


@dataclass(frozen=True)
class Table1(Analysis):
    """AL2's Table 1: test accuracy, training cross-entropy and activation loss, without and with AL2."""

    name: ClassVar = "table1"
    needs: ClassVar = Needs.METRICS
    tabulates: ClassVar = ("table1",)

    epochs: tuple[int, ...] | None = kept_epochs("tabulate")

    def tables(self, selection: Selection) -> Iterable[Table]:
        """One for each setting."""
        from memstudy.papers.al2.tables import table1

        return table1(selection, self.epochs)

    def why_none(self, selection: Selection) -> str:
        """No twins, or not trained so far."""
        from memstudy.report.frames import comparable_runs
        from memstudy.report.twins import twins

        return untrained(self.epochs) if twins(comparable_runs(selection)) else "not every method has its AL2 twin"


@dataclass(frozen=True)
class AblationArea(Analysis):
    """AL2's area under the cumulative ablation curve."""

    name: ClassVar = "ablation_area"
    needs: ClassVar = Needs.METRICS
    tabulates: ClassVar = ("ablation_area",)

    epochs: tuple[int, ...] | None = kept_epochs("tabulate")

    def tables(self, selection: Selection) -> Iterable[Table]:
        """One for each setting."""
        from memstudy.derived.ablation import Ablation
        from memstudy.derived.ablation.areas import areas
        from memstudy.derived.reading import read
        from memstudy.papers.al2.tables import ablation_area

        return ablation_area(selection, areas(read(selection.path / Ablation().curves)), self.epochs)

    def why_none(self, selection: Selection) -> str:
        """Not ablated."""
        return f"no network of these runs was ablated; 'memstudy ablate --study {selection.name}' does it"
