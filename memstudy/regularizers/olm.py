"""OLM: orthogonal linear modules (Huang et al. 2018), a comparator of Norm Loss.

    W = (Z_c Z_cᵀ)^(-1/2) Z_c     rows centered, in groups of at most `group` output units (and at most D - 1)

by an eigendecomposition, which gradients go through. Formula as we know it from the paper, not checked against the
authors' code. The 1e-5 added to the eigenvalues is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from memstudy.models import Network
from memstudy.regularizers.base import Regularizer, checked_options
from memstudy.regularizers.reparametrization import by_matrix, centered

EPSILON = 1e-5


def orthogonal(matrix: Tensor, group: int) -> Tensor:
    """(O, D) → (O, D); the rows of each group are orthonormal, up to EPSILON."""
    rows = centered(matrix)
    size = max(1, min(group, matrix.shape[1] - 1))  # centering takes one dimension
    return torch.cat([_whitened(part) for part in rows.split(size)])


def _whitened(rows: Tensor) -> Tensor:
    """(G, D), centered → (Z Zᵀ)^(-1/2) Z: rows that are orthonormal up to EPSILON."""
    scaled = rows / torch.linalg.matrix_norm(rows).clamp_min(1e-12)  # so that EPSILON means the same everywhere
    values, vectors = torch.linalg.eigh(scaled @ scaled.T)
    return vectors @ ((values.clamp_min(0) + EPSILON).rsqrt()[:, None] * (vectors.T @ scaled))


@dataclass(frozen=True)
class OrthogonalLinearModule(Regularizer):
    """Options: `group`, the most output units that are made orthogonal to each other."""

    group: int = 64

    def __post_init__(self) -> None:
        checked_options("olm", self)

    def reparametrize(self, network: Network) -> None:
        """Reparametrize every layer but the last."""
        by_matrix(network, partial(orthogonal, group=self.group))

    def synchronizes(self) -> bool:
        """An eigendecomposition on a GPU tells the host whether it converged."""
        return True
