"""Small image sets in the place of whole ones, and files that torchvision takes for the real ones."""

from __future__ import annotations

import hashlib
import math
import pickle
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torchvision import datasets

from memstudy.data import sources
from memstudy.data.images import ImageSet


def every_tenth(images: ImageSet) -> ImageSet:
    """A tenth of an image set that is sorted by class, its classes still in equal parts."""
    return replace(
        images,
        train_images=images.train_images[::10],
        train_labels=images.train_labels[::10],
        test_images=images.test_images[::10],
        test_labels=images.test_labels[::10],
    )


@contextmanager
def stand_in(images: ImageSet, *names: str) -> Iterator[ImageSet]:
    """Within it, these images are what `sources.load` gives: for these names only, or whatever is asked for."""
    load = sources.load

    def loaded(name: str, *where: Any, **how: Any) -> ImageSet:
        return load(name, *where, **how) if names and name not in names else images

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "load", loaded)
        yield images


@pytest.fixture
def small_source(small: ImageSet) -> Iterator[ImageSet]:
    """Whatever data set is asked for, the 400 images answer."""
    with stand_in(small):
        yield small


# Files in the forms of the real sets


CIFAR10 = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"]


def idx(shape: Sequence[int], kind: int = 8) -> bytes:
    """A file of MNIST's form: its header, and zeros."""
    return struct.pack(f">HBB{len(shape)}I", 0, kind, len(shape), *shape) + bytes(math.prod(shape))


def write_cifar10(folder: Path, contents: Sequence[Mapping[str, Any]], patch: pytest.MonkeyPatch) -> None:
    """CIFAR-10's seven pickled files with other contents, which torchvision takes for the real ones."""
    folder.mkdir(parents=True)
    sums = []
    for name, content in zip(CIFAR10, contents, strict=True):
        (folder / name).write_bytes(pickle.dumps(content))
        sums.append([name, hashlib.md5((folder / name).read_bytes()).hexdigest()])
    patch.setattr(datasets.CIFAR10, "train_list", sums[:5])
    patch.setattr(datasets.CIFAR10, "test_list", sums[5:6])
    patch.setitem(datasets.CIFAR10.meta, "md5", sums[6][1])
