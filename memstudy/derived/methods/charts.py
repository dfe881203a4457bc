"""Curves of training for the report page: accuracy, losses and the floor, what corrupted samples are taken for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from memstudy.derived.methods.figures import ANSWERS
from memstudy.report.chart import Chart
from memstudy.report.charting.choices import Choice, told
from memstudy.report.charting.data import inlined, of_runs, title_of
from memstudy.report.charting.lines import EPOCH, Quantity, over_runs
from memstudy.report.frames import Groups, Setting, comparable_runs, each_epoch, evaluated, methods_of
from memstudy.report.marks import GRAY, Mark, marks
from memstudy.report.page.charts import explored
from memstudy.report.panels import over_seeds
from memstudy.store.store import Selection

ACCURACY = Quantity("test_accuracy", "test accuracy, %", ".1f")
LOSS = Quantity("train_cross_entropy", "training loss L_c, nats", ".4f")
SHARE = Quantity("share", "corrupted samples, %", ".1f", ends=(0, 100))
ACTIVATION = Quantity("train_activation_loss", "activation loss L_r, unscaled", ".3g", scale="log")


@dataclass(frozen=True)
class Curves:
    """The metrics of all runs, one row a run and epoch (see `charting.of_runs`), and how they are drawn."""

    rows: pd.DataFrame
    groups: Groups
    marks: Mapping[str, Mark]

    @property
    def settings(self) -> list[Setting]:
        """The settings of its groups."""
        return [setting for setting, _ in self.groups]

    def chart(
        self, quantity: Quantity, title: str, what: str, rows: pd.DataFrame, *choices: Choice, **more: Any
    ) -> Chart:
        """A line for each method over the epochs, by setting and `choices`. more: of `page.charts.explored`."""
        setting = Choice("setting", "runs", [setting.words for setting, _ in self.groups])
        drawn = over_runs(rows, EPOCH, quantity, self.marks, (*choices, setting))
        sentences = (what, over_seeds(rows, ["setting", "method"]), title_of(self.groups), told(self.marks))
        for layer in more.pop("layers", ()):
            drawn = drawn + setting.of(layer)
        return Chart(quantity.column, title, " ".join(filter(None, sentences)), explored(drawn, **more))


def charts(selection: Selection) -> Iterator[Chart]:
    """One for each quantity that some run has."""
    groups = comparable_runs(selection, so_far=True)
    metrics = pd.concat([setting.metrics() for setting, _ in groups], ignore_index=True).astype({"epoch": int})
    curves = Curves(of_runs(metrics, groups), groups, marks(methods_of(groups)))
    for chart in (_accuracy, _losses, _answers, _activation):
        yield from chart(curves)


def _accuracy(curves: Curves) -> Iterator[Chart]:
    rows = _measured(curves.rows, ACCURACY.column)
    rows[ACCURACY.column] *= 100
    if len(rows):
        yield curves.chart(ACCURACY, "Test accuracy", f"Test accuracy after {each_epoch(curves.settings)}.", rows)


def _losses(curves: Curves) -> Iterator[Chart]:
    """Training cross-entropy; below the floor, it is memorization. Without corruption the floor is 0: no line."""
    rows = _measured(curves.rows, LOSS.column)
    what, layers = "Training cross-entropy of each epoch.", []
    floors = pd.DataFrame([{"setting": one.words, "floor": one.floor} for one in curves.settings])
    floors = floors[floors["floor"] > 0]
    if len(floors):
        what += " Dotted: the floor, the lowest that it can be on these labels without memorization."
        line = alt.Chart(inlined(floors)).mark_rule(strokeDash=[2, 3], color=GRAY, size=1.5)
        words = [alt.Tooltip("floor:Q", title="floor, nats", format=".4f")]
        layers.append(line.encode(y=alt.Y(**LOSS.encoded("floor")), tooltip=words))
    if len(rows):
        yield curves.chart(LOSS, "Training loss and its floor", what, rows, log=True, layers=layers)


def _answers(curves: Curves) -> Iterator[Chart]:
    """What corrupted samples are taken for (ELR's figure); none if no sample is corrupted."""
    answer = Choice("answer", "taken for", [words for words, _ in ANSWERS.values()])
    keys = ["run", "seed", "method", "setting", "epoch"]
    rows = _measured(curves.rows, ACCURACY.column).melt(keys, list(ANSWERS), "answer", SHARE.column)
    rows = rows.dropna(subset=SHARE.column)
    if len(rows):
        rows["answer"] = rows["answer"].map({name: words for name, (words, _) in ANSWERS.items()})
        rows[SHARE.column] *= 100
        when = each_epoch(curves.settings)
        what = f"What the corrupted training samples are taken for after {when}, in evaluation mode."
        yield curves.chart(SHARE, "Memorized, recovered, other", what, rows, answer)


def _activation(curves: Curves) -> Iterator[Chart]:
    rows = _measured(curves.rows, ACTIVATION.column)
    rows = rows[rows[ACTIVATION.column] > 0]
    if len(rows):
        what = "Activation loss (AL2's penalty before its weight) of each epoch, whether it is trained on or not."
        yield curves.chart(ACTIVATION, "Activation loss", what, rows)


def _measured(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Those epochs after which all runs of a line were evaluated, or have the number."""
    return evaluated(rows, ["setting", "method"], column).copy()
