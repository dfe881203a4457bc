"""Commands in children of a process that has imported everything: they begin at once, so that many can be killed.

A child does what `python -m memstudy WORDS` does, in a process group of its own. The parent must have started no
threads, which a fork does not copy: it computes nothing itself.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import memstudy

STOPPING = (signal.SIGINT, signal.SIGTERM)
LONGEST = 300.0
"""Seconds after which a command counts as hung."""


@dataclass
class Child:
    """A command that was begun: its process, and where its output is."""

    pid: int
    output: Path
    code: int | None = None

    def send(self, number: int) -> None:
        """A signal to it alone; nothing if it has ended."""
        if self.code is None:
            os.kill(self.pid, number)

    def ended(self, seconds: float = 0.0) -> bool:
        """Whether it ends within so long."""
        deadline = time.monotonic() + seconds
        while self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
            elif time.monotonic() >= deadline:
                return False
            else:
                time.sleep(0.002)
        return True

    def wait(self, seconds: float = LONGEST) -> int:
        """Its exit code, -N for signal N; one that hangs is killed, and is a TimeoutError."""
        if not self.ended(seconds):
            os.killpg(self.pid, signal.SIGKILL)
            self.ended(10.0)
            raise TimeoutError(f"it hung for {seconds:.0f} s: {self.said()}")
        assert self.code is not None
        return self.code

    def stopped(self) -> list[int]:
        """Wait until SIGSTOP has stopped it, or a process of its own; their numbers, none if it ended instead."""
        deadline = time.monotonic() + LONGEST
        while not (found := self._in_state("T")) and not self.ended(0.002) and time.monotonic() < deadline:
            pass
        return found

    def _in_state(self, wanted: str) -> list[int]:
        """Those processes of its group that are in a state, by the letter that /proc has for it."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                state, _, group, *_ = path.read_text().rpartition(")")[2].split()
                if (state, int(group)) == (wanted, self.pid):
                    found.append(int(path.parent.name))
        return found

    def said(self) -> str:
        """What it wrote to standard output and error."""
        return self.output.read_text(encoding="utf-8", errors="replace")


def warm() -> None:
    """Import what commands import, so that children need not. Nothing is computed, which might start threads."""
    import torch

    torch.set_num_threads(1)
    of_torch = ("torch._dynamo", "torch._refs")  # what the first network and optimizer import: two seconds
    for name in (*of_torch, "altair", "matplotlib.pyplot", "pandas", "sklearn.linear_model", "scipy.stats"):
        import_module(name)
    for path in Path(memstudy.__file__).parent.rglob("*.py"):
        name = ".".join(path.relative_to(Path(memstudy.__file__).parents[1]).with_suffix("").parts)
        if not name.endswith("__main__") and ".adapters." not in name and "trackers" not in name:
            import_module(name.removesuffix(".__init__"))


def begin(
    words: Sequence[str],
    output: Path,
    environment: Mapping[str, str] | None = None,
    before: Callable[[], None] | None = None,
    errors: Path | None = None,
) -> Child:
    """Begin `memstudy WORDS`. before: what the child does first, such as arming a trap.

    errors: where standard error goes, if not to the output.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    output.write_text("")
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)  # a child that is stopped at once is stopped as the command
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        return Child(pid, output)
    try:
        _become(words, (output, errors or output), environment or {}, before)
    finally:
        os._exit(70)  # reached only by an error of ours: it is in the output


def _become(
    words: Sequence[str],
    streams: tuple[Path, Path],
    environment: Mapping[str, str],
    before: Callable[[], None] | None,
) -> None:
    """Be the command, and end with its exit code."""
    import traceback

    os.setpgid(0, 0)
    for number in STOPPING:  # as in a terminal, whatever the parent ignores
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    for stream, path in enumerate(streams, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), stream)
    sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115
    os.environ.update(environment)
    code, entered = 70, False
    try:
        if before is not None:
            before()
        from memstudy.cli import main

        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        entered = True
        main(list(words), prog_name="memstudy")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt as stop:
        code = 130
        if entered and stop.__traceback__ is not None and stop.__traceback__.tb_next is not None:  # in the command
            traceback.print_exc()
    except BaseException:
        traceback.print_exc()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)  # it has ended
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
