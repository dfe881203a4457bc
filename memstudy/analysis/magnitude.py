"""Scaling by powers of two, which adds no rounding.

Squares and fourth powers of very large numbers are infinite in float64, and those of very small ones are 0. Such
numbers are scaled before they are squared. Numbers of an ordinary size, from 2^-64 to 2^64, stay as they are.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

ORDINARY = 64


def exponents(largest: Tensor) -> Tensor:
    """Exponents e (…) int64 for finite magnitudes (…): divided by 2^e, they are below 1.

    e is 0 for magnitudes of an ordinary size, from 2^-64 to 2^64, and for 0.
    """
    of_largest = torch.frexp(largest.double()).exponent.long()
    return of_largest.where((of_largest.abs() > ORDINARY) & (largest > 0), 0)


def powers(exponents: Tensor) -> Tensor:
    """2^e as float64, exact; 0 or infinite beyond its range."""
    return torch.as_tensor(np.ldexp(1.0, exponents.cpu().numpy()), device=exponents.device)


def scale_(values: Tensor, exponents: Tensor) -> Tensor:
    """Multiply float64 values by 2^e, in place, in two steps: 2^e alone may be out of range."""
    if exponents.any():
        half = exponents // 2
        values.mul_(powers(half)).mul_(powers(exponents - half))
    return values
