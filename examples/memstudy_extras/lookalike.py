"""Label noise between classes that look alike, for any image set (ours).

Each class is mistaken for the one whose mean training image is nearest to its own, as the asymmetric noise of
Patrini et al. 2017 mistakes each for one that people chose. That needs a map for every set; this one is read off
the images. It need not be mutual: in MNIST 1 becomes 8, and 8 becomes 5.
"""

from __future__ import annotations

import numpy as np

from memstudy.data.corruption import Rule, by_class, rate_of
from memstudy.data.images import ImageSet
from memstudy.data.transitions import Matrix, along
from memstudy.recipe import Corruption

GRID = 256
"""Means are rounded to 1/256 of a gray level: distances are then whole numbers, the same on every machine."""


def lookalikes(images: ImageSet) -> list[int]:
    """The class that each class is mistaken for: the nearest by squared distance between mean training images.

    A class without training images is nobody's; of classes as near, the first is taken.
    """
    labels, pixels = images.train_labels.numpy(), images.train_images.flatten(1).numpy()
    counts = np.bincount(labels, minlength=images.classes)
    totals = np.stack([pixels[labels == label].sum(axis=0, dtype=np.int64) for label in range(images.classes)])
    means = (totals * GRID + counts[:, None] // 2) // np.maximum(counts, 1)[:, None]
    distances = np.stack([((means - mean) ** 2).sum(axis=1) for mean in means])
    distances[:, counts == 0] = np.iinfo(np.int64).max - 1
    np.fill_diagonal(distances, np.iinfo(np.int64).max)
    return list(map(int, distances.argmin(axis=1)))


def transition(images: ImageSet, corruption: Corruption) -> Matrix:
    """P(noisy label | true class), (K, K): the rate for a class's lookalike, the rest for itself."""
    return along(lookalikes(images), rate_of(corruption))


LOOKALIKE = Rule(
    "the class that looks most alike: whose mean image is nearest (memstudy-extras)",
    by_class(transition),
    rate="the probability, for each label alone, of being replaced by its class's lookalike",
)
