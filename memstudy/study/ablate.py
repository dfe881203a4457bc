"""Cumulative ablation curves of the kept networks of some runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import torch

from memstudy.analysis import ablation
from memstudy.store import RunDirectory
from memstudy.store.store import Selection
from memstudy.study.rows import Rows, read
from memstudy.study.trunk import Workbench

CURVES = "ablation_curves.csv"
KEY = ("run", "epoch", "checkpoint", "orders", "seed")


def ablate(
    selection: Selection,
    bench: Workbench,
    *,
    orders: int,
    seed: int,
    epochs: Sequence[int] | None = None,
    on_network: Callable[[int, int], None] = lambda done, total: None,
) -> pd.DataFrame:
    """Ablation curves of every kept network (or those of `epochs`), by both protocols.

    Returns and writes one row per (run, epoch, protocol, order, fraction) with the `accuracy` on true labels.
    """
    wanted = [
        (run, epoch)
        for run in selection.runs
        for epoch in run.checkpoints()
        if epochs is None or epoch in nearest(run.checkpoints(), epochs)
    ]
    with Rows(selection.path / CURVES, KEY) as rows:
        for done, (run, epoch) in enumerate(wanted):
            key = (run.name, epoch, run.checkpoint_digest(epoch)[:12], orders, seed)
            if not rows.keep(*key):
                rows.add(_curves(run, epoch, bench, orders, seed), key)
            on_network(done + 1, len(wanted))
    return read(selection.path / CURVES)


def _curves(run: RunDirectory, epoch: int, bench: Workbench, orders: int, seed: int) -> pd.DataFrame:
    network = bench.network(run, epoch)
    features = bench.features(run, network)
    labels = bench.data(run)[0].test_labels
    found = []
    for protocol in ablation.PROTOCOLS:
        curves = ablation.curve(network.head, features, labels, protocol, orders=orders, seed=seed)
        table = pd.DataFrame(curves.tolist(), columns=list(ablation.FRACTIONS)).rename_axis("order")
        long = table.reset_index().melt(id_vars="order", var_name="fraction", value_name="accuracy")
        found.append(long.assign(protocol=protocol))
    return pd.concat(found, ignore_index=True)


def nearest(kept: Sequence[int], wanted: Sequence[int]) -> list[int]:
    """For each wanted epoch the kept one that is nearest, and always the last."""
    return sorted({min(kept, key=lambda epoch: abs(epoch - want)) for want in wanted} | {kept[-1]})


def areas(curves: pd.DataFrame) -> pd.DataFrame:
    """Area under each network's curve, in percent: `area` is the mean over orders, `half_width` of its 95 %
    confidence interval; one row per (run, epoch, protocol).
    """
    found = []
    for key, group in curves.groupby(["run", "epoch", "protocol"], sort=False):
        table = group.pivot(index="order", columns="fraction", values="accuracy")
        each = ablation.area(torch.tensor(table.to_numpy()), [float(fraction) for fraction in table.columns])
        mean, half_width = ablation.interval(each)
        run, epoch, protocol = key
        found.append({"run": run, "epoch": epoch, "protocol": protocol, "area": mean, "half_width": half_width})
    return pd.DataFrame(found)
