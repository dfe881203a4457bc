"""Norms of each layer's weights in kept networks: how far they grow, layer by layer.

A layer's weights (O, …) are taken as a matrix with a row for each output unit, biases left aside; `frobenius` is
‖W‖_F, `spectral` its largest singular value, in float64. These are the terms of norm-based measures of capacity
(Neyshabur et al. 2017, "Exploring generalization in deep learning"). Weights that are made from other parameters
(wn, pbwn, oni, olm) are looked at as the network uses them. A kernel's spectral norm as a matrix is not that of
the convolution as a linear map.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from memstudy.derived.analysis import Analysis, Needs, Watch, kept_epochs
from memstudy.derived.columns import Columns
from memstudy.options import option

if TYPE_CHECKING:
    import pandas as pd

    from memstudy.derived.cached_table import Task
    from memstudy.derived.workbench import Workbench
    from memstudy.report.chart import Chart
    from memstudy.report.frames import Setting
    from memstudy.report.saving import Drawing
    from memstudy.report.table import Table
    from memstudy.store import RunDirectory
    from memstudy.store.store import Selection

KEY = ("run", "epoch", "checkpoint")
ORDERS = {"frobenius": "fro", "spectral": 2}
"""What `torch.linalg.matrix_norm` calls them."""


@dataclass(frozen=True)
class Norms(Analysis):
    """Measure the norm of each layer's weights in every kept network.

    Without arguments: the newest study. Another order than frobenius goes to files of its own.
    """

    name: ClassVar = "norms"
    needs: ClassVar = Needs.NETWORKS
    doing: ClassVar = "measuring norms"
    source: ClassVar = "norms.csv"
    columns: ClassVar = {"norms": Columns("run", "epoch layer", "norm", key="epoch layer")}
    holds: ClassVar = "every layer of every network, by epoch"
    tabulates: ClassVar = ("norms",)
    draws: ClassVar = ("norms",)

    order: str = option("Which norm: frobenius, or spectral.", "frobenius", choices=ORDERS)
    epochs: tuple[int, ...] | None = kept_epochs("measure")

    @property
    def suffix(self) -> str:
        """`-spectral`."""
        return "" if self.order == "frobenius" else f"-{self.order}"

    def measure(self, selection: Selection, bench: Workbench, watch: Watch) -> None:
        """One row for each kept network and layer; layers count from 1, in the network's order."""
        from memstudy.derived.cached_table import CachedTable, fill
        from memstudy.derived.kept import kept
        from memstudy.store import code

        runs = code.usable(selection, watch.left_out).runs
        tasks = [self._task(run, epoch, bench) for run in runs for epoch in kept(run, self.epochs)]
        fill({"norms": CachedTable(selection.path / self.path, KEY, version=KEY[2:])}, tasks, watch)

    def _task(self, run: RunDirectory, epoch: int, bench: Workbench) -> Task:
        """One network's rows; its key names the checkpoint, so that another network is measured anew."""
        import pandas as pd
        from torch.linalg import matrix_norm

        from memstudy.derived.cached_table import Task
        from memstudy.derived.kept import checkpoint
        from memstudy.regularizers.base import weighted_layers

        def rows() -> dict[str, pd.DataFrame]:
            layers = weighted_layers(bench.network(run, epoch))
            matrices = (each.weight.detach().flatten(1).double() for each in layers)
            norms = [float(matrix_norm(matrix, ORDERS[self.order])) for matrix in matrices]
            return {"norms": pd.DataFrame({"layer": range(1, len(norms) + 1), "norm": norms})}

        return Task((run.name, epoch, checkpoint(run, epoch)), ["norms"], rows)

    def tables(self, selection: Selection) -> Iterator[Table]:
        """Norms after the last epoch, of every group of comparable runs."""
        from memstudy.derived.reading import each_group

        for setting, rows, suffix in each_group(selection, self.path):
            yield self._table(setting, rows, f"{self.name}{self.suffix}{suffix}")

    def _table(self, setting: Setting, rows: pd.DataFrame, name: str) -> Table:
        from memstudy.regularizers import BARE
        from memstudy.report.cells import frame, starred
        from memstudy.report.differences import compared, star_notes
        from memstudy.report.frames import after_epochs, is_last
        from memstudy.report.table import Table

        last = rows[is_last(rows)].assign(against=BARE)
        values = compared(last, ["label", "layer"], "norm", epoch="epoch")
        cells = frame(
            {"regularizers": row["label"], "layer": str(row["layer"]), "n": str(row["n"]), "norm": starred(row, 3)}
            for row in values.to_dict("records")
        )
        notes = (
            f"{after_epochs(last['epoch'])}Convolutions and linear layers in the network's order, biases left "
            "aside. Mean ± standard deviation over n seeds.",
            *star_notes(values, BARE),
        )
        title = f"{self.order.capitalize()} norms of weights: {setting.title}"
        return Table(name, title, notes, cells, values, words=("regularizers",), group="regularizers")

    def figures(self, selection: Selection) -> Iterator[Drawing]:
        """Norms over epochs, a panel for each method and a line for each layer."""
        from memstudy.derived.reading import each_group
        from memstudy.report.color_scales import ramp, ramp_bar
        from memstudy.report.panels import label_axes, lines, over_seeds, panels
        from memstudy.report.saving import Drawing

        for setting, rows, suffix in each_group(selection, self.path):
            data = rows[["run", "seed", "label", "epoch", "layer", "norm"]]
            figure, axes = panels(list(dict.fromkeys(data["label"])))
            layers = ramp(data["layer"])
            for label, axis in axes.items():
                lines(axis, data[data["label"] == label], "epoch", "norm", layers, by="layer", points=True)
                axis.set_ylim(0, None)
            label_axes(figure, axes, "epoch", f"{self.order} norm")
            ramp_bar(figure, layers, "layer")
            caption = (
                f"{self.order.capitalize()} norms of each layer's weights, counted from the input, after every "
                f"kept epoch. {over_seeds(data, ['label', 'layer', 'epoch'])} {setting.title}."
            )
            yield Drawing(f"{self.name}{self.suffix}{suffix}", figure, data, caption)

    def charts(self, selection: Selection) -> Iterator[Chart]:
        """Norms over epochs for the report page: all methods, of a layer that a list chooses."""
        from memstudy.derived.reading import each_group
        from memstudy.report.chart import Chart
        from memstudy.report.charting.choices import Choice, told
        from memstudy.report.charting.lines import EPOCH, Quantity, over_runs
        from memstudy.report.frames import comparable_runs, methods_of
        from memstudy.report.marks import marks
        from memstudy.report.panels import over_seeds

        methods = marks(methods_of(comparable_runs(selection)))
        for setting, rows, suffix in each_group(selection, self.path):
            data = rows.rename(columns={"label": "method"}).astype({"layer": str})
            layer = Choice("layer", "layer", list(dict.fromkeys(data["layer"])))
            drawn = over_runs(data, EPOCH, Quantity("norm", f"{self.order} norm", ".3f"), methods, [layer])
            spread = over_seeds(data, ["method", "layer", "epoch"])
            caption = (
                f"Norms of a layer's weights after every kept epoch. {spread} {setting.title}. {told(methods)}"
            )
            yield Chart(f"{self.name}{self.suffix}{suffix}", "Norms of weights", caption, drawn)
