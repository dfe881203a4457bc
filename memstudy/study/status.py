"""How far the runs of a study are, read from their directories alone: whatever trains them, and wherever.

No torch here and no metrics are parsed: a thousand runs are looked at in less than a second.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from memstudy.errors import MemstudyError
from memstudy.recipe import Recipe
from memstudy.store import RunDirectory, Status, Store
from memstudy.store.run import METRICS

DAMAGED = "damaged"
"""In place of a status: what the directory says cannot be trusted."""


@dataclass(frozen=True)
class Progress:
    """One run.

    Attributes:
        run: its name.
        status: one of `store.Status`, or DAMAGED.
        epochs_done, epochs: those finished, and those of the whole run.
        rate: epochs a second of a running run since its process took it up; None before its first epoch there.
        left: seconds to its end at that rate; None without a rate.
        where: the device and, if it is running, the host and the process that trains it.
        problem: why it failed, or is damaged; else empty.

    """

    run: str
    status: str
    epochs_done: int
    epochs: int
    rate: float | None = None
    left: float | None = None
    where: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Overall:
    """A study: how many runs have each status, in the order of Status; epochs; seconds left, None if unknown."""

    runs: int
    by_status: dict[str, int]
    epochs_done: int
    epochs: int
    rate: float | None
    left: float | None


def progress(store: Store, recipes: Sequence[Recipe]) -> list[Progress]:
    """Of each recipe's run, in their order. Nothing is written."""
    return [_progress(run) for run in store.open_all(recipes)]


def overall(runs: Sequence[Progress]) -> Overall:
    """All runs of a study together. The time left is that of all that is not finished, at the present rate."""
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


def _progress(run: RunDirectory) -> Progress:
    epochs = run.recipe.training.epochs  # the study's recipe, which needs no file
    try:
        state, done = run.state(), run.epochs_done
    except MemstudyError as error:
        return Progress(run.name, DAMAGED, 0, epochs, problem=str(error))
    status = run.status_in(state)
    session = (state.get("sessions") or [{}])[-1]
    where, rate = str(session.get("device_name") or session.get("device") or ""), None
    if status is Status.RUNNING:
        rate = _rate(run, session, done)
        if owner := run.owner:
            where = f"{owner.host}, process {owner.pid}" + (f", {where}" if where else "")
    failure = state.get("failure") if status is Status.FAILED else None
    left = (epochs - done) / rate if rate else None
    return Progress(run.name, str(status), done, epochs, rate, left, where, failure or "")


def _rate(run: RunDirectory, session: dict[str, object], done: int) -> float | None:
    """Epochs a second from when its process took it up to its newest epoch: when metrics.csv was last written."""
    epochs = done - int(str(session.get("from_epoch", 0)))
    if epochs <= 0 or "date" not in session:
        return None
    begun = datetime.datetime.fromisoformat(str(session["date"])).timestamp()
    seconds = (run.path / METRICS).stat().st_mtime - begun
    return epochs / seconds if seconds > 0 else None
