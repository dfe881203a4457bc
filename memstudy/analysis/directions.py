"""The directions in which a representation varies, whatever the scales of its units.

    X − mean = Q · root,   root = left · diag(σ) · directions

Which directions there are depends only on the span of the units. It must not depend on the units' scales, as CCA
does not. So it is decided with each unit divided by its norm about zero. Rounding the features to float32 changes
such a matrix by at most 2⁻²⁴ √p. So directions of up to twice that size count as nothing (ours; the choice
matters, as CCA would give such a direction the same weight as any other).

How large the directions are does depend on the scales, and is computed from the units as they are. The usual
algorithms have an error of 1e-16 of the largest singular value. If the units' scales differ so much that this is
too inexact, the decomposition is Jacobi's (Drmač and Veselić 2008), in which each singular value is as exact as
the units are.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from memstudy.analysis.magnitude import powers

ROUNDING = 2.0**-23
"""The resolution of float32, in which networks compute: what is smaller cannot be told from zero."""
CLEAR = 2.0**-11
"""A share of the largest singular value: larger ones are exact to 1e-9, even if computed from products (XᵀX)."""
GRADED = 2.0**-26
"""A share of the largest singular value: of smaller ones the usual algorithms get less than half of the digits."""

Parts = tuple[Tensor, Tensor, Tensor]
"""left (k, r), σ (r,) descending and positive, directions (r, p)."""


def directions(root: Tensor, sizes: Tensor, exponents: Tensor, tolerance: float = ROUNDING) -> Parts:
    """The directions of root · diag(2^exponents): `root` (k, p) has each unit at a scale of its own.

    sizes: (p,) the units' norms about zero, at the same scales as the root; 0 for constant units, whose columns
    are 0.
    """
    left, values, right = torch.linalg.svd(at_scale(root, exponents), full_matrices=False)
    rank = clear_rank(values, at_scale(sizes, exponents), tolerance)
    if rank is None:
        alike = torch.where(sizes > 0, sizes, 1.0)
        turned, shares, right = torch.linalg.svd(root / alike, full_matrices=False)
        rank = int((shares > tolerance * math.sqrt(int((sizes > 0).sum()))).sum())
        rows = at_scale(shares[:rank, None] * right[:rank] * alike, exponents)
        left, values, right = _graded(rows)
        left = turned[:, :rank] @ left
    return left[:, :rank], values[:rank].clone(), right[:rank].clone()


def clear_rank(values: Tensor, sizes: Tensor, tolerance: float) -> int | None:
    """The rank, if the singular values (descending) of units as they are leave no doubt about it; else None.

    There is no doubt if every singular value is clearly a direction or clearly none. It is one if it is exact, and
    too large to come from rounding of the largest unit. It is none if it may come from rounding of the smallest
    unit. sizes: (p,) of the units, 0 for constant ones.
    """
    alive = sizes[sizes > 0]
    if len(alive) == 0:
        return 0
    largest, least = float(alive.max()), float(alive.min())
    share = tolerance * math.sqrt(len(alive))
    rank = int((values > max(CLEAR * float(values[0]), share * largest)).sum())
    # The error of a small one, from products: the square root of 2⁻⁵² of the largest one's square, times √p.
    error = tolerance / 8 * len(alive) ** 0.25 * float(values[0])
    null = bool((values[rank:] <= share * least).all()) and error <= share * least
    return rank if rank == len(alive) or null else None


def at_scale(values: Tensor, exponents: Tensor) -> Tensor:
    """Values (…, p) times 2^exponents (p,), which are at most 0."""
    return values * powers(exponents) if exponents.any() else values


def _graded(root: Tensor) -> Parts:
    """The decomposition of linearly independent rows (r, p), whose columns may have any scales."""
    left, values, right = torch.linalg.svd(root, full_matrices=False)
    if len(values) == 0 or values[-1] > GRADED * values[0]:
        return left, values, right
    from scipy.linalg.lapack import dgejsv

    # C, F, G, A, R are the kinds of accuracy that it offers: F is for rows and columns of any scales.
    unscaled, right, left, work, *_ = dgejsv(root.T.cpu().numpy(), joba=2, jobu=0, jobv=0, jobr=0)
    values = torch.from_numpy(unscaled * (work[1] / work[0]))
    order = values.argsort(descending=True, stable=True)
    parts = (torch.from_numpy(left)[:, order], values[order], torch.from_numpy(right).T[order])
    return tuple(part.to(root.device) for part in parts)  # type: ignore[return-value]
