"""Keys as they are pressed, without Enter."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections.abc import Iterator


@contextlib.contextmanager
def single() -> Iterator[None]:
    """In this block a key is there as soon as it is pressed, and is not echoed. Ctrl-C stays what it is.

    Nothing is different where standard input is no terminal, or on Windows.
    """
    if not sys.stdin.isatty() or sys.platform == "win32":
        yield
        return
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def pressed(seconds: float) -> str:
    """The keys that are pressed within so many seconds, as soon as there are some; empty if none is."""
    if not sys.stdin.isatty() or sys.platform == "win32":
        time.sleep(seconds)
        return ""
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    return os.read(sys.stdin.fileno(), 1024).decode(errors="replace") if ready else ""
