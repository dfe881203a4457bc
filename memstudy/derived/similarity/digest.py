"""What `memstudy svcca` prints: mean similarities over seeds, by relation, sides and epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from memstudy.derived.reading import read
from memstudy.derived.similarity import Similarity
from memstudy.derived.similarity.plan import (
    CONTROL,
    GRID,
    OTHER_LABELS,
    OTHER_NETWORK,
    OTHER_SEED,
    PAIR,
    PAST,
    SAME_SEED,
    SEED,
    TWIN,
    UNIFORM,
    is_twin,
)
from memstudy.recipe import Recipe
from memstudy.report.folders import SEPARATOR
from memstudy.report.frames import Groups, comparable_runs, is_last
from memstudy.report.table import records
from memstudy.report.terminal import plain
from memstudy.store import RunDirectory
from memstudy.store.store import Selection

APART = f"{TWIN}: {OTHER_SEED}"
BEGAN_SAME = ", which began with the same weights, at the last common epoch"
BEGAN_OTHER = ", which began with other weights, at the last common epoch"
MEANING = {
    TWIN: f"with its AL2 twin of the same seed{BEGAN_SAME}",
    APART: f"with AL2 twins of other seeds{BEGAN_OTHER}",
    SEED: f"two seeds of one recipe{BEGAN_OTHER}: how alike equals are",
    PAST: "the first kept epoch with the last",
    CONTROL: "the last epoch with uniform random numbers",
    f"{PAIR}: {SAME_SEED}": f"two runs of the same seed{BEGAN_SAME}",
    f"{PAIR}: {OTHER_SEED}": f"two runs of other seeds{BEGAN_OTHER}",
    f"{PAIR}: {OTHER_NETWORK}": "two runs of other networks, at the last common epoch",
}
ACROSS = "runs of different settings"


def relation_words(relation: str) -> str:
    """A relation in words, for a heading."""
    known = relation.removesuffix(OTHER_LABELS)
    return MEANING[known] + ("; their noisy labels differ" if known != relation else "")


def by_setting(rows: pd.DataFrame, groups: Groups) -> list[tuple[str, pd.DataFrame, str]]:
    """Title, rows and suffix of file names of each setting of comparable runs, then of runs across settings.

    `rows` are comparisons or coefficients. Parts may be empty. The columns `a` and `b` name both sides by their
    methods, and across settings by their settings, too, so that runs that differ by the seed share a name.
    """
    if rows.empty:
        return []
    parts = []
    across, names = rows, dict[str, str]()
    for setting, members in groups:
        labels = dict(zip(members["run"], members["label"], strict=True))
        names |= {run: f"{label}, {setting.words}" for run, label in labels.items()}
        part = _among(rows, labels)
        parts.append((setting.title, part, setting.suffix))
        across = across.drop(part.index, errors="ignore")
    return [*parts, (ACROSS, _among(across, names), f"{SEPARATOR}across")]


def _among(rows: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """The rows that compare two of these runs, or one with the control; `a` and `b` name both sides."""
    sides = {side: rows[f"run_{side}"].map(names | {UNIFORM: UNIFORM}) for side in ("a", "b")}
    return rows.assign(**sides).dropna(subset=["a", "b"])


def twins_apart(rows: pd.DataFrame, runs: Sequence[RunDirectory]) -> pd.DataFrame:
    """The rows of GRID that compare a baseline with an AL2 twin of another seed; their relation becomes APART.

    The baseline is side a in all of them. They are to be held against two seeds of one recipe, as in both the two
    networks began with different weights.
    """
    recipes = {run.name: run.recipe for run in runs}
    turned = []
    for row in rows[rows["relation"] == f"{GRID}: {OTHER_SEED}"].to_dict("records"):
        a, b = recipes[row["run_a"]], recipes[row["run_b"]]
        if _but_for_seed(a, b):
            turned.append(row)
        elif _but_for_seed(b, a):
            turned.append({_TURNED.get(str(name), name): value for name, value in row.items()})
    return pd.DataFrame(turned, columns=rows.columns).assign(relation=APART)


_SIDES = {f"{name}_a": f"{name}_b" for name in ("run", "epoch", "checkpoint", "p", "rank", "kept")}
_SIDES |= {"a": "b", "pwcca": "pwcca_back"}
_TURNED = _SIDES | {theirs: ours for ours, theirs in _SIDES.items()}


def _but_for_seed(baseline: Recipe, other: Recipe) -> bool:
    return is_twin(replace(baseline, seed=other.seed), other)


def digest(table: pd.DataFrame, runs: Sequence[RunDirectory]) -> pd.DataFrame:
    """The comparisons worth a line: couples at their last common epoch, first epochs with last ones, the control.

    Means over comparisons of equal names and relation. `n` counts those with a similarity, `collapsed` those
    without, as one of the two networks has rank 0.
    """
    apart = twins_apart(table, runs)
    table = table[table["relation"].str.removesuffix(OTHER_LABELS).isin(list(MEANING))]
    at_end = is_last(table, ["relation", "run_a", "run_b"], "epoch_a")
    pair = ["relation", "run_a"]
    at_start = table.groupby(pair)["epoch_a"].transform("min") == table["epoch_a"]
    first_to_last = at_start & is_last(table, pair, "epoch_b")
    shown = table[first_to_last.where(table["relation"] == PAST, at_end)]
    twins = shown["relation"] == TWIN
    parts = [part for part in (shown[twins], apart, shown[~twins]) if len(part)]
    shown = pd.concat(parts) if parts else shown
    ranks = shown[["rank_a", "rank_b"]]
    shown = shown.assign(**ranks.where(ranks.min(axis="columns") > 0))
    grouped = shown.groupby(["relation", "a", "b", "epoch_a", "epoch_b"], sort=False)
    means = grouped[["cca", "svcca", "pwcca", "cka", "procrustes", "rank_a", "rank_b"]].mean()
    means[["rank_a", "rank_b"]] = means[["rank_a", "rank_b"]].round(1)
    n = grouped["cca"].count()
    return means.assign(n=n, collapsed=grouped.size() - n).reset_index()


def summary(selection: Selection, similarity: Similarity) -> tuple[str, dict[str, Any]]:
    """The digest of each setting in words, and as `svcca` for JSON."""
    parts = [
        (title, part)
        for title, part, _ in by_setting(read(selection.path / similarity.pairs), comparable_runs(selection))
        if len(part)
    ]
    lines = [
        f"representations of {selection.name}, {similarity.title} on test images, means over n pairs of runs:"
    ]
    all_records = []
    for title, part in parts:
        means = digest(part, selection.runs)
        lines += [f"\n{title}:"] * (len(parts) > 1) + _told(means, similarity.keep)
        all_records += records(means.assign(setting=title))
    return "\n".join(lines), {"svcca": all_records}


def _told(means: pd.DataFrame, keep: str) -> list[str]:
    """A digest in words; the column `collapsed` is shown only if a network has collapsed."""
    shown = means if means["collapsed"].any() else means.drop(columns="collapsed")
    lines = []
    for relation, rows in shown.groupby("relation", sort=False):
        ranks = {side: rows[side].map("{:g}".format) for side in ("rank_a", "rank_b")}
        lines.append(f"\n{relation_words(str(relation))} (SVCCA keeps {keep})")
        lines.append(plain(rows.drop(columns="relation").assign(**ranks), 3))
    return lines
