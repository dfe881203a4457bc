"""What `memstudy svcca` prints: means over seeds of what compared which networks at which epochs."""

from __future__ import annotations

import pandas as pd

from memstudy.regularizers import label
from memstudy.store import RunDirectory
from memstudy.study.compare import CONTROL, PAIR, PAST, TWIN, UNIFORM

MEANING = {
    TWIN: "with its AL2 twin, both at the last epoch",
    PAST: "the first kept epoch with the last",
    CONTROL: "the last epoch with uniform random numbers",
    PAIR: "two runs, both at the last epoch",
}


def labelled(pairs: pd.DataFrame, runs: tuple[RunDirectory, ...]) -> pd.DataFrame:
    """Add the regularizers of both sides (`a`, `b`), and the seed of the first."""
    regs = {run.name: label(run.recipe.regularizers) for run in runs} | {UNIFORM: UNIFORM}
    seeds = {run.name: run.recipe.seed for run in runs}
    return pairs.assign(a=pairs["run_a"].map(regs), b=pairs["run_b"].map(regs), seed=pairs["run_a"].map(seeds))


def digest(pairs: pd.DataFrame, runs: tuple[RunDirectory, ...]) -> pd.DataFrame:
    """The comparisons worth a line: twins and pairs at the last epoch, first against last, the control."""
    table = labelled(pairs, runs)
    at_end = table.groupby(["relation", "run_a", "run_b"])["epoch_a"].transform("max") == table["epoch_a"]
    at_start = table.groupby(["relation", "run_a"])["epoch_a"].transform("min") == table["epoch_a"]
    chosen = table[at_start.where(table["relation"] == PAST, at_end)]
    grouped = chosen.groupby(["relation", "a", "b", "epoch_a", "epoch_b"], sort=False)
    means = grouped[["cca", "svcca", "pwcca"]].mean()
    ranks = grouped[["rank_a", "rank_b"]].mean().round(1)
    return means.join(ranks).assign(n=grouped.size()).reset_index()
