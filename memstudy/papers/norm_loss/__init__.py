"""Norm Loss' tables and figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from memstudy.derived.analysis import Analysis, Needs

if TYPE_CHECKING:
    from memstudy.report.saving import Drawing
    from memstudy.report.table import Table
    from memstudy.store.store import Selection


@dataclass(frozen=True)
class NormLossTables(Analysis):
    """Norm Loss' tables and figures: test error, and how that depends on λ and on the batch size."""

    name: ClassVar = "norm_loss"
    needs: ClassVar = Needs.METRICS
    tabulates: ClassVar = ("norm_loss", "norm_loss_*")
    draws: ClassVar = ("norm_loss_*",)

    def tables(self, selection: Selection) -> list[Table]:
        """None without runs to compare."""
        from memstudy.papers.norm_loss.tables import tables

        return tables(selection)

    def figures(self, selection: Selection) -> Iterator[Drawing]:
        """None without runs to compare."""
        from memstudy.papers.norm_loss.figures import figures

        return figures(selection)

    def why_none(self, selection: Selection) -> str:
        """What is missing."""
        from memstudy.papers.norm_loss.tables import why_none

        return why_none(selection)
