"""Figures of similar representations: whole sequences of canonical coefficients, heat maps epoch × epoch and
run × run, and the way to the last representation.

Each number is a mean over seeds. What to hold a number against: a uniform-random control, which says how much is
there for want of samples alone, and two seeds of one recipe, the most that can be asked of two networks.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns

from memstudy.errors import unknown
from memstudy.report import comparison
from memstudy.report.figures import HEIGHT, Figure, suffix, written
from memstudy.report.lettering import style
from memstudy.store.store import Selection
from memstudy.study.comparisons import CONTROL, GRID, PAIR, PAST, SEED, TWIN, USUAL, What
from memstudy.study.derived import read

MEASURES = {
    "cca": "mean CCA coefficient",
    "svcca": "SVCCA",
    "pwcca": "PWCCA",
    "cka": "linear CKA",
    "cka_unbiased": "linear CKA, unbiased",
    "procrustes": "Procrustes similarity",
}
MANY = 14  # rows of a heat map from which on its numbers are left out


def draw(selection: Selection, what: What = USUAL, measure: str = "svcca") -> list[Path]:
    """Draw everything, the maps for one measure. Raises a MemstudyError for a measure that there is none of."""
    check(measure)
    names = ("cca_between", "cca_past", "similarity_epochs", "similarity_runs", "convergence")
    drawn = itertools.chain(_coefficients(selection, what), _maps(selection, what, measure))
    return written(selection, drawn, [name + what.suffix for name in names])


def check(measure: str) -> None:
    """Raise a MemstudyError for a measure that there is none of."""
    if measure not in MEASURES:
        raise unknown("measure of similarity", measure, MEASURES)


def _coefficients(selection: Selection, what: What) -> Iterator[Figure]:
    rows = read(selection.path / what.coefficients)
    for index, (title, sequences) in enumerate(comparison.by_setting(rows, selection.runs)):
        past = sequences[sequences["relation"] == PAST]  # of every two epochs, those with the last
        past = past[past["epoch_b"] == past.groupby("run_a")["epoch_b"].transform("max")]
        between = sequences[sequences["relation"].isin([TWIN, PAIR])]
        for chosen, name, which in (
            (between, "cca_between", "two networks at equal epochs"),
            (past, "cca_past", "a network and its own last epoch"),
        ):
            if len(chosen):
                data, grid = _sequences(chosen, sequences[sequences["relation"] == CONTROL])
                words = f"CCA coefficients of {which}, {what.title} on test images\n{title}"
                yield name + what.suffix + suffix(index), data, grid, words


def _maps(selection: Selection, what: What, measure: str) -> Iterator[Figure]:
    seeds = {run.name: run.recipe.seed for run in selection.runs}
    pairs = read(selection.path / what.pairs)
    if len(pairs):
        pairs = pairs.assign(alike=pairs["run_a"].map(seeds) == pairs["run_b"].map(seeds))
    for index, (title, rows) in enumerate(comparison.by_setting(pairs, selection.runs)):
        ending = what.suffix + suffix(index)
        words = f"{MEASURES[measure]}, {what.title} on test images\n{title}"
        if (made := _epochs(rows, measure)) is not None:
            gray = "; gray: a network that collapsed" if made[0][measure].isna().any() else ""
            yield f"similarity_epochs{ending}", *made, words + gray
        if (made := _runs(rows, measure)) is not None:
            fewest = made[0].loc[made[0]["n"] > 0, "n"].min()  # none of networks that collapsed
            yield f"similarity_runs{ending}", *made, f"{words}; n = {fewest} or more pairs a cell"
        if (made := _convergence(rows, measure)) is not None:
            yield f"convergence{ending}", *made, f"with the last kept epoch: {words}"


def _sequences(chosen: pd.DataFrame, control: pd.DataFrame) -> tuple[pd.DataFrame, sns.FacetGrid]:
    """One panel a pair of labels, one line an epoch, the uniform-random control dashed."""
    chosen = chosen.assign(panel=chosen["a"].where(chosen["relation"] == PAST, chosen["a"] + " ~ " + chosen["b"]))
    means = chosen.groupby(["panel", "epoch_a", "index"], sort=False)["coefficient"].mean().reset_index()
    means = means.rename(columns={"epoch_a": "epoch"})
    with style("ticks"):
        grid = sns.relplot(
            data=means, kind="line", x="index", y="coefficient", hue="epoch", palette="viridis",
            hue_norm=(0, max(1, means["epoch"].max())), legend="full", col="panel", errorbar=None,
            col_wrap=min(4, means["panel"].nunique()), height=HEIGHT, aspect=1.05,
        )  # fmt: skip
    noise = control.groupby("index")["coefficient"].mean()
    for axis in grid.axes.flat:
        axis.plot(noise.index, noise, color="0.5", linestyle="--", linewidth=1)
    if len(noise):
        grid.axes.flat[0].annotate(
            "uniform random", (noise.index[0], noise.iloc[0]), xytext=(4, 6), textcoords="offset points",
            fontsize="small", color="0.35",
        )  # fmt: skip
    for panel, axis in grid.axes_dict.items():
        size = "small" if len(panel) > 42 else None  # names of runs are long
        axis.set_title(textwrap.fill(panel, 42, break_on_hyphens=False), fontsize=size)
    grid.set(ylim=(0, 1.02))
    grid.set_axis_labels("canonical coefficient, sorted", "coefficient")
    return means, grid


def _epochs(rows: pd.DataFrame, measure: str) -> tuple[pd.DataFrame, sns.FacetGrid] | None:
    """Every two epochs of a run: one panel a label."""
    past = rows[rows["relation"] == PAST]
    if past["epoch_b"].nunique() < 2:  # two epochs: a number, no map
        return None
    data = past.groupby(["a", "epoch_a", "epoch_b"], sort=False)[measure].mean().reset_index()
    with style("white"):
        grid = sns.FacetGrid(data, col="a", col_wrap=min(4, data["a"].nunique()), height=HEIGHT, aspect=1.1)
    for label, axis in grid.axes_dict.items():
        own = data[data["a"] == label].rename(columns={"epoch_a": "row", "epoch_b": "column"})
        axis.set_facecolor("0.85")
        _heat_map(_symmetric(own, measure), axis)
        axis.set(title=label, xlabel="epoch", ylabel="epoch")
    return data.rename(columns={"a": "label"}), grid


def _runs(rows: pd.DataFrame, measure: str) -> tuple[pd.DataFrame, sns.FacetGrid] | None:
    """Every two labels (or runs, across settings) after their last common epoch.

    Of networks with equal and with different seeds, the latter alone: equal seeds share initial weights and the
    order of samples, and would make two methods look more alike than two runs of one.
    """
    pairs = rows[rows["relation"].isin([GRID, PAIR])]
    if not pairs["alike"].all():
        pairs = pairs[~pairs["alike"]]
    pairs = pairs[pairs["epoch_a"] == pairs.groupby(["run_a", "run_b"])["epoch_a"].transform("max")]
    names = list(dict.fromkeys([*pairs["a"], *pairs["b"]]))
    if len(names) < 3 or pairs[measure].isna().all():
        return None
    data = pairs.groupby(["a", "b"], sort=False)[measure].agg(["mean", "count"]).reset_index()
    both = pd.concat([pairs, pairs.rename(columns={"a": "b", "b": "a"})])  # (x, y) and (y, x) are one cell
    cells = both.groupby(["a", "b"])[measure].mean().reset_index().rename(columns={"a": "row", "b": "column"})
    side = max(3.0, 0.45 * len(names) + 1.2)
    with style("white"):
        grid = sns.FacetGrid(pd.DataFrame({"panel": [""]}), height=side, aspect=1.15)
    table = cells.pivot(index="row", columns="column", values=measure).reindex(index=names, columns=names)
    _heat_map(table, grid.ax)
    grid.ax.set(xlabel="", ylabel="")
    grid.ax.tick_params(axis="x", rotation=90)
    grid.ax.tick_params(axis="y", rotation=0)
    return data.rename(columns={"mean": measure, "count": "n"}), grid


def _convergence(rows: pd.DataFrame, measure: str) -> tuple[pd.DataFrame, sns.FacetGrid] | None:
    """Each epoch with the run's last one, a line a label, between the two noise floors."""
    past = rows[rows["relation"] == PAST]
    past = past[past["epoch_b"] == past.groupby("run_a")["epoch_b"].transform("max")].dropna(subset=measure)
    if past["epoch_a"].nunique() < 2:
        return None
    data = past[["run_a", "a", "epoch_a", measure]].rename(
        columns={"run_a": "run", "a": "label", "epoch_a": "epoch"}
    )
    with style("ticks"):
        grid = sns.relplot(
            data=data, kind="line", x="epoch", y=measure, hue="label", style="label", markers=True, dashes=False,
            palette="colorblind" if data["label"].nunique() <= 10 else "husl", errorbar="sd", height=1.4 * HEIGHT,
            aspect=1.5,
        )  # fmt: skip
    if grid.legend is not None:
        grid.legend.set_title(None)
    for relation, words, line in ((CONTROL, "uniform random", "--"), (SEED, "two seeds, last epoch", ":")):
        found = rows[rows["relation"] == relation]
        at_end = found[found["epoch_a"] == found["epoch_a"].max()]
        if len(at_end):
            level = float(at_end[measure].mean())
            grid.ax.axhline(level, color="0.4", linestyle=line, linewidth=1)
            grid.ax.text(
                data["epoch"].max(), level, words, color="0.35", ha="right", va="bottom", fontsize="small"
            )
            data = data.assign(**{words.replace(" ", "_").replace(",", ""): level})
    grid.set(ylim=(min(0.0, float(data[measure].min())), 1.02))
    return data, grid.set_axis_labels("epoch", MEASURES[measure])


def _symmetric(cells: pd.DataFrame, measure: str) -> pd.DataFrame:
    """A table of both halves, its diagonal 1: a representation is like itself, if it is like any."""
    mirrored = cells.rename(columns={"row": "column", "column": "row"})
    table = pd.concat([cells, mirrored]).pivot(index="row", columns="column", values=measure)
    table = table.sort_index().sort_index(axis="columns")
    filled = table.to_numpy(copy=True)
    np.fill_diagonal(filled, np.where(np.isnan(filled).all(axis=1), np.nan, 1.0))
    return pd.DataFrame(filled, index=table.index, columns=table.columns)


def _heat_map(table: pd.DataFrame, axis: Any) -> None:
    sns.heatmap(
        table, ax=axis, vmin=0, vmax=1, cmap="viridis", square=True, annot=len(table) < MANY, fmt=".2f",
        annot_kws={"fontsize": 5 if len(table) > 8 else 6}, cbar_kws={"shrink": 0.7},
    )  # fmt: skip
