"""Dropout with its own generator; PyTorch's layer can only draw from the global one."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Set each activation to 0 with probability `p` while training and scale the rest by 1/(1-p)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(any shape) → same shape. Raises RuntimeError when training without a generator."""
        if not self.training or self.p == 0:
            return x
        if self.generator is None:
            raise RuntimeError("dropout draws from an explicit generator: call network.seed_dropout first")
        # uniform_ with a comparison: on a CPU a third of bernoulli_'s time
        kept = torch.empty_like(x).uniform_(generator=self.generator).ge_(self.p)
        return x * kept.div_(1 - self.p)

    def extra_repr(self) -> str:
        """The probability, for `print(network)`."""
        return f"p={self.p}"
