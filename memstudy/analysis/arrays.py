"""Similarity of a user's own activations: arrays or tensors (samples × units), no run needed.

    from memstudy.analysis import cca, svcca, pwcca, cka, procrustes
    cca(x, y).coefficients

Rows are samples, the same ones in the same order on both sides; columns are units, as many as each side has.
Convolutional activations (N, C, H, W) become samples × units by `memstudy.analysis.as_samples`. All in float64,
exact (QR and SVD): O(n·p²) each. For many representations of the same samples see
`memstudy.analysis.factorization.Stack`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from memstudy.analysis import similarity
from memstudy.analysis.factorization import Pair, factorize
from memstudy.analysis.keep import KeepRule, parse_keep

Array = Any
"""A tensor, a numpy array, or what numpy makes one of; (n, p)."""


@dataclass(frozen=True, eq=False)
class CCA:
    """Canonical coefficients (min(r_x, r_y),), descending, in [0, 1], float64."""

    coefficients: Tensor

    @property
    def mean(self) -> float:
        """Their mean; NaN if one side is constant."""
        return float(self.coefficients.mean())


def cca(x: Array, y: Array) -> CCA:
    """Canonical correlation of x (n, p) and y (n, q). A MemstudyError if n ≤ p or q, or a value is not finite."""
    return CCA(similarity.coefficients(_pair(x, y)))


def svcca(x: Array, y: Array, keep: KeepRule | str = "variance:0.99") -> float:
    """SVCCA of x (n, p) and y (n, q); `keep` names the rule: variance:F, singular:F, fixed:K, all."""
    return similarity.svcca(_pair(x, y), parse_keep(keep) if isinstance(keep, str) else keep)


def pwcca(x: Array, y: Array) -> float:
    """Projection-weighted CCA, weighted by x; `pwcca(y, x)` is the other direction."""
    return similarity.pwcca(_pair(x, y))


def cka(x: Array, y: Array, unbiased: bool = False) -> float:
    """Linear CKA of x (n, p) and y (n, q), n ≤ p included; as first published, or unbiased where n is small."""
    return (similarity.unbiased_cka if unbiased else similarity.cka)(_pair(x, y))


def procrustes(x: Array, y: Array) -> float:
    """Similarity of x (n, p) and y (n, q) after the best rotation, in [0, 1]."""
    return similarity.procrustes(_pair(x, y))


def _pair(x: Array, y: Array) -> Pair:
    sides = (side if isinstance(side, Tensor) else torch.from_numpy(np.asarray(side)) for side in (x, y))
    return Pair.of(*(factorize(side) for side in sides))
