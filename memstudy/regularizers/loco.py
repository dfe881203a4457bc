"""LOCO-Reg: location-aware weight decay, stronger the farther a weight is from its kernel's center.

    penalty = Σ over weights of r · w²,   objective + λ · penalty
    3×3:  r = [[γ, η, γ], [η, 1, η], [γ, η, γ]],  γ > η > 1

Formula, (η, γ) ∈ {(1, 1), (1.4, 1.56), (1.8, 2.13)} and λ ∈ {.00025, .0005, .001, .002} are the paper's (stated).
γ = 1 + √2 (η - 1), cut to two decimals, is inferred from those pairs: r(d) = 1 + (η - 1) · d with d the distance
from the center. So k×k kernels of other sizes follow that rule (ours); 1×1 kernels and linear layers have r = 1;
depthwise kernels are kernels like any. In Keras, which the paper uses, λ · Σ w² is PyTorch's weight decay 2λ.

`mean_one` is ours: it divides r by its mean over the kernel (1.43 for η = 1.4, 1.86 for 1.8), so that a comparison
with η = 1 is about where, not about how much.

Cost: a step takes 1.03 times one with weight decay on ResNet-18 (batch 32, one CPU thread, median of 7), 1.04
times on smallNet (`python -m tests.benchmarks.bench_regularizers`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from memstudy.errors import MemstudyError
from memstudy.regularizers.base import Regularizer, Step, checked_options, weighted_layers


def corner(eta: float) -> float:
    """γ that belongs to η: 1 + √2 (η - 1), cut to two decimals as the paper prints it."""
    return math.floor(100 * (1 + math.sqrt(2) * (eta - 1)) + 1e-9) / 100


def ratios(kernel: Sequence[int], eta: float, gamma: float, mean_one: bool = False) -> Tensor:
    """The ratios r of a kernel (H, W), float64: as published for 3×3, by distance from the center otherwise."""
    axes = [torch.arange(size, dtype=torch.float64) - (size - 1) / 2 for size in kernel]
    distance = torch.linalg.vector_norm(torch.stack(torch.meshgrid(*axes, indexing="ij")), dim=0)
    r = 1 + (eta - 1) * distance
    if tuple(kernel) == (3, 3):
        r[::2, ::2] = gamma
    return r / r.mean() if mean_one else r


class _WeightedSquares(torch.autograd.Function):
    """Σ over tensors of r · w², each product formed once and used for value and gradient."""

    @staticmethod
    def forward(ctx: Any, factors: list[Tensor | None], *weights: Tensor) -> Tensor:
        scaled = [w if r is None else r * w for r, w in zip(factors, weights, strict=True)]
        ctx.save_for_backward(*scaled)
        return torch.stack([(s * w).sum() for s, w in zip(scaled, weights, strict=True)]).sum()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return None, *torch._foreach_mul(ctx.saved_tensors, 2 * gradient)


def weighted_squares(weights: Sequence[Tensor], factors: Sequence[Tensor | None]) -> Tensor:
    """Σ r · w² over weights, each with its ratios (broadcast over filters; None is 1): the penalty, unscaled."""
    value: Tensor = _WeightedSquares.apply(list(factors), *weights)
    return value


@dataclass(frozen=True)
class LocoReg(Regularizer):
    """LOCO-Reg.

    Options: `weight` λ; `eta`; `gamma` (0: the one that belongs to η); `mean_one`.
    """

    weight: float = 0.0005
    eta: float = 1.4
    gamma: float = 0.0
    mean_one: bool = False

    def __post_init__(self) -> None:
        checked_options("loco", self, zero=("gamma",))
        gamma = self.gamma or corner(self.eta)
        if not (self.eta == gamma == 1 or gamma > self.eta > 1):
            raise MemstudyError(
                f"loco needs gamma > eta > 1 (or both 1, plain weight decay), not eta {self.eta:g} and gamma "
                f"{gamma:g}; leave gamma out, and it follows from eta."
            )
        object.__setattr__(self, "gamma", gamma)

    def strength(self, epoch: int) -> float:
        """λ."""
        return self.weight

    def penalty(self, step: Step) -> Tensor:
        """Σ r · w² over all weights of the network's convolutions and linear layers."""
        weights = [layer.weight for layer in weighted_layers(step.network)]
        return weighted_squares(weights, [self._factor(weight) for weight in weights])

    def _factor(self, weight: Tensor) -> Tensor | None:
        """The ratios for a weight (O, I, H, W), broadcastable; None where it is 1 everywhere."""
        kernel = tuple(weight.shape[2:])
        if self.eta == 1 or math.prod(kernel) == 1:
            return None
        return _on_device(kernel, self.eta, self.gamma, self.mean_one, weight.dtype, weight.device)


@cache
def _on_device(
    kernel: tuple[int, ...], eta: float, gamma: float, mean_one: bool, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """`ratios` on the device, in the weight's type. Cached, so that no step waits for a copy to the device."""
    return ratios(kernel, eta, gamma, mean_one).to(device, dtype)
