"""Sending runs to a tracker: what it does not have yet, and nothing twice."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from memstudy import files, lease
from memstudy.errors import Busy, MemstudyError, reason
from memstudy.store import RunDirectory, Status, stamps
from memstudy.store.layout import METRICS, STATE
from memstudy.trackers import Snapshot, Tracker

LASTING = (Status.FINISHED, Status.FAILED)


@dataclass
class Sender:
    """Sends runs to a tracker, again and again if they are still trained.

    Attributes:
        study: the study that they are sent with, if any.
        runs: those of which something was sent until now, by name.
        epochs: how many were sent.
        problems: why a run could not be sent, by its name.

    """

    tracker: Tracker
    study: str | None = None
    runs: set[str] = field(default_factory=set)
    epochs: int = 0
    problems: dict[str, str] = field(default_factory=dict)
    _seen: dict[str, object] = field(default_factory=dict)

    def send(self, runs: Sequence[RunDirectory]) -> bool:
        """Send what is new; whether there can be more to come, as a run has not ended yet.

        A Busy if another process of this machine is sending to the same place: what a tracker has would change
        while we look.
        """
        with files.explained(place := _lease(self.tracker.into)):
            place.parent.mkdir(parents=True, exist_ok=True)
            only = lease.Lease(place)
            try:
                only.acquire(patience=10)
            except lease.Held as held:
                raise Busy(
                    f"another process ({held.owner}) is sending to {self.tracker.into}; wait for it."
                ) from held
        try:
            going_on = [self._send(run) for run in runs]  # every one, not up to the first
            return any(going_on)
        finally:
            only.release()

    def _send(self, run: RunDirectory) -> bool:
        """Send what is new of one run; whether there can be more to come."""
        if not run.exists:
            return True
        look = stamps.stamp(os.fspath(run.path / name) for name in (STATE, METRICS)), run.status
        if self._seen.get(run.name) == look:
            return run.status not in LASTING
        self.problems.pop(run.name, None)
        try:
            self._send_snapshot(Snapshot.of(run))
        except MemstudyError as error:
            self.problems[run.name] = str(error)
            return False
        except Exception as error:  # another's package: a server that is down, a full disk, anything
            self.problems[run.name] = f"{run.name} was not taken: {type(error).__name__}: {reason(error)}"
            return True
        self._seen[run.name] = look
        return run.status not in LASTING

    def _send_snapshot(self, run: Snapshot) -> None:
        there = self.tracker.sent(run)
        if there.epochs > run.epochs:
            return  # continued from before: it comes to where it was
        if there.epochs == run.epochs and there.status == run.status:
            return
        self.tracker.send(run, there.epochs, self.study)
        self.runs.add(run.name)
        self.epochs += run.epochs - there.epochs


def _lease(into: str) -> Path:
    """The marker of who is sending to a place: in the cache, as a place may be an address."""
    return files.cache_directory() / "trackers" / f"{files.digest(into.encode())[:16]}.lease"
