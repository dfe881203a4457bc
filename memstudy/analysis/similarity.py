"""Similarity of two factorized representations: CCA, SVCCA, PWCCA, linear CKA, Procrustes.

Each is a function of a `Pair`, so that one pass over the samples serves all of them. CCA, and with it SVCCA's last
step and PWCCA's coefficients, do not change under invertible linear maps of either representation; CKA and
Procrustes only not under rotations and isotropic scaling. None changes under shifts.

With n samples and ranks r and s, at least r + s − (n − 1) canonical coefficients are 1 whatever the data, and
independent data still reach about √(r/n) + √(s/n). With n ≤ p all of them are 1: CCA, SVCCA and PWCCA refuse that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.linalg import LinAlgError  # type: ignore[attr-defined]

from memstudy.analysis.factorization import Pair, Spectrum
from memstudy.analysis.keep import KeepRule
from memstudy.errors import MemstudyError


def coefficients(pair: Pair) -> Tensor:
    """All canonical coefficients: (min(r_x, r_y),), descending, in [0, 1]; empty if one of the two has rank 0.

    The cosines of the principal angles between the spans of the bases (Björck and Golub 1973).
    """
    _check(pair)
    return _singular_values(pair.overlap).clamp(0, 1)


def all_coefficients(pairs: Sequence[Pair]) -> list[Tensor]:
    """`coefficients` of many pairs. Overlaps of equal shapes are decomposed together, which is faster on a GPU."""
    for pair in pairs:
        _check(pair)
    shapes = [pair.overlap.shape for pair in pairs]
    by_pair: dict[int, Tensor] = {}
    for shape in set(shapes):
        members = [index for index, other in enumerate(shapes) if other == shape]
        values = torch.linalg.svdvals(torch.stack([pairs[index].overlap for index in members])).clamp(0, 1)
        by_pair |= dict(zip(members, values, strict=True))
    return [by_pair[index] for index in range(len(pairs))]


def truncated(pair: Pair, rule: KeepRule) -> Tensor:
    """The overlap of the leading directions by `rule`, as SVCCA keeps them."""
    kept_x, kept_y = (rule.count(side.singular_values) for side in (pair.x, pair.y))
    return pair.overlap[:kept_x, :kept_y]


def svcca(pair: Pair, rule: KeepRule) -> float:
    """Mean canonical coefficient of the truncated representations (Raghu et al. 2017). NaN if one has rank 0."""
    _check(pair)
    return float(_singular_values(truncated(pair, rule)).clamp(0, 1).mean())


def pwcca(pair: Pair) -> float:
    """Projection-weighted CCA (Morcos, Raghu, Bengio 2018; stated). Not symmetric. NaN at rank 0.

        Σ_i α_i ρ_i / Σ_i α_i,   α_i = Σ_j |⟨h_i, x_j⟩|

    h_i is the i-th canonical variate of the first representation (a unit vector over the samples) and x_j its j-th
    centered unit, so each coefficient is weighted by how much of the first representation it accounts for; the
    other direction is that of `pair.swapped()`. For equal coefficients the variates, and so the weights, are
    defined only up to a rotation.

    Other tools give other numbers. google/svcca builds h_i without the whitening factor, so that they are not
    the variates (.579 where the definition gives .545), and where the first view has more neurons one
    revision fails with an IndexError and another takes the second view's weights.
    """
    _check(pair)
    rotation, rho = _decomposed(pair.overlap)
    projections = rotation.T @ (pair.x.singular_values[:, None] * pair.x.directions)
    weights = projections.abs().sum(dim=1)
    return float((weights * rho.clamp(0, 1)).sum() / weights.sum())


def cka(pair: Pair) -> float:
    """Linear CKA (Kornblith et al. 2019, eq. 4; stated): ‖XᵀY‖² / (‖XᵀX‖ ‖YᵀY‖), centered. NaN at rank 0.

    Biased upwards where samples are few: independent data reach about √(p_x p_y) / n.
    """
    norms = [_gram_square(side).sqrt() for side in (pair.x, pair.y)]
    return float(_cross(pair).square().sum() / (norms[0] * norms[1]))


def unbiased_cka(pair: Pair) -> float:
    """Linear CKA with the unbiased HSIC of Song et al. 2012 in all three places (Nguyen et al. 2021; stated).

    Near 0 for independent data, and slightly negative as often as not. NaN at rank 0, or if an HSIC of one with
    itself is not positive. Raises a MemstudyError for n < 4.
    """
    n = pair.x.n
    if n < 4:
        raise MemstudyError(f"the unbiased CKA needs at least 4 samples, not {n}.")
    with_itself = [
        _hsic(n, _gram_square(side), side.quartic, float(side.singular_values.square().sum()) ** 2)
        for side in (pair.x, pair.y)
    ]
    sizes = [float(side.singular_values.square().sum()) for side in (pair.x, pair.y)]
    both = _hsic(n, _cross(pair).square().sum(), pair.quartic, sizes[0] * sizes[1])
    return both / math.sqrt(with_itself[0] * with_itself[1]) if min(with_itself) > 0 else math.nan


def procrustes(pair: Pair) -> float:
    """Similarity after the best rotation: the nuclear norm ‖XᵀY‖_* of the centered X, Y scaled to norm 1; in [0,
    1].

    1 minus it is half the squared orthogonal Procrustes distance (Ding, Denain, Steinhardt 2021), its arc cosine
    the angular shape distance (Williams et al. 2021), a metric. NaN at rank 0.
    """
    norms = [torch.linalg.norm(side.singular_values) for side in (pair.x, pair.y)]
    if min(pair.x.rank, pair.y.rank) == 0:
        return math.nan
    return float((_singular_values(_cross(pair)).sum() / (norms[0] * norms[1])).clamp(0, 1))


def check_samples(n: int, p: int) -> None:
    """Raise a MemstudyError if n samples are too few for the CCA of p units."""
    if n <= p:
        raise MemstudyError(
            f"CCA needs more samples than units, but n = {n} and p = {p}: every coefficient would be 1 whatever "
            "the data. Use more images, take positions as samples, or CKA."
        )


def _check(pair: Pair) -> None:
    for side in (pair.x, pair.y):
        check_samples(side.n, side.p)


def _singular_values(matrix: Tensor) -> Tensor:
    try:
        return torch.linalg.svdvals(matrix)
    except LinAlgError:
        return _slowly_decomposed(matrix)[1]


def _decomposed(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Left singular vectors and singular values."""
    try:
        return torch.linalg.svd(matrix, full_matrices=False)[:2]
    except LinAlgError:
        return _slowly_decomposed(matrix)


def _slowly_decomposed(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """By QR iterations: divide and conquer sometimes fails if many values are 1, as they are for few samples."""
    import scipy.linalg

    left, values, _ = scipy.linalg.svd(matrix.cpu().numpy(), full_matrices=False, lapack_driver="gesvd")
    return torch.from_numpy(left).to(matrix.device), torch.from_numpy(values).to(matrix.device)


def _cross(pair: Pair) -> Tensor:
    """XᵀY up to rotations on both sides."""
    return pair.x.singular_values[:, None] * pair.overlap * pair.y.singular_values


def _gram_square(side: Spectrum) -> Tensor:
    """‖XᵀX‖²."""
    return side.singular_values.pow(4).sum()


def _hsic(n: int, square: Tensor, quartic: float, sizes: float) -> float:
    """The unbiased HSIC of linear kernels of centered samples, times n (n - 3).

    square: ‖XᵀY‖². quartic: Σ ‖x‖²‖y‖². sizes: ‖X‖²‖Y‖². Without their diagonals, centered kernels have row sums
    -‖x‖², so that the sums of Song et al.'s eq. 5 are these three.
    """
    return float(square) - quartic + sizes / ((n - 1) * (n - 2)) - 2 * quartic / (n - 2)
