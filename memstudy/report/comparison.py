"""What `memstudy svcca` prints: means over seeds of what compared which networks at which epochs."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from memstudy.regularizers import label
from memstudy.report.frames import settings
from memstudy.store import RunDirectory
from memstudy.study.comparisons import CONTROL, PAIR, PAST, SEED, TWIN, UNIFORM

MEANING = {
    TWIN: "with its AL2 twin, at the last common epoch",
    SEED: "two seeds of one recipe, at the last common epoch: how alike equals are",
    PAST: "the first kept epoch with the last",
    CONTROL: "the last epoch with uniform random numbers",
    PAIR: "two runs, at the last common epoch",
}
ACROSS = "runs of different settings"


def by_setting(rows: pd.DataFrame, runs: Sequence[RunDirectory]) -> list[tuple[str, pd.DataFrame]]:
    """Comparisons (or their coefficients) of these runs: a title and rows for each of `settings(runs)`, then
    those across settings; empty parts included.

    The sides, `a` and `b`, are named by their regularizers, so that what differs by the seed alone shares a
    name; across settings by their runs, as there nothing may be averaged.
    """
    if rows.empty:
        return []
    found = []
    across = rows
    for setting in settings(runs):
        part = _among(rows, {run.name: label(run.recipe.regularizers) for run in setting.runs})
        found.append((setting.title, part))
        across = across.drop(part.index, errors="ignore")
    return [*found, (ACROSS, _among(across, {run.name: run.name for run in runs}))]


def _among(rows: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """The rows that compare two of these runs, or one with the control, with the names of both sides."""
    sides = {side: rows[f"run_{side}"].map(names | {UNIFORM: UNIFORM}) for side in ("a", "b")}
    return rows.assign(**sides).dropna(subset=["a", "b"])


def digest(table: pd.DataFrame) -> pd.DataFrame:
    """The comparisons worth a line: couples at their last common epoch, first against last, the control.

    Means over the `n` of equal names that have a similarity; `collapsed` are those that do not, as one of the two
    networks has rank 0.
    """
    table = table[table["relation"].isin(list(MEANING))]
    at_end = table.groupby(["relation", "run_a", "run_b"])["epoch_a"].transform("max") == table["epoch_a"]
    runs = table.groupby(["relation", "run_a"])
    at_start = runs["epoch_a"].transform("min") == table["epoch_a"]
    whole = at_start & (runs["epoch_b"].transform("max") == table["epoch_b"])
    chosen = table[whole.where(table["relation"] == PAST, at_end)]
    ranks = chosen[["rank_a", "rank_b"]]
    chosen = chosen.assign(**ranks.where(ranks.min(axis="columns") > 0))
    grouped = chosen.groupby(["relation", "a", "b", "epoch_a", "epoch_b"], sort=False)
    means = grouped[["cca", "svcca", "pwcca", "cka", "procrustes", "rank_a", "rank_b"]].mean()
    means[["rank_a", "rank_b"]] = means[["rank_a", "rank_b"]].round(1)
    n = grouped["cca"].count()
    return means.assign(n=n, collapsed=grouped.size() - n).reset_index()
