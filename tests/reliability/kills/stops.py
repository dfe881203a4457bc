"""How and when a command is stopped: signals, at a random time or when something happens for the n-th time.

What happens is seen from outside, so that memstudy has no code for it: functions are wrapped in the child that is
to be stopped, and changes of files are Python's audit events.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import util
from pathlib import Path
from random import Random
from typing import Any

from tests.reliability.forked import Child

CALLS = {
    "before the first save": "memstudy.store.run:RunDirectory.write_recipe",
    "in a training step": "memstudy.training.epoch:train_step",
    "at an epoch's end": "memstudy.training.epoch:Trainer.end",
    "in evaluation": "memstudy.training.evaluation:predict",
    "as metrics are appended": "memstudy.store.run:RunDirectory.append_metrics",
    "in a checkpoint's write": "memstudy.store.run:RunDirectory.save_checkpoint",
    "as the state to continue from is written": "memstudy.store.run:RunDirectory.save_resume",
    "as the run is marked finished": "memstudy.store.run:RunDirectory.finish",
    "between a file's write and its flush to disk": "os:fsync",
    "between a file's flush and its renaming": "pathlib:Path.replace",
    "as a file is removed": "pathlib:Path.unlink",
}
"""Chosen moments, and the function whose call is one."""
CHANGE, HALF = "at a change of a file", "with half a file written"
PLACES = (*CALLS, CHANGE, HALF)
FIRST_STEP = ("in a training step", 1)
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink", "os.chmod"}
"""Audit events that are changes, beside files that are opened for writing."""
SIGNALS = {
    "SIGKILL": (signal.SIGKILL,),
    "SIGTERM": (signal.SIGTERM,),
    "Ctrl-C": (signal.SIGINT,),
    "Ctrl-C twice": (signal.SIGINT, signal.SIGINT),
    "SIGSTOP, then SIGKILL": (signal.SIGSTOP, signal.SIGKILL),
}
ENDS = {"SIGTERM": {-signal.SIGTERM, 143}, "Ctrl-C": {130}, "Ctrl-C twice": {130, -signal.SIGINT}}
"""How a command that was asked to stop ends; by SIGKILL it just does. Not all commands save at SIGTERM."""
LATER = 12
"""A second Ctrl-C comes at most so many changes of files after the first: while what is there is saved."""


@dataclass(frozen=True)
class Stop:
    """One way to be stopped.

    Attributes:
        signals: a key of SIGNALS.
        place: one of PLACES, at whose `call`-th time (from 1) the first signal comes; "" for a random time.
        call: see `place`.
        share: of the time that the command takes undisturbed, when the signal comes if there is no place.
        often: whether the state to continue from is written after each epoch, instead of every ten seconds.
        later: how many changes of files after the first signal a second Ctrl-C comes.

    """

    signals: str
    place: str = ""
    call: int = 1
    share: float = 0.0
    often: bool = False
    later: int = 1

    @property
    def what(self) -> str:
        """In a few words."""
        return f"{self.signals} {self.place or 'at a random moment'}"

    def __str__(self) -> str:
        return f"{self.what} ({f'number {self.call}' if self.place else f'{self.share:.3f} of its time'})"

    def arm(self) -> None:
        """In the child: be struck at the place, by a signal to itself."""
        if self.often:
            vars(import_module("memstudy.study.carry_out"))["SAVE_EVERY_SECONDS"] = 0.0
        if self.place:
            first, *more = SIGNALS[self.signals]
            Bell(_Strike(self.place, self.call, first, self.later if more == [signal.SIGINT] else 0)).listen()

    def strike(self, child: Child, seconds: float, meanwhile: Callable[[], list[str]]) -> list[str]:
        """In the parent: send what comes at its time, and what comes after SIGSTOP, `meanwhile` before it.

        Returns what was wrong meanwhile.
        """
        first, *more = SIGNALS[self.signals]
        if not self.place:
            if child.ended(self.share * seconds):
                return []
            child.send(first)
        if first == signal.SIGSTOP:
            stopped = child.stopped()
            wrong = meanwhile() if stopped else []
            for pid in stopped:
                os.kill(pid, signal.SIGKILL)
            return wrong
        if more and not self.place and not child.ended(0.02 * self.later / LATER):
            child.send(more[0])
        return []

    def faults(self, child: Child, processes: bool) -> list[str]:
        """What is wrong with how a command ended that was stopped so; one of its own `processes` may have been."""
        expected = ENDS.get(self.signals, {-signal.SIGKILL}) | ({1} if processes else set())
        return [] if child.code in expected else [f"it ended with {child.code}: {child.said()[-400:]}"]


def drawn(signals: str, place: str, counts: Counter[str], random: Random) -> Stop:
    """A stop at a place that the command comes to (by `counts`), or at a random time."""
    call = random.randint(1, max(1, counts[place]))
    return Stop(signals, place, call, random.random(), random.random() < 0.7, random.randint(1, LATER))


@dataclass(frozen=True)
class _Strike:
    """A signal at the `call`-th time at a place; if `later`, Ctrl-C again so many changes of files after it."""

    place: str
    call: int
    signal: int
    later: int = 0


class Bell:
    """In a child: counts how often it comes to each of PLACES, and strikes."""

    def __init__(self, strike: _Strike | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self.strike = strike
        self._lock = threading.Lock()
        self._second = 0

    def listen(self) -> None:
        """Notice all that happens from now on."""
        places = CALLS if self.strike is None else {self.strike.place} & set(CALLS)
        for place in places:
            self._wrap(place)
        folder = os.environ["MEMSTUDY_KILLED_IN"]
        self._notice_halves(folder)
        sys.addaudithook(lambda event, args: self._hear(folder, event, args))

    def ring(self, place: str, before: Callable[[], object] = lambda: None) -> None:
        """Note that the process is at a place, and strike if it is time, after `before`."""
        with self._lock:
            self.counts[place] += 1
            number, strike = self.counts[place], self.strike
            if strike is None:
                return
            due = strike.signal if (place, number) == (strike.place, strike.call) else None
            if due and strike.later:
                self._second = self.counts[CHANGE] + strike.later
            elif place == CHANGE and number == self._second:
                due = signal.SIGINT
        if due is not None:
            before()
            os.kill(os.getpid(), due)

    def _wrap(self, place: str) -> None:
        module, _, path = CALLS[place].partition(":")
        owner: Any = import_module(module)
        *parents, name = path.split(".")
        for parent in parents:
            owner = getattr(owner, parent)
        original: Callable[..., Any] = getattr(owner, name)

        def wrapped(*args: Any, **options: Any) -> Any:
            self.ring(place)
            return original(*args, **options)

        setattr(owner, name, wrapped)

    def _hear(self, folder: str, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = args
            changes = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        else:
            path, changes = args[0] if args else None, event in CHANGES
        if changes and isinstance(path, str | os.PathLike) and str(path).startswith(folder):
            self.ring(CHANGE)

    def _notice_halves(self, folder: str) -> None:
        """A file that is being flushed is cut to its half, and then the process is struck."""
        flush = os.fsync

        def flushed(file: int) -> None:
            path = str(Path(f"/proc/self/fd/{file}").readlink())
            if path.startswith(folder) and "/.tmp-" in path:
                self.ring(HALF, lambda: os.truncate(path, Path(path).stat().st_size // 2))
            flush(file)

        vars(os)["fsync"] = flushed


def count_into(folder: Path) -> None:
    """In a child that is not struck: it and its forks tell, each in a file, how often they came to each place."""
    bell = Bell()
    vars(import_module("memstudy.study.carry_out"))["SAVE_EVERY_SECONDS"] = 0.0
    bell.listen()

    def told(process: int) -> None:
        if process == os.getpid():
            (folder / f"{process}.json").write_text(json.dumps(bell.counts))

    atexit.register(told, os.getpid())
    util.register_after_fork(bell, lambda _: util.Finalize(None, lambda: told(os.getpid()), exitpriority=0))


def counted(folder: Path) -> Counter[str]:
    """How often the process that came to a place most often came to it."""
    counts: Counter[str] = Counter()
    for path in folder.iterdir():
        counts |= Counter(json.loads(path.read_text()))
    return counts
