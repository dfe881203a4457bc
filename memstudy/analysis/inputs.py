"""How a user's own samples and labels are taken: arrays or tensors, checked, one sentence for what is wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from memstudy.errors import MemstudyError

Array = Any
"""A tensor, a numpy array, or what numpy makes one of."""


def labeled(samples: Array, labels: Array, name: str, *, finite: bool = True) -> tuple[Tensor, Tensor]:
    """Samples (N, …) and their labels (N,) as tensors on the samples' device, the latter int64.

    Tensors of floats stay what they are; all else becomes float32, in which networks compute. `name` is what the
    samples are called in the sentence of a MemstudyError: for no sample at all, labels that are not one a sample
    or not whole numbers from 0 on, and, if they are to be `finite`, samples that are not.
    """
    values, targets = numbers(samples, name), classes(labels)
    if values.ndim == 0 or len(values) == 0 or len(values) != len(targets):
        count = len(values) if values.ndim else 0
        raise MemstudyError(
            f"{name} need one label an image and at least one image, not {count} images and {len(targets)} labels."
        )
    if finite and not values.isfinite().all():
        raise MemstudyError(f"the {name} hold NaN or infinite values, as a network that diverged gives.")
    return values, targets.to(values.device)


def numbers(values: Array, name: str, kind: type[np.floating[Any]] = np.float32) -> Tensor:
    """A tensor of floats as it is, an array as this kind of them; a MemstudyError if it is not of numbers."""
    if isinstance(values, Tensor):
        return values if values.is_floating_point() else values.float()
    return _tensor(values, name, kind)


def _tensor(values: Array, name: str, kind: type[np.floating[Any]]) -> Tensor:
    try:
        return torch.from_numpy(np.array(values, dtype=kind))  # a copy, as torch warns of read-only ones
    except (TypeError, ValueError) as error:
        raise MemstudyError(f"{name} must be an array of numbers ({error}).") from error


def classes(labels: Array) -> Tensor:
    """Labels (N,) as int64; a MemstudyError if they are not whole numbers from 0 on, one a sample."""
    found = labels if isinstance(labels, Tensor) else _tensor(labels, "labels", np.float64)
    if found.ndim != 1:
        raise MemstudyError(f"labels must have shape (N,), one class a sample, not {tuple(found.shape)}.")
    whole = found.long()
    if not ((whole == found) & (whole >= 0)).all():
        raise MemstudyError("labels must be classes, as whole numbers from 0 on.")
    return whole


def within(labels: Tensor, count: int) -> None:
    """Raise a MemstudyError for labels (N,), at least one, that are not of so many classes."""
    if (highest := int(labels.max())) >= count:
        raise MemstudyError(f"labels must be from 0 to {count - 1}, as there are {count} classes, not {highest}.")


@contextlib.contextmanager
def understood(who: str, what: str, shape: Sequence[int]) -> Iterator[None]:
    """Around a network's answer: that it cannot take what it was given is one sentence, with PyTorch's reason."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise MemstudyError(f"the {who} cannot take {what} of shape {tuple(shape)}: {reason}.") from error
