"""Trackers are told of runs while these are trained, by a process of their own.

Training starts it, and waits for it at the end, for a bounded time. It reads run directories, at the lowest
priority, so a tracker that hangs, dies or is down can neither stop a run nor change one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from memstudy.errors import reason
from memstudy.trackers import check
from memstudy.trackers.follower import FIRST, Asked

START = "from memstudy.trackers.follower import main; main()"
ALONE = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
"""It takes no core and no GPU from training."""
LAST = 30.0
"""Seconds for what is left when training has ended."""
AT_ONCE = 5.0
"""Seconds in which a tracker is usually done; longer waiting is said."""


@dataclass(frozen=True)
class Destination:
    """A tracker by its name, and a folder or an address; None stands for its folder in the store."""

    tracker: str
    into: str | None = None

    def place(self, root: Path) -> str:
        """Where it keeps what it is told."""
        return self.into or str(root / self.tracker)


@contextlib.contextmanager
def told(
    destinations: Sequence[Destination],
    root: Path,
    runs: Sequence[str],
    study: str | None,
    say: Callable[[str], None],
) -> Iterator[None]:
    """A block in which trackers are told of these runs of a store; at its end `say` gets a sentence on each.

    Raises a MemstudyError before the block is begun if a tracker is unknown, has no package or cannot send there.
    """
    for destination in destinations:
        check(destination.tracker, destination.into)
    with contextlib.ExitStack() as stack:
        followers: list[_Follower] = []
        for destination in destinations:
            followers.append(_Follower(destination, root, tuple(runs), study))
            stack.callback(followers[-1].kill)
            say(f"{followers[-1].place} is told of each epoch, from {FIRST:.0f} seconds on.")
        try:
            yield
        finally:
            for follower in followers:
                follower.close()
            for follower in followers:
                follower.wait(say)
                say(follower.outcome())


@dataclass
class _Follower:
    """One such process, from its start on."""

    destination: Destination
    root: Path
    runs: tuple[str, ...]
    study: str | None
    _process: subprocess.Popen[str] = field(init=False)
    _out: IO[str] = field(init=False)
    _errors: IO[str] = field(init=False)

    def __post_init__(self) -> None:
        self._out, self._errors = (
            tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 (closed when the process has ended)
            for _ in range(2)
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", START], text=True, stdin=subprocess.PIPE, stdout=self._out, stderr=self._errors,
            env=os.environ | ALONE, start_new_session=True,
        )  # fmt: skip
        asked = Asked(
            **asdict(self.destination),
            root=str(self.root.resolve()),
            runs=self.runs,
            study=self.study,
            patience=LAST,
        )
        with contextlib.suppress(OSError):  # it has died already: told at the end
            assert self._process.stdin is not None
            self._process.stdin.write(f"{json.dumps(asdict(asked))}\n")
            self._process.stdin.flush()

    @property
    def place(self) -> str:
        """`mlflow (runs/mlflow)`."""
        return f"{self.destination.tracker} ({self.destination.place(self.root)})"

    def close(self) -> None:
        """Tell it that training has ended."""
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()

    def wait(self, say: Callable[[str], None]) -> None:
        """Let it send what is left, and end it if that takes too long."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(AT_ONCE)
        if self._process.poll() is None:
            say(f"waiting for {self.place}, {LAST:.0f} seconds at most.")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(LAST)
        self.kill()

    def kill(self) -> None:
        """End it with all processes that it started, if it has not ended."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def outcome(self) -> str:
        """The sentence on what it has."""
        problem = self._problem()
        if not problem:
            return f"{self.place} has all of it."
        return (
            f"{self.place} does not have all of it: {problem.rstrip('.')}; training is not concerned, and "
            f"'{self._command()}' sends the rest."
        )

    def _problem(self) -> str:
        """What it reported; if it made no report, what it died of."""
        with self._out, self._errors:
            self._out.seek(0)
            with contextlib.suppress(IndexError, ValueError, KeyError):
                return str(json.loads(self._out.read().splitlines()[-1])["problem"])
            if self._process.returncode == -signal.SIGKILL:
                return f"it did not answer within {LAST:.0f} seconds"
            self._errors.seek(0)
            lines = [line for line in self._errors.read().splitlines() if line.strip()]
            return reason(lines[-1] if lines else "it ended early")

    def _command(self) -> str:
        """What sends the rest."""
        whose = ["--study", self.study] if self.study else list(self.runs)
        into = ["--into", self.destination.into] if self.destination.into else []
        where = [] if self.root == Path("runs") else ["--runs-dir", str(self.root)]
        return shlex.join(["memstudy", "track", *whose, "--to", self.destination.tracker, *into, *where])
