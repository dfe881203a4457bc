"""AL2: progressive activation loss (ICASSP 2020).

    L = L_c + λ_e · L_r,   L_r = mean over batch and features of (trunk output)²
    λ_0 = 0.01;  λ_{e+1} = λ_e · 1.1 while λ_e < 5, else λ_e · 1.01

Formula and schedule are the paper's (stated, in the authors' code). `advance` is ours: it makes a short run
go through the schedule `advance` paper-epochs an epoch (× 1.1^advance, then × 1.01^advance), because at the
paper's speed λ stays too small to show anything in a few dozen epochs. advance = 1 is the paper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from memstudy.regularizers.base import Regularizer, Step, checked_options


def activation_loss(features: Tensor) -> Tensor:
    """AL2's L_r, unscaled: the mean square over batch and features. Any shape → scalar."""
    return features.square().mean()


def schedule(
    epoch: int, initial: float, growth: float, threshold: float, late_growth: float, advance: float
) -> float:
    """λ at a 0-based epoch; multiplied up epoch by epoch, as the authors' code does. Infinite past float64."""
    strength = initial
    try:
        for _ in range(epoch):
            strength *= (growth if strength < threshold else late_growth) ** advance
    except OverflowError:
        return math.inf
    return strength


@dataclass(frozen=True)
class AL2(Regularizer):
    """Progressive activation loss.

    Options: `initial` λ at epoch 0; `growth` per paper-epoch below `threshold`, `late_growth` from there on;
    `advance` paper-epochs per epoch.
    """

    initial: float = 0.01
    growth: float = 1.1
    threshold: float = 5.0
    late_growth: float = 1.01
    advance: float = 1.0

    def __post_init__(self) -> None:
        checked_options("al2", self)

    def strength(self, epoch: int) -> float:
        """λ_e."""
        return schedule(epoch, self.initial, self.growth, self.threshold, self.late_growth, self.advance)

    def penalty(self, step: Step) -> Tensor:
        """L_r of the trunk's output; with dropout, of the dropped and rescaled one."""
        return activation_loss(step.features)
