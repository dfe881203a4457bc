"""Norm Loss' tables: test error of it and its comparators, and how that depends on λ and on the batch size.

Error is in percent, on the test images, after the last epoch. As in the paper, a cell is the best of the seeds
and, in brackets, their mean; that the paper's are of five runs is inferred. The best seed is chosen on the test
images, so it is lower than that network's error on others would be; it is here for comparison with the paper's.

The main table has each method at one batch size and one λ (or weight decay): the most frequent ones of its
setting, or several that are equally frequent. None is chosen by its result. Every swept value is in a table of its
own (ours).

A method's mean is tested against that of weight decay, the paper's own baseline, or else of bare training, with
equal other regularizers (such as the dropout of WRN-28-10's protocol); in a sweep at the same value (ours).

The published numbers stand beside a method on the paper's network and data set with true labels. They are context:
λ is not known, and neither is the protocol, which we take from the baselines' own code (inferred). Of weight decay
the paper has two rows, `wd_reproduced` (by its authors) and `wd` (quoted; inferred). Its `OLM-L1` has no
counterpart here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd

from memstudy.papers.norm_loss import NormLossTables
from memstudy.papers.norm_loss.runs import (
    BY,
    NORM_LOSS,
    ORDER,
    PUBLISHED_METHODS,
    PUBLISHED_NETWORKS,
    STRENGTH_OPTIONS,
    at_usual_values,
    by_batch_size,
    by_strength,
    errors,
    with_references,
)
from memstudy.report import published
from memstudy.report.arithmetic import values, with_steps
from memstudy.report.cells import DASH, frame, noted, number, span, starred
from memstudy.report.differences import differences, star_notes
from memstudy.report.frames import is_trained
from memstudy.report.origin import BEHIND, Cell, Origin, Row, Step, of_metrics
from memstudy.report.table import LOW, Table
from memstudy.store.store import Selection

TITLE = "Norm Loss: test error"
WORD_COLUMNS = ("data set", "network", "setting", "regularizers")
ERROR_NOTE = "Test error in % after the last epoch: the best of n seeds and (their mean ± standard deviation)."
CONTEXT = (
    "Published: Norm Loss' own table, best (mean), of five runs (inferred). Context, no target: its λ is not "
    "known, and its protocol is inferred from its baselines' code: ResNet-110 160 epochs, WRN-28-10 200 epochs "
    "and dropout .3. The numbers of its comparators are quoted there from their papers. Of weight decay it has "
    "wd_reproduced (by its authors) and wd (quoted). On WRN-28-10 and CIFAR-10 Norm Loss' published error is "
    "above that of weight decay."
)


def tables(selection: Selection) -> list[Table]:
    """The main table, and one for each of λ and batch size that was swept; none without Norm Loss."""
    rows = errors(selection)
    if rows.empty:
        return []
    swept = {
        "lambda": ("by λ and weight decay", by_strength(rows), ["batch_size", "series", "swept"]),
        "batch_size": ("by batch size", by_batch_size(rows), ["series"]),
    }
    sweeps = [_sweep(name, title, part, by) for name, (title, part, by) in swept.items() if len(part)]
    left_out = _left_out(selection)
    tables = [_main(at_usual_values(rows), [table.name for table in sweeps]), *sweeps]
    return [replace(table, notes=table.notes + left_out) for table in tables]


def why_none(selection: Selection) -> str:
    """Why there is no table of this selection."""
    if all(run.recipe.options(NORM_LOSS) is None for run in selection.runs):
        return "none of these runs uses Norm Loss"
    return "no run in a setting with Norm Loss is finished"


def _main(rows: pd.DataFrame, others: Sequence[str]) -> Table:
    """One row a method and setting, the paper's numbers beside it; in the CSV they have rows of their own."""
    keys = [*BY, "batch_size", *ORDER, "method"]
    ours = _summary(rows, keys, ["setting", "besides", "batch_size"])
    paper = [_published(group.iloc[0]) for _, group in rows.groupby(keys, dropna=False)]
    cells = pd.DataFrame(
        {
            "data set": ours["dataset"],
            "network": ours["network"],
            "setting": ours["protocol"] + ", batch " + ours["batch_size"].astype(str),
            "regularizers": ours["method"],
            "n": ours["n"].astype(str),
            "best (mean), %": [_error(row) for row in ours.to_dict("records")],
            "published, %": [_published_cell(rows) for rows in paper],
        },
        dtype=object,
    )
    notes = [f"{ERROR_NOTE} The best is chosen on the test images, as in the paper's table."]
    if others:
        notes.append(
            "Where batch size, λ or weight decay were swept, a row has what most runs have, not what has the "
            f"lowest error; all are in {' and '.join(others)}."
        )
    notes += _stars(ours, "in the same setting")
    context = pd.concat(paper).drop_duplicates()
    best: dict[str, Any] = {"better": {"best (mean), %": LOW}, "among": WORD_COLUMNS[:3]}
    if context.empty:
        cells, values = cells.drop(columns="published, %"), ours.assign(source="ours")
        return Table(NormLossTables.name, TITLE, tuple(notes), cells, values, WORD_COLUMNS, **best)
    names = {"regularizer": "method", "best_error_pct": "best", "mean_error_pct": "mean"}
    context = context.rename(columns=names).drop(columns="architecture")
    values = pd.concat([ours.assign(source="ours"), context.assign(source="published")], ignore_index=True)
    values = values.astype({"batch_size": "Int64", "n": "Int64"})  # the published rows have none
    return Table(NormLossTables.name, TITLE, (*notes, CONTEXT), cells, values, WORD_COLUMNS, **best)


def _sweep(name: str, title: str, rows: pd.DataFrame, by: Sequence[str]) -> Table:
    """One row for all that is equal, one column a value."""
    keys = [*BY, "order", "family", *by]
    equal = ["setting", "besides", "value", *(["batch_size"] if "batch_size" in by else [])]
    values = _summary(rows, [*keys, "value"], equal, "series")
    cells = []
    for _, group in values.groupby([*BY, *by], sort=False):
        first = group.iloc[0]
        batch = f", batch {first['batch_size']}" if "batch_size" in by else ""
        words = {
            "data set": first["dataset"],
            "network": first["network"],
            "setting": f"{first['protocol']}{batch}",
            "regularizers": first["series"],
            **({"swept": first["swept"]} if "swept" in by else {}),
        }
        errors_of = {f"{row['value']:g}": _error(row) for row in group.to_dict("records")}
        cells.append(words | {"n": span(group["n"])} | errors_of)
    headings = [f"{value:g}" for value in sorted(set(values["value"]))]
    table = frame(cells)[[*words, "n", *headings]]
    notes = (
        f"{ERROR_NOTE} All else is equal in a row, the learning rate included.",
        *_stars(values, "at the same value"),
    )
    return Table(
        f"{NormLossTables.name}_{name}", f"{TITLE} {title}", notes, table, values, words=tuple(words),
        better=dict.fromkeys(headings, LOW), among=WORD_COLUMNS[:3],
    )  # fmt: skip


def _summary(
    rows: pd.DataFrame, keys: Sequence[str], equal: Sequence[str], method: str = "method"
) -> pd.DataFrame:
    """Values over seeds, with differences to the reference among rows equal in `equal`.

    Columns that only sort the rows are dropped.
    """
    by = [*keys, *(name for name in equal if name not in keys)]
    values = rows.groupby(by, dropna=False)["error"].agg(n="size", best="min", mean="mean", sd="std").reset_index()
    read = partial(of_metrics, column="test_accuracy", how="100 - 100 ×")
    tested = differences(with_references(rows, equal, method), [*equal, method], "error", method, read=read)
    values = values.merge(tested, on=[*equal, method])
    names = {name: f"{name}.{option}" for name, option in STRENGTH_OPTIONS.items()}
    return values.drop(columns=["order", "family", "setting", "besides"]).rename(columns=names)


def _stars(values: pd.DataFrame, where: str) -> tuple[str, ...]:
    references = dict.fromkeys(values.loc[values["p"].notna(), "against"])
    return star_notes(values, f"{' or '.join(references)} {where}")


def _error(row: Row) -> str:
    """`5.90 (6.00 ± 0.08)`."""
    ours = starred(row, 2)
    text = noted(number(row["best"], ".2f"), ours)
    return with_steps(ours.rewritten(text), partial(_best, row)) if isinstance(ours, Cell) else text


def _best(row: Row) -> Sequence[Step]:
    errors = values(row[BEHIND].ours)
    return [Step("best", f"min({', '.join(text for text, _ in errors)})", float(row["best"]), "of the seeds")]


def _published(row: pd.Series) -> pd.DataFrame:
    """The paper's rows for a run; maybe none."""
    paper = published.table(NormLossTables.name)
    here = (paper["dataset"] == row["dataset"]) & (paper["architecture"] == PUBLISHED_NETWORKS.get(row["network"]))
    return paper[here & paper["regularizer"].isin(row["paper"])].assign(network=row["network"])


def _published_cell(paper: pd.DataFrame) -> str:
    """`5.90 (6.00)`; with the paper's name where it has two rows of the method."""
    texts, cited = [], []
    for _, row in paper.iterrows():
        name = f"{row['regularizer']} " if row["regularizer"] in PUBLISHED_METHODS["wd"] else ""
        best, mean = (number(row[f"{which}_error_pct"], ".2f") for which in ("best", "mean"))
        texts.append(noted(f"{name}{best}", mean))
        place = {name: row[name] for name in ("dataset", "architecture", "regularizer")}
        cited += [published.cited(NormLossTables.name, place, f"{which}_error_pct") for which in ("best", "mean")]
    return Cell.made("; ".join(texts), Origin(cited=tuple(cited))) if texts else DASH


def _left_out(selection: Selection) -> tuple[str, ...]:
    count = sum(not is_trained(run) for run in selection.runs) + len(selection.missing) + len(selection.damaged)
    return (f"Runs that are not finished, and left out: {count}.",) if count else ()
