"""Commands as a user sees them: begun as children (see `forked`), with what they printed, and how they ended."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.reliability import forked

ENDS = (0, 1, 2, 130, 143)
"""Exit codes that are documented."""


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (of a signal the negative number), and what it printed."""

    code: int
    out: str
    err: str

    @property
    def crashed(self) -> bool:
        """Whether a user saw anything but a result or a sentence: a traceback, a signal, an odd exit code."""
        return self.code not in ENDS or "Traceback (most recent call last)" in f"{self.out}{self.err}"

    @property
    def last(self) -> str:
        """The last line that it printed, of its errors if there are any."""
        lines = (self.err.strip() or self.out.strip()).splitlines()
        return lines[-1] if lines else ""

    def __str__(self) -> str:
        return f"exit code {self.code}: {self.last}"


class Command:
    """A command that was begun. It starts at once."""

    def __init__(
        self,
        *words: str | Path,
        prepare: Callable[[], None] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="memstudy-command-"))
        self._output, self._errors = self._folder / "output", self._folder / "errors"
        self.child = forked.begin(list(map(str, words)), self._output, environment, prepare, self._errors)

    @property
    def lives(self) -> bool:
        """Whether it has not ended yet."""
        return not self.child.ended()

    def kill(self) -> Ended:
        """End it without a word."""
        self.child.send(signal.SIGKILL)
        return self.end()

    def end(self, patience: float = forked.LONGEST) -> Ended:
        """Wait for its end, so many seconds at most: one that hangs is killed, and a TimeoutError."""
        try:
            code = self.child.wait(patience)
            return Ended(code, *(path.read_text("utf-8", "replace") for path in (self._output, self._errors)))
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def lives_until(self, condition: Callable[[], bool]) -> bool:
        """Wait until something is so, or the command has ended; whether it is still at work."""
        while self.lives and not condition():
            time.sleep(0.005)
        return self.lives


def in_child(do: Callable[[], None], patience: float = forked.LONGEST) -> Ended:
    """Do something in a child, and wait for its end, so many seconds at most."""

    def work() -> None:
        do()
        sys.exit(0)

    return Command(prepare=work).end(patience)
