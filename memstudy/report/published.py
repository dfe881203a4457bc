"""The papers' own numbers, as data in the package."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import pandas as pd

from memstudy.report.origin import Cited

PAPERS = {
    "al2_table1": "AL2 (ICASSP 2020), Table 1",
    "al2_ablation_area": "AL2 (ICASSP 2020), areas under its cumulative ablation curves",
    "loco_reg": "LOCO-Reg, its table of accuracies by η and λ",
    "loco_filter_stats": "LOCO-Reg, its table of where kernels are large",
    "norm_loss": "Norm Loss, its table of test errors",
}
"""The paper of each table, and what it is there."""


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


def cited(name: str, row: Mapping[str, Any], column: str) -> Cited:
    """The number in a column of a table, in the row that has these values; it must be there once."""
    rows = table(name)
    for key, value in row.items():
        rows = rows[rows[key] == value]
    (value,) = rows[column]
    return Cited(float(value), PAPERS[name], f"report/published/{name}.csv", dict(row), column)
