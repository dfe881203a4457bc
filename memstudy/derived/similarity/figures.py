"""Figures of similarity: sequences of canonical coefficients, heat maps epoch × epoch and run × run, convergence.

Each number is a mean over seeds. Pairs of the same seed share initial weights and are never averaged with pairs of
other seeds (see `plan`). Two references help to read a number: the uniform-random control says how similar
anything is with so few samples, and two seeds of one recipe say how similar two networks can be that began with
different weights.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns

from memstudy.derived.reading import read
from memstudy.derived.similarity import MEASURES, Similarity
from memstudy.derived.similarity.digest import by_setting
from memstudy.derived.similarity.plan import (
    CONTROL,
    GRID,
    OTHER_LABELS,
    OTHER_SEED,
    PAIR,
    PAST,
    SAME_SEED,
    SEED,
    TWIN,
    began,
    kind,
)
from memstudy.report.frames import is_last
from memstudy.report.lettering import style
from memstudy.report.saving import HEIGHT, Drawing, titled
from memstudy.store.store import Selection

WEIGHTS = {SAME_SEED: " (same initial weights)", OTHER_SEED: " (other initial weights)"}
Panels = tuple[str, pd.DataFrame, sns.FacetGrid, str]
"""File name without ending, data, grid of panels, title."""
LEAST_NAMES = 3  # in a heat map: of fewer the table says it all
MANY_ROWS = 14  # from which on a heat map has no numbers


def figures(selection: Selection, similarity: Similarity) -> Iterator[Drawing]:
    """Whole sequences of coefficients, and the maps of one measure."""
    for name, data, grid, title in itertools.chain(
        _coefficients(selection, similarity), _maps(selection, similarity)
    ):
        yield titled(name, grid, data, title)


def _coefficients(selection: Selection, similarity: Similarity) -> Iterator[Panels]:
    rows = read(selection.path / similarity.coefficients)
    for title, sequences, suffix in by_setting(rows, selection):
        past = sequences[sequences["relation"] == PAST]  # of every two epochs, those with the last
        past = past[is_last(past, "run_a", "epoch_b")]
        between = sequences[sequences["relation"].map(kind).isin([TWIN, PAIR])]
        for chosen, name, which in (
            (between, "cca_between", "two networks at equal epochs"),
            (past, "cca_past", "a network and its own last epoch"),
        ):
            if len(chosen):
                data, grid = _sequences(chosen, sequences[sequences["relation"] == CONTROL])
                words = f"CCA coefficients of {which}, {similarity.title} on test images\n{title}"
                yield name + similarity.suffix + suffix, data, grid, words


def _maps(selection: Selection, similarity: Similarity) -> Iterator[Panels]:
    pairs, measure = read(selection.path / similarity.pairs), similarity.measured
    for title, rows, suffix in by_setting(pairs, selection):
        ending = similarity.suffix + suffix
        words = f"{MEASURES[measure]}, {similarity.title} on test images\n{title}"
        if (made := _epochs(rows, measure)) is not None:
            gray = "; gray: a network that collapsed" if made[0][measure].isna().any() else ""
            yield f"similarity_epochs{ending}", *made, words + gray
        if (made := _runs(rows, measure)) is not None:
            yield f"similarity_runs{ending}", *made, words
        if (made := _convergence(rows, measure)) is not None:
            yield f"convergence{ending}", *made, f"with the last kept epoch: {words}"


def _sequences(chosen: pd.DataFrame, control: pd.DataFrame) -> tuple[pd.DataFrame, sns.FacetGrid]:
    """One panel a pair of labels that began alike, one line an epoch, the uniform-random control dashed."""
    how = chosen["relation"].map(began).map(lambda words: f", {words}" if words else "")
    both = chosen["a"] + " ~ " + chosen["b"] + how
    chosen = chosen.assign(panel=chosen["a"].where(chosen["relation"] == PAST, both))
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
    """Heat maps of every two epochs of a run, one panel a label; None for fewer than three epochs."""
    past = rows[rows["relation"] == PAST]
    if past["epoch_b"].nunique() < 2:  # two epochs: a number, no map
        return None
    data = past.groupby(["a", "epoch_a", "epoch_b"], sort=False)[measure].mean().reset_index()
    with style("white"):
        grid = sns.FacetGrid(data, col="a", col_wrap=min(4, data["a"].nunique()), height=HEIGHT, aspect=1.1)
    for label, axis in grid.axes_dict.items():
        cells = data[data["a"] == label].rename(columns={"epoch_a": "row", "epoch_b": "column"})
        axis.set_facecolor("0.85")
        _heat_map(_symmetric(cells, measure), axis)
        axis.set(title=label, xlabel="epoch", ylabel="epoch")
    return data.rename(columns={"a": "label"}), grid


def _runs(rows: pd.DataFrame, measure: str) -> tuple[pd.DataFrame, sns.FacetGrid] | None:
    """Heat maps of every two labels (or runs, across settings) at their last common epoch; None if too few.

    There is one panel for each way in which pairs began: equal seeds make two methods look more similar than two
    runs of one method with different seeds.
    """
    pairs = rows[rows["relation"].map(kind).isin([GRID, PAIR]) & rows["relation"].map(began).ne("")]
    pairs = pairs[is_last(pairs, ["run_a", "run_b"], "epoch_a")]
    panels = {
        str(words): part
        for words, part in pairs.groupby(pairs["relation"].map(began), sort=True)
        if part[["a", "b"]].stack().nunique() >= LEAST_NAMES and part[measure].notna().any()
    }
    if not panels:
        return None
    data = [
        part.groupby(["a", "b"], sort=False)[measure].agg(["mean", "count"]).reset_index().assign(began=words)
        for words, part in panels.items()
    ]
    side = max(3.0, 0.45 * max(part[["a", "b"]].stack().nunique() for part in panels.values()) + 1.2)
    with style("white"):
        frame = pd.DataFrame({"began": list(panels)})
        grid = sns.FacetGrid(frame, col="began", height=side, aspect=1.15, sharex=False, sharey=False)
    for (words, part), table in zip(panels.items(), data, strict=True):
        axis = grid.axes_dict[words]
        _heat_map(_square(part, measure), axis)
        fewest = table.loc[table["count"] > 0, "count"].min()  # none of networks that collapsed
        meant = WEIGHTS.get(words.removesuffix(OTHER_LABELS), "")
        axis.set(xlabel="", ylabel="", title=f"{words}{meant}\nn = {fewest} or more pairs a cell")
        axis.tick_params(axis="x", rotation=90)
        axis.tick_params(axis="y", rotation=0)
    means = pd.concat(data, ignore_index=True)
    return means.rename(columns={"mean": measure, "count": "n"}), grid


def _square(pairs: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Mean similarity by both names, a symmetric table: (x, y) and (y, x) are averaged."""
    names = list(dict.fromkeys([*pairs["a"], *pairs["b"]]))
    both = pd.concat([pairs, pairs.rename(columns={"a": "b", "b": "a"})])
    table = both.groupby(["a", "b"])[measure].mean().unstack("b").reindex(index=names, columns=names)
    return table.rename_axis(index="row", columns="column")


def _convergence(rows: pd.DataFrame, measure: str) -> tuple[pd.DataFrame, sns.FacetGrid] | None:
    """Similarity of each epoch to the run's last one, a line a label, with both references (see the module)."""
    past = rows[rows["relation"] == PAST]
    past = past[is_last(past, "run_a", "epoch_b")].dropna(subset=measure)
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
        floor_rows = rows[rows["relation"] == relation]
        at_end = floor_rows[floor_rows["epoch_a"] == floor_rows["epoch_a"].max()]
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
    """A symmetric table, 1 on its diagonal; NaN for a network that collapsed, which is similar to nothing."""
    mirrored = cells.rename(columns={"row": "column", "column": "row"})
    table = pd.concat([cells, mirrored]).pivot(index="row", columns="column", values=measure)
    table = table.sort_index().sort_index(axis="columns")
    filled = table.to_numpy(copy=True)
    np.fill_diagonal(filled, np.where(np.isnan(filled).all(axis=1), np.nan, 1.0))
    return pd.DataFrame(filled, index=table.index, columns=table.columns)


def _heat_map(table: pd.DataFrame, axis: Any) -> None:
    sns.heatmap(
        table, ax=axis, vmin=0, vmax=1, cmap="viridis", square=True, annot=len(table) < MANY_ROWS, fmt=".2f",
        annot_kws={"fontsize": 5 if len(table) > 8 else 6}, cbar_kws={"shrink": 0.7},
    )  # fmt: skip
