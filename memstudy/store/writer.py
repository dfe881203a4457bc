"""Who may write to a run's directory: one process at a time, by its lease (see `memstudy.lease`)."""

from __future__ import annotations

import contextlib
from pathlib import Path

from memstudy import files, lease
from memstudy.errors import Busy, Gone

LEASE = ".lease"
LOCK = ".lock"
"""What earlier versions locked, by the kernel's means, and left."""
TRIES = 20
"""How often a directory is made that others remove meanwhile."""


def gone(name: str) -> Gone:
    """What is said of a run that was there a moment ago."""
    return Gone(f"{name} was removed or moved by another process meanwhile; 'memstudy runs' lists what there is.")


class Writer:
    """The right to write to a directory: whether this process has it, and who does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lease: lease.Lease | None = None

    @property
    def held(self) -> bool:
        """Whether this is the writer."""
        return self._lease is not None

    @property
    def owner(self) -> lease.Owner | None:
        """Who is writing here now, since when, and when it last gave a sign of life; None if nobody is."""
        return lease.owner(self.path / LEASE)

    @property
    def is_of_earlier_version(self) -> bool:
        """Whether a process of an earlier version is writing here."""
        return files.is_locked(self.path / LOCK)

    def acquire(self, begin: bool) -> None:
        """Become the writer, in a directory that is made if a run may be begun (`begin`).

        Raises a Busy if another process is, a Gone if the directory is not there and none may be made.
        """
        mine = lease.Lease(self.path / LEASE)
        with files.explained(self.path):
            for _ in range(TRIES):
                if begin:
                    self.path.mkdir(parents=True, exist_ok=True)
                if self.is_of_earlier_version:
                    raise self._busy("of an earlier version of memstudy")
                try:
                    mine.acquire()
                except lease.Held as held:
                    raise self._busy(f"({held.owner})" if held.owner else "") from held
                except FileNotFoundError as error:  # the run was removed or moved as we waited for it
                    if not begin:
                        raise gone(self.path.name) from error
                else:
                    self._lease = mine
                    return
        raise self._busy("")

    def check(self) -> None:
        """Raise a Busy if this was the writer, and another process has succeeded it."""
        if self._lease is None:
            return
        try:
            with files.explained(self.path):
                self._lease.check()
        except lease.Lost as lost:
            who = f"another process ({lost.owner}) has taken it over" if lost.owner else "its .lease is gone"
            raise Busy(
                f"{self.path.name}: {who}, as this one gave no sign of life for {lease.DURATION:.0f} s; "
                "this one writes nothing more, and what it did since it last saved is left to the same command."
            ) from lost

    def release(self) -> None:
        """Let others write; whoever was succeeded stays a writer that may write nothing (see `check`)."""
        if self._lease is not None and self._lease.release():
            self._lease = None

    def leave(self) -> None:
        """Let go of a directory in which there is nothing but our lease, and remove it."""
        if self._lease is not None:
            self._lease.release()
            self._lease = None
        with contextlib.suppress(OSError):  # it is not empty
            self.path.rmdir()

    def _busy(self, who: str) -> Busy:
        return Busy(
            f"{self.path.name} is being run by another process{who and f' {who}'}; wait for it, or stop it first."
        )
