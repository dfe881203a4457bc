"""The contract between a regularizer and training.

A regularizer is a frozen dataclass whose fields are its options. It acts through any of the hooks below, each
neutral by default. The objective that training descends is

    cross-entropy + Σ over regularizers of  strength(epoch) · scale(step) · penalty(step)

and whose step a regularizer may follow with one of its own. A regularizer has no state, and draws only from the
step's generator: everything follows from its options, the epoch and the step, so a resumed run equals an
uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from memstudy.models import Network
from memstudy.options import Option
from memstudy.regularizers import outside


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
        generator: for a penalty's own draws, on the device; keyed by the recipe's seed and the epoch.

    """

    network: Network
    images: Tensor
    features: Tensor
    logits: Tensor
    labels: Tensor
    cross_entropy: Tensor
    generator: torch.Generator


@dataclass(frozen=True)
class Regularizer:
    """The neutral regularizer. A method overrides the hooks it needs and nothing else."""

    def __call__(
        self,
        *,
        epoch: int | None = None,
        model: nn.Module | None = None,
        images: Tensor | None = None,
        features: Tensor | None = None,
        logits: Tensor | None = None,
        labels: Tensor | None = None,
        loss: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """What it adds to the loss of a batch in a training loop of one's own: strength · scale · penalty.

        `loss + penalty(features=features, epoch=epoch)`: a scalar with a gradient, by the same code as in
        memstudy's own training; 0 if the method adds nothing to the loss. `epoch` counts from 0, `loss` is the
        batch's mean cross-entropy, `model` the network; the others are as in `Step`. Give those that the method
        needs: a MemstudyError names what is missing, or of a wrong kind. `generator` is for a penalty's own
        draws; without one they are from torch's. What a method does besides the loss is for the loop to call:
        `after_step`, `without_decay`, `reparametrize`, ….
        """
        given = {
            "network": model, "images": images, "features": features, "logits": logits, "labels": labels,
            "cross_entropy": loss, "generator": generator,
        }  # fmt: skip
        return outside.added(self, epoch, given)

    def network_options(self) -> dict[str, Any]:
        """What it changes in the network's architecture, as keyword arguments of the network's builder."""
        return {}

    def initialize(self, network: Network, generator: torch.Generator) -> None:
        """Draw initial values of its own, once, after the network's; in place.

        The generator is on the CPU, as the network is, and keyed by the recipe's seed and the method's name.
        """

    def reparametrize(self, network: Network) -> None:
        """Make the network's weights from other parameters, once, after they are drawn; in place."""

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

    def scale(self, step: Step, penalty: Tensor) -> Tensor | float:
        """A factor beside the strength, without a gradient, for a penalty that is measured against the loss."""
        return 1.0

    def after_step(self, network: Network, learning_rate: float) -> None:
        """Change weights in place after the optimizer's step."""

    def synchronizes(self) -> bool:
        """Whether it makes a step wait for the GPU, as `.item()` does; such steps cannot be captured."""
        return False

    def without_decay(self, network: Network) -> list[nn.Parameter]:
        """The parameters that weight decay is to leave alone, because the regularizer governs them."""
        return []


def weighted_layers(network: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    """A network's convolutions and linear layers, in order: what a method on weights acts on; no normalization."""
    return [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]


def checked_options(
    method: str,
    regularizer: Regularizer,
    words: Mapping[str, Sequence[str]] | None = None,
    zero: Sequence[str] = (),
) -> None:
    """Check every option of a regularizer, and make 5 and 5.0 the same: they are the same recipe.

    For `__post_init__`. By the kind of its default, an option must be

    float  a finite, positive number; one named in `zero` may be 0; it becomes a float
    int    a whole number of at least 1
    bool   true or false
    str    one of its `words`

    Raises a MemstudyError if it is not.
    """
    for each in fields(regularizer):
        bounds: dict[type, dict[str, Any]] = {
            float: {"least": 0} if each.name in zero else {"above": 0},
            int: {"least": 1},
            str: {"choices": tuple((words or {}).get(each.name, ()))},
        }
        key, kind = f"{method}.{each.name}", type(each.default)
        option = Option(each.name, key, kind, False, each.default, help="", **bounds.get(kind, {}))
        object.__setattr__(regularizer, each.name, option.checked(getattr(regularizer, each.name)))
