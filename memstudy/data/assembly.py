"""From arrays to an image set: labels checked against class names, channels put first."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from memstudy.data.images import ImageSet
from memstudy.errors import MemstudyError, listed, quoted, shortened

PARTS = ("train", "test")
CONTROL = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode's categories of control characters, halves of characters, and line and paragraph separators."""


def checked_classes(
    place: Path, train: NDArray[Any], test: NDArray[Any], given: Sequence[str] | None
) -> tuple[str, ...]:
    """The names of the classes, their numbers if none are given. Labels must be 0 to K - 1, each trained on.

    Names are text of one line each: they stand in tables and figures.
    """
    seen = [int(label) for label in np.unique(train)]
    classes = tuple(given) if given is not None else tuple(str(label) for label in range(len(seen)))
    lowest, highest = min(seen[0], int(test.min())), max(seen[-1], int(test.max()))
    if lowest < 0:
        raise MemstudyError(f"the labels in {place} go down to {lowest}; the classes are counted from 0.")
    if missing := sorted(set(range(len(classes))) - set(seen)):
        raise MemstudyError(
            f"no training image in {place} has the label {missing[0]} (class {shortened(classes[missing[0]])}); "
            "labels are "
            "counted from 0 without gaps, and every class needs training images."
        )
    if highest >= len(classes):
        raise MemstudyError(
            f"the labels in {place} go up to {highest}, but there are {len(classes)} classes to train on, 0 to "
            f"{len(classes) - 1}; correct the labels, class_names or the training part."
        )
    if len(set(classes)) < max(2, len(classes)):
        raise MemstudyError(
            f"{place} has the classes {listed(classes)}; there must be two or more, all different."
        )
    if unprintable := [name for name in classes if any(unicodedata.category(mark) in CONTROL for mark in name)]:
        raise MemstudyError(
            f"{place} has the class name {quoted(unprintable[0])}, which is no line of text; rename the class."
        )
    return classes


def image_set(
    name: str,
    images: Mapping[str, NDArray[np.uint8]],
    labels: Mapping[str, NDArray[Any]],
    classes: tuple[str, ...],
) -> ImageSet:
    """Arrays that were checked, by part of the set, as tensors."""
    train, test = (_channels_first(images[part]) for part in PARTS)
    half = (0.5,) * train.shape[1]
    return ImageSet(
        name=name,
        train_images=train,
        train_labels=torch.from_numpy(labels["train"].astype(np.int64)),
        test_images=test,
        test_labels=torch.from_numpy(labels["test"].astype(np.int64)),
        class_names=classes,
        mean=half,
        std=half,
    )


def _channels_first(images: NDArray[np.uint8]) -> Tensor:
    """(N, H, W) or (N, H, W, C) as (N, C, H, W)."""
    tensor = torch.from_numpy(images)
    return (tensor[:, None] if tensor.ndim == 3 else tensor.permute(0, 3, 1, 2)).contiguous()
