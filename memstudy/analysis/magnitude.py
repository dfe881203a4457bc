"""How large numbers are, in powers of two: to scale by one adds no rounding.

Squares and fourth powers of very large numbers are infinite in float64, and those of very small ones are 0. Such
numbers are scaled before they are squared; those of an ordinary size, from 2^-64 to 2^64, stay as they are.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

ORDINARY = 64


def exponents(largest: Tensor) -> Tensor:
    """Of largest magnitudes (…), finite: e (…) int64, so that they are below 1 when divided by 2^e.

    0 for those from 2^-64 to 2^64, which are of an ordinary size, and for 0.
    """
    found = torch.frexp(largest.double()).exponent.long()
    return found.where((found.abs() > ORDINARY) & (largest > 0), 0)


def powers(exponents: Tensor) -> Tensor:
    """2^e as float64, exact; 0 or infinite beyond its range."""
    return torch.as_tensor(np.ldexp(1.0, exponents.cpu().numpy()), device=exponents.device)


def scale_(values: Tensor, exponents: Tensor) -> Tensor:
    """Multiply float64 values by 2^e, in place, in two steps: 2^e alone may be out of range."""
    if exponents.any():
        half = exponents // 2
        values.mul_(powers(half)).mul_(powers(exponents - half))
    return values
