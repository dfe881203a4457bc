"""Small studies on real images, trained once (400 MNIST images, 3 epochs, 4 recipes, 2 seeds), and copies."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from memstudy import presets
from memstudy.data.images import ImageSet
from memstudy.recipe import Recipe
from memstudy.store import Store
from memstudy.study.carry_out import Execution, carry_out
from tests.kit.sources import stand_in

REGS = ("bare", "al2", "do+al2", "do")


def small_recipes(seeds: tuple[int, ...] = (0, 1), **overrides: object) -> list[Recipe]:
    """Three epochs, every one kept; AL2's λ is large from the start, so that three epochs show it."""
    options = {"al2": {"initial": 1.0}}
    return [
        presets.build(
            reg=reg,
            options=options if "al2" in reg else None,
            seed=seed,
            epochs=3,
            **overrides,  # type: ignore[arg-type]
        )
        for seed in seeds
        for reg in REGS
    ]


def train(root: Path, recipes: Iterable[Recipe], images: ImageSet) -> Store:
    """The store at `root` with these recipes carried out in it, on these images."""
    store = Store(root)
    with stand_in(images):
        for recipe in recipes:
            carry_out(store.open(recipe), Execution(device="cpu"))
    return store


def copy_of(root: Path, place: Path, runs: str | None = None) -> Store:
    """A copy of a store that a test may change; or of those runs alone whose names match a pattern."""
    if runs is None:
        shutil.copytree(root, place)
    else:
        for path in root.glob(runs):
            shutil.copytree(path, place / path.name)
    return Store(place)


@pytest.fixture(scope="session")
def trained(small: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a store with the study `tiny` in it. Tests must not change it: `store_copy` is theirs."""
    recipes = small_recipes()
    store = train(tmp_path_factory.mktemp("store"), recipes, small)
    store.record_study("tiny", [store.open(recipe) for recipe in recipes], {"epochs": [0, 2]})
    return store.root


@pytest.fixture
def store_copy(trained: Path, tmp_path: Path) -> Store:
    """A copy of the trained store in the test's folder: `runs`, where commands look."""
    return copy_of(trained, tmp_path / "runs")
