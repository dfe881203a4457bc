"""The process that tells a tracker of runs while another one trains them (see `live`).

Its standard input is a pipe from that process: the first line says what to send where, and the pipe's end says
that the other has ended, whatever it died of. It then sends what is left, and gives up after some seconds. The
last line of its standard output is its report: why the tracker does not have all of it, or nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from memstudy.errors import MemstudyError
from memstudy.store import RunDirectory, Store
from memstudy.trackers import connect
from memstudy.trackers.following import follow
from memstudy.trackers.sending import Sender

FIRST = 90.0
"""Seconds until a tracker's package is imported, which can take seconds: of a short run it is told afterwards."""


@dataclass(frozen=True)
class Asked:
    """What to send where: runs of a store by their names, there yet or not.

    patience: seconds for what is left when training has ended.
    """

    tracker: str
    into: str | None
    root: str
    runs: tuple[str, ...]
    study: str | None
    patience: float


def main() -> None:
    """Follow until standard input ends."""
    os.nice(19)
    asked = Asked(**json.loads(sys.stdin.readline()))
    ended = threading.Event()
    threading.Thread(target=_await_end, args=(sys.stdin, ended, asked.patience), daemon=True).start()
    ended.wait(FIRST)
    with contextlib.redirect_stdout(sys.stderr):  # what trackers print
        problem = _follow(asked, ended)
    print(json.dumps({"problem": problem}))


def _await_end(pipe: IO[str], ended: threading.Event, patience: float) -> None:
    """Set `ended` at the end of the pipe; end all processes of this session if they take too long after that."""
    pipe.read()
    ended.set()
    time.sleep(patience)
    os.killpg(0, signal.SIGKILL)


def _follow(asked: Asked, ended: threading.Event) -> str:
    """Send until the end, and return the problem that is left. What cannot be reached may be reached later."""
    store = Store(Path(asked.root))
    runs = [RunDirectory(store.root / name) for name in asked.runs]
    sender: Sender | None = None
    problem = ""

    def look() -> bool:
        nonlocal sender, problem
        try:
            if sender is None:
                sender = Sender(connect(asked.tracker, asked.into, store.root), asked.study)
            sender.send(runs)
            problem = next(iter(sender.problems.values()), "")
        except MemstudyError as error:
            problem = str(error)
        return True

    follow(look, ended, until_ended=True)
    return problem
