"""Filter statistics: where in their kernels networks have their large weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from memstudy.derived.analysis import Analysis, Needs, Watch
from memstudy.derived.columns import Columns
from memstudy.options import option

if TYPE_CHECKING:
    from memstudy.derived.workbench import Workbench
    from memstudy.report.chart import Chart
    from memstudy.report.saving import Drawing
    from memstudy.report.table import Table
    from memstudy.store import Store
    from memstudy.store.store import Selection


@dataclass(frozen=True)
class Filters(Analysis):
    """How often a kernel's center is larger than its neighbor, and that than the corner (LOCO-Reg).

    Kernels k×k, k = 3, 5, 7, … of every kept network; shuffled kernels as a control, the published fractions
    beside. No images are needed. Pickles (.pt, .pth) are not opened: the answer to one says how to convert it.
    """

    name: ClassVar = "filters"
    needs: ClassVar = Needs.WEIGHTS
    doing: ClassVar = "reading kernels"
    source: ClassVar = "filters.csv"
    columns: ClassVar = {
        "filters": Columns(
            "network choice weights part comparison",
            "size draw larger smaller ties kernels filters layers",
            "squares fraction p_kernels p_filters",
            "epoch",
            key="epoch size draw",
            every="comparison",
        ),
        "filters_rings": Columns(
            "network part",
            "size positions count zeros",
            "distance mean_abs relative",
            "epoch",
            key="epoch size distance",
        ),
        "filters_log_weights": Columns(
            "network place", "size count", "low", "epoch", key="epoch size low", size=400
        ),
        "filters_sizes": Columns(
            "network kernel",
            "layers filters weights",
            "distance ratio squares rms penalty share",
            "epoch",
            key="epoch distance",
        ),
    }
    holds: ClassVar = "every kept epoch, and each single network"
    tabulates: ClassVar = ("filters", "filters_rings", "filters_sizes")
    draws: ClassVar = ("filters_[0-9]*x[0-9]*",)

    weights: tuple[str, ...] = option(
        "Any network's weights, a safetensors file; may be repeated. Alone: no run is looked at.", ()
    )
    compare: str = option(
        "Which neighbor and corner: left-middle and left-upper, drawn ones, or every pair.",
        "named",
        choices=("named", "random", "every"),
    )
    seed: int = option("Seed of draws and control.", 0, least=0)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of weights."""
        return tuple(map(Path, self.weights))

    @classmethod
    def select(
        cls,
        store: Store,
        patterns: Sequence[str],
        study: str | None,
        reference: str,
        given: Mapping[str, Any],
    ) -> Selection:
        """The store's selection; files of weights alone are one of their own, without runs."""
        from memstudy.derived.filters.measure import selected

        weights = tuple(map(Path, given.get("weights", ())))
        if patterns or study is not None or not weights:
            return super().select(store, patterns, study, reference, given)
        return selected(store, weights)

    def measure(self, selection: Selection, bench: Workbench, watch: Watch) -> None:
        """See `memstudy.derived.filters.measure`."""
        from memstudy.derived.filters.measure import measure

        measure(
            selection, self.files, choice=self.compare, seed=self.seed,
            watch=watch,
        )  # fmt: skip

    def tables(self, selection: Selection) -> list[Table]:
        """Fractions, mean weights by distance, and LOCO-Reg's penalty by kernel size."""
        from memstudy.derived.filters.tables import tables

        return tables(selection)

    def figures(self, selection: Selection) -> Iterator[Drawing]:
        """The distribution of weights by position."""
        from memstudy.derived.filters.figures import figures

        return figures(selection)

    def charts(self, selection: Selection) -> Iterator[Chart]:
        """The distribution of weights by position, and the first layer's kernels."""
        from memstudy.derived.filters.charts import charts

        return charts(selection)
