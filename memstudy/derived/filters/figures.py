"""Figures of kernels: the distribution of weights by position."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import numpy as np
import pandas as pd
import seaborn as sns

from memstudy.analysis.filters import BINS_PER_DECADE
from memstudy.derived.filters.measure import LOG_WEIGHTS
from memstudy.derived.filters.tables import each_group_or_file
from memstudy.derived.reading import read
from memstudy.report.lettering import style
from memstudy.report.saving import Drawing, titled
from memstudy.store.store import Selection

PAPER_PLACES = ("center", "left-middle", "left-upper")
EVERYWHERE = "all positions"
HIDDEN = 0.002  # share of the weights that a figure may cut off on the left, where log |w| has a long tail


def figures(selection: Selection) -> Iterator[Drawing]:
    """Distributions of log |w|: of 3×3 kernels at three positions (stated), of others by distance (ours)."""
    table = read(selection.path / LOG_WEIGHTS)
    for title, rows, suffix in each_group_or_file(selection, table):
        for size, part in rows.groupby("size"):
            is_zero = np.isneginf(part["low"])
            zeros = int(part.loc[is_zero & part["place"].str.startswith("distance"), "count"].sum())
            if is_zero.all():
                continue
            data = _densities(part[~is_zero])
            grid = _panels(data)
            words = f"{size}×{size} kernels: |w| by position; n: weights at the center"
            if zeros:
                words += f"; {zeros:,} weights that are 0 left out"
            yield titled(f"filters_{size}x{size}{suffix}", grid, data, f"{words}\n{title}")


def _densities(rows: pd.DataFrame) -> pd.DataFrame:
    """Tidy: label, place, low (log10 |w|, a bin's left edge), count, density per decade, n of the place."""
    distances = rows[rows["place"].str.startswith("distance")]
    papers = rows[rows["place"].isin(PAPER_PLACES)]
    shown = pd.concat([distances if papers.empty else papers, distances.assign(place=EVERYWHERE)])
    shown = shown.assign(bin=(shown["low"] * BINS_PER_DECADE).round().astype(int))
    bins = pd.RangeIndex(shown["bin"].min() - 1, shown["bin"].max() + 2, name="bin")
    wide = shown.pivot_table(index="bin", columns=["label", "place"], values="count", aggfunc="sum", sort=False)
    counts = wide.reindex(bins).fillna(0).melt(ignore_index=False, value_name="count").reset_index()
    n = counts.groupby(["label", "place"])["count"].transform("sum").astype(int)
    low, density = counts.pop("bin") / BINS_PER_DECADE, counts["count"] / n * BINS_PER_DECADE
    return counts.astype({"count": int}).assign(low=low, density=density, n=n)


def _panels(data: pd.DataFrame) -> sns.FacetGrid:
    """One panel a label, one line a place; the middle of each bin on a logarithmic axis."""
    places = [place for place in data["place"].unique() if place != EVERYWHERE]
    are_papers = places[0] in PAPER_PLACES
    colors = sns.color_palette("colorblind") if are_papers else sns.color_palette("viridis", len(places) + 1)
    palette = dict(zip(places, colors, strict=False)) | {EVERYWHERE: "0.85"}
    data = data.assign(magnitude=10 ** (data["low"] + 0.5 / BINS_PER_DECADE))
    labels = data["label"].unique()
    with style("ticks"):
        grid = sns.relplot(
            data=data, kind="line", x="magnitude", y="density", hue="place", hue_order=[EVERYWHERE, *places],
            palette=palette, size="place", sizes={EVERYWHERE: 4.0} | dict.fromkeys(places, 1.2), errorbar=None,
            col="label", col_wrap=min(4, len(labels)), height=2.6, aspect=1.15,
        )  # fmt: skip
    everywhere = data[data["place"] == EVERYWHERE].sort_values("magnitude")
    tail = everywhere["count"].cumsum() / everywhere["count"].sum()
    left = everywhere.loc[tail > HIDDEN, "magnitude"].iloc[0]
    grid.set(xscale="log", xlim=(left, data["magnitude"].max()), ylim=(0, None))
    for label, axis in grid.axes_dict.items():
        center = data[(data["label"] == label) & data["place"].isin(places[:1])]
        text = f"{label}, n = {center['n'].iloc[0]:,}"
        axis.set_title(textwrap.fill(text, 36), fontsize="medium" if len(text) <= 28 else "small")
    grid.legend.set_title(None)
    return grid.set_axis_labels("|w|", "share of weights per decade")
