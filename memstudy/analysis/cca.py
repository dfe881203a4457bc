"""Canonical correlation between representations: CCA, SVCCA (Raghu et al. 2017), PWCCA (Morcos et al. 2018).

A representation is factorized once (`factorize`), after which any pair costs one small product and one small
SVD. Everything is float64. Canonical coefficients do not change under invertible linear maps or shifts of
either representation, so they say how much two networks compute in common, whatever their neurons.

They need samples: with n samples and ranks r and s, at least r + s − (n − 1) coefficients are 1 whatever the
data (`forced_ones`), and independent data still reach about √(r/n) + √(s/n).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from memstudy.errors import MemstudyError, unknown

ROUNDING = 2.0**-23
"""The resolution of float32, in which networks compute: what is smaller cannot be told from zero."""

KEEP_RULES = ("variance", "singular", "fixed", "all")


def as_samples(features: Tensor) -> Tensor:
    """Features (N, C, H, W) → (N·H·W, C), positions as samples; (N, p) stays. Float64.

    Positions as samples is what AL2's figure does (stated). Any other number of dimensions is refused.
    """
    if features.ndim not in (2, 4):
        raise MemstudyError(
            f"features must have shape (N, p) or (N, C, H, W), not {tuple(features.shape)}; flatten them."
        )
    if features.ndim == 4:
        features = features.movedim(1, -1).flatten(0, 2)
    return features.double()


@dataclass(frozen=True)
class KeepRule:
    """How many singular directions of a representation SVCCA keeps; record it with every SVCCA number.

    variance: the fewest whose Σσ² reaches a fraction of the whole (Raghu et al. 2017: 99 %; stated).
    singular: the fewest whose Σσ does (google/svcca's tutorial; stated).
    fixed: so many, or all if there are fewer (AL2's code, 10; stated).
    all: every one, which makes SVCCA plain mean CCA.

    On one spectrum these can differ by a factor of two: they are not one number.
    """

    name: str = "variance"
    value: float = 0.99

    def __post_init__(self) -> None:
        if self.name not in KEEP_RULES:
            raise unknown("keep rule", self.name, KEEP_RULES)
        if self.name in ("variance", "singular") and not 0 < self.value <= 1:
            raise MemstudyError(
                f"the keep rule {self.name!r} needs a fraction in (0, 1], not {self.value:g}; "
                f"for example {self.name}:0.99."
            )
        if self.name == "fixed" and not (self.value >= 1 and float(self.value).is_integer()):
            raise MemstudyError(
                f"the keep rule 'fixed' needs a whole number of directions, at least 1, not {self.value:g}; "
                "for example fixed:10."
            )

    def __str__(self) -> str:
        if self.name == "all":
            return "all"
        return f"{self.name}:{int(self.value) if self.name == 'fixed' else self.value!r}"

    def count(self, singular_values: Tensor) -> int:
        """How many of these singular values (r,), descending, to keep: from 1 to r; 0 if there are none."""
        rank = len(singular_values)
        if self.name == "all" or rank == 0:
            return rank
        if self.name == "fixed":
            return min(int(self.value), rank)
        mass = (singular_values**2 if self.name == "variance" else singular_values).cumsum(0)
        return int((mass / mass[-1] < self.value).sum()) + 1


def parse_keep(text: str) -> KeepRule:
    """Read `variance:0.99`, `singular:0.99`, `fixed:10` or `all`; `str` of the rule gives the text back.

    A bare `variance` or `singular` means 0.99. Raises a MemstudyError for anything else.
    """
    name, _, number = text.partition(":")
    if name not in KEEP_RULES:
        raise unknown("keep rule", name, KEEP_RULES)
    if text in ("variance", "singular", "all"):
        return KeepRule(name)
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if math.isnan(value) or name == "all":
        raise MemstudyError(
            f"{text!r} is not a keep rule. Allowed: variance:FRACTION, singular:FRACTION, fixed:COUNT, all; "
            "for example variance:0.99 or fixed:10."
        )
    return KeepRule(name, value)


@dataclass(frozen=True, eq=False)
class View:
    """One representation, centered and factorized: X − mean = basis · diag(singular_values) · directions.

    basis: (n, r) orthonormal columns. singular_values: (r,) descending, all positive.
    directions: (r, p) orthonormal rows. A representation that is constant has r = 0.
    """

    basis: Tensor
    singular_values: Tensor
    directions: Tensor

    @property
    def n(self) -> int:
        """Samples."""
        return self.basis.shape[0]

    @property
    def p(self) -> int:
        """Neurons, dead ones included."""
        return self.directions.shape[1]

    @property
    def rank(self) -> int:
        """Directions in which the representation varies at all."""
        return self.basis.shape[1]

    def truncated(self, rule: KeepRule) -> View:
        """The leading directions by `rule`, as SVCCA keeps them; holds no memory of the others."""
        kept = rule.count(self.singular_values)
        return View(self.basis[:, :kept].clone(), self.singular_values[:kept], self.directions[:kept])


def factorize(samples: Tensor, tolerance: float = ROUNDING) -> View:
    """Samples (n, p) → their view: thin QR, then SVD of the p × p triangle, O(n·p²), once for all pairs.

    Null directions (dead channels, constant or duplicated neurons) are dropped: those with a singular value
    of at most `tolerance` · ‖samples‖_F, the norm taken before centering. The default bounds what rounding
    the features to float32 can make of nothing (ours; the choice matters, as CCA would give such a direction
    the same weight as any other). A collapsed representation, constant to that precision, gives rank 0.

    Raises a MemstudyError for values that are not finite, and for n ≤ p, where every coefficient would be 1.
    """
    if samples.ndim != 2:
        raise MemstudyError(f"samples must have shape (n, p), not {tuple(samples.shape)}; see as_samples.")
    n, p = samples.shape
    if n <= p:
        raise MemstudyError(
            f"CCA needs more samples than neurons, but n = {n} and p = {p}: every coefficient would be 1 "
            "whatever the data. Use more images, or take positions as samples."
        )
    samples = samples.double()
    if not samples.isfinite().all():
        raise MemstudyError(
            "the representation holds NaN or infinite values, as a network that diverged gives; leave it out."
        )
    orthonormal, triangle = torch.linalg.qr(samples - samples.mean(dim=0))
    left, singular_values, directions = torch.linalg.svd(triangle)
    rank = int((singular_values > tolerance * torch.linalg.norm(samples)).sum())
    return View(orthonormal @ left[:, :rank], singular_values[:rank].clone(), directions[:rank].clone())


def coefficients(x: View, y: View) -> Tensor:
    """All canonical coefficients of two views of the same n samples: (min(r_x, r_y),), descending, in [0, 1].

    The cosines of the principal angles between the spans of the bases (Björck and Golub 1973). Empty if one
    of the two has rank 0. Raises a MemstudyError if the views have different numbers of samples.
    """
    return torch.linalg.svdvals(_overlap(x, y)).clamp(0, 1)


def forced_ones(x: View, y: View) -> int:
    """How many coefficients are 1 for want of samples: two subspaces of an (n − 1)-dimensional space meet."""
    return max(0, x.rank + y.rank - (x.n - 1))


def svcca(x: View, y: View, rule: KeepRule) -> float:
    """Mean canonical coefficient of the truncated views (Raghu et al. 2017). NaN if one has rank 0."""
    return float(coefficients(x.truncated(rule), y.truncated(rule)).mean())


def pwcca(x: View, y: View) -> float:
    """Projection-weighted CCA (Morcos, Raghu, Bengio 2018; stated). Not symmetric. NaN at rank 0.

        Σ_i α_i ρ_i / Σ_i α_i,   α_i = Σ_j |⟨h_i, x_j⟩|

    h_i is the i-th canonical variate of the first view (a unit vector over the samples) and x_j its j-th
    centered neuron, so each coefficient counts by how much of the first view it accounts for. With ρ_i = ρ_j
    the variates, and with them the weights, are defined only up to a rotation.

    Other tools give other numbers. google/svcca builds h_i without the whitening factor, so that they are not
    the variates (.579 where the definition gives .545), and where the first view has more neurons one
    revision fails with an IndexError and another takes the second view's weights.
    """
    rotation, rho, _ = torch.linalg.svd(_overlap(x, y), full_matrices=False)
    projections = rotation.T @ (x.singular_values[:, None] * x.directions)
    weights = projections.abs().sum(dim=1)
    return float((weights * rho.clamp(0, 1)).sum() / weights.sum())


def _overlap(x: View, y: View) -> Tensor:
    """Inner products of the two bases, (r_x, r_y)."""
    if x.n != y.n:
        raise MemstudyError(f"the views are of different samples: {x.n} and {y.n}; compare the same images.")
    return x.basis.T @ y.basis
