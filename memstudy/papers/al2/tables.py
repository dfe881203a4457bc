"""AL2's tables from our runs: means over seeds, and the published values where the recipe is the paper's.

Cells are laid out as in the paper: epochs down, without and with AL2 side by side. A star marks a mean with AL2
that differs from the one without it (ours; the paper has no tests).

Values have the columns baseline, epoch, metric, al2, mean (NaN if n = 0), sd (NaN if n < 2), n, those of
`differences` (of with AL2 to without), and published (NaN if none). n counts the runs that have the number:
without corruption, none has a memorized share.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from memstudy.derived.kept import nearest
from memstudy.report import published
from memstudy.report.cells import noted, number, span, starred
from memstudy.report.differences import compared, star_notes
from memstudy.report.frames import BASELINES, WITH, WITHOUT, Setting, differences_from_paper
from memstudy.report.table import Table
from memstudy.report.twins import baseline_order, each_setting
from memstudy.store import Status
from memstudy.store.store import Selection


@dataclass(frozen=True)
class Column:
    """A column of metrics.csv in a table: its heading, the factor to the table's unit, and decimals.

    `published` is the metric's name in the paper's data; None if the paper has no such number.
    """

    heading: str
    scale: float
    digits: int
    published: str | None = None


TABLE1 = {
    "test_accuracy": Column("test accuracy, %", 100, 2, "test_accuracy_pct"),
    "train_cross_entropy": Column("L_c", 1, 2, "train_cross_entropy"),
    "train_activation_loss": Column("L_r", 1, 4, "train_activation_loss"),
}
MEMORIZATION = {
    "clean_accuracy": Column("intact labels learned, %", 100, 1),
    "memorized": Column("corrupted: memorized, %", 100, 1),
    "recovered": Column("corrupted: recovered, %", 100, 1),
}


def of_each_setting(selection: Selection, make: Callable[[Setting], Table | None]) -> Iterator[Table]:
    """The table that `make` makes of each setting, with notes on missing and damaged runs; no empty ones."""
    notes = tuple(
        f"{words}: {', '.join(names)}."
        for words, names in {"Missing": selection.missing, "Damaged, left out": selection.damaged}.items()
        if names
    )
    for setting, suffix in each_setting(selection):
        if (table := make(setting)) is not None and len(table.values):
            yield replace(table, name=table.name + suffix, notes=table.notes + notes)


def table1(setting: Setting, epochs: Sequence[int] | None = None) -> Table:
    """AL2's Table 1: test accuracy, training cross-entropy and activation loss, without and with AL2."""
    return _of_metrics("table1", "AL2's Table 1", TABLE1, setting, epochs)


def memorization(setting: Setting, epochs: Sequence[int] | None = None) -> Table:
    """What training samples are taken for after an epoch (ours; the paper has no such table)."""
    return _of_metrics("memorization", "What was memorized", MEMORIZATION, setting, epochs)


def _of_metrics(
    name: str, title: str, columns: Mapping[str, Column], setting: Setting, epochs: Sequence[int] | None
) -> Table:
    metrics = setting.metrics()
    metrics = metrics[metrics["epoch"].isin(epochs or _kept(setting))]
    long = metrics.melt(
        id_vars=["baseline", "epoch", "al2", "seeds"],
        value_vars=list(columns),
        var_name="column",
        value_name="value",
    )
    long["value"] *= long["column"].map({column: c.scale for column, c in columns.items()})
    paper = published.table("al2_table1").rename(columns={"value": "published"})
    paper = paper.assign(column=paper["metric"].map({c.published: column for column, c in columns.items()}))
    values = _summarized(setting, long, paper)
    values.insert(2, "metric", values.pop("column").map({column: c.heading for column, c in columns.items()}))
    digits = {c.heading: c.digits for c in columns.values()}
    return _table(name, f"{title}: {setting.title}", _notes(setting, values), values, digits)


def ablation_area(setting: Setting, areas: pd.DataFrame, epochs: Sequence[int] | None = None) -> Table | None:
    """AL2's area under the cumulative ablation curve, in percent; None if no network of these was ablated."""
    of_runs = areas.merge(setting.labels(), on="run")
    if of_runs.empty:
        return None
    kept = sorted(of_runs["epoch"].unique())
    of_runs = of_runs[of_runs["epoch"].isin(nearest(kept, epochs) if epochs else kept)]
    long = of_runs.rename(columns={"protocol": "column", "area": "value"})
    paper = published.table("al2_ablation_area").rename(columns={"area_pct": "published"})
    values = _summarized(setting, long, paper.assign(column="bernoulli"))
    headings = {"bernoulli": "area, %, Bernoulli masks", "units": "area, %, fixed orders of units"}
    values.insert(2, "metric", values.pop("column").map(headings))
    title = f"AL2's area under the cumulative ablation curve: {setting.title}"
    notes = (
        *_notes(setting, values),
        "Bernoulli masks per sample are AL2's code; fixed orders, Morcos et al.'s.",
    )
    return _table("ablation_area", title, notes, values, dict.fromkeys(headings.values(), 2))


def _table(
    name: str, title: str, notes: tuple[str, ...], values: pd.DataFrame, digits: Mapping[str, int]
) -> Table:
    return Table(name, title, notes, layout(values, digits), values, words=("baseline",), group="baseline")


def layout(values: pd.DataFrame, digits: Mapping[str, int]) -> pd.DataFrame:
    """Cells of text as in the paper: rows (baseline, epoch), columns (metric, without / with AL2).

    digits: decimals by metric, in their order.
    """
    cells = values.assign(cell=[_cell(row, digits) for row in values.to_dict("records")])
    wide = cells.pivot(index=["baseline", "epoch"], columns=["metric", "al2"], values="cell").fillna("")
    rows = sorted(wide.index, key=lambda row: (baseline_order(row[0]), row[1]))
    order = [(metric, al2) for metric in digits for al2 in (WITHOUT, WITH)]
    shown = [column for column in order if column in wide.columns]
    wide = wide.loc[rows, shown].reset_index()
    wide.columns = pd.MultiIndex.from_tuples([("", "baseline"), ("", "epoch"), *shown])
    return wide.astype(str)


def _cell(row: Mapping[Hashable, Any], digits: Mapping[str, int]) -> str:
    return noted(starred(row, digits[row["metric"]]), number(row["published"], "g"))


def _kept(setting: Setting) -> list[int]:
    """The epochs after which the recipes keep networks."""
    return sorted({epoch for run in setting.runs for epoch in run.recipe.training.checkpoints})


def _summarized(setting: Setting, long: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """Means over runs, tested against those without AL2; and published values, if the recipe is the paper's."""
    by = ["baseline", "epoch", "column", "al2"]
    values = compared(long.assign(against=WITHOUT), by, method="al2")
    if differences_from_paper(setting):
        return values.assign(published=float("nan"))
    paper = paper.assign(
        baseline=paper["baseline"].map(BASELINES), al2=paper["al2"].map({"with": WITH, "without": WITHOUT})
    )
    return values.merge(paper[[*by, "published"]], on=by, how="left")


def _notes(setting: Setting, values: pd.DataFrame) -> tuple[str, ...]:
    n = span(values.loc[values["n"] > 0, "n"], " to ")
    notes = [
        f"Mean ± standard deviation over seeds, n = {n}. Epochs are counted from 0.",
        *star_notes(values, "the same without AL2"),
    ]
    unfinished = [
        f"{run.name} ({run.epochs_done} of {run.recipe.training.epochs} epochs)"
        for run in setting.runs
        if run.status is not Status.FINISHED
    ]
    if unfinished:
        notes.append(f"Not finished, included up to where they are: {', '.join(unfinished)}.")
    notes += [f"{setting.recipe.dataset}: {note}." for note in setting.data_notes]
    if differences := differences_from_paper(setting):
        notes.append(f"Not the paper's protocol, so its published values are not shown: {'; '.join(differences)}.")
    elif values["published"].notna().any():
        notes.append("In parentheses the published value: the recipe is the paper's.")
    return tuple(notes)
