"""Many processes that want the same runs: each is trained once, and is what one process alone makes of it."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

from tests.reliability.children import Command, Ended
from tests.reliability.crowds.world import Reference, recipe, words
from tests.reliability.tally import Row, Size

BUSY = "is being run by another process"


def _asked_by(count: int, reference: Reference, store: Path, chance: random.Random, late: float) -> str:
    """Let so many processes ask for the reference's run, each up to `late` seconds after the first."""
    (name,) = reference.recipes
    began = time.monotonic()
    starts = sorted(chance.uniform(0, late) for _ in range(count))
    children: list[Command] = []
    for start in starts:
        time.sleep(max(0.0, began + start - time.monotonic()))
        children.append(Command(*words(reference.recipes[name]), "--runs-dir", store))
    for child in children:
        ended = child.end()
        if ended.crashed or not (ended.code == 0 or (ended.code == 2 and BUSY in ended.err)):
            return f"one of them ended so: {ended}"
    text = (store / name / "log.txt").read_text()
    if text.count("started at epoch 0") != 1 or text.count("finished after") != 1:
        return f"it was trained more than once: {text}"
    return reference.differs(store)


def same_run(size: Size, seed: int, root: Path) -> Iterator[Row]:
    """One run, asked for by eight processes, together and some time apart."""
    reference = Reference.of(root / "one", [recipe(epochs=3)])
    chance, lost = random.Random(seed), []
    tries = 8 if size is Size.LONG else 1
    for number in range(tries):
        problem = _asked_by(8, reference, root / f"asked{number}", chance, chance.choice((0.0, 1.0, 3.0)))
        lost += [f"{problem} (seed {seed}, try {number})"] if problem else []
    yield Row(
        "crowds", "memstudy run", "the same run asked for by 8 processes; equal to the reference", tries,
        tries - len(lost), tuple(lost),
    )  # fmt: skip


STUDY = """name = "{name}"
seeds = [0]
[grid]
reg = [{regs}]
epochs = 3
train_size = 400
[report]
analyses = []
tables = []
"""


def shared_runs(size: Size, seed: int, root: Path) -> Iterator[Row]:
    """Two studies at once, with runs in common, until both say that they are done."""
    reference = Reference.of(root / "shared", [recipe(reg, epochs=3) for reg in ("bare", "al2", "bn")])
    lost = []
    tries = 3 if size is Size.LONG else 1
    for number in range(tries):
        store = root / f"both{number}"
        files = {}
        for name, regs in (("one", '"bare", "al2"'), ("other", '"al2", "bn"')):
            files[name] = root / f"{name}{number}.toml"
            files[name].write_text(STUDY.format(name=name, regs=regs))
        problem = _both(list(files.values()), store) or reference.differs(store)
        lost += [f"{problem} (try {number})"] if problem else []
    yield Row(
        "crowds", "memstudy study", "two studies that share runs, at once; equal to the reference", tries,
        tries - len(lost), tuple(lost),
    )  # fmt: skip


def _both(files: list[Path], store: Path) -> str:
    """Carry out studies at once, and again if one left runs to the other; what was wrong, if anything."""
    for _ in range(4):
        starts = [
            Command("study", file, "--jobs", "1", "--device", "cpu", "--json", "--runs-dir", store)
            for file in files
        ]
        ended: list[Ended] = [child.end() for child in starts]
        if wrong := [one for one in ended if one.code or one.crashed]:
            return f"a study ended so: {wrong[0]}"
        if all('"stopped": 0' in one.out for one in ended):
            return ""
    return "they left runs to each other for ever"


def campaign(size: Size, seed: int, root: Path) -> Iterator[Row]:
    """Both."""
    yield from same_run(size, seed, root)
    yield from shared_runs(size, seed, root)
