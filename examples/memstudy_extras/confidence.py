"""Confidence penalty (Pereyra et al. 2017, "Regularizing neural networks by penalizing confident output
distributions").

    objective = cross-entropy - β · H(p),   H(p) = -Σ_k p_k ln p_k, mean over the batch

The term is the paper's (stated). Here the penalty is ln K - H(p) = KL(p ‖ uniform): the gradient is the same, but
it is 0 for the uniform prediction and never negative (ours). β = 0.1 is ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from memstudy.regularizers import Regularizer, Step
from memstudy.regularizers.base import checked_options


def confidence(logits: Tensor) -> Tensor:
    """The mean of ln K - H(softmax) over logits (B, K), in nats: a scalar from 0 to ln K."""
    logs = logits.log_softmax(dim=1)
    return math.log(logits.shape[1]) + (logs.exp() * logs).sum(dim=1).mean()


@dataclass(frozen=True)
class ConfidencePenalty(Regularizer):
    """Confidence penalty.

    Option: `weight` β.
    """

    weight: float = 0.1

    def __post_init__(self) -> None:
        checked_options("confidence", self)

    def strength(self, epoch: int) -> float:
        """β."""
        return self.weight

    def penalty(self, step: Step) -> Tensor:
        """How far predictions are from uniform."""
        return confidence(step.logits)
