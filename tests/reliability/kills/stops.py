"""How and when a command is stopped: signals, at a random time or when it calls something for the n-th time."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from tests.reliability.forked import Child

PLACES = {
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
SIGNALS = {
    "SIGKILL": (signal.SIGKILL,),
    "SIGTERM": (signal.SIGTERM,),
    "Ctrl-C": (signal.SIGINT,),
    "Ctrl-C twice": (signal.SIGINT, signal.SIGINT),
    "SIGSTOP, then SIGKILL": (signal.SIGSTOP, signal.SIGKILL),
}
DRAWN = (6, 2, 2, 1, 1)
"""How often each of SIGNALS is drawn, in proportion."""
ENDS = {"SIGTERM": {-signal.SIGTERM, 143}, "Ctrl-C": {130}, "Ctrl-C twice": {130, -signal.SIGINT}}
"""How a command that was asked to stop ends; by SIGKILL it just does. Not all commands save at SIGTERM."""


@dataclass(frozen=True)
class Stop:
    """One way to be stopped.

    Attributes:
        signals: a key of SIGNALS.
        place: a key of PLACES, at whose `call`-th call the first signal comes; "" for a random time.
        share: of the time that the command takes undisturbed, when the signal comes if there is no place.
        often: whether the state to continue from is written after each epoch, instead of every ten seconds.

    """

    signals: str
    place: str = ""
    call: int = 1
    share: float = 0.0
    often: bool = False

    @property
    def what(self) -> str:
        """In a few words."""
        return f"{self.signals} {self.place or 'at a random moment'}"

    def arm(self) -> None:
        """In the child: be struck at the place, by a signal to itself."""
        if self.often:
            vars(import_module("memstudy.study.carry_out"))["SAVE_EVERY_SECONDS"] = 0.0
        if self.place:
            _trap(PLACES[self.place], self.call, SIGNALS[self.signals][0])

    def strike(self, child: Child, seconds: float) -> None:
        """In the parent: send what comes at its time, or what comes after the first signal."""
        first, *more = SIGNALS[self.signals]
        if not self.place:
            if child.ended(self.share * seconds):
                return
            child.send(first)
        for number in more:
            if self.place:
                if not _stopped(child):
                    return
            elif child.ended(0.02):
                return
            child.send(number)

    def faults(self, child: Child) -> list[str]:
        """What is wrong with how a command ended that was stopped so."""
        expected = ENDS.get(self.signals, {-signal.SIGKILL})
        faults = [] if child.code in expected else [f"it ended with {child.code}: {child.said()[-400:]}"]
        return [*faults, *(["a traceback: " + child.said()[-800:]] if "Traceback" in child.said() else [])]


def _stopped(child: Child) -> bool:
    """Wait until a child has stopped itself; False if it ended instead."""
    _, status = os.waitpid(child.pid, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        time.sleep(0.01)
        return True
    child.code = os.waitstatus_to_exitcode(status)
    return False


def _trap(target: str, call: int, number: int) -> None:
    """Let the n-th call of a function begin with a signal to this process."""
    module, _, path = target.partition(":")
    owner: Any = import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    original: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def trapped(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), number)
        return original(*args, **options)

    setattr(owner, name, trapped)
