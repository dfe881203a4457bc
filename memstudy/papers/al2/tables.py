"""AL2's tables from our runs, laid out as in the paper, and its values where the recipe is the paper's.

A star marks a mean with AL2 that differs from the one without it (ours; the paper has no tests).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pandas as pd

from memstudy.derived.ablation import Ablation
from memstudy.derived.kept import nearest
from memstudy.derived.methods.epochs import Column, Published, layouts, of_values, tables
from memstudy.derived.methods.tables import TRAINING
from memstudy.report import published
from memstudy.report.frames import BASELINES, WITH, WITHOUT, Setting, differences_from_paper
from memstudy.report.origin import Cited, Read, Row
from memstudy.report.table import Table
from memstudy.store.store import Selection

METRICS = {
    "test_accuracy_pct": "test_accuracy",
    "train_cross_entropy": "train_cross_entropy",
    "train_activation_loss": "train_activation_loss",
}
"""Columns of metrics.csv by their names in the paper's data."""
PROTOCOLS = {
    "bernoulli": Column("area, %, Bernoulli masks", 1, 2),
    "units": Column("area, %, fixed orders of units", 1, 2),
}
SIDES = {WITH: "with", WITHOUT: "without"}
"""How the paper's data calls a side of ours."""
CODE = ("Bernoulli masks per sample are AL2's code; fixed orders, Morcos et al.'s.",)


def table1(selection: Selection, epochs: Sequence[int] | None = None) -> Iterator[Table]:
    """AL2's Table 1: test accuracy, training cross-entropy and activation loss, without and with AL2."""
    in_pairs = [layout for layout in layouts(selection) if layout.in_pairs]
    return tables("table1", "AL2's Table 1", TRAINING, selection, in_pairs, epochs, _table1)


def ablation_area(
    selection: Selection, areas: pd.DataFrame, epochs: Sequence[int] | None = None
) -> Iterator[Table]:
    """AL2's area under the cumulative ablation curve, in percent; none where no network was ablated."""
    for layout in layouts(selection):
        of_runs = areas.merge(layout.members, on="run")
        if of_runs.empty:
            continue
        kept = sorted(of_runs["epoch"].unique())
        of_runs = of_runs[of_runs["epoch"].isin(nearest(kept, epochs) if epochs else kept)]
        long = of_runs.rename(columns={"protocol": "column", "area": "value"})
        title = "Area under the cumulative ablation curve"
        yield of_values("ablation_area", title, PROTOCOLS, selection, layout, long, _read, _ablation_area, CODE)


def _read(row: Row) -> Read:
    named = {"run": row["run"], "epoch": row["epoch"], "protocol": row["column"]}
    return Read(Ablation().areas, named, "area")


def _table1(setting: Setting) -> Published:
    paper = published.table("al2_table1").rename(columns={"value": "published"})
    named = {column: metric for metric, column in METRICS.items()}
    return _of_paper(
        setting,
        paper.assign(column=paper["metric"].map(METRICS)),
        lambda row: published.cited("al2_table1", _row(row) | {"metric": named[str(row["column"])]}, "value"),
    )


def _ablation_area(setting: Setting) -> Published:
    paper = published.table("al2_ablation_area").rename(columns={"area_pct": "published"})
    return _of_paper(
        setting,
        paper.assign(column="bernoulli"),
        lambda row: published.cited("al2_ablation_area", _row(row), "area_pct"),
    )


def _row(row: Row) -> dict[str, Any]:
    """Where a row of our values stands in the paper's."""
    baselines = {ours: theirs for theirs, ours in BASELINES.items()}
    return {"baseline": baselines[row["baseline"]], "epoch": row["epoch"], "al2": SIDES[row["al2"]]}


def _of_paper(setting: Setting, paper: pd.DataFrame, cited: Callable[[Row], Cited]) -> Published:
    """The paper's values, if the setting's recipes are the paper's; else why they are not shown."""
    if differences := differences_from_paper(setting):
        words = "Not the paper's protocol, so its published values are not shown"
        return Published(None, f"{words}: {'; '.join(differences)}.")
    sides = {theirs: ours for ours, theirs in SIDES.items()}
    ours = paper.assign(baseline=paper["baseline"].map(BASELINES), al2=paper["al2"].map(sides))
    return Published(ours, cited=cited)
