"""Similarities as tables, epoch × epoch and name × name: what heat maps show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.sparse.csgraph import connected_components

from memstudy.report.heat_maps import HeatMap

LEAST_NAMES = 3  # of fewer the table says it all


def between_epochs(cells: pd.DataFrame, measure: str) -> pd.DataFrame:
    """A symmetric table of a run's epochs, 1 on its diagonal; NaN for a network that collapsed.

    cells: one row for each two epochs, `epoch_a` and `epoch_b`.
    """
    mirrored = cells.rename(columns={"epoch_a": "epoch_b", "epoch_b": "epoch_a"})
    table = pd.concat([cells, mirrored]).pivot(index="epoch_a", columns="epoch_b", values=measure)
    table = table.sort_index().sort_index(axis="columns")
    filled = table.to_numpy(copy=True)
    np.fill_diagonal(filled, np.where(np.isnan(filled).all(axis=1), np.nan, 1.0))
    return pd.DataFrame(filled, index=table.index, columns=table.columns)


def between_names(pairs: pd.DataFrame, measure: str) -> list[HeatMap]:
    """Mean similarity by names `a` and `b`: one map for names that are all compared with each other, if only
    by others between them.

    Where every two names are, the map is a symmetric square. Where some are not, such as methods of one setting
    in a comparison of settings, each pair has one cell, below the diagonal, and names stand together that are
    compared with the same others: of two settings, those of one are the rows and those of the other the columns.
    """
    names = list(dict.fromkeys([*pairs["a"], *pairs["b"]]))
    both = pd.concat([pairs, pairs.rename(columns={"a": "b", "b": "a"})])
    grouped = both.groupby(["a", "b"])[measure]
    means = grouped.mean().unstack("b").reindex(index=names, columns=names)
    there = grouped.size().unstack("b").reindex(index=names, columns=names).notna()
    count, member_of = connected_components(there.to_numpy(), directed=False)
    maps = []
    for part in range(count):
        own = [name for name, of in zip(names, member_of, strict=True) if of == part]
        if len(own) >= LEAST_NAMES and means.loc[own, own].notna().any(axis=None):
            maps.append(_map(means.loc[own, own], there.loc[own, own]))
    return maps


def _map(means: pd.DataFrame, there: pd.DataFrame) -> HeatMap:
    if (there | np.eye(len(there), dtype=bool)).all(axis=None):
        return HeatMap(means)
    order = _together(there)
    means = means.reindex(index=order, columns=order)
    there = there.reindex(index=order, columns=order)
    below = there & np.tri(len(order), dtype=bool)
    rows, columns = below.any(axis=1), below.any(axis=0)
    return HeatMap(means.where(below).loc[rows, columns], measured=(means.notna() | ~below).loc[rows, columns])


def _together(there: pd.DataFrame) -> list[str]:
    """Names in their order, but those that are compared with the same others one after the other."""
    names = list(there.index)
    others = {name: frozenset(there.columns[there.loc[name]]) - {name} for name in names}
    first = {found: place for place, found in reversed(list(enumerate(others.values())))}
    return sorted(names, key=lambda name: first[others[name]])


def one_setting_a_side(heat_map: HeatMap, settings: Sequence[str]) -> HeatMap:
    """The same, where all rows are of one setting, and all columns of another: names without these, said once.

    Names are `METHOD, SETTING`.
    """
    sides = {}
    for side in ("index", "columns"):
        names = list(getattr(heat_map.table, side))
        common = [words for words in settings if all(name.endswith(f", {words}") for name in names)]
        if not common:
            return heat_map
        words = max(common, key=len)
        sides[side] = words, [name.removesuffix(f", {words}") for name in names]
    (rows, index), (of_columns, columns) = sides["index"], sides["columns"]
    table = heat_map.table.set_axis(index, axis="index").set_axis(columns, axis="columns")
    return replace(heat_map, table=table, rows=rows, columns=of_columns)
