"""Cumulative ablation curves of the kept networks of some runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import torch

from memstudy.analysis import ablation
from memstudy.store import RunDirectory
from memstudy.store.store import Selection
from memstudy.study.rows import Rows, read
from memstudy.study.trunk import NotFinite, Workbench

CURVES = "ablation_curves.csv"
KEY = ("run", "epoch", "checkpoint", "orders", "seed")
VERSION = ("checkpoint", "orders", "seed")


def ablate(
    selection: Selection,
    bench: Workbench,
    *,
    orders: int,
    seed: int,
    epochs: Sequence[int] | None = None,
    on_network: Callable[[int, int], None] = lambda done, total: None,
    on_left_out: Callable[[str], None] = lambda what: None,
) -> pd.DataFrame:
    """Ablation curves of every kept network (or those of `epochs`), by both protocols.

    Returns and writes one row per (run, epoch, protocol, order, fraction) with the `accuracy` on true labels.
    `on_left_out` is told which networks diverged, so that they have no curve.
    """
    wanted = [
        (run, epoch)
        for run in selection.runs
        for epoch in run.checkpoints()
        if epochs is None or epoch in nearest(run.checkpoints(), epochs)
    ]
    complete = len(ablation.PROTOCOLS) * orders * len(ablation.FRACTIONS)
    with Rows(selection.path / CURVES, KEY, VERSION) as rows:
        for done, (run, epoch) in enumerate(wanted):
            key = (run.name, epoch, run.checkpoint_digest(epoch)[:12], orders, seed)
            if len(rows.find(*key)) == complete:
                rows.keep(*key)
            else:
                try:
                    rows.add(_curves(run, epoch, bench, orders, seed), key)
                except NotFinite as error:
                    on_left_out(str(error))
            on_network(done + 1, len(wanted))
    return read(selection.path / CURVES)


def _curves(run: RunDirectory, epoch: int, bench: Workbench, orders: int, seed: int) -> pd.DataFrame:
    network, features = bench.network_and_features(run, epoch)
    labels = bench.test_set(run).labels
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
    columns = ["run", "epoch", "protocol", "area", "half_width"]
    if curves.empty:
        return pd.DataFrame(columns=columns)
    found = []
    for key, group in curves.groupby(columns[:3], sort=False):
        table = group.pivot(index="order", columns="fraction", values="accuracy")
        each = ablation.area(torch.tensor(table.to_numpy()), [float(fraction) for fraction in table.columns])
        mean, half_width = ablation.interval(each)
        found.append([*key, mean, half_width])
    return pd.DataFrame(found, columns=columns)
