"""A run begun on some terms and continued on others: equal bytes, or a stated tolerance.

The terms are what is no part of a recipe: threads, memory layout, kind of device, versions. What is promised for
each is in docs/explanation/reproducibility.md; OTHER_PYTHON names an interpreter with another torch, for the long
size alone.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from memstudy import presets
from memstudy.errors import Interrupted
from memstudy.recipe import Recipe
from memstudy.store import RunDirectory, Store
from memstudy.store.state import Status
from memstudy.study.carry_out import Execution, carry_out
from memstudy.study.watcher import Watcher
from tests.kit.outcomes import whole
from tests.reliability.tally import Row, Size

PART = "terms"
OTHER_PYTHON = "MEMSTUDY_OTHER_PYTHON"
"""The environment variable with the other interpreter, such as that of `make test-lowest`."""
TOLERANCE = {"weights": 1e-3, "metrics": 0.02}
"""The largest difference of a weight, and of a metric (fractions and nats), after EPOCHS epochs on other terms."""
EPOCHS = 3
CPU = Execution(device="cpu", threads=1)


class StopAfter(Watcher):
    """Stops a run once an epoch is done, as Ctrl-C does."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def epoch_done(self, epoch: int, metrics: dict[str, float]) -> None:
        if epoch == self.epoch:
            raise KeyboardInterrupt


def recipes(size: Size) -> list[Recipe]:
    """Small runs: a regularizer and a network each."""
    chosen = [("al2", "smallnet")]
    if size is Size.LONG:
        chosen += [(reg, "smallnet") for reg in ("bare", "do", "bn", "wd", "loco", "normloss")]
    return [
        presets.build(reg=reg, network=network, epochs=EPOCHS, train_size=300, corrupt=0.5)
        for reg, network in chosen
    ]


def begin(root: Path, recipe: Recipe, last: int, execution: Execution = CPU) -> RunDirectory:
    """Train up to an epoch, and stop."""
    run = Store(root).open(recipe)
    try:
        carry_out(run, execution, StopAfter(last))
    except Interrupted:
        return run
    raise AssertionError("the run was not stopped")


def campaign(size: Size, seed: int) -> Iterator[Row]:
    """Each recipe, stopped after a random epoch, continued on each other terms."""
    for recipe in recipes(size):
        with tempfile.TemporaryDirectory() as folder:
            yield from _of_recipe(Path(folder), replace(recipe, seed=seed), random.Random(f"{seed} {recipe.id}"))
    if size is Size.LONG and (python := os.environ.get(OTHER_PYTHON)):
        yield from _other_torch(python, replace(recipes(Size.CI)[0], seed=seed))


def _of_recipe(root: Path, recipe: Recipe, chance: random.Random) -> Iterator[Row]:
    reference = carry_out(Store(root / "whole").open(recipe), CPU)
    case = f"{recipe.regularizers[0].name if recipe.regularizers else 'bare'}, {recipe.network}"
    terms: dict[str, tuple[Callable[[RunDirectory], None], Execution, bool]] = {
        "the same terms": (lambda run: None, replace(CPU, threads=None), True),
        "another torch, numpy and Python were noted": (_other_versions, CPU, True),
        "begun on a GPU, as noted": (_noted(device="cuda:0"), CPU, True),
        "two threads": (lambda run: None, replace(CPU, threads=2), False),
        "the other memory layout": (_other_layout, replace(CPU, threads=None), False),
    }
    if recipe.options("do") is not None:  # masks are drawn in the order of memory: in another layout, other ones
        del terms["the other memory layout"]
    for number, (what, (change, execution, exactly)) in enumerate(terms.items()):
        run = begin(root / str(number), recipe, chance.randrange(EPOCHS - 1))
        change(run)
        lost = _continued(run, execution, reference, exactly)
        promise = "equal bytes" if exactly else "within the tolerance"
        yield Row(PART, case, f"{what}: {promise}", 1, int(not lost), lost)


def _continued(run: RunDirectory, execution: Execution, reference: RunDirectory, exactly: bool) -> tuple[str, ...]:
    """Finish it; what does not hold then."""
    sessions = len(run.state()["sessions"])
    carry_out(run, execution)
    noted = len(run.state()["sessions"]) == sessions + 1
    lost = [] if noted else ["the session on the other terms is not noted"]
    if exactly:
        ours, theirs = whole(run), whole(reference)
        lost += [f"{name} differs" for name in {*ours, *theirs} if ours.get(name) != theirs.get(name)]
    else:
        found = distances(run, reference)
        lost += [f"{name} differ by {size:.1e}" for name, size in found.items() if not size <= TOLERANCE[name]]
    return tuple(lost)


def distances(run: RunDirectory, reference: RunDirectory) -> dict[str, float]:
    """The largest difference of any weight of the last network, and of any metric."""
    assert run.status is Status.FINISHED
    ours, theirs = (each.load_checkpoint(EPOCHS - 1) for each in (run, reference))
    weights = max(float((ours[name].double() - theirs[name].double()).abs().max()) for name in theirs)
    columns, others = run.columns(), reference.columns()
    metrics = max(float(np.nanmax(np.abs(columns[name] - others[name]))) for name in others)
    return {"weights": weights, "metrics": metrics}


def _noted(**facts: Any) -> Callable[[RunDirectory], None]:
    """Let the last session say something else."""

    def change(run: RunDirectory) -> None:
        *earlier, last = run.state()["sessions"]
        run.update(sessions=[*earlier, last | facts])

    return change


def _other_versions(run: RunDirectory) -> None:
    packages = run.state()["sessions"][-1]["packages"] | {"torch": "1.13.1", "numpy": "1.24.0"}
    _noted(packages=packages, python="3.9.1")(run)


def _other_layout(run: RunDirectory) -> None:
    from memstudy.training.placement import LAYOUTS

    now = run.state()["sessions"][-1]["layout"]
    _noted(layout=next(layout for layout in LAYOUTS if layout != now))(run)


def _other_torch(python: str, recipe: Recipe) -> Iterator[Row]:
    """Begun with this torch and continued with the other, and the reverse."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        reference = carry_out(Store(root / "whole").open(recipe), CPU)
        for what, first, second in (
            ("to the other torch", sys.executable, python),
            ("from it", python, sys.executable),
        ):
            place = root / what.replace(" ", "-")
            for words in ((first, "0"), (second, "")):
                child = [words[0], "-m", "tests.reliability.terms", str(place), recipe.to_toml(), words[1]]
                subprocess.run(child, check=True, timeout=600, cwd=Path(__file__).parents[2])
            run = Store(place).open(recipe)
            found = distances(run, reference)
            lost = tuple(f"{name} differ by {size:.1e}" for name, size in found.items() if size > TOLERANCE[name])
            yield Row(PART, "al2, smallnet", f"{what}: within the tolerance", 1, int(not lost), lost)


def _main(place: str, toml: str, last: str) -> None:
    from memstudy import recipe as recipes_of

    path = Path(place) / "given.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(toml, encoding="utf-8")
    recipe = recipes_of.read(path)
    if last:
        begin(Path(place), recipe, int(last))
    else:
        carry_out(Store(Path(place)).open(recipe), CPU)


if __name__ == "__main__":
    _main(*sys.argv[1:])
