"""Importance landscapes: where in the images networks look, and how noise on them hurts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from memstudy.derived.analysis import Analysis, Needs, Watch, kept_epochs
from memstudy.derived.columns import Columns
from memstudy.options import option

if TYPE_CHECKING:
    from memstudy.derived.workbench import Workbench
    from memstudy.report.chart import Chart
    from memstudy.report.saving import Drawing
    from memstudy.report.table import Table
    from memstudy.store.store import Selection

MAPS, FLATNESS, NOISE = "landscape.csv", "landscape_flatness.csv", "landscape_noise.csv"
MEASURED, PREDICTED = "measured", "predicted"


@dataclass(frozen=True)
class Landscape(Analysis):
    """Importance of each pixel by squared gradients: how flat it is, and what counting paths predicts.

    Before training and after every kept epoch; after the last one, accuracy under Gaussian and salt-and-pepper
    noise on the test images. Without arguments: the newest study.
    """

    name: ClassVar = "landscape"
    needs: ClassVar = Needs.NETWORKS
    doing: ClassVar = "looking at pixels"
    source: ClassVar = FLATNESS
    columns: ClassVar = {
        "landscape": Columns("run kind", "epoch images row column", "value", key="epoch row column"),
        "landscape_flatness": Columns("run kind", "epoch images", "cv max_over_min correlation"),
        "landscape_noise": Columns("run noise", "epoch images", "strength accuracy", key="epoch strength"),
    }
    holds: ClassVar = "every epoch that was looked at, and each single network"
    tabulates: ClassVar = ("landscape_flatness", "landscape_noise")
    draws: ClassVar = ("landscape", "landscape_flatness", "landscape_noise")
    shared: ClassVar = ("epochs", "images")

    epochs: tuple[int, ...] | None = kept_epochs("look at")
    images: int = option("Test images to look at, at most.", 1000, least=1)

    def measure(self, selection: Selection, bench: Workbench, watch: Watch) -> None:
        """See `memstudy.derived.landscape.measure`."""
        from memstudy.derived.landscape.measure import landscapes

        landscapes(selection, bench, self, watch)

    def tables(self, selection: Selection) -> list[Table]:
        """Flatness, and accuracy under noise."""
        from memstudy.derived.landscape.tables import tables

        return tables(selection)

    def figures(self, selection: Selection) -> Iterator[Drawing]:
        """Heat maps, flatness over training, accuracy against noise."""
        from memstudy.derived.landscape.figures import figures

        return figures(selection)

    def charts(self, selection: Selection) -> Iterator[Chart]:
        """Landscapes over epochs, flatness over training, accuracy against noise."""
        from memstudy.derived.landscape.charts import charts

        return charts(selection)
