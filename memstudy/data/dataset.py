"""The corrupted data set: an image set, noisy training labels, and the mask of what was corrupted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from memstudy.data.corruption import RULES, Rule, floor, realized_transition
from memstudy.data.images import ImageSet
from memstudy.randomness import numpy_generator
from memstudy.recipe import Corruption


@dataclass(frozen=True)
class CorruptedDataset:
    """Attributes.

    images: the source, whose labels are the true ones. Test labels stay clean.
    noisy_labels: (N,) int64, what the network is trained on.
    mask: (N,) bool, True where the noisy label differs from the true one.
    transition: (K, K) float64, realized frequencies P(noisy | true).
    floor: the lowest training cross-entropy without memorization, in nats, expected over label draws.
    realized_floor: the same for the labels actually drawn: no predictor that gives all images of a class the
        same answer goes lower on them. The two differ by sampling (about .01 for 4,000 labels).
    """

    images: ImageSet
    noisy_labels: Tensor
    mask: Tensor
    transition: NDArray[np.float64]
    floor: float
    realized_floor: float

    @property
    def corrupted_share(self) -> float:
        """The realized fraction of corrupted training labels."""
        return float(self.mask.double().mean())


def corrupt(images: ImageSet, corruption: Corruption) -> CorruptedDataset:
    """Apply a corruption to an image set's training labels, once, before any training."""
    rule: Rule = RULES.get(corruption.rule)
    clean = images.train_labels.numpy()
    generator = numpy_generator(corruption.seed, "corruption")
    noisy = rule.corrupt(clean, images.classes, corruption.rate, generator)
    realized = realized_transition(clean, noisy, images.classes)
    return CorruptedDataset(
        images=images,
        noisy_labels=torch.from_numpy(noisy),
        mask=torch.from_numpy(noisy != clean),
        transition=realized,
        floor=floor(rule.transition(images.classes, corruption.rate), clean),
        realized_floor=floor(realized, clean),
    )
