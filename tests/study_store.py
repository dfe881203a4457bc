"""A small study on real images, trained once a session: 400 MNIST images, 3 epochs, 4 recipes, 2 seeds."""

from __future__ import annotations

from pathlib import Path

import pytest

from memstudy import presets
from memstudy.data import sources
from memstudy.data.images import ImageSet
from memstudy.recipe import Recipe
from memstudy.store import RunDirectory, Store, metrics
from memstudy.store.run import METRICS
from memstudy.study.carry_out import Execution, carry_out

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


def first_epochs(run: RunDirectory, epochs: int) -> None:
    """Let a run's metrics be those of its first epochs, as if it had been stopped then."""
    path = run.path / METRICS
    path.write_bytes(metrics.first(path.read_bytes(), epochs))


@pytest.fixture
def small_source(small: ImageSet, monkeypatch: pytest.MonkeyPatch) -> ImageSet:
    """Whatever data set is asked for, the 400 images answer."""
    monkeypatch.setattr(sources, "load", lambda name, folder=None, download=False: small)
    return small


@pytest.fixture(scope="session")
def trained(small: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a store with the study `tiny` in it. Tests must not change it: copy it first."""
    root = tmp_path_factory.mktemp("store")
    store = Store(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "load", lambda name, folder=None, download=False: small)
        runs = [carry_out(store.open(recipe), Execution(device="cpu")) for recipe in small_recipes()]
    store.record_study("tiny", runs, {"epochs": [0, 2]})
    return root
