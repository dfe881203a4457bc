"""Tables of metrics after kept epochs: methods down, or baselines without and with AL2 side by side.

Rows are methods and epochs, columns metrics. Where every method has its AL2 twin the table has the layout of
AL2's paper. A star marks a mean that differs from the reference's: bare training or the one that was named; with
AL2, the same without it.

Values have the columns of a row (`label`, or `baseline` and `al2`), epoch, metric, mean (NaN if n = 0), sd (NaN if
n < 2), n, those of `differences`, and published (NaN if none). n counts the runs that have the number: without
corruption, none has a memorized share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from memstudy.report.arithmetic import missing
from memstudy.report.cells import noted, number, span, starred
from memstudy.report.differences import compared, star_notes
from memstudy.report.frames import WITH, WITHOUT, Setting, comparable_runs, evaluated
from memstudy.report.origin import Cited, Read, Reader, Row, of_metrics
from memstudy.report.table import Table
from memstudy.report.twins import baseline_order, twins
from memstudy.store import Status
from memstudy.store.store import Selection

IN_PARENTHESES = "In parentheses the published value: the recipe is the paper's."


@dataclass(frozen=True)
class Column:
    """A column of metrics.csv in a table: its heading, factor to the table's unit, decimals, which are better."""

    heading: str
    scale: float
    digits: int
    better: str = ""

    @property
    def how(self) -> str:
        """What is done with a value of the file."""
        return f"× {self.scale:g}" if self.scale != 1 else ""


@dataclass(frozen=True)
class Published:
    """A paper's numbers for a setting: columns baseline, al2, epoch, column, published; or why there are none.

    `cited` says of a row of the table's values where its number is published.
    """

    values: pd.DataFrame | None = None
    why_none: str = ""
    cited: Callable[[Row], Cited] | None = None


@dataclass(frozen=True)
class Layout:
    """A setting with what tells the rows of its table apart.

    members: one row a run: `run`, `seeds`, `against`, and the columns of `by`.
    by: what makes a mean besides epoch and metric; `method` is the one of these in which the reference differs.
    """

    setting: Setting
    members: pd.DataFrame
    by: tuple[str, ...]
    method: str

    @property
    def in_pairs(self) -> bool:
        """Whether it is that of AL2's paper."""
        return self.method == "al2"


def layouts(selection: Selection) -> list[Layout]:
    """One for each setting: in AL2's layout if all methods are twins, else by methods."""
    groups = comparable_runs(selection)
    if settings := twins(groups):
        return [
            Layout(setting, setting.labels().assign(against=WITHOUT), ("baseline", "al2"), "al2")
            for setting in settings
        ]
    return [Layout(setting, members, ("label",), "label") for setting, members in groups]


def tables(
    name: str,
    title: str,
    columns: Mapping[str, Column],
    selection: Selection,
    chosen: Sequence[Layout],
    epochs: Sequence[int] | None = None,
    paper: Callable[[Setting], Published] | None = None,
) -> Iterator[Table]:
    """A table of some columns of metrics.csv for each of some layouts; none for one without numbers."""
    for layout in chosen:
        kept = epochs or sorted({e for run in layout.setting.runs for e in run.recipe.training.checkpoints})
        metrics = layout.setting.metrics()
        metrics = metrics[metrics["epoch"].isin(kept)]
        long = _long(layout, columns, metrics)
        if len(long):
            notes = _not_evaluated(metrics)
            read = partial(_read, columns)
            yield of_values(name, title, columns, selection, layout, long, read, paper, notes)


def _read(columns: Mapping[str, Column], row: Row) -> Read:
    name = str(row["column"])
    return of_metrics(row, name, columns[name].how)


def _not_evaluated(metrics: pd.DataFrame) -> tuple[str, ...]:
    """A note on runs of which only the training was measured in epochs of a table."""
    left_out = metrics[~metrics.index.isin(evaluated(metrics).index)]
    epochs = {str(run): ", ".join(map(str, part)) for run, part in left_out.groupby("run")["epoch"]}
    told = "; ".join(f"{run} (epochs {of_run})" for run, of_run in epochs.items())
    return (f"Trained but not evaluated, as --evaluate-every had it: {told}.",) if epochs else ()


def _long(layout: Layout, columns: Mapping[str, Column], metrics: pd.DataFrame) -> pd.DataFrame:
    """One row a run, epoch and column: its `value`, in the table's unit."""
    long = metrics.melt(["run", "epoch"], list(columns), "column", "value")
    scales = {name: column.scale for name, column in columns.items()}
    long["value"] *= long["column"].map(scales).astype(float)  # of no rows, pandas may keep the type of words
    return long.merge(layout.members, on="run")


def of_values(
    name: str,
    title: str,
    columns: Mapping[str, Column],
    selection: Selection,
    layout: Layout,
    long: pd.DataFrame,
    read: Reader,
    paper: Callable[[Setting], Published] | None = None,
    more_notes: Sequence[str] = (),
) -> Table:
    """The table of a setting's numbers: `long` has a row a run, epoch and column."""
    by = [*layout.by[:1], "epoch", "column", *layout.by[1:]]
    values = compared(long, by, method=layout.method, read=read)
    published = paper(layout.setting) if paper is not None and layout.in_pairs else Published()
    values = values.assign(published=float("nan"))
    if published.values is not None:
        values = values.drop(columns="published").merge(published.values[[*by, "published"]], on=by, how="left")
    notes = [IN_PARENTHESES] if values["published"].notna().any() else [*filter(None, [published.why_none])]
    headings = {column: c.heading for column, c in columns.items()}
    texts = [cell(row, columns, published.cited) for row in values.to_dict("records")]
    values.insert(2, "metric", values.pop("column").map(headings))
    cells = laid_out(values, texts, [c.heading for c in columns.values()], layout)
    words = "baseline" if layout.in_pairs else "method"
    all_notes = (*_notes(layout, values), *notes, *more_notes, *_absent(selection))
    name, title = f"{name}{layout.setting.suffix}", f"{title}: {layout.setting.title}"
    better = {c.heading: c.better for c in columns.values() if c.better}
    return Table(name, title, all_notes, cells, values, (words,), group=words, better=better, among=("epoch",))


def laid_out(values: pd.DataFrame, texts: Sequence[str], metrics: Sequence[str], layout: Layout) -> pd.DataFrame:
    """Cells of text: a row a method (or baseline) and epoch, a column a metric (without and with AL2).

    texts: of each row of values.
    """
    row, *sides = layout.by
    cells = values.assign(place=range(len(values)))
    wide = cells.pivot(index=[row, "epoch"], columns=["metric", *sides], values="place").fillna(-1).astype(int)
    methods = list(dict.fromkeys(values[row]))
    if layout.in_pairs:
        methods.sort(key=baseline_order)
    rows = sorted(wide.index, key=lambda place: (methods.index(place[0]), place[1]))
    order: list[Any] = list(metrics)
    if layout.in_pairs:
        order = [(metric, side) for metric in metrics for side in (WITHOUT, WITH)]
    shown = [column for column in order if column in wide.columns]
    wide = wide.loc[rows, shown]
    laid = [[texts[place] if place >= 0 else "" for place in line] for line in wide.to_numpy()]
    wide = pd.DataFrame(laid, wide.index, wide.columns, dtype=object).reset_index()
    first = "baseline" if layout.in_pairs else "method"
    heads = [("", first), ("", "epoch"), *shown] if layout.in_pairs else [first, "epoch", *shown]
    wide.columns = pd.MultiIndex.from_tuples(heads) if layout.in_pairs else pd.Index(heads)
    return wide.astype(dict.fromkeys(wide.columns[:2], str))


def cell(row: Row, columns: Mapping[str, Column], source: Callable[[Row], Cited] | None = None) -> str:
    """A mean, and the published number beside it; `source` says where that one stands."""
    cited = () if source is None or missing(row["published"]) else (source(row),)
    return noted(starred(row, columns[str(row["column"])].digits), number(row["published"], "g"), *cited)


def _notes(layout: Layout, values: pd.DataFrame) -> tuple[str, ...]:
    n = span(values.loc[values["n"] > 0, "n"], " to ")
    notes = [
        f"Mean ± standard deviation over seeds, n = {n}. Epochs are counted from 0.",
        *star_notes(values, "the same without AL2" if layout.in_pairs else ""),
    ]
    unfinished = [
        f"{run.name} ({run.epochs_done} of {run.recipe.training.epochs} epochs)"
        for run in layout.setting.runs
        if run.status is not Status.FINISHED
    ]
    if unfinished:
        notes.append(f"Not finished, included up to where they are: {', '.join(unfinished)}.")
    return (*notes, *(f"{layout.setting.recipe.dataset}: {note}." for note in layout.setting.data_notes))


def _absent(selection: Selection) -> tuple[str, ...]:
    """Notes on missing and damaged runs."""
    return tuple(
        f"{words}: {', '.join(names)}."
        for words, names in {"Missing": selection.missing, "Damaged, left out": selection.damaged}.items()
        if names
    )
