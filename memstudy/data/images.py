"""An image set: training and test images with their true labels, the same thing wherever it comes from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

PerChannel = tuple[float, ...]
PART = 1000
"""Images that are counted at a time: as whole numbers of 4 bytes they take four times the memory."""


@dataclass(frozen=True)
class ImageSet:
    """Images and true labels, split into a training and a test part.

    Attributes:
        train_images, test_images: (N, C, H, W) uint8.
        train_labels, test_labels: (N,) int64, from 0 to `classes` - 1.
        class_names: one word a class.
        mean, std: one number a channel, of pixels scaled to [0, 1]; what inputs are normalized with.
        note: what a result on these images has to say of them, a clause; empty if they are the original ones.

    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    class_names: tuple[str, ...]
    mean: PerChannel
    std: PerChannel
    note: str = ""

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def channels(self) -> int:
        """The number of image channels."""
        return int(self.train_images.shape[1])

    @property
    def size(self) -> int:
        """The height and width of the (square) images, in pixels."""
        return int(self.train_images.shape[2])

    def content_hash(self) -> str:
        """SHA-256 over all images and labels: two runs with the same hash saw the same data."""
        return self._hash

    @cached_property
    def _hash(self) -> str:
        digest = hashlib.sha256()
        for part in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(str(tuple(part.shape)).encode())
            digest.update(part.contiguous().numpy().data)
        return digest.hexdigest()

    @cached_property
    def statistics(self) -> tuple[PerChannel, PerChannel]:
        """Mean and standard deviation of the training pixels, scaled to [0, 1], one number a channel.

        Counted in whole numbers, so that the same images give the same bits on every machine. The standard
        deviation is the population's (divided by the number of pixels).
        """
        values = np.arange(256)
        mean, std = [], []
        for channel in self.train_images.unbind(dim=1):
            counts = sum(
                torch.bincount(part.flatten().int(), minlength=256).numpy() for part in channel.split(PART)
            )
            count, total, squares = (int((counts * values**power).sum()) for power in (0, 1, 2))
            mean.append(total / count / 255)
            std.append((count * squares - total * total) ** 0.5 / count / 255)
        return tuple(mean), tuple(std)

    def part(self, positions: Tensor) -> ImageSet:
        """The same set with only these training samples, in this order; positions (n,) int64."""
        return replace(self, train_images=self.train_images[positions], train_labels=self.train_labels[positions])
