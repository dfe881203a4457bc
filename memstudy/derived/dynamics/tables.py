"""Tables of per-sample dynamics: what tells corrupted samples from clean ones, and when each kind is learned."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from memstudy.analysis.dynamics import SCORES
from memstudy.derived.dynamics import Dynamics
from memstudy.derived.dynamics.measure import AUCS, CLEAN, CORRUPTED, COUNTS
from memstudy.derived.reading import each_group
from memstudy.report.arithmetic import average, value, with_steps
from memstudy.report.cells import DASH, frame, noted, number, starred
from memstudy.report.differences import compared, star_notes
from memstudy.report.frames import Setting, after_epochs, is_last
from memstudy.report.origin import BEHIND, Cell, Read, Row, Step, derived
from memstudy.report.table import HIGH, Table
from memstudy.store.store import Selection

LAST, BEST = "last", "best"
QUANTITIES = {
    ("first_learned", CLEAN): ("learned: clean", 1),
    ("first_learned", CORRUPTED): ("learned: corrupted as noisy", 1),
    ("first_learned_true", CORRUPTED): ("learned: corrupted as true", 1),
    ("learned_for_good", CLEAN): ("for good: clean", 1),
    ("learned_for_good", CORRUPTED): ("for good: corrupted as noisy", 1),
    ("forgetting_events", CLEAN): ("forgotten: clean", 2),
    ("forgetting_events", CORRUPTED): ("forgotten: corrupted", 2),
}
"""Heading and decimals of each quantity of a group of samples."""


def tables(selection: Selection) -> list[Table]:
    """Both tables of every group of comparable runs; none without records."""
    counts = {setting.recipe: rows for setting, rows, _ in each_group(selection, COUNTS)}
    made = []
    for setting, rows, suffix in each_group(selection, AUCS):
        made.append(_aucs(setting, rows, suffix))
        if setting.recipe in counts:
            made.append(_learned(setting, counts[setting.recipe], rows, suffix))
    return made


def _aucs(setting: Setting, rows: pd.DataFrame, suffix: str) -> Table:
    """ROC AUC of every score, at the last epoch that has it and at the best one."""
    last = rows[is_last(rows, ["run", "score"])]
    judged = rows.dropna(subset="auc")
    best = judged.loc[judged.groupby(["run", "score"], sort=False)["auc"].idxmax()]
    values = _over_seeds(pd.concat([last.assign(at=LAST), best.assign(at=BEST)]))
    cells = []
    for name in dict.fromkeys(rows["label"]):
        for which in (LAST, BEST):
            part = values[(values["label"] == name) & (values["at"] == which)].set_index("score").reindex(SCORES)
            aucs = {
                SCORES[score]: _auc(row, which) for score, row in zip(SCORES, part.to_dict("records"), strict=True)
            }
            n = rows.loc[rows["label"] == name, "run"].nunique()
            cells.append({"regularizers": str(name), "epoch": which, "n": str(n)} | aucs)
    notes = (
        "ROC AUC at telling corrupted from clean training samples: the chance that a corrupted one has the higher "
        "score; .5 is none. A higher loss, EL2N and mean loss, a lower margin and AUM, more forgetting, and "
        "learning the given label later count as corrupted. Mean ± standard deviation over n seeds.",
        f"{after_epochs(rows.loc[is_last(rows), 'epoch'], 'Last: the last epoch')}Best: the best epoch, its mean "
        "in parentheses; who chooses it must know which samples are corrupted. Loss, margin, EL2N (at kept "
        "epochs) and the mixture of two Gaussians over the loss are of one epoch; mean loss, AUM, forgetting "
        "events and the epoch that first predicts the given label are of all up to it.",
        *star_notes(values),
        *_uncorrupted(rows),
    )
    title = f"Telling corrupted samples: {setting.title}"
    return Table(
        f"{Dynamics.name}{suffix}", title, notes, frame(cells), values, words=("regularizers", "epoch"),
        better=dict.fromkeys(SCORES.values(), HIGH), among=("epoch",),
    )  # fmt: skip


def _over_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean AUC and mean epoch by label, score and `at`.

    Last epochs must be equal to be compared, best ones need not.
    """
    by = ["label", "score", "at"]
    rows = rows.assign(last=rows["epoch"].where(rows["at"] == LAST, 0))
    epochs = rows.groupby(by, sort=False)["epoch"].mean().reset_index(drop=True)
    return compared(rows, by, "auc", epoch="last", read=_auc_read).assign(epoch=epochs)


def _auc(row: Row, which: str) -> str:
    cell = starred(row, 3)
    if which != BEST or not isinstance(cell, Cell):
        return cell
    text = noted(cell, number(row["epoch"], ".0f"))
    return with_steps(cell.rewritten(text), partial(_mean_epoch, row))


def _mean_epoch(row: Row) -> list[Step]:
    epochs = [value(float(member.epoch)) for member in row[BEHIND].ours.each() if member.epoch is not None]
    return [Step("epoch", average(epochs), row["epoch"], "of the best of each run")] if epochs else []


def _auc_read(row: Row) -> Read:
    return derived(AUCS, row, ("run", "epoch", "score"), "auc")


def _uncorrupted(rows: pd.DataFrame) -> list[str]:
    none = sorted(set(rows.loc[rows["auc"].isna(), "run"]))
    return (
        [f"Nothing to tell apart, as all or none of the labels are corrupted: {', '.join(none)}."] if none else []
    )


def _learned(setting: Setting, counts: pd.DataFrame, aucs: pd.DataFrame, suffix: str) -> Table:
    """When samples are learned, how often they are forgotten, and how many the mixture tells right."""
    parts = [_each_run(counts, quantity, group) for quantity, group in QUANTITIES]
    told_right = aucs[aucs["score"] == "mixture"].assign(value=lambda table: 100 * table["accuracy"])
    parts.append(told_right[is_last(told_right)].assign(quantity="mixture_accuracy", group=LAST))
    highest = told_right.dropna(subset="value")
    chosen = highest.loc[highest.groupby("run", sort=False)["value"].idxmax()]
    parts.append(chosen.assign(quantity="mixture_accuracy", group=BEST))
    parts.append(_rates(counts))
    runs = counts[["run", "label", "seeds", "against", "epochs"]].drop_duplicates()
    of_runs = pd.concat([table[["run", "quantity", "group", "value"]] for table in parts if len(table)])
    of_runs = of_runs.merge(runs, on="run")
    values = compared(of_runs, ["label", "quantity", "group"], epoch="epochs", read=_learned_read)
    headings = QUANTITIES | {
        ("mixture_accuracy", LAST): ("mixture right, %: last", 1),
        ("mixture_accuracy", BEST): ("mixture right, %: best", 1),
        ("corrupted", "all"): ("corrupted, %", 1),
    }
    cells = []
    for name in dict.fromkeys(counts["label"]):
        of_label = values[values["label"] == name].set_index(["quantity", "group"])
        shown = {
            heading: starred(of_label.loc[key].to_dict(), digits) if key in of_label.index else DASH
            for key, (heading, digits) in headings.items()
        }
        n = counts.loc[counts["label"] == name, "run"].nunique()
        cells.append({"regularizers": str(name), "n": str(n)} | shown)
    notes = (
        "Learned: the median epoch (from 0) that first predicts the label, the noisy one or the true one; for "
        "good: from which on it stays; – where fewer than half are. Forgotten: how often, in the mean over "
        "samples, the given label is predicted after one epoch and not after the next. Mean ± standard deviation "
        "over n seeds.",
        "Mixture right: samples that are told right when a posterior of being clean above .5 means clean, at the "
        "last epoch and at the best. Predictions are made after each epoch, in evaluation mode.",
        *star_notes(values),
    )
    title = f"When samples are learned: {setting.title}"
    return Table(f"{Dynamics.name}_learned{suffix}", title, notes, frame(cells), values, words=("regularizers",))


def _learned_read(row: Row) -> Read:
    """Where a number of a run stands, or what it is computed of."""
    if row["quantity"] == "mixture_accuracy":
        which = "the last" if row["group"] == LAST else "the largest"
        return Read(AUCS, {"run": row["run"], "score": "mixture"}, "accuracy", f"{which}, × 100")
    if row["quantity"] == "corrupted":
        named = {"run": row["run"], "quantity": "first_learned"}
        return Read(COUNTS, named, "count", "100 × the count of group corrupted over that of both")
    events = row["quantity"] == "forgetting_events"
    return derived(
        COUNTS, row, ("run", "quantity", "group"), "value", f"{'mean' if events else 'median'}, by count"
    )


def _each_run(counts: pd.DataFrame, quantity: str, group: str) -> pd.DataFrame:
    """The `value` of a quantity in each run: a median epoch (infinite for never), or a mean number of events."""
    rows = counts[(counts["quantity"] == quantity) & (counts["group"] == group)]
    of_runs = []
    for (run, label), of_run in rows.groupby(["run", "label"], sort=False):
        values = np.repeat(of_run["value"].to_numpy(), of_run["count"].to_numpy())
        median = float(np.median(np.where(values == of_run["epochs"].iloc[0], np.inf, values)))
        value = float(values.mean()) if quantity == "forgetting_events" else median
        of_runs.append({"run": run, "label": label, "quantity": quantity, "group": group, "value": value})
    return pd.DataFrame(of_runs, columns=["run", "label", "quantity", "group", "value"])


def _rates(counts: pd.DataFrame) -> pd.DataFrame:
    """The share of each run's labels that are corrupted, in percent."""
    learned = counts[counts["quantity"] == "first_learned"]
    corrupted = (
        learned["count"]
        .where(learned["group"] == CORRUPTED, 0)
        .groupby([learned["run"], learned["label"]], sort=False)
    )
    total = learned.groupby(["run", "label"], sort=False)["count"].sum()
    percent = (100 * corrupted.sum() / total).rename("value").reset_index()
    return percent.assign(quantity="corrupted", group="all")
