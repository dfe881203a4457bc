"""Tables of metrics: all methods after the last epoch, and training and memorization after kept ones (ours)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from memstudy.derived.methods import Memorization, Methods, TrainingTable
from memstudy.derived.methods.epochs import Column, layouts, tables
from memstudy.report.arithmetic import difference_cell, effect_cell
from memstudy.report.cells import DASH, frame, interval, number, span, starred
from memstudy.report.differences import compared, star_notes
from memstudy.report.frames import Groups, comparable_runs, evaluated, evaluation_notes, is_last, shared_title
from memstudy.report.origin import Read, Row, of_metrics
from memstudy.report.table import HIGH, LOW, Table
from memstudy.report.twins import twins
from memstudy.store import Status
from memstudy.store.layout import METRICS
from memstudy.store.store import Selection

TRAINING = {
    "test_accuracy": Column("test accuracy, %", 100, 2, HIGH),
    "train_cross_entropy": Column("L_c", 1, 2),
    "train_activation_loss": Column("L_r", 1, 4),
}
MEMORIZATION = {
    "clean_accuracy": Column("intact labels learned, %", 100, 1, HIGH),
    "memorized": Column("corrupted: memorized, %", 100, 1, LOW),
    "recovered": Column("corrupted: recovered, %", 100, 1, HIGH),
}
AT_END = {
    "test_accuracy": Column("test accuracy, %", 100, 1, HIGH),
    "best_accuracy": Column("best epoch, %", 100, 1, HIGH),
    "memorized": Column("memorized, %", 100, 1, LOW),
    "recovered": Column("recovered, %", 100, 1, HIGH),
    "train_cross_entropy": Column("L_c", 1, 3),
}
"""After the last epoch, but for the best accuracy, which is chosen on the test images."""


def training(selection: Selection, epochs: Sequence[int] | None) -> Iterator[Table]:
    """Test accuracy, training cross-entropy and activation loss after kept epochs; none in AL2's layout."""
    by_method = [layout for layout in layouts(selection) if not layout.in_pairs]
    return tables(TrainingTable.name, "Training", TRAINING, selection, by_method, epochs)


def memorization(selection: Selection, epochs: Sequence[int] | None) -> Iterator[Table]:
    """What training samples are taken for after kept epochs."""
    return tables(Memorization.name, "What was memorized", MEMORIZATION, selection, layouts(selection), epochs)


def methods(selection: Selection) -> Iterator[Table]:
    """One row a setting and method; none where there is one method alone, or AL2's layout."""
    groups = comparable_runs(selection)
    rows = at_end(groups)
    if rows["label"].nunique() < 2 or twins(groups):
        return
    long = rows.melt(
        ["run", "seeds", "setting", "label", "against", "epoch"], list(AT_END), "metric", "value"
    ).dropna(subset="value")
    values = compared(long, ["setting", "label", "metric"], epoch="epoch", read=_read)
    cells = [_cells(str(setting), part) for (setting, _), part in values.groupby(["setting", "label"], sort=False)]
    several = rows["setting"].nunique() > 1
    shown = frame(cells)
    words = ("setting", "method") if several else ("method",)
    values["metric"] = values["metric"].map({name: column.heading for name, column in AT_END.items()})
    title = shared_title(setting for setting, _ in groups)
    yield Table(
        Methods.name, f"Methods: {title}", _notes(selection, values),
        shown if several else shown.drop(columns="setting"),
        values if several else values.drop(columns="setting"), words=words, group="setting" if several else "",
        better={column.heading: column.better for column in AT_END.values() if column.better}, among=words[:-1],
    )  # fmt: skip


def at_end(groups: Groups) -> pd.DataFrame:
    """One row a run: `setting` in words, its columns of `comparable_runs`, AT_END after the last evaluation.

    Of a method whose runs are not finished, the last evaluation is that which all of them have.
    """
    rows = []
    for setting, members in groups:
        metrics = evaluated(setting.metrics().drop(columns=["seed", "seeds"])).merge(members[["run", "label"]])
        metrics = _up_to_common(metrics).drop(columns="label")
        best = metrics.groupby("run")["test_accuracy"].max().rename("best_accuracy")
        last = members.merge(metrics[is_last(metrics)], on="run").merge(best, on="run")
        rows.append(last.assign(setting=setting.words))
    return pd.concat(rows, ignore_index=True).assign(
        **{name: lambda table, name=name, scale=c.scale: scale * table[name] for name, c in AT_END.items()}
    )


def _read(row: Row) -> Read:
    """Where a number after the last epoch stands, or the best accuracy of any."""
    name = str(row["metric"])
    if name == "best_accuracy":
        return Read(
            f"{row['run']}/{METRICS}", {"epoch": f"0 to {row['epoch']}"}, "test_accuracy", "the largest, × 100"
        )
    return of_metrics(row, name, AT_END[name].how)


def _up_to_common(metrics: pd.DataFrame) -> pd.DataFrame:
    """The metrics of each method's runs up to the last epoch after which all of them were evaluated."""
    runs = metrics.groupby("label")["run"].transform("nunique")
    everywhere = metrics.groupby(["label", "epoch"])["run"].transform("nunique") == runs
    last = metrics["epoch"].where(everywhere, -1).groupby(metrics["label"]).transform("max")
    return metrics[metrics["epoch"] <= last]


def _cells(setting: str, part: pd.DataFrame) -> dict[str, str]:
    """A row: means with stars, and the difference in accuracy with its interval and effect."""
    rows = {str(row["metric"]): row for row in part.to_dict("records")}
    accuracy = rows["test_accuracy"]
    texts = {AT_END[metric].heading: starred(row, AT_END[metric].digits) for metric, row in rows.items()}
    first = AT_END["test_accuracy"].heading
    return {
        "setting": setting, "method": str(accuracy["label"]), "n": span(part["n"]), first: texts.pop(first),
        "difference [95 %]": difference_cell(
            interval(accuracy["difference"], accuracy["low"], accuracy["high"], 1, "+"), accuracy, 1
        ),
        "effect": effect_cell(number(accuracy["effect"], ".1f"), accuracy, 1),
        **{column.heading: texts.get(column.heading, DASH) for column in list(AT_END.values())[1:]},
    }  # fmt: skip


def _notes(selection: Selection, values: pd.DataFrame) -> tuple[str, ...]:
    references = [name for name in dict.fromkeys(values["against"].fillna("")) if name]
    against = f" Differences, in points of accuracy, are to {' or '.join(references)}." if references else ""
    notes = [
        "Mean ± standard deviation over n seeds, after the last epoch; the best epoch is chosen on test images. "
        "Memorized and recovered: of the corrupted training samples, predicted as their noisy and as their true "
        f"label. L_c: training cross-entropy, nats.{against} Effect: the difference in standard deviations of a "
        "pair's (ours).",
        *star_notes(values),
        *evaluation_notes(selection.runs),
    ]
    shown = [run for setting, _ in comparable_runs(selection) for run in setting.runs]
    unfinished = [run.name for run in shown if run.status is not Status.FINISHED]
    if unfinished:
        names = ", ".join(unfinished)
        notes.append(f"Not finished, and taken at the last epoch that all runs of a method have so far: {names}.")
    return tuple(notes)
