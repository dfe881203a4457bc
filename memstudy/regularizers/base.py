"""The contract between a regularizer and training.

A regularizer is a frozen dataclass whose fields are its options. It acts through any of the hooks below, each
neutral by default. The objective that training descends is

    cross-entropy + Σ over regularizers of  strength(epoch) · penalty(step)

A regularizer has no state of its own and draws nothing: everything follows from its options, the epoch and
the step, so a resumed run equals an uninterrupted one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor

from memstudy.errors import MemstudyError
from memstudy.models import Network
from memstudy.recipe import number


@dataclass(frozen=True)
class Step:
    """What a penalty may look at: one training batch's forward pass, everything still differentiable.

    Attributes:
        network: the network in training mode.
        images: (B, C, H, W) float32, normalized. They require gradients if the regularizer asks for it.
        features: the trunk's output.
        logits: (B, K).
        labels: (B,) int64, the noisy ones.
        cross_entropy: scalar, mean over the batch.

    """

    network: Network
    images: Tensor
    features: Tensor
    logits: Tensor
    labels: Tensor
    cross_entropy: Tensor


@dataclass(frozen=True)
class Regularizer:
    """The neutral regularizer. A method overrides the hooks it needs and nothing else."""

    def network_options(self) -> dict[str, Any]:
        """What it changes in the network's architecture, as keyword arguments of the network's builder."""
        return {}

    def optimizer_options(self) -> dict[str, Any]:
        """What it changes in the optimizer, as keyword arguments of `torch.optim.SGD`."""
        return {}

    def needs_image_gradients(self) -> bool:
        """Whether its penalty differentiates with respect to the images."""
        return False

    def strength(self, epoch: int) -> float | None:
        """λ of its penalty at an epoch (0-based); None if it adds no penalty."""
        return None

    def penalty(self, step: Step) -> Tensor:
        """The penalty's scalar value, unscaled. Called once a step, only if `strength` is not None."""
        raise NotImplementedError


def positive_options(method: str, regularizer: Regularizer) -> None:
    """Make every option a float; raise a MemstudyError unless each is a finite, positive number.

    For `__post_init__`: 5 and 5.0 then are the same recipe.
    """
    for field in fields(regularizer):
        name = f"{method}.{field.name}"
        value = number(name, getattr(regularizer, field.name), "finite, positive")
        if value <= 0:
            raise MemstudyError(f"{name} must be a finite, positive number, not {value:g}.")
        object.__setattr__(regularizer, field.name, value)
