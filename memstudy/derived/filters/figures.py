"""Figures of kernels: at which positions small and large weights are found more often than elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from memstudy.analysis.filters import BINS_PER_DECADE
from memstudy.derived.filters.measure import LOG_WEIGHTS
from memstudy.derived.filters.tables import each_group_or_file
from memstudy.derived.reading import read
from memstudy.report.cells import span
from memstudy.report.color_scales import ramp, ramp_bar
from memstudy.report.marks import Mark, marks
from memstudy.report.panels import label_axes, legend, level, lines, panels
from memstudy.report.saving import Drawing
from memstudy.store.store import Selection

PAPER_PLACES = ("center", "left-middle", "left-upper")
EVERYWHERE, DISTANCE = "all positions", "distance "
FEWEST = 40  # weights that a bin would have if all positions were alike: of fewer, a ratio is mostly luck


def figures(selection: Selection) -> Iterator[Drawing]:
    """Distributions of log |w|: of 3×3 kernels at three positions (stated), of others by distance (ours)."""
    for found in distributions(selection):
        yield _figure(found)


@dataclass(frozen=True)
class Distribution:
    """How often weights of each size are found at each position of kernels of one size.

    Attributes:
        data: see `_densities`.
        name: of its figure.
        caption: of it.

    """

    data: pd.DataFrame
    name: str
    caption: str

    @property
    def shown(self) -> pd.DataFrame:
        """What is drawn: `label`, `place`, `magnitude` (the middle of a bin), `ratio`."""
        expected = self.data["everywhere"] * self.data["n"] / BINS_PER_DECADE
        rows = self.data[(self.data["place"] != EVERYWHERE) & (expected >= FEWEST)]
        return rows.assign(magnitude=10 ** (rows["low"] + 0.5 / BINS_PER_DECADE))

    @property
    def by_distance(self) -> bool:
        """Whether places are distances, and not the paper's."""
        return not set(self.shown["place"]) <= set(PAPER_PLACES)


def distributions(selection: Selection) -> Iterator[Distribution]:
    """Of every group of networks and size of kernels, each network after its last kept epoch."""
    table = read(selection.path / LOG_WEIGHTS)
    for title, rows, suffix in each_group_or_file(selection, table):
        for size, part in rows.groupby("size"):
            is_zero = np.isneginf(part["low"])
            zeros = int(part.loc[is_zero & part["place"].str.startswith(DISTANCE), "count"].sum())
            if not is_zero.all():
                networks = span(part[~is_zero].groupby("label")["network"].nunique())
                notes = f" of n = {networks} networks together."
                notes += f" {zeros:,} weights that are 0 are left out." if zeros else ""
                data = _densities(part[~is_zero])
                n = span(data.loc[data["place"] == data["place"].iloc[0], "n"])
                caption = (
                    f"How often a weight of each size is found at a position of {size}×{size} kernels, over "
                    f"how often anywhere in them (dotted: 1), where that would be {FEWEST} weights or more; {n} "
                    f"weights at the center{notes} {title}."
                )
                yield Distribution(data, f"filters_{size}x{size}{suffix}", caption)


def _densities(rows: pd.DataFrame) -> pd.DataFrame:
    """Tidy: label, place, low (log10 |w|, a bin's left edge), count, density per decade, n of the place.

    Besides: everywhere, the density of all positions, and ratio, the density over it, NaN where that is 0.
    """
    distances = rows[rows["place"].str.startswith(DISTANCE)]
    papers = rows[rows["place"].isin(PAPER_PLACES)]
    shown = pd.concat([distances if papers.empty else papers, distances.assign(place=EVERYWHERE)])
    shown = shown.assign(bin=(shown["low"] * BINS_PER_DECADE).round().astype(int))
    bins = pd.RangeIndex(shown["bin"].min() - 1, shown["bin"].max() + 2, name="bin")
    wide = shown.pivot_table(index="bin", columns=["label", "place"], values="count", aggfunc="sum", sort=False)
    counts = wide.reindex(bins).fillna(0).melt(ignore_index=False, value_name="count").reset_index()
    n = counts.groupby(["label", "place"])["count"].transform("sum").astype(int)
    low, density = counts.pop("bin") / BINS_PER_DECADE, counts["count"] / n * BINS_PER_DECADE
    data = counts.astype({"count": int}).assign(low=low, density=density, n=n)
    everywhere = data[data["place"] == EVERYWHERE].set_index(["label", "low"])["density"]
    whole = everywhere.reindex(pd.MultiIndex.from_frame(data[["label", "low"]])).to_numpy()
    return data.assign(everywhere=whole, ratio=data["density"] / np.where(whole > 0, whole, np.nan))


def _figure(found: Distribution) -> Drawing:
    """One panel a label, one line a place; the middle of each bin on a logarithmic axis."""
    data, shown = found.data, found.shown
    of_lines: dict[Any, Mark] = marks(dict.fromkeys(shown["place"]))
    if found.by_distance:
        shown["place"] = shown["place"].str.removeprefix(DISTANCE).astype(float)
        of_lines = {**ramp(shown["place"])}
    figure, axes = panels(list(dict.fromkeys(data["label"])))
    for label, axis in axes.items():
        lines(axis, shown[shown["label"] == label], "magnitude", "ratio", of_lines, by="place")
        level(axis, 1)
        axis.set_xscale("log")
    label_axes(figure, axes, "$|w|$", "relative density")
    if found.by_distance:
        ramp_bar(figure, of_lines, "distance from the center, pixels")
    else:
        legend(figure, of_lines)
    return Drawing(found.name, figure, data, found.caption)
