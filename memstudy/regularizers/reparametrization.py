"""Networks whose weights are made from others before every forward pass: Norm Loss' comparators.

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


class Rows(nn.Module):
    """A function of a matrix (O, D), applied to weights of any shape (O, …)."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, weight: Tensor) -> Tensor:
        """(O, …) → (O, …)."""
        return self.function(weight.flatten(1)).reshape(weight.shape)


def layers(network: Network) -> Sequence[nn.Module]:
    """The layers that are reparametrized: convolutions and linear ones but the last."""
    found = weighted_layers(network)
    if any(parametrize.is_parametrized(module) for module in found):
        raise MemstudyError(
            "only one method may make a network's weights from others: choose among wn, pbwn, oni, olm."
        )
    return found[:-1]


def by_rows(network: Network, function: Callable[[Tensor], Tensor]) -> None:
    """Reparametrize a network by a function of the matrix of each layer."""
    for layer in layers(network):
        parametrize.register_parametrization(layer, "weight", Rows(function))


def centered(matrix: Tensor) -> Tensor:
    """Rows (O, D) minus their means; a row of one number is left, as nothing would be."""
    return matrix - matrix.mean(dim=1, keepdim=True) if matrix.shape[1] > 1 else matrix


def unit_rows(matrix: Tensor) -> Tensor:
    """Rows divided by their norms; a zero row stays."""
    norms = torch.linalg.vector_norm(matrix, dim=1, keepdim=True)
    return matrix / torch.where(norms > 0, norms, torch.ones_like(norms))
