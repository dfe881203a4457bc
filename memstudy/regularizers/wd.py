"""WD: weight decay, a baseline: SGD's own, on all parameters, gradient + c·w.

c = 5e-4 is inferred: AL2's table has WD almost equal to Bare, while 5e-3 would shrink the weights by e^-6.6
over its run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from memstudy.regularizers.base import Regularizer, checked_options


@dataclass(frozen=True)
class WeightDecay(Regularizer):
    """Weight decay; `decay` is the coefficient c (that of (c/2)·‖w‖² in the objective)."""

    decay: float = 5e-4

    def __post_init__(self) -> None:
        checked_options("wd", self)

    def optimizer_options(self) -> dict[str, Any]:
        """Hand the coefficient to SGD."""
        return {"weight_decay": self.decay}
