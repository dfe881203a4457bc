"""Processes of their own at the cost of a fork: each is this one as it is, with memstudy and torch imported.

A process that imports torch takes seconds to start, and the campaign needs thousands. What a child prints goes to
files, so that any number of them may be at work together.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from memstudy.cli import main

PATIENCE = 300.0
"""Seconds after which a child is killed, and counts as one that hangs."""


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit code (of a signal the negative number), and what it printed."""

    code: int
    out: str
    err: str

    @property
    def crashed(self) -> bool:
        """Whether a user saw anything but a result or a sentence: a traceback, a signal, an odd exit code."""
        told = f"{self.out}{self.err}"
        return self.code not in (0, 1, 2, 130, 143) or "Traceback (most recent call last)" in told

    @property
    def last(self) -> str:
        """The last line that it printed, of its errors if there are any."""
        lines = (self.err.strip() or self.out.strip()).splitlines()
        return lines[-1] if lines else ""

    def __str__(self) -> str:
        return f"exit code {self.code}: {self.last}"


class Child:
    """A forked process that does one thing and ends. It starts at once."""

    def __init__(self, do: Callable[[], object]) -> None:
        self._out, self._err = (tempfile.TemporaryFile() for _ in range(2))  # noqa: SIM115 (closed by `end`)
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            self._become(do)

    def _become(self, do: Callable[[], object]) -> None:
        """In the child: do it, and leave without what the parent would do as it ends."""
        code = 70
        try:
            for number, stream in ((1, self._out), (2, self._err)):
                os.dup2(stream.fileno(), number)
            sys.stdout, sys.stderr = (open(n, "w", encoding="utf-8", closefd=False) for n in (1, 2))  # noqa: SIM115
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
            gc.freeze()
            torch.set_num_threads(1)
            do()
            code = 0
        except SystemExit as leave:
            code = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    @property
    def lives(self) -> bool:
        """Whether it has not ended yet. It stays to be waited for."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def end(self, patience: float = PATIENCE) -> Ended:
        """Wait for its end; one that takes too long is killed."""
        deadline = time.monotonic() + patience
        while self.lives and time.monotonic() < deadline:
            time.sleep(0.002)
        if self.lives:
            self.signal(signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        texts = []
        for stream in (self._out, self._err):
            with stream:
                stream.seek(0)
                texts.append(stream.read().decode(errors="replace"))
        return Ended(code, *texts)


def memstudy(*words: str | Path, prepare: Callable[[], object] | None = None) -> Child:
    """Start `memstudy WORDS`; `prepare` is done in the child first."""

    def do() -> None:
        if prepare is not None:
            prepare()
        main([str(word) for word in words], prog_name="memstudy")

    return Child(do)


def together(starts: Sequence[Callable[[], Child]]) -> list[Ended]:
    """Start them all, then wait for all."""
    children = [start() for start in starts]
    return [child.end() for child in children]
