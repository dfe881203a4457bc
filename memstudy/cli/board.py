"""How runs stand, as text: a line on all of them, a row for each, with its curves, and why some failed."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.text import Text

from memstudy.cli import layout, sparkline
from memstudy.cli.layout import Column
from memstudy.errors import Gone, MemstudyError
from memstudy.store import RunDirectory, Status, metrics
from memstudy.store.naming import DIGITS
from memstudy.study.status import DAMAGED, Observer, Overall, Progress, duration, overall, summary

if TYPE_CHECKING:
    from numpy.typing import NDArray

ORDER = (Status.RUNNING, Status.FAILED, DAMAGED, Status.INTERRUPTED, Status.FINISHED, Status.NEW)
"""What is shown first where there is no room for all; of equals the newest."""
STYLES = {
    Status.RUNNING: "green", Status.FAILED: "red", DAMAGED: "red", Status.INTERRUPTED: "yellow", Status.NEW: "dim",
}  # fmt: skip
CURVES = {
    "test %": ("test_accuracy", 100, ".1f"),
    "memorized %": ("memorized", 100, ".1f"),
    "L_c": ("train_cross_entropy", 1, ".3f"),
}
"""Headings of the columns that have a curve: a column of metrics.csv, by what it is multiplied, and its format."""
ENDING = "q ends this view; runs go on."
PROBLEMS = 3
"""At most so many reasons are on a screen."""


@dataclass(frozen=True)
class Board:
    """Runs at one look.

    Attributes:
        title: what they are, as `study quick`; empty for runs by their names.
        runs: the directories.
        progress: how far each of them is, in the same order.
        observer: who has looked, and reads the curves of those that are shown.
    """

    title: str
    runs: Sequence[RunDirectory]
    progress: Sequence[Progress]
    observer: Observer = field(default_factory=Observer)

    @property
    def whole(self) -> Overall:
        """All of them together."""
        return overall(self.progress)

    def plain(self, shown: Sequence[Progress], console: Console, curves: bool = False) -> list[str]:
        """Lines for those of the runs that are to be told of, in that order; curves: whether with theirs."""
        head = self.summary()
        if not shown:
            return [head]
        rows, wrong = self._rows(shown, layout.room(console), _blocks(console) if curves else "")
        reasons = [*_reasons(shown), *wrong]
        return [head, "", *rows, *([""] if reasons else []), *reasons]

    def screen(self, shown: Sequence[Progress], console: Console) -> Text:
        """As many of them as a terminal has room for; the last line says what is left out, and how it ends."""
        width, height = console.size
        head = textwrap.wrap(self.summary(), width)
        room = max(1, height - len(head) - 3)  # an empty line, the headings, the last line
        rows, wrong = self._rows(shown[:room], width, _blocks(console)) if shown else ([""], [])
        reasons = [_cut(reason, width) for reason in [*_reasons(shown), *wrong][:PROBLEMS]]
        fitting = max(1, room - len(reasons))
        left_out = len(shown) - fitting
        text = Text(no_wrap=True, overflow="crop")
        text.append("\n".join([*head, "", ""]))
        text.append("\n".join([rows[0], ""]), "bold")
        for row, run in zip(rows[1 : 1 + fitting], shown, strict=False):
            text.append_text(_colored(row, run)).append("\n")
        text.append("".join(f"{reason}\n" for reason in reasons), "red")
        return text.append(
            _cut(ENDING + (f" {left_out:,} more runs have no room here." if left_out > 0 else ""), width)
        )

    def summary(self) -> str:
        """A line on all of them."""
        return summary(self.title, self.progress)

    def columns(self, one: Progress) -> tuple[dict[str, NDArray[Any]], str]:
        """What was measured of one of these runs, as its own `columns`, and why that cannot be trusted, if so."""
        if not one.epochs_done or one.status == DAMAGED:
            return {}, ""
        try:
            columns = self.observer.columns(self._directories[one.run])
            if len(columns["epoch"]) < one.epochs_done:
                return {}, f"{one.run} was removed, or gone on with, by another process meanwhile."
            return {name: values[: one.epochs_done] for name, values in columns.items()}, ""
        except Gone as error:
            return {}, str(error)
        except MemstudyError as error:
            return {}, f"{one.run}: {error}"

    @cached_property
    def _directories(self) -> dict[str, RunDirectory]:
        return {run.name: run for run in self.runs}

    def _rows(self, shown: Sequence[Progress], room: int | None, blocks: str) -> tuple[list[str], list[str]]:
        """A line of headings and one for each run; and a sentence on each whose metrics cannot be read."""
        curves, wrong = self._curves(shown, room, blocks) if blocks else ([], [])
        columns = [
            Column("run", [run.run for run in shown], wanted=5),
            Column("status", [run.status for run in shown], wanted=4),
            Column("epochs", [_epochs(run) for run in shown], number=True, wanted=3),
            Column(
                "s/epoch", ["" if not run.rate else f"{1 / run.rate:.3g}" for run in shown], number=True, wanted=1
            ),
            Column(
                "left", ["" if run.left is None else duration(run.left) for run in shown], number=True, wanted=2
            ),
            *curves,
            Column("where", [run.where for run in shown]),
        ]
        columns = [column for column in columns if any(column.cells)]
        fitting, _ = layout.fitted(_with_short_names(columns, room) if blocks else columns, room)
        return layout.lines(fitting), wrong

    def _curves(self, shown: Sequence[Progress], room: int | None, blocks: str) -> tuple[list[Column], list[str]]:
        """A column for each of CURVES."""
        wide = 16 if room is None else min(16, max(6, room // 10 - 2))
        measured, problems = zip(*map(self.columns, shown), strict=True)
        columns = []
        for heading, (name, factor, form) in CURVES.items():
            series = [_evaluated(found, name) * factor for found in measured]
            lines = [sparkline.sparkline(values, wide, blocks) for values in series]
            lasts = [format(values[-1], form) if len(values) else "" for values in series]
            longest, last = max(map(len, lines)), max(map(len, lasts))
            cells = [
                f"{line:{longest}} {number:>{last}}" if number else ""
                for line, number in zip(lines, lasts, strict=True)
            ]
            columns.append(Column(heading, cells, wanted=2))
        return columns, [problem for problem in problems if problem]


def order(runs: Iterable[Progress]) -> list[Progress]:
    """Running ones by name, so that they stay where they are; then the others by ORDER, the newest first."""
    return sorted(
        runs,
        key=lambda run: (
            ORDER.index(run.status),
            0 if run.status == Status.RUNNING else -(run.changed or 0),
            run.run,
        ),
    )


def _evaluated(columns: dict[str, NDArray[np.float64]], name: str) -> NDArray[np.float64]:
    """What was measured after the epochs that were evaluated; nothing if it never could be."""
    if not len(columns.get("epoch", ())):
        return np.empty(0)
    values = np.asarray(columns[name], dtype=float)
    if name != "train_cross_entropy":  # which is there without an evaluation
        values = values[metrics.evaluated(columns)]
    return np.empty(0) if np.isnan(values).all() else values


def _with_short_names(columns: Sequence[Column], room: int | None) -> list[Column]:
    """The columns, with the beginnings of names left out as far as the others want the room.

    A run can still be named so: what is left begins after a dash, and ends with the run's digits.
    """
    names, *others = columns
    if room is None:
        return list(columns)
    kept = [column for column in others if column.wanted > 1]
    left = max(DIGITS, room - sum(column.width + len(layout.GAP) for column in kept))
    return [Column(names.heading, [_tail(name, left) for name in names.cells], wanted=names.wanted), *others]


def _tail(name: str, room: int) -> str:
    """The end of a name that has room, from a dash on; at least its digits."""
    while len(name) > room and "-" in name:
        name = name.partition("-")[2]
    return name


def _epochs(run: Progress) -> str:
    return f"{run.epochs_done}/{run.epochs}" if run.epochs else ""


def _reasons(shown: Iterable[Progress]) -> list[str]:
    """Why runs failed, or are damaged."""
    return [f"{run.run} {run.status}: {run.problem}" for run in shown if run.problem]


def _cut(text: str, width: int) -> str:
    """As much of a line as there is room for."""
    return text if len(text) <= width else f"{text[: max(0, width - 4)]} ..."


def _colored(row: str, run: Progress) -> Text:
    """A row with its run's status in its color."""
    text = Text(row)
    if (place := row.find(layout.GAP + run.status)) >= 0:
        begin = place + len(layout.GAP)
        text.stylize(STYLES.get(run.status, ""), begin, begin + len(run.status))
    return text


def _blocks(console: Console) -> str:
    """The characters of curves on this terminal. The Linux console has Unicode, but not these in its font."""
    has_unicode = console.encoding.lower().startswith("utf") and os.environ.get("TERM") != "linux"
    return sparkline.BLOCKS if has_unicode else sparkline.ASCII
