"""WN: weight normalization (Salimans & Kingma 2016), a comparator of Norm Loss. w = g · v / ‖v‖, torch's own."""

from __future__ import annotations

from dataclasses import dataclass

from torch.nn.utils.parametrizations import weight_norm

from memstudy.models import Network
from memstudy.regularizers.base import Regularizer
from memstudy.regularizers.reparametrization import layers


@dataclass(frozen=True)
class WeightNormalization(Regularizer):
    """Weight normalization: a length g and a direction v for each output unit; at first the weights as drawn."""

    def reparametrize(self, network: Network) -> None:
        """Reparametrize every layer but the last."""
        for layer in layers(network):
            weight_norm(layer, "weight", dim=0)
