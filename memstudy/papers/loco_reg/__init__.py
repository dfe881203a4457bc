"""LOCO-Reg's table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from memstudy.derived.analysis import Analysis, Needs

if TYPE_CHECKING:
    from memstudy.report.table import Table
    from memstudy.store.store import Selection


@dataclass(frozen=True)
class LocoRegTable(Analysis):
    """LOCO-Reg's table: accuracy by η and λ."""

    name: ClassVar = "loco_reg"
    needs: ClassVar = Needs.METRICS
    tabulates: ClassVar = ("loco_reg",)

    def tables(self, selection: Selection) -> list[Table]:
        """None without runs that use it."""
        from memstudy.papers.loco_reg.tables import tables

        return tables(selection)

    def why_none(self, selection: Selection) -> str:
        """Not used, or nothing to compare."""
        from memstudy.papers.loco_reg.tables import why_none

        return why_none(selection)
