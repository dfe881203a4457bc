"""ONI: orthogonalization by Newton's iteration (Huang et al. 2020), a comparator of Norm Loss.

    W_0 = Z_c / √‖Z_c Z_cᵀ‖_F,   W_{t+1} = (3 W_t - W_t W_tᵀ W_t) / 2,   W = length · W_T

with Z_c the layer's matrix (O, D), its rows centered; on the smaller side, so for O > D columns become orthogonal.
Formula as we know it from the paper, not checked against the authors' code; T = 5 and √2 (for ReLU) are theirs.
They iterate B_{t+1} = (3 B_t - B_t³ S) / 2 with W_t = B_t W_0, S = W_0 W_0ᵀ: the same numbers, but rounding grows
in it once it has converged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from memstudy.models import Network
from memstudy.regularizers.base import Regularizer, checked_options
from memstudy.regularizers.reparametrization import by_matrix, centered


def newton(matrix: Tensor, iterations: int, length: float) -> Tensor:
    """(O, D) → (O, D), its rows (or columns, if there are fewer) nearly orthogonal, of that length."""
    rows = centered(matrix)
    if rows.shape[0] > rows.shape[1]:
        return _newton(rows.T, iterations, length).T
    return _newton(rows, iterations, length)


def _newton(rows: Tensor, iterations: int, length: float) -> Tensor:
    """(O, D) with O ≤ D → its rows nearly orthogonal, of that length."""
    weight = rows / torch.linalg.matrix_norm(rows @ rows.T).sqrt()
    for _ in range(iterations):
        weight = 1.5 * weight - 0.5 * weight @ weight.T @ weight
    return length * weight


@dataclass(frozen=True)
class NewtonOrthogonalization(Regularizer):
    """Options: `iterations` T; `length` of the orthogonal vectors."""

    iterations: int = 5
    length: float = math.sqrt(2)

    def __post_init__(self) -> None:
        checked_options("oni", self)

    def reparametrize(self, network: Network) -> None:
        """Reparametrize every layer but the last."""
        by_matrix(network, partial(newton, iterations=self.iterations, length=self.length))
