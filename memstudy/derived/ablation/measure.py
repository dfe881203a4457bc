"""Cumulative ablation curves of the kept networks of some runs, at any of their layers."""

from __future__ import annotations

from functools import partial

import pandas as pd
import torch
from torch import Tensor

from memstudy.analysis.ablation import FRACTIONS, PROTOCOLS, curve
from memstudy.derived.ablation import Ablation
from memstudy.derived.ablation.areas import areas
from memstudy.derived.analysis import UNWATCHED, Watch
from memstudy.derived.cached_table import CachedTable, Task, fill, write
from memstudy.derived.kept import checkpoint, kept
from memstudy.derived.layers import behind, output_of
from memstudy.derived.reading import read
from memstudy.derived.training_set import training_set
from memstudy.derived.workbench import NotFinite, Workbench
from memstudy.store import RunDirectory, code
from memstudy.store.store import Selection
from memstudy.training.evaluation import batch_size

KEY = ("run", "epoch", "checkpoint", "orders", "seed")
VERSION = ("checkpoint", "orders", "seed")


def ablate(
    selection: Selection,
    bench: Workbench,
    ablation: Ablation,
    watch: Watch = UNWATCHED,
) -> pd.DataFrame:
    """Ablation curves of every kept network, or of those nearest to `ablation.epochs`, by both protocols.

    Returns and writes one row per (run, epoch, protocol, order, fraction) with the `accuracy`, a fraction. The
    areas under the curves go to a file of their own. The watch is told which networks are left out, as they
    diverged or their code has changed, and which have collapsed.
    """
    selection = code.usable(selection, watch.left_out)
    rows = CachedTable(selection.path / ablation.curves, KEY, VERSION)
    tasks = [
        Task(
            (run.name, epoch, checkpoint(run, epoch), ablation.orders, ablation.seed),
            [ablation.curves],
            partial(_curves, run, epoch, bench, ablation),
            count=len(PROTOCOLS) * ablation.orders * len(FRACTIONS),
        )
        for run in selection.runs
        for epoch in kept(run, ablation.epochs)
    ]
    fill({ablation.curves: rows}, tasks, watch)
    curves = read(selection.path / ablation.curves)
    write(selection.path / ablation.areas, areas(curves))
    for run, epoch in _unmoved(curves):
        watch.left_out(
            f"{run}, epoch {epoch}: it has collapsed, as its accuracy is the same whatever is ablated; its area "
            "is in the means all the same"
        )
    return curves


def _unmoved(curves: pd.DataFrame) -> list[tuple[str, int]]:
    """Run and epoch of each network whose accuracy is the same whatever is ablated."""
    if curves.empty:
        return []
    accuracies = curves.groupby(["run", "epoch"], sort=False)["accuracy"].nunique()
    return list(accuracies.index[accuracies == 1])


@torch.no_grad()
def _curves(run: RunDirectory, epoch: int, bench: Workbench, ablation: Ablation) -> dict[str, pd.DataFrame]:
    network, (images, labels) = bench.network(run, epoch), _evaluated(run, bench, ablation)
    output, (head, needs_images) = output_of(network, ablation.layer), behind(network, ablation.layer)
    features = torch.cat([output(chunk) for chunk in images.split(batch_size(images))])
    if not features.isfinite().all():
        raise NotFinite(run, epoch)
    beside = images if needs_images else None
    parts = []
    for protocol in PROTOCOLS:
        curves = curve(
            head,
            features,
            labels,
            protocol,
            ablation.orders,
            ablation.seed,
            unit=ablation.unit,
            clamp=ablation.clamp,
            images=beside,
        )
        table = pd.DataFrame(curves.tolist(), columns=list(FRACTIONS)).rename_axis("order")
        long = table.reset_index().melt(id_vars="order", var_name="fraction", value_name="accuracy")
        parts.append(long.assign(protocol=protocol))
    return {ablation.curves: pd.concat(parts, ignore_index=True)}


def _evaluated(run: RunDirectory, bench: Workbench, ablation: Ablation) -> tuple[Tensor, Tensor]:
    """Normalized images, and the labels that count as right."""
    if ablation.images == "test":
        test = bench.test_set(run)
        return test.images, test.labels
    train = training_set(bench, run)
    return train.images, train.true if ablation.labels == "true" else train.noisy
