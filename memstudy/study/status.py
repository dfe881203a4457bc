"""How far runs are, read from their directories alone: whatever trains them, and wherever.

No torch here, and metrics are parsed only where somebody asks for them: a thousand runs are looked at in less than
a second, and again in less than a tenth, as only what changed is read.
"""

from __future__ import annotations

import datetime
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from memstudy.errors import Gone, MemstudyError
from memstudy.recipe import Recipe
from memstudy.store import RunDirectory, Status, Store, stamps
from memstudy.store.layout import METRICS, RECIPE, RESUME, STATE

DAMAGED = "damaged"
"""In place of a status: what the directory says cannot be trusted."""


@dataclass(frozen=True)
class Progress:
    """One run.

    Attributes:
        run: its name.
        status: one of `store.Status`, or DAMAGED.
        epochs_done, epochs: those finished, and those of the whole run; 0 where only its name is known yet.
        rate: epochs a second of a running run since its process took it up; None before its first epoch there.
        left: seconds to its end at that rate; None without a rate.
        where: the device and, if it is running, the host and the process that trains it.
        problem: why it failed, or is damaged; else empty.
        changed: when its state was last written, seconds since the epoch; None before it is begun.

    """

    run: str
    status: str
    epochs_done: int
    epochs: int
    rate: float | None = None
    left: float | None = None
    where: str = ""
    problem: str = ""
    changed: float | None = None


@dataclass(frozen=True)
class Overall:
    """Several runs: how many have each status, in the order of Status; epochs; seconds left, None if unknown."""

    runs: int
    by_status: dict[str, int]
    epochs_done: int
    epochs: int
    rate: float | None
    left: float | None


def progress(store: Store, recipes: Sequence[Recipe]) -> list[Progress]:
    """Of each recipe's run, in their order. Nothing is written."""
    return Observer().progress(store.open_all(recipes))


def overall(runs: Sequence[Progress]) -> Overall:
    """All runs together. The time left is that of all that is not finished, at the present rate."""
    counts = Counter(run.status for run in runs)
    order = [*(str(status) for status in Status), DAMAGED]
    rates = [run.rate for run in runs if run.rate]
    waiting = [run for run in runs if run.status not in (Status.FINISHED, Status.FAILED, DAMAGED)]
    epochs_left = sum(run.epochs - run.epochs_done for run in waiting)
    return Overall(
        runs=len(runs),
        by_status={status: counts[status] for status in order if counts[status]},
        epochs_done=sum(run.epochs_done for run in runs),
        epochs=sum(run.epochs for run in runs),
        rate=sum(rates) if rates else None,
        left=epochs_left / sum(rates) if rates and epochs_left else None,
    )


def summary(title: str, runs: Sequence[Progress]) -> str:
    """`study quick: 8 runs: 2 running, 6 finished; 70 of 80 epochs; 0:00:20 left at the present rate`."""
    if not runs:
        return f"{title}: no runs yet" if title else "no runs yet"
    whole = overall(runs)
    counts = ", ".join(f"{count:,} {status}" for status, count in whole.by_status.items())
    begun = f"{title}: " if title else ""
    parts = [
        f"{begun}{whole.runs:,} run{'s' * (whole.runs != 1)}: {counts}",
        f"{whole.epochs_done:,} of {whole.epochs:,} epochs",
    ]
    unknown = sum(run.status == Status.NEW and not run.epochs for run in runs)
    if unknown:
        parts[-1] += " of those begun"
    if whole.left is not None:
        parts.append(f"{duration(whole.left)} left at the present rate{' for those begun' if unknown else ''}")
    return "; ".join(parts)


def duration(seconds: float) -> str:
    """`0:01:20`, `3 days, 4:00:00`."""
    return str(datetime.timedelta(seconds=round(seconds)))


@dataclass(frozen=True)
class _Found:
    """What a run's files said when they were read; `seen` is their stamp from before that.

    `changed` and `measured` are when its state and its metrics were written, seconds since the epoch.
    """

    seen: str
    state: Mapping[str, Any] = field(default_factory=dict)
    epochs_done: int = 0
    epochs: int = 0
    changed: float | None = None
    measured: float | None = None
    problem: str = ""


class Observer:
    """Looks at runs again and again, and reads of them only what changed since the last time."""

    def __init__(self) -> None:
        self._found: dict[Path, _Found] = {}
        self._columns: dict[Path, tuple[str, dict[str, NDArray[Any]]]] = {}

    def progress(self, runs: Iterable[RunDirectory]) -> list[Progress]:
        """Of each run, in their order; one that is damaged says so. Nothing is written."""
        return [self._progress(run) for run in runs]

    def _progress(self, run: RunDirectory) -> Progress:
        """Whether a process trains it is asked each time: it may have died without a word."""
        found = _progress(run, self._files_of(run))
        if found.status == Status.INTERRUPTED:  # or it has just finished it: what it wrote last counts
            found = _progress(run, self._files_of(run))
        return found

    def columns(self, run: RunDirectory) -> dict[str, NDArray[Any]]:
        """As the run's own `columns`; a MemstudyError if its metrics are damaged."""
        now = stamps.stamp(os.fspath(run.path / name) for name in (STATE, METRICS, RESUME))
        before, columns = self._columns.get(run.path, ("", {}))
        if before != now:
            columns = run.columns()
            if stamps.settled(now):
                self._columns[run.path] = now, columns
        return columns

    def _files_of(self, run: RunDirectory) -> _Found:
        """What they say: kept from an earlier look, if they are as they were."""
        now = stamps.stamp(os.fspath(run.path / name) for name in (RECIPE, STATE, METRICS))
        found = self._found.get(run.path)
        if found is None or found.seen != now:
            found = _read(run, now)
            if stamps.settled(now):
                self._found[run.path] = found
        return found


def _read(run: RunDirectory, now: str) -> _Found:
    """What a run's files say, whose stamp is `now`."""
    if not now.strip() and not run.knows_recipe:
        return _Found(now, run.state())
    epochs = 0
    try:
        epochs = run.recipe.training.epochs  # of a study that is read from its file this needs none of the run's
        state, _, done = run.at_one_moment(lambda: run.checked_epochs_done)
        return _Found(now, state, done, epochs, _time_of(run, STATE), _time_of(run, METRICS))
    except Gone:
        return _Found(now, {"status": Status.NEW}, epochs=epochs)
    except MemstudyError as error:
        return _Found(now, epochs=epochs, problem=str(error))


def _progress(run: RunDirectory, found: _Found) -> Progress:
    """A run, of which these files were found."""
    if found.problem:
        return Progress(run.name, DAMAGED, 0, found.epochs, problem=found.problem)
    state, done, epochs = found.state, found.epochs_done, found.epochs
    status = run.status_in(state)
    session = (state.get("sessions") or [{}])[-1]
    where, rate = str(session.get("device_name") or session.get("device") or ""), None
    if status is Status.RUNNING:
        rate = _rate(session, done, found.measured)
        if owner := run.owner:
            where = f"{owner.host}, process {owner.pid}" + (f", {where}" if where else "")
    failure = state.get("failure") if status is Status.FAILED else None
    left = (epochs - done) / rate if rate else None
    return Progress(run.name, str(status), done, epochs, rate, left, where, failure or "", found.changed)


def _time_of(run: RunDirectory, name: str) -> float | None:
    """When one of its files was written; None if it is not there."""
    try:
        return (run.path / name).stat().st_mtime
    except OSError:
        return None


def _rate(session: Mapping[str, object], done: int, measured: float | None) -> float | None:
    """Epochs a second from when its process took it up to its newest epoch."""
    epochs = done - int(str(session.get("from_epoch", 0)))
    if epochs <= 0 or "date" not in session or measured is None:
        return None
    seconds = measured - datetime.datetime.fromisoformat(str(session["date"])).timestamp()
    return epochs / seconds if seconds > 0 else None
