"""Cumulative ablation: how much of a layer's output a network can do without."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from memstudy.derived.analysis import Analysis, Needs, Watch, kept_epochs
from memstudy.derived.columns import Columns
from memstudy.errors import MemstudyError
from memstudy.options import option

if TYPE_CHECKING:
    from memstudy.derived.workbench import Workbench
    from memstudy.report.chart import Chart
    from memstudy.report.saving import Drawing
    from memstudy.report.table import Table
    from memstudy.store.store import Selection


@dataclass(frozen=True)
class Ablation(Analysis):
    """Set a growing share of the trunk's output to 0 and measure what accuracy is left.

    Both protocols: fixed random orders of units (Morcos et al.) and Bernoulli masks per sample (AL2's code).
    Without arguments: the newest study. Another layer, unit, clamp, images or labels go to files of their own.
    """

    name: ClassVar = "ablate"
    needs: ClassVar = Needs.NETWORKS
    doing: ClassVar = "ablating"
    source: ClassVar = "ablation_areas.csv"
    columns: ClassVar = {
        "ablation_curves": Columns(
            "run protocol", "epoch orders seed order", "fraction accuracy", key="epoch order fraction"
        ),
        "ablation_areas": Columns("run protocol", "epoch", "area half_width"),
    }
    holds: ClassVar = "all areas"
    draws: ClassVar = ("ablation",)
    shared: ClassVar = ("epochs", "orders")

    orders: int = option("Random orders or masks.", 5, least=1)
    seed: int = option("Seed of the orders.", 0, least=0)
    epochs: tuple[int, ...] | None = kept_epochs("ablate")
    layer: str = option("A module by its name: trunk.2, head.2, …", "trunk")
    unit: str = option(
        "What falls at once: activation, or channel.", "activation", choices=("activation", "channel")
    )
    clamp: str = option("What it becomes: zero, or mean (over images).", "zero", choices=("zero", "mean"))
    images: str = option("Images to measure accuracy on: test, train.", "test", choices=("test", "train"))
    labels: str = option("What is right: true, or noisy (train only).", "true", choices=("true", "noisy"))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.labels == "noisy" and self.images == "test":
            raise MemstudyError(
                "test images have no noisy labels, as only training labels are corrupted; add --images train."
            )

    @property
    def suffix(self) -> str:
        """The options that are not at their defaults, but for orders, seed and epochs."""
        usual_values = {
            field.name: field.default for field in fields(self) if field.name not in ("orders", "seed", "epochs")
        }
        return "".join(
            f"-{getattr(self, name)}" for name, value in usual_values.items() if getattr(self, name) != value
        )

    @property
    def units(self) -> str:
        """What falls, in the plural."""
        return "channels" if self.unit == "channel" else "activations"

    @property
    def axis(self) -> str:
        """What curves are drawn against."""
        return f"ablated {self.units}, %"

    @property
    def title(self) -> str:
        """A few words: `trunk.2, channels to their mean, training images`; nothing for the usual choice."""
        words = {
            self.layer: self.layer != "trunk",
            f"{self.units} to {'0' if self.clamp == 'zero' else 'their mean'}": self.unit + self.clamp
            != "activationzero",
            "training images": self.images == "train",
        }
        return ", ".join(word for word, said in words.items() if said)

    @property
    def curves(self) -> str:
        """The file of curves, one row a fraction."""
        return f"ablation_curves{self.suffix}.csv"

    @property
    def areas(self) -> str:
        """The file of areas under them."""
        return f"ablation_areas{self.suffix}.csv"

    def measure(self, selection: Selection, bench: Workbench, watch: Watch) -> None:
        """See `memstudy.derived.ablation.measure`."""
        from memstudy.derived.ablation.measure import ablate

        ablate(selection, bench, self, watch)

    def figures(self, selection: Selection) -> Iterator[Drawing]:
        """Accuracy against the ablated share."""
        from memstudy.derived.ablation.figures import figures

        return figures(selection, self)

    def charts(self, selection: Selection) -> Iterator[Chart]:
        """Accuracy against the ablated share, all methods in one view."""
        from memstudy.derived.ablation.charts import charts

        return charts(selection, self)

    def summary(self, selection: Selection, tables: Sequence[Table]) -> tuple[str, dict[str, Any]]:
        """The areas at the last epoch; `ablation` in --json."""
        from memstudy.derived.reading import read
        from memstudy.report.frames import is_last
        from memstudy.report.table import records
        from memstudy.report.terminal import plain

        areas = read(selection.path / self.areas)
        if areas.empty:
            return "", {"ablation": []}
        last = areas[is_last(areas)]
        words = (
            "area under the cumulative ablation curve, %, last epoch, mean and 95 % CI over "
            f"{self.orders} order{'s' if self.orders > 1 else ''}:"
        )
        if self.suffix:
            words += f"\n{self.title}; accuracy on {self.labels} labels"
        return f"{words}\n{plain(last, 2)}", {"ablation": records(last)}
