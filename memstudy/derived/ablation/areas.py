"""Areas under the ablation curves of networks."""

from __future__ import annotations

import pandas as pd


def areas(curves: pd.DataFrame) -> pd.DataFrame:
    """Area under each network's curve, in percent; one row per (run, epoch, protocol).

    `area` is the mean over orders, `half_width` the half width of its 95 % confidence interval.
    """
    columns = ["run", "epoch", "protocol", "area", "half_width"]
    if curves.empty:
        return pd.DataFrame(columns=columns)
    import torch  # here, as tables of runs that were never ablated need none of it

    from memstudy.analysis.ablation import area, interval

    rows = []
    for key, group in curves.groupby(columns[:3], sort=False):
        table = group.pivot(index="order", columns="fraction", values="accuracy")
        order_areas = area(torch.tensor(table.to_numpy()), [float(fraction) for fraction in table.columns])
        mean, half_width = interval(order_areas)
        rows.append([*key, mean, half_width])
    return pd.DataFrame(rows, columns=columns)
