"""Where commands are killed: image sets, stores to begin with, and what each command leaves undisturbed."""

from __future__ import annotations

import multiprocessing
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tests.reliability.forked import Child, begin, warm
from tests.reliability.kills import cases, stops
from tests.reliability.kills.cases import Case
from tests.reliability.kills.stops import Stop
from tests.reliability.same import differences

AGAIN = 5
"""How often a command may have to be given again: a worker of a killed study first saves what it has."""


@dataclass(frozen=True)
class Undisturbed:
    """What a case leaves if nothing disturbs it, the seconds that it takes, and how often it is at which place."""

    place: Path
    seconds: float
    counts: Counter[str]


class Bench:
    """Where cases are carried out."""

    def __init__(self, root: Path) -> None:
        warm()
        self.root, self.data = root, root / "data"
        self.data.mkdir()
        cases.write_sets(self.data)
        self._undisturbed: dict[Case, Undisturbed] = {}
        self._stores: dict[str, Path] = {"": root / "empty"}
        (root / "empty" / "out").mkdir(parents=True)
        (root / "empty" / "out" / "tiny.toml").write_text(cases.STUDY)

    def begin(
        self, case: Case, place: Path, before: Callable[[], None] | None = None, output: str = "output.txt"
    ) -> Child:
        """Begin a case's command in a place that is ready for it."""
        known = {
            "MEMSTUDY_DATA": str(self.data),
            "MEMSTUDY_CACHE": str(self.root / "cache"),
            "MEMSTUDY_KILLED_IN": str(place),
            "COLUMNS": "200",
        }
        return begin(case.given(place, self.data), self.root / output, known, partial(_in_child, before))

    def _must(self, case: Case, place: Path, before: Callable[[], None] | None = None) -> float:
        """Carry out a case, which must go well. Returns the seconds that it took."""
        begun = time.monotonic()
        child = self.begin(case, place, before)
        if child.wait():
            raise AssertionError(f"{case.name}, undisturbed, ended with {child.code}: {child.said()}")
        return time.monotonic() - begun

    def prepare(self, case: Case, place: Path) -> None:
        """A place with all that a case needs."""
        shutil.copytree(self._store(case.begun), place)

    def _store(self, begun: str) -> Path:
        """A place in which a stage of STAGES was reached; made once."""
        if begun not in self._stores:
            earlier, case = cases.STAGES[begun]
            place = self.root / begun
            shutil.copytree(self._store(earlier), place)
            self._must(case, place)
            self._stores[begun] = place
        return self._stores[begun]

    def undisturbed(self, case: Case) -> Undisturbed:
        """What the case leaves."""
        if case not in self._undisturbed:
            place = self.root / f"undisturbed-{len(self._undisturbed)}"
            self.prepare(case, place)
            counts = self.root / f"counts-{len(self._undisturbed)}"
            counts.mkdir()
            seconds = self._must(case, place, partial(stops.count_into, counts))
            self._undisturbed[case] = Undisturbed(place, seconds, stops.counted(counts))
        return self._undisturbed[case]

    def stopped(self, case: Case, planned: Iterable[Stop]) -> tuple[list[Stop], list[str]]:
        """Carry out a case with these stops in a row, then to its end.

        Returns those stops that came before it had ended, and sentences on what does not hold.
        """
        reference = self.undisturbed(case)
        place = self.root / "place"
        shutil.rmtree(place, ignore_errors=True)
        self.prepare(case, place)
        came: list[Stop] = []
        wrong: list[str] = []
        for stop in planned:
            child = self.begin(case, place, stop.arm)
            wrong += stop.strike(child, reference.seconds, partial(self._meanwhile, case, place))
            if _code(child) in (0, *case.done):
                break
            came.append(stop)
            wrong += [
                f"{stop}: {sentence}" for sentence in (*stop.faults(child, case.processes), *_tracebacks(child))
            ]
        wrong += self.to_its_end(case, place)
        return came, [*wrong, *differences(place, reference.place)]

    def to_its_end(self, case: Case, place: Path) -> list[str]:
        """Give a command until it ends by itself; what was wrong."""
        for _ in range(AGAIN if case.processes else 1):
            child = self.begin(case, place)
            if _code(child) in (0, *case.done):
                return _tracebacks(child)
            time.sleep(1.0 * case.processes)
        return [f"given again it ended with {child.code}: {child.said()[-400:]}"]

    def _meanwhile(self, case: Case, place: Path) -> list[str]:
        """Give the command while SIGSTOP has stopped it: it is refused, or goes well. What was wrong."""
        child = self.begin(case, place, output="meanwhile.txt")
        if _code(child) in (0, 2, *([1] if case.processes else [])):
            return _tracebacks(child)
        return [f"given while it was stopped it ended with {child.code}: {child.said()[-400:]}"]


def _in_child(before: Callable[[], None] | None) -> None:
    _fork_workers()
    if before is not None:
        before()


def _fork_workers() -> None:
    """Let the processes of a study be forks, which begin at once, and are struck where their parent would be."""
    get_context, theirs = multiprocessing.get_context, _Forking()
    vars(multiprocessing)["get_context"] = lambda method=None: theirs if method == "spawn" else get_context(method)


class _Forking:
    """A context of multiprocessing whose forks close those pipes of their parent that spawned processes lack."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("fork")
        self._of_parent: list[Connection] = []

    def Pipe(self) -> tuple[Connection, Connection]:
        mine, other = self._context.Pipe()
        self._of_parent.append(mine)
        return mine, other

    def Process(self, target: Callable[..., object], args: tuple[Any, ...], daemon: bool) -> BaseProcess:
        def begin() -> None:
            for pipe in self._of_parent:
                pipe.close()
            target(*args)

        return self._context.Process(target=begin, daemon=daemon)


def _code(child: Child) -> int | None:
    """The exit code of a command that may hang; None if it did."""
    try:
        return child.wait()
    except TimeoutError:
        return None


def _tracebacks(child: Child) -> list[str]:
    return [f"a traceback: {child.said()[-800:]}"] if "Traceback" in child.said() else []
