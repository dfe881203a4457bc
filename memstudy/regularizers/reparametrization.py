"""Networks whose weights are computed from other parameters in every forward pass: Norm Loss' comparators.

A reparametrization replaces the weight of each convolution and linear layer by a function of a parameter of the
same shape (O, …); filters and rows are its vectors, one an output unit. The head's last layer, whose scale is that
of the logits, is left as it is (ours). Gradients go through the function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from memstudy.errors import MemstudyError
from memstudy.models import Network
from memstudy.regularizers.base import weighted_layers


class MatrixFunction(nn.Module):
    """A function of a matrix (O, D), applied to weights of any shape (O, …)."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, weight: Tensor) -> Tensor:
        """(O, …) → (O, …)."""
        return self.function(weight.flatten(1)).reshape(weight.shape)


def layers(network: Network) -> Sequence[nn.Module]:
    """The layers to reparametrize: all convolutions and linear layers but the last. Refuses a second method."""
    weighted = weighted_layers(network)
    if any(parametrize.is_parametrized(module) for module in weighted):
        raise MemstudyError(
            "only one method may make a network's weights from others: choose among wn, pbwn, oni, olm."
        )
    return weighted[:-1]


def by_matrix(network: Network, function: Callable[[Tensor], Tensor]) -> None:
    """Let the weight of each of `layers` be a function of its parameter, taken as a matrix (O, D)."""
    for layer in layers(network):
        parametrize.register_parametrization(layer, "weight", MatrixFunction(function))


def centered(matrix: Tensor) -> Tensor:
    """(O, D) → each row minus its mean. For D = 1 the matrix stays: nothing would be left of it."""
    return matrix - matrix.mean(dim=1, keepdim=True) if matrix.shape[1] > 1 else matrix


def unit_rows(matrix: Tensor) -> Tensor:
    """(O, D) → each row divided by its norm; a zero row stays."""
    norms = torch.linalg.vector_norm(matrix, dim=1, keepdim=True)
    return matrix / torch.where(norms > 0, norms, torch.ones_like(norms))
