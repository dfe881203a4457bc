"""Norm Loss: pull the weight vector of each output unit towards the unit sphere.

    L_nl = Σ over output filters of (1 - ‖w‖₂)²,   objective + λ · L_nl,   gradient 2 w (1 - 1/‖w‖)

Formula and gradient are the paper's (stated). One vector for each filter of a convolution and each row of a linear
layer; no biases, no batch normalization; weight decay 0 on those weights (inferred), unless `keep_decay`. At the
zero vector, where no direction is defined, the gradient is 0 (ours). `decoupled` is the form of the author's
TensorFlow code as Ranger21 cites it: after each optimizer step, w ← w (1 - lr · 2λ (1 - 1/‖w‖)).
λ is not known from the paper; 1e-3 is ours, of the sweep 1e-4 … 1e-2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from memstudy.errors import MemstudyError
from memstudy.regularizers.base import Regularizer, Step, checked_options, weighted_layers


def norm_loss(weights: Sequence[Tensor]) -> Tensor:
    """Σ (1 - ‖w‖₂)² over the first dimension of each weight (O, …), a scalar."""
    return torch.stack([(1 - _norms(weight)).square().sum() for weight in weights]).sum()


def _norms(weight: Tensor) -> Tensor:
    """(O, …) → ‖w‖₂ of each output unit, (O,). torch's subgradient at the zero vector is 0."""
    return torch.linalg.vector_norm(weight.flatten(1), dim=1)


@torch.no_grad()
def pull(weight: Tensor, amount: float) -> None:
    """Set w ← w (1 - amount · (1 - 1/‖w‖)) in place, for each output unit; a zero vector stays."""
    norms = _norms(weight)
    inverse = torch.where(norms > 0, 1 / norms, torch.ones_like(norms))
    weight.mul_((1 - amount * (1 - inverse)).reshape(-1, *[1] * (weight.ndim - 1)))


@dataclass(frozen=True)
class NormLoss(Regularizer):
    """Norm Loss.

    Options: `weight` λ; `decoupled` from the loss, as a step of its own; `keep_decay` to let weight decay (WD)
    act on the same weights.
    """

    weight: float = 1e-3
    decoupled: bool = False
    keep_decay: bool = False

    def __post_init__(self) -> None:
        checked_options("normloss", self)

    def strength(self, epoch: int) -> float | None:
        """λ; None if it is decoupled from the loss."""
        return None if self.decoupled else self.weight

    def penalty(self, step: Step) -> Tensor:
        """L_nl of all weights of convolutions and linear layers."""
        return norm_loss([layer.weight for layer in weighted_layers(step.network)])

    def after_step(self, network: nn.Module, learning_rate: float) -> None:
        """Take the step of the decoupled form, if that is chosen."""
        if self.decoupled:
            for layer in weighted_layers(network):
                pull(layer.weight, learning_rate * 2 * self.weight)

    def without_decay(self, network: nn.Module) -> list[nn.Parameter]:
        """All weights that it acts on, unless `keep_decay`."""
        if self.decoupled and any(parametrize.is_parametrized(module) for module in network.modules()):
            raise MemstudyError(
                "normloss.decoupled changes weights, but here they are made from others (wn, pbwn, oni or olm); "
                "leave one of the two out."
            )
        governed = [layer.weight for layer in weighted_layers(network)]
        return [] if self.keep_decay else [weight for weight in governed if isinstance(weight, nn.Parameter)]
