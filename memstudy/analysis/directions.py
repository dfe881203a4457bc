"""The directions in which a representation varies, whatever the scales of its units.

    X − mean = Q · root,   root = left · diag(σ) · directions

Which directions there are is a question of the units' span, and must not depend on their scales, as CCA does not.
So it is asked of units that are all of one size, each divided by its norm about zero: rounding the features to
float32 changes such a matrix by at most 2⁻²⁴ √p, and directions at most twice as large are nothing (ours; the
choice matters, as CCA would give such a direction the same weight as any other).

How large the directions are does depend on the scales, and is computed of the units as they are. The usual
algorithms leave an error of 1e-16 of the largest singular value; where units' scales lie further apart than that
allows, the decomposition is Jacobi's (Drmač and Veselić 2008), in which each is as exact as the units are.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from memstudy.analysis.magnitude import powers

ROUNDING = 2.0**-23
"""The resolution of float32, in which networks compute: what is smaller cannot be told from zero."""
CLEAR = 2.0**-11
"""A share of the largest singular value; what is above it is exact to 1e-9, even from products (XᵀX)."""
GRADED = 2.0**-26
"""A share of the largest singular value below which the usual algorithms leave less than half of the digits."""

Parts = tuple[Tensor, Tensor, Tensor]
"""left (k, r), σ (r,) descending and positive, directions (r, p)."""


def directions(root: Tensor, sizes: Tensor, exponents: Tensor, tolerance: float = ROUNDING) -> Parts:
    """Of a root (k, p) with its units at scales of their own: those of root · diag(2^exponents).

    sizes: (p,) the units' norms about zero at the same scales, 0 for constant ones, whose columns are 0.
    """
    left, values, right = torch.linalg.svd(at_scale(root, exponents), full_matrices=False)
    rank = clear_rank(values, at_scale(sizes, exponents), tolerance)
    if rank is None:
        alike = torch.where(sizes > 0, sizes, 1.0)
        turned, shares, right = torch.linalg.svd(root / alike, full_matrices=False)
        rank = int((shares > tolerance * math.sqrt(int((sizes > 0).sum()))).sum())
        own = at_scale(shares[:rank, None] * right[:rank] * alike, exponents)
        left, values, right = _graded(own)
        left = turned[:, :rank] @ left
    return left[:, :rank], values[:rank].clone(), right[:rank].clone()


def clear_rank(values: Tensor, sizes: Tensor, tolerance: float) -> int | None:
    """The rank, if singular values, descending, of units as they are leave no doubt about it; None if they do.

    They do not if each is either exact, and too large for rounding of the largest unit, and so of any, or small
    enough for rounding of the smallest. sizes: (p,) of the units, 0 for constant ones.
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
    """The decomposition of independent rows (r, p), whose columns may be of any scales."""
    left, values, right = torch.linalg.svd(root, full_matrices=False)
    if len(values) == 0 or values[-1] > GRADED * values[0]:
        return left, values, right
    from scipy.linalg.lapack import dgejsv

    # C, F, G, A, R are the kinds of accuracy that it offers: F is for rows and columns of any scales.
    found, right, left, work, *_ = dgejsv(root.T.cpu().numpy(), joba=2, jobu=0, jobv=0, jobr=0)
    values = torch.from_numpy(found * (work[1] / work[0]))
    order = values.argsort(descending=True, stable=True)
    parts = (torch.from_numpy(left)[:, order], values[order], torch.from_numpy(right).T[order])
    return tuple(part.to(root.device) for part in parts)  # type: ignore[return-value]
