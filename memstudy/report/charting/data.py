"""Tables as the data of charts, and of which runs they are."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from memstudy.report.frames import Groups, shared_title

DIGITS = 5
"""Significant digits of numbers in a chart's data."""


def inlined(table: pd.DataFrame) -> alt.InlineData:
    """A table as data in the chart itself, numbers to DIGITS significant digits; what is not finite is missing.

    Not as CSV, a third of the size: Vega reads that by code that it makes of the names of columns, which a page's
    policy forbids.
    """
    columns = {str(name): list(map(_value, table[name])) for name in table}
    return alt.InlineData(
        values=[dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    )


def _value(value: Any) -> Any:
    """As JSON has it: numbers no longer than they need be."""
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, int | np.integer):
        return int(value)
    return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None


def placed(groups: Groups) -> pd.DataFrame:
    """The runs of all settings, one row each: `run`, `seed`, `method`, and the words of its `setting`."""
    columns = {"run": "run", "seed": "seed", "label": "method"}
    parts = [members[[*columns]].assign(setting=setting.words) for setting, members in groups]
    return pd.concat(parts, ignore_index=True).rename(columns=columns)


def of_runs(table: pd.DataFrame, groups: Groups) -> pd.DataFrame:
    """The rows of a derived table that are of these runs, in its order, with the columns of `placed`."""
    return table.drop(columns="seed", errors="ignore").merge(placed(groups), on="run") if len(table) else table


def title_of(groups: Groups) -> str:
    """A sentence for a caption on what all runs share."""
    title = groups[0][0].title if len(groups) == 1 else shared_title(setting for setting, _ in groups)
    return f"{title}." if title else ""
