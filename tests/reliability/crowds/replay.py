"""What a process does to a store, step by step, and the same again while another one reads there.

Of two processes that are let run, a reader meets a writer at the same few moments again and again, if at all. So
the writer's steps are recorded once, from real training, and are done again inside the reader: between two of its
looks at files, as many of them as a random number says. Each schedule can be repeated from its seed.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from memstudy import files, lease
from memstudy.store.writer import LEASE

Files = dict[str, bytes]
"""The content of all files of a store, by their paths in it."""
LOOKS = {"open", "os.listdir", "os.scandir", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.utime"}
"""What Python tells an audit hook of before it is done. A bare stat is not among these."""

_listener: Callable[[], None] | None = None
_is_installed = False


def listen(listener: Callable[[], None] | None) -> None:
    """Call a function before this process touches a file, from now on; what it does itself is not told."""
    global _listener, _is_installed
    if not _is_installed:  # a hook cannot be taken away again
        sys.addaudithook(_hook)
        _is_installed = True
    _listener = listener


def _hook(event: str, arguments: object) -> None:
    global _listener
    if event in LOOKS and (listener := _listener) is not None:
        _listener = None
        try:
            listener()
        finally:
            _listener = listener


def files_of(root: Path, folder: str = "") -> Files:
    """All files of a store, or of a folder in it, as they are now."""
    found = {}
    for path in (root / folder).rglob("*"):
        with contextlib.suppress(OSError):
            found[path.relative_to(root).as_posix()] = path.read_bytes()
    return found


@dataclass(frozen=True)
class History:
    """The states that a store went through, each other than the one before."""

    steps: tuple[Files, ...]

    @classmethod
    def of(cls, root: Path, folder: str, do: Callable[[], object]) -> History:
        """Do something to a folder of the store at `root`, and record it.

        Lines that are added are also seen half written.
        """
        steps = [files_of(root)]
        others = {name: content for name, content in steps[0].items() if not name.startswith(f"{folder}/")}

        def look() -> None:
            now, before = others | files_of(root, folder), steps[-1]
            if now == before:
                return
            grown = [name for name in now if name in before and _is_longer(now[name], before[name])]
            if grown:
                half = {name: now[name][: (len(before[name]) + len(now[name])) // 2] for name in grown}
                steps.append(now | half)
            steps.append(now)

        listen(look)
        try:
            do()
        finally:
            listen(None)
        look()
        return cls(tuple(steps))


def _is_longer(now: bytes, before: bytes) -> bool:
    return len(now) > len(before) + 1 and now.startswith(before)


class Replay:
    """A history that goes on in a store, from one of its states, as far as it is asked to."""

    def __init__(self, history: History, root: Path, at: int) -> None:
        self.history, self.root, self.at = history, root, at
        self._owner = lease._introduction()
        for name in history.steps[at]:
            self._write(name, self._content(name, at))

    def go_on(self, steps: int = 1) -> None:
        """Take the next steps, as far as there are some."""
        for _ in range(min(steps, len(self.history.steps) - 1 - self.at)):
            before, now = self.history.steps[self.at : self.at + 2]
            self.at += 1
            gone = {name.split("/")[0] for name in before} - {name.split("/")[0] for name in now}
            for folder in gone:  # at once, as `files.discard` does
                if (self.root / folder).is_dir():
                    shutil.move(self.root / folder, f"{self.root}.gone")
                    shutil.rmtree(f"{self.root}.gone")
            for name in before.keys() - now.keys():
                (self.root / name).unlink(missing_ok=True)
            for name in now:
                if before.get(name) != now[name]:
                    self._change(name, before.get(name), now[name])

    def _change(self, name: str, before: bytes | None, now: bytes) -> None:
        if before is not None and now.startswith(before):
            with (self.root / name).open("ab") as file:
                file.write(now[len(before) :])
        else:
            self._write(name, self._content(name, self.at))

    def _content(self, name: str, at: int) -> bytes:
        """A file of the history; markers say that it is this process, which lives, that writes."""
        return self._owner if name.endswith(LEASE) else self.history.steps[at][name]

    def _write(self, name: str, content: bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{files.TEMPORARY}replay-{path.name}")
        aside.write_bytes(content)
        os.replace(aside, path)  # noqa: PTH105 (of ten thousand)


def meanwhile(replay: Replay, seed: int, often: float, reached: Path) -> None:
    """From now on the history goes on before each look at a file, with probability `often`, by 1 to 8 steps.

    The file `reached` has the number of the last step.
    """
    chance = random.Random(seed)

    def step() -> None:
        if chance.random() < often:
            replay.go_on(chance.choice((1, 1, 2, 8)))
            reached.write_text(str(replay.at))

    listen(step)
