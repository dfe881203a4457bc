"""Commands that read a store while another process trains, stops, continues, finishes and removes a run in it.

Each answers about some moment between its beginning and its end, or with one sentence. A run that was there all
along is never told damaged, and no number is one that it never had.
"""

from __future__ import annotations

import contextlib
import json
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from memstudy.errors import Interrupted, MemstudyError
from memstudy.store import RunDirectory, Status, Store
from memstudy.store.summary import run_summary
from memstudy.store.unpack import checked
from memstudy.study import carry_out as carrying_out
from memstudy.study.carry_out import Execution, carry_out
from tests.kit.stopping import Stop
from tests.reliability.children import Command, Ended
from tests.reliability.crowds.replay import History, Replay, meanwhile
from tests.reliability.crowds.world import Reference, recipe
from tests.reliability.tally import Row, Size

STUDY = "four"
OFTEN = (0.02, 0.1, 0.5)
"""Probabilities that the writer goes on between two looks of the reader."""
COMMANDS: dict[str, tuple[str, ...]] = {
    "memstudy runs --json": ("runs", "--json"),
    "memstudy watch --json": ("watch", "--json"),
    "memstudy table --json": ("table", "--json", "--study", STUDY),
    "memstudy pack": ("pack", "--study", STUDY, "PACK"),
    "memstudy pack --whole": ("pack", "--study", STUDY, "--whole", "PACK"),
    "memstudy runs": ("runs",),
    "memstudy watch --once": ("watch", "--once"),
    "memstudy show": ("show", "--json", "RUN"),
    "memstudy diff": ("diff", "--json", "*-s0-*"),
    "memstudy doctor": ("doctor",),
    "memstudy study status": ("study", "status", "STUDY_FILE", "--all"),
    "memstudy track": ("track", "--study", STUDY, "--to", "tensorboard"),
    "memstudy report": ("report", "--json", "--study", STUDY, "-o", "PACK.html"),
    "memstudy figures": ("figures", "--study", STUDY),
    "memstudy dynamics": ("dynamics", "--study", STUDY),
    "memstudy filters": ("filters", "--study", STUDY),
}
QUICK = tuple(COMMANDS)[:10]
"""Those that CI can repeat often."""

DAMAGE, NO_DAMAGE = ("damaged", "cannot read", "1 problem"), ", 0 are damaged,"
"""What commands say of a run that cannot be trusted, and that none is so."""

Moment = tuple[str, int, tuple[tuple[str, float | None], ...]]
"""Status, epochs done, and the last numbers of a run."""


@dataclass(frozen=True)
class Story:
    """What a writer does to a run of a store with three others, and what is right to say of it after each step.

    Attributes:
        reference: all four runs, finished.
        history: it is begun, interrupted, continued, finished, removed, and trained once more.
        target: the run's name.
        moments: what is to be told of it after each step; None if it is not there.
        study_file: a study of the four.

    """

    reference: Reference
    history: History
    target: str
    moments: tuple[Moment | None, ...]
    study_file: Path

    @classmethod
    def told(cls, root: Path) -> Story:
        """Train it, and record that."""
        recipes = [recipe(reg, seed) for reg in ("bare", "al2") for seed in (0, 1)]
        reference = Reference.of(root / "reference", recipes)
        reference.store.record_study(STUDY, [reference.store.open(one) for one in recipes], {})
        target = next(iter(reference.recipes))
        shutil.copytree(reference.store.root, root / "told", ignore=shutil.ignore_patterns(target))
        store, execution = Store(root / "told"), Execution(device="cpu")

        def write() -> None:
            with pytest.raises(Interrupted):
                carry_out(store.open(recipes[0]), execution, Stop(1))
            carry_out(store.open(recipes[0]), execution).remove()
            carry_out(store.open(recipes[0]), execution)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(carrying_out, "SAVE_EVERY_SECONDS", 0.0)  # so that every epoch is saved
            history = History.of(store.root, target, write)
        study_file = root / "four.toml"
        study_file.write_text(
            f'name = "{STUDY}"\nseeds = [0, 1]\n[grid]\nreg = ["bare", "al2"]\nepochs = 4\ntrain_size = 400\n'
        )
        unread = cls(reference, history, target, (), study_file)
        return replace(unread, moments=tuple(unread._moments(root / "read")))

    def _moments(self, root: Path) -> Iterator[Moment | None]:
        """Each state of the history, read at rest."""
        replay = Replay(self.history, root, 0)
        before: Moment | None = None
        for at in range(len(self.history.steps)):
            replay.go_on(at - replay.at)
            run = RunDirectory(root / self.target)
            if not run.path.exists():
                before = None
            else:
                with contextlib.suppress(MemstudyError):  # between two files that belong together: still as before
                    before = moment(run_summary(run))
            yield before
        shutil.rmtree(root)


def moment(summary: dict[str, Any]) -> Moment:
    """What a summary of a run says of a moment; it may have been through JSON."""
    last = {
        key: None if value is None or value != value else float(value) for key, value in summary["last"].items()
    }
    return str(summary["status"]), int(summary["epochs_done"]), tuple(sorted(last.items()))


@dataclass(frozen=True)
class Trial:
    """One command, on one schedule."""

    story: Story
    command: str
    seed: int
    root: Path

    def problem(self) -> str:
        """What was wrong with the answer; empty if nothing was."""
        chance = random.Random(self.seed)
        store, at, often = (
            self.root / "store",
            chance.randrange(len(self.story.history.steps)),
            chance.choice(OFTEN),
        )
        places = {
            "PACK": self.root / "pack",
            "PACK.html": self.root / "page.html",
            "RUN": self.story.target,
            "STUDY_FILE": self.story.study_file,
        }
        words = [str(places.get(word, word)) for word in COMMANDS[self.command]]
        notes = self.root / "reached"

        def prepare() -> None:
            replay = Replay(self.story.history, store, at)
            meanwhile(replay, chance.randrange(10**9), often, notes)

        ended = Command(*words, "--runs-dir", store, prepare=prepare).end()
        reached = int(notes.read_text()) if notes.exists() else at
        problem = self._problem(ended, self.story.moments[at : reached + 1])
        return f"{self.command}: {problem} (seed {self.seed}, steps {at} to {reached})" if problem else ""

    def _problem(self, ended: Ended, moments: tuple[Moment | None, ...]) -> str:
        if ended.crashed:
            return f"it crashed: {ended}"
        told = f"{ended.out}\n{ended.err}".splitlines()
        if wrong := [line for line in told if any(word in line for word in DAMAGE) and NO_DAMAGE not in line]:
            return f"it speaks of damage: {wrong[0]}"
        if ended.code:
            *before, last = ended.err.strip().splitlines() or [""]  # beside --json, tables are printed there, too
            is_told = last.startswith("Error: ") and not any(line.startswith("Error: ") for line in before)
            return "" if ended.code == 2 and is_told else f"no sentence: {ended}"
        check: Callable[[Ended, tuple[Moment | None, ...]], str] | None = {
            "memstudy runs --json": self._of_runs,
            "memstudy watch --json": self._of_watch,
            "memstudy table --json": self._of_table,
            "memstudy pack": self._of_pack,
            "memstudy pack --whole": self._of_pack,
        }.get(self.command)
        return check(ended, moments) if check else ""

    def _of_runs(self, ended: Ended, moments: tuple[Moment | None, ...]) -> str:
        return self._of_list({one["name"]: moment(one) for one in json.loads(ended.out)["runs"]}, moments)

    def _of_watch(self, ended: Ended, moments: tuple[Moment | None, ...]) -> str:
        rows = json.loads(ended.out)["progress"]
        found = {one["run"]: moment(one) for one in rows if "was removed" not in one["problem"]}
        if found.get(self.story.target, ("",))[0] == "new" and None in moments:  # removed as it looked
            del found[self.story.target]
        return self._of_list(found, moments)

    def _of_list(self, found: dict[str, Moment], moments: tuple[Moment | None, ...]) -> str:
        """Whether the list has all runs that were there, as they were at some moment."""
        for name in self.story.reference.recipes:
            right = moments if name == self.story.target else (self._finished(name),)
            if found.get(name) not in right:
                return f"{name} never was {found.get(name)}"
        return "" if found.keys() <= self.story.reference.recipes.keys() else "it lists what never was"

    def _finished(self, name: str) -> Moment:
        return moment(run_summary(RunDirectory(self.story.reference.store.root / name)))

    def _of_table(self, ended: Ended, moments: tuple[Moment | None, ...]) -> str:
        """Whether each mean is one of runs that were there, at the epoch of which it is told to be."""
        columns = {"test accuracy, %": ("test_accuracy", 100.0), "L_c": ("train_cross_entropy", 1.0)}
        checked_numbers = 0
        for number in json.loads(ended.out)["numbers"]:
            if number["table"] != "table1" or number["metric"] not in columns or number["mean"] is None:
                continue
            column, factor = columns[number["metric"]]
            reg = "al2" if number["al2"] == "with AL2" else "bare"
            values = [
                self.story.reference.rows(name)[number["epoch"]][column] * factor
                for name, one in self.story.reference.recipes.items()
                if (reg == "al2") == bool(one.regularizers)
            ]
            possible = [mean(some) for some in combinations(values, number["n"])]
            if not any(abs(number["mean"] - one) < 1e-9 for one in possible):
                return f"no runs had a mean of {number['mean']} after epoch {number['epoch']}"
            checked_numbers += 1
        return "" if checked_numbers else "it has no numbers"

    def _of_pack(self, ended: Ended, moments: tuple[Moment | None, ...]) -> str:
        """Whether the pack is sound, and each run in it as it was at some moment."""
        checked(self.root / "pack")
        for one in Store(self.root / "pack").listing().runs:
            now = moment(one.summary)
            right = moments if one.run.name == self.story.target else (self._finished(one.run.name),)
            # nobody trains in a pack: what was running there is interrupted here
            if now not in right and (str(Status.RUNNING), *now[1:]) not in right:
                return f"in the pack {one.run.name} is {now}, which it never was"
        return ""


def campaign(size: Size, seed: int, root: Path) -> Iterator[Row]:
    """Every command, on as many schedules as there is time for."""
    story = Story.told(root)
    commands = COMMANDS if size is Size.LONG else QUICK
    count = 25 if size is Size.LONG else 2
    chance = random.Random(seed)
    for command in commands:
        lost = []
        for _ in range(count):
            folder = root / "trial"
            folder.mkdir()
            lost.append(Trial(story, command, chance.randrange(10**9), folder).problem())
            shutil.rmtree(folder)
        wrong = tuple(filter(None, lost))
        yield Row(
            "crowds", command, "while a run is trained, stopped, continued, finished and removed", count,
            count - len(wrong), wrong,
        )  # fmt: skip
