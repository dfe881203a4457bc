"""Means over runs with their bands, of ± one standard deviation: what lines of figures and of charts show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


def bands(data: pd.DataFrame, by: Sequence[str], value: str, log: bool = False) -> pd.DataFrame:
    """Of the runs of each value of `by`, ascending: `mean`, `low`, `high`, `spread`, and `n`, their number.

    data: one row a run. spread: the standard deviation; NaN, as are low and high, of one run. log: the geometric
    mean, and mean ± spread of logarithms; spread is in decades then, and all values are positive.
    """
    values = data[value]
    grouped = (np.log10(values) if log else values).groupby([data[name] for name in by])
    mean, spread = grouped.mean(), grouped.std()
    ends = {"mean": mean, "low": mean - spread, "high": mean + spread}
    if log:
        ends = {name: 10**end for name, end in ends.items()}
    return pd.DataFrame({**ends, "spread": spread, "n": grouped.count()})
