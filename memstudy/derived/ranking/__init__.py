"""The ranking of all methods under label noise (ours)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from memstudy.derived.analysis import Analysis, Needs

if TYPE_CHECKING:
    from memstudy.report.chart import Chart
    from memstudy.report.saving import Drawing
    from memstudy.report.table import Table
    from memstudy.store.store import Selection


@dataclass(frozen=True)
class Ranking(Analysis):
    """The ranking of all methods under label noise, what was measured at each rate, and their figures (ours)."""

    name: ClassVar = "ranking"
    needs: ClassVar = Needs.METRICS
    tabulates: ClassVar = ("ranking", "ranking_*")
    draws: ClassVar = ("ranking_*",)

    def tables(self, selection: Selection) -> list[Table]:
        """None without runs to compare."""
        from memstudy.derived.ranking.tables import tables

        return tables(selection)

    def figures(self, selection: Selection) -> Iterator[Drawing]:
        """None without runs to compare."""
        from memstudy.derived.ranking.figures import figures

        return figures(selection)

    def charts(self, selection: Selection) -> Iterator[Chart]:
        """Gains with their intervals, and heat maps; none without runs to compare."""
        from memstudy.derived.ranking.charts import charts

        return charts(selection)

    def why_none(self, selection: Selection) -> str:
        """What is missing."""
        from memstudy.derived.ranking.tables import why_none

        return why_none(selection)
