"""PILCRO's tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from memstudy.derived.analysis import Analysis, Needs

if TYPE_CHECKING:
    from memstudy.report.table import Table
    from memstudy.store.store import Selection


@dataclass(frozen=True)
class PilcroTables(Analysis):
    """PILCRO's tables: flatness, robustness to test noise, and speed. Of our reconstruction."""

    name: ClassVar = "pilcro"
    needs: ClassVar = Needs.METRICS
    tabulates: ClassVar = ("pilcro", "pilcro_speed")

    def tables(self, selection: Selection) -> list[Table]:
        """None without runs that use it."""
        from memstudy.papers.pilcro.tables import tables

        return tables(selection)

    def why_none(self, selection: Selection) -> str:
        """Not used, or nothing to compare."""
        from memstudy.papers.pilcro.tables import why_none

        return why_none(selection)
