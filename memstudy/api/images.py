"""An image set, ready for a training loop."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from memstudy.api.given import folder
from memstudy.data import dataset, sources
from memstudy.data.images import ImageSet
from memstudy.errors import MemstudyError, unknown
from memstudy.recipe import NORMALIZATIONS
from memstudy.training.batches import normalized, per_channel


@dataclass(frozen=True)
class Images:
    """Images and their true labels, as `memstudy run` trains and tests on them.

    Attributes:
        source: the images as they are, uint8, with the mean and standard deviation that normalize them.
        normalization: `al2` or `own`, as a recipe has it.

    """

    source: ImageSet
    normalization: str = "al2"

    @property
    def name(self) -> str:
        """What the set is called, such as `mnist5k`."""
        return self.source.name

    @property
    def class_names(self) -> tuple[str, ...]:
        """A word for each class."""
        return self.source.class_names

    @property
    def classes(self) -> int:
        """The number of classes."""
        return self.source.classes

    @cached_property
    def train(self) -> Tensor:
        """(N, C, H, W) float32, normalized, on the CPU."""
        return self._inputs(self.source.train_images)

    @cached_property
    def test(self) -> Tensor:
        """(n, C, H, W) float32, normalized, on the CPU."""
        return self._inputs(self.source.test_images)

    @property
    def train_labels(self) -> Tensor:
        """(N,) int64, true."""
        return self.source.train_labels

    @property
    def test_labels(self) -> Tensor:
        """(n,) int64, true."""
        return self.source.test_labels

    def _inputs(self, pixels: Tensor) -> Tensor:
        cpu = torch.device("cpu")
        return normalized(pixels, per_channel(self.source.mean, cpu), per_channel(self.source.std, cpu))


def images(
    name: str = "mnist5k",
    *,
    normalization: str = "al2",
    data_dir: str | Path | None = None,
    download: bool = False,
) -> Images:
    """Load an image set by name: one of `memstudy data list`, or your own in the data directory.

    `normalization` is that of `memstudy run`; `data_dir` is MEMSTUDY_DATA or the user's cache, if left out. Raises
    a MemstudyError for a set that is unknown, missing or damaged.
    """
    if not isinstance(name, str):
        raise MemstudyError(f"an image set is called by its name, such as 'mnist5k', not {type(name).__name__}.")
    if normalization not in NORMALIZATIONS:
        raise unknown("normalization", normalization, NORMALIZATIONS)
    source = sources.load(name, None if data_dir is None else folder(data_dir, "data_dir"), download)
    return Images(dataset.normalized(source, normalization), normalization)
