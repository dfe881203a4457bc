"""AL2's tables, its figures of training, and what was memorized."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from memstudy.derived.analysis import Analysis, Needs, kept_epochs

if TYPE_CHECKING:
    from memstudy.report.saving import Drawing
    from memstudy.report.table import Table
    from memstudy.store.store import Selection


@dataclass(frozen=True)
class Curves(Analysis):
    """Accuracy, losses with the floor, what corrupted samples are taken for, and activation loss over epochs."""

    name: ClassVar = "curves"
    needs: ClassVar = Needs.METRICS
    draws: ClassVar = ("accuracy", "losses", "memorization", "activation_loss")

    def figures(self, selection: Selection) -> Iterator[Drawing]:
        """One figure each."""
        from memstudy.papers.al2.figures import figures

        return figures(selection)


@dataclass(frozen=True)
class Table1(Analysis):
    """AL2's Table 1: test accuracy, training cross-entropy and activation loss, without and with AL2."""

    name: ClassVar = "table1"
    needs: ClassVar = Needs.METRICS
    tabulates: ClassVar = ("table1",)

    epochs: tuple[int, ...] | None = kept_epochs("tabulate")

    def tables(self, selection: Selection) -> Iterable[Table]:
        """One for each setting."""
        from memstudy.papers.al2.tables import of_each_setting, table1

        return of_each_setting(selection, lambda setting: table1(setting, self.epochs))

    def why_none(self, selection: Selection) -> str:
        """Not trained so far."""
        return untrained(self.epochs)


@dataclass(frozen=True)
class Memorization(Analysis):
    """What training samples are taken for after an epoch (ours; the paper has no such table)."""

    name: ClassVar = "memorization"
    needs: ClassVar = Needs.METRICS
    tabulates: ClassVar = ("memorization",)

    epochs: tuple[int, ...] | None = kept_epochs("tabulate")

    def tables(self, selection: Selection) -> Iterable[Table]:
        """One for each setting."""
        from memstudy.papers.al2.tables import memorization, of_each_setting

        return of_each_setting(selection, lambda setting: memorization(setting, self.epochs))

    def why_none(self, selection: Selection) -> str:
        """Not trained so far."""
        return untrained(self.epochs)


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
        from memstudy.derived.ablation.measure import areas
        from memstudy.derived.reading import read
        from memstudy.papers.al2.tables import ablation_area, of_each_setting

        measured = areas(read(selection.path / Ablation().curves))
        return of_each_setting(selection, lambda setting: ablation_area(setting, measured, self.epochs))

    def why_none(self, selection: Selection) -> str:
        """Not ablated."""
        return f"no network of these runs was ablated; 'memstudy ablate --study {selection.name}' does it"


def untrained(epochs: Sequence[int] | None) -> str:
    """Why there are no metrics to tabulate, a clause."""
    which = "" if epochs is None else f" of those to tabulate ({', '.join(map(str, epochs))})"
    return f"no epoch{which} is trained yet"
