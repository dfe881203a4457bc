"""How similar the representations of networks are: CCA, SVCCA, PWCCA, CKA, Procrustes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from memstudy.derived.analysis import Analysis, Needs, Watch
from memstudy.derived.columns import Columns
from memstudy.errors import MemstudyError, quoted
from memstudy.options import option

if TYPE_CHECKING:
    from memstudy.derived.workbench import Workbench
    from memstudy.report.chart import Chart
    from memstudy.report.saving import Drawing
    from memstudy.report.table import Table
    from memstudy.store.store import Selection

_SIDES, _EPOCHS = "relation run_a run_b keep", "epoch_a epoch_b"
MEASURES = {
    "cca": "mean CCA coefficient",
    "svcca": "SVCCA",
    "pwcca": "PWCCA",
    "cka": "linear CKA",
    "cka_unbiased": "linear CKA, unbiased",
    "procrustes": "Procrustes similarity",
}


def _keep(where: str, rule: object) -> str:
    """A rule of how many directions to keep, as it is written."""
    from memstudy.analysis.keep import parse_keep

    try:
        return str(parse_keep(str(rule)))
    except MemstudyError as error:
        raise MemstudyError(f"{where} cannot be {quoted(rule)}: {error}") from error


@dataclass(frozen=True)
class Similarity(Analysis):
    """CCA, SVCCA, PWCCA, CKA and Procrustes similarity between the kept networks of runs.

    Without arguments: in the newest study, each baseline with its AL2 twin, two seeds of each recipe, every two
    epochs of each run, all runs after their last epoch, and a uniform-random control. RUNs are names or globs;
    then every two of them are compared at all epochs.

    Runs of the same seed (and network) began with the same weights, which makes them more alike; so pairs of the
    same seed and of other seeds are never averaged together.
    """

    name: ClassVar = "svcca"
    needs: ClassVar = Needs.NETWORKS
    doing: ClassVar = "comparing"
    source: ClassVar = "svcca.csv"
    columns: ClassVar = {
        "svcca": Columns(
            _SIDES,
            f"{_EPOCHS} n p_a p_b rank_a rank_b kept_a kept_b",
            "cca svcca pwcca pwcca_back cka cka_unbiased procrustes",
            key=_EPOCHS,
        ),
        "svcca_coefficients": Columns(_SIDES, f"{_EPOCHS} index", "coefficient", key=f"{_EPOCHS} index"),
    }
    holds: ClassVar = "all comparisons"
    draws: ClassVar = ("cca_between", "cca_past", "similarity_epochs", "similarity_runs", "convergence")
    shared: ClassVar = ()

    keep: str = option(
        "Directions SVCCA keeps: variance:F, singular:F, fixed:K, all.", "variance:0.99", checker=_keep
    )
    epochs: tuple[int, ...] | None = option(
        "Kept epochs to compare (0,12,24; the nearest are taken).", None, least=0, usual="all"
    )
    measured: str = option(
        "What heat maps show; tables have all.", "svcca", key="measure", choices=tuple(MEASURES)
    )
    layer: str = option("A module by its name: trunk.0, head.1, …", "trunk")
    positions: str = option(
        "Positions of a convolutional layer are samples, or units (flattened).",
        "samples",
        choices=("samples", "flattened"),
    )
    constant: str = option(
        "Units that are constant on the test images, such as dead ReLUs; rows have units and rank.",
        "drop",
        choices=("drop", "refuse"),
    )

    @property
    def suffix(self) -> str:
        """Of another layer, or of other positions."""
        parts = [self.layer] * (self.layer != "trunk") + [self.positions] * (self.positions != "samples")
        return "".join(f"-{part}" for part in parts)

    @property
    def title(self) -> str:
        """A few words: `trunk`, `head.1`, `trunk, positions flattened`."""
        return self.layer + (f", positions {self.positions}" if self.positions != "samples" else "")

    @property
    def pairs(self) -> str:
        """The file of comparisons, one row each."""
        return f"svcca{self.suffix}.csv"

    @property
    def coefficients(self) -> str:
        """The file of whole sequences of canonical coefficients."""
        return f"svcca_coefficients{self.suffix}.csv"

    @property
    def together(self) -> str:
        """The file that says of each comparison what it was computed together with."""
        return f"svcca_together{self.suffix}.csv"

    def measure(self, selection: Selection, bench: Workbench, watch: Watch) -> None:
        """See `memstudy.derived.similarity.measure`."""
        from memstudy.derived.similarity.measure import compare

        compare(selection, bench, self, watch)

    def figures(self, selection: Selection) -> Iterator[Drawing]:
        """Whole sequences of coefficients, heat maps, and the way to the last representation."""
        from memstudy.derived.similarity.figures import figures

        return figures(selection, self)

    def charts(self, selection: Selection) -> Iterator[Chart]:
        """Sequences and heat maps with a slider over epochs, and the way to the last representation."""
        from memstudy.derived.similarity.charts import charts

        return charts(selection, self)

    def summary(self, selection: Selection, tables: Sequence[Table]) -> tuple[str, dict[str, Any]]:
        """The comparisons worth a line, means over n pairs of runs; `svcca` in --json."""
        from memstudy.derived.similarity.digest import summary

        return summary(selection, self)
