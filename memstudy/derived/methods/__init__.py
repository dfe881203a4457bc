"""Methods side by side, made of metrics alone: curves of training, tables of accuracy, losses and memorization."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from memstudy.derived.analysis import Analysis, Needs, kept_epochs

if TYPE_CHECKING:
    from memstudy.report.chart import Chart
    from memstudy.report.saving import Drawing
    from memstudy.report.table import Table
    from memstudy.store.store import Selection

LAID_OUT_AS_TWINS = "every method has its AL2 twin, so table1 has them side by side"


@dataclass(frozen=True)
class Curves(Analysis):
    """Accuracy, losses with the floor, what corrupted samples are taken for, by epoch, rate and strength."""

    name: ClassVar = "curves"
    needs: ClassVar = Needs.METRICS
    draws: ClassVar = ("accuracy", "losses", "memorization", "activation_loss", "rates", "strengths")

    def figures(self, selection: Selection) -> Iterator[Drawing]:
        """One figure each."""
        from memstudy.derived.methods.figures import figures

        return figures(selection)

    def charts(self, selection: Selection) -> Iterator[Chart]:
        """One for each quantity."""
        from memstudy.derived.methods.charts import charts

        return charts(selection)


@dataclass(frozen=True)
class Methods(Analysis):
    """Methods after the last epoch, each tested against the reference (ours)."""

    name: ClassVar = "methods"
    needs: ClassVar = Needs.METRICS
    tabulates: ClassVar = ("methods",)

    def tables(self, selection: Selection) -> Iterable[Table]:
        """One for all settings; none where there is one method alone, or AL2's layout."""
        from memstudy.derived.methods.tables import methods

        return methods(selection)

    def why_none(self, selection: Selection) -> str:
        """One method, or twins."""
        from memstudy.report.frames import comparable_runs
        from memstudy.report.twins import twins

        return (
            LAID_OUT_AS_TWINS
            if twins(comparable_runs(selection))
            else "there is one method alone, and nothing to compare it with"
        )


@dataclass(frozen=True)
class TrainingTable(Analysis):
    """Test accuracy, training cross-entropy and activation loss after kept epochs, by method (ours)."""

    name: ClassVar = "training"
    needs: ClassVar = Needs.METRICS
    tabulates: ClassVar = ("training",)

    epochs: tuple[int, ...] | None = kept_epochs("tabulate")

    def tables(self, selection: Selection) -> Iterable[Table]:
        """One for each setting; none in AL2's layout."""
        from memstudy.derived.methods.tables import training

        return training(selection, self.epochs)

    def why_none(self, selection: Selection) -> str:
        """Twins, or not trained so far."""
        from memstudy.report.frames import comparable_runs
        from memstudy.report.twins import twins

        return LAID_OUT_AS_TWINS if twins(comparable_runs(selection)) else untrained(self.epochs)


@dataclass(frozen=True)
class Memorization(Analysis):
    """What training samples are taken for after kept epochs, by method (ours)."""

    name: ClassVar = "memorization"
    needs: ClassVar = Needs.METRICS
    tabulates: ClassVar = ("memorization",)

    epochs: tuple[int, ...] | None = kept_epochs("tabulate")

    def tables(self, selection: Selection) -> Iterable[Table]:
        """One for each setting."""
        from memstudy.derived.methods.tables import memorization

        return memorization(selection, self.epochs)

    def why_none(self, selection: Selection) -> str:
        """Not trained so far."""
        return untrained(self.epochs)


def untrained(epochs: Sequence[int] | None) -> str:
    """Why there are no metrics to tabulate, a clause."""
    which = "" if epochs is None else f" of those to tabulate ({', '.join(map(str, epochs))})"
    return f"no epoch{which} is trained yet"
