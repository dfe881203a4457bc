"""Similarity of a user's own activations: arrays or tensors (samples × units), no run needed.

    from memstudy.analysis import cca, svcca, pwcca, cka, procrustes
    cca(x, y).coefficients

Rows are samples, the same ones in the same order on both sides; columns are units, as many as each side has.
Convolutional activations (N, C, H, W) become samples × units by `memstudy.analysis.as_samples`. All in float64,
exact (QR and SVD): x (n, p) and y (n, q) cost O(n·(p² + q²)) time and, beside themselves, about n·(2p + q) numbers
of memory (10,000 × 1,250 each: .4 GB). For many representations of the same samples that do not fit
into memory, see `memstudy.analysis.factorization.Stack`.

Every function raises a MemstudyError, which names the side, for what is no array of numbers, for values that are
not finite, for another shape, for different numbers of samples, for a side that does not vary at all, and for
constant units (defined in `memstudy.analysis.factorization`). With `constant="drop"` constant units are dropped,
and only the rank tells that they were there.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from memstudy.analysis import similarity
from memstudy.analysis.factorization import Pair, View, check_constant, factorize, first_few, same_samples
from memstudy.analysis.inputs import Array, tensor
from memstudy.analysis.keep import KeepRule, parse_keep
from memstudy.errors import MemstudyError


@dataclass(frozen=True, eq=False)
class CCA:
    """Canonical coefficients (min(rank_x, rank_y),), descending, in [0, 1], float64.

    rank_x, rank_y: directions in which the sides vary; fewer than units if some are constant or depend on others.
    """

    coefficients: Tensor
    rank_x: int
    rank_y: int

    @property
    def mean(self) -> float:
        """The mean coefficient."""
        return float(self.coefficients.mean())


def cca(x: Array, y: Array, constant: str = "refuse") -> CCA:
    """Canonical correlation of x (n, p) and y (n, q); all coefficients (Hotelling 1936; Björck and Golub 1973).

    Not changed by invertible linear maps of either side, however far apart they set the scales of units. A
    MemstudyError if n ≤ p or q.
    """
    pair = _pair(x, y, constant)
    return CCA(similarity.coefficients(pair), pair.x.rank, pair.y.rank)


def svcca(x: Array, y: Array, keep: KeepRule | str = "variance:0.99", constant: str = "refuse") -> float:
    """SVCCA of x (n, p) and y (n, q), in [0, 1]: the mean coefficient of their leading directions (Raghu et al.
    2017).

    `keep` names the rule for these: variance:F, singular:F, fixed:K, all. A MemstudyError if n ≤ p or q.
    """
    return similarity.svcca(_pair(x, y, constant), parse_keep(keep) if isinstance(keep, str) else keep)


def pwcca(x: Array, y: Array, constant: str = "refuse") -> float:
    """Projection-weighted CCA of x (n, p) and y (n, q), in [0, 1] (Morcos, Raghu, Bengio 2018).

    Weighted by x, and so not symmetric: `pwcca(y, x)` is the other direction. A MemstudyError if n ≤ p or q.
    """
    return similarity.pwcca(_pair(x, y, constant))


def cka(x: Array, y: Array, unbiased: bool = False, constant: str = "refuse") -> float:
    """Linear CKA of x (n, p) and y (n, q), n ≤ p included; in [0, 1] (Kornblith et al. 2019).

    unbiased: with the unbiased HSIC, for small n (Nguyen et al. 2021); near 0 for independent data, and then below
    0 as often as not. A MemstudyError if n < 4.

    Changed by linear maps other than rotations and one scale for all units. Constant units change nothing, but are
    refused too.
    """
    return (similarity.unbiased_cka if unbiased else similarity.cka)(_pair(x, y, constant))


def procrustes(x: Array, y: Array, constant: str = "refuse") -> float:
    """Similarity of x (n, p) and y (n, q) after the best rotation, in [0, 1], n ≤ p included.

    1 minus it is half the squared orthogonal Procrustes distance (Ding, Denain, Steinhardt 2021).
    """
    return similarity.procrustes(_pair(x, y, constant))


def _pair(x: Array, y: Array, constant: str) -> Pair:
    check_constant(constant)
    sides = [tensor(side, name) for side, name in zip((x, y), "xy", strict=True)]
    if all(side.ndim == 2 for side in sides):
        same_samples([len(side) for side in sides])
    return Pair.of(*(_view(side, name, constant) for side, name in zip(sides, "xy", strict=True)))


def _view(samples: Tensor, name: str, constant: str) -> View:
    view = factorize(samples, name=name)
    spectrum = view.spectrum
    if spectrum.rank == 0:
        raise MemstudyError(
            f"{name} does not vary: all of its {spectrum.p} units are constant, as a network that collapsed "
            "gives; it is like nothing, so leave it out."
        )
    if constant == "refuse" and len(spectrum.constant):
        raise MemstudyError(
            f"{name} has constant units, {len(spectrum.constant)} of {spectrum.p} ({first_few(spectrum.constant)})"
            '; drop them, or say constant="drop".'
        )
    return view
