"""What this process knows of a run's state.json: it is read and checked once, until it is another file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memstudy import files
from memstudy.store import stamps
from memstudy.store import state as states
from memstudy.store.layout import METRICS, STATE
from memstudy.store.state import Status
from memstudy.store.writer import gone


class KnownState:
    """The state.json in a run's directory, and the stamp that it had when it was read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._content: Mapping[str, Any] | None = None
        self._stamp = self._final_mark = ""
        self._was_there = False

    def read(self) -> Mapping[str, Any]:
        """Its content; a new run's if there is none, and a Gone if there was one before."""
        path = self.path / STATE
        stamp = stamps.stamp([os.fspath(path)])
        if not stamp and files.is_there(self.path / METRICS) and not files.is_there(path):
            raise files.damaged(path, "it is gone")
        if not stamp and self._was_there:
            raise gone(self.path.name)
        self._was_there = bool(stamp)
        if self._content is not None and self._stamp == stamp:
            return self._content
        self.forget()
        content = states.read(path)
        if stamps.settled(stamp):
            self._content, self._stamp = content, stamp
        return content

    @property
    def final(self) -> Mapping[str, Any] | None:
        """Its content, if it is known, and the run is finished, and so does not change any more; else None."""
        known = self._content
        return known if known is not None and known["status"] == Status.FINISHED else None

    def mark(self) -> str:
        """The stamp of the run's state and metrics; that of a finished run is looked at once."""
        if self._final_mark:
            return self._final_mark
        folder = os.fspath(self.path)
        mark = stamps.stamp([f"{folder}/{STATE}", f"{folder}/{METRICS}"])
        if self.final is not None:
            self._final_mark = mark
        return mark

    def forget(self) -> None:
        """Read it anew the next time."""
        self._content, self._stamp, self._final_mark = None, "", ""

    def begin(self) -> None:
        """Know nothing of it, nor whether it was there."""
        self.forget()
        self._was_there = False
