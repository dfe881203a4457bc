"""A command on a terminal of its own: what it writes there is read, keys are pressed, signals come."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping

START = """
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C is a signal
from memstudy.cli import main
main(prog_name="memstudy")
"""
PATIENCE = 60.0
"""Seconds after which a test gives up."""


class Terminal:
    """A terminal, and the command that runs on it."""

    def __init__(self, side: int, process: subprocess.Popen[bytes]) -> None:
        self._side, self.process = side, process
        self.written = ""

    def await_text(self, text: str) -> str:
        """Read until the command has written a text; returns all that it wrote so far."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.written:
            assert time.monotonic() < deadline, f"no {text!r} in {self.written!r}"
            if not self._read():
                assert text in self.written, f"it ended without {text!r}: {self.written!r}"
        return self.written

    def press(self, keys: str) -> None:
        """Press keys; `\\x03` is Ctrl-C."""
        os.write(self._side, keys.encode())

    def end(self, number: signal.Signals | None = None) -> int:
        """Send a signal, if one is given, and read until the command has ended; returns its exit code."""
        if number is not None:
            self.process.send_signal(number)
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def echoes(self) -> bool:
        """Whether keys are echoed, and there only after Enter: as a shell wants to find it."""
        mode = termios.tcgetattr(self._side)[3]
        return bool(mode & termios.ECHO and mode & termios.ICANON)

    def _read(self) -> bool:
        """Read what is there; whether more may come."""
        if not select.select([self._side], [], [], 0.1)[0]:
            return self.process.poll() is None
        with contextlib.suppress(OSError):  # Linux' word for the end
            if found := os.read(self._side, 65536):
                self.written += found.decode(errors="replace")
                return True
        return False


@contextlib.contextmanager
def terminal(*words: str, width: int = 100, height: int = 24, **environment: str) -> Iterator[Terminal]:
    """Run `memstudy WORDS` on a terminal of so many columns and lines."""
    side, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    plain: Mapping[str, str] = {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"}
    inherited = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-c", START, *words],
        stdin=other, stdout=other, stderr=other, start_new_session=True, env={**inherited, **plain, **environment},
    )  # fmt: skip
    try:
        yield Terminal(side, process)
    finally:
        process.kill()
        process.wait()
        os.close(other)
        os.close(side)
