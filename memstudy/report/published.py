"""The papers' own numbers, as data in the package."""

from __future__ import annotations

from functools import cache
from importlib import resources

import pandas as pd


@cache
def table(name: str) -> pd.DataFrame:
    """A table by name.

    al2_table1: baseline, epoch, metric, al2, value. al2_ablation_area: baseline, epoch, al2, area_pct.
    loco_reg: dataset, architecture, eta, gamma, lambda, accuracy (a fraction), stars.
    loco_filter_stats: architecture, layers, center_gt_neighbor, neighbor_gt_corner.
    norm_loss: dataset, architecture, regularizer, best_error_pct, mean_error_pct.
    """
    with resources.files("memstudy.report").joinpath("published", f"{name}.csv").open() as file:
        return pd.read_csv(file)
