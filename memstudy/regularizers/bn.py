"""BN: batch normalization (Ioffe & Szegedy 2015), a baseline.

It adds what a network leaves out unless asked, where that network's file says: in smallNet between the second
convolution and its ReLU, as in AL2's code (stated); in AlexNet and VGG-16 between every convolution and its ReLU.
Initial weights are those of the bare network. ResNets, WRN, DenseNet and MobileNet are born with batch
normalization: there it is refused, and `nobn` is the opposite. torchvision's networks have no place for it, as
their names say what they have (`vgg16_bn`); a network of one's own, if its function takes `batch_norm`.

Its initial scale γ is 1, as in the paper and in PyTorch since version 1.2, or drawn from U(0, 1), as in PyTorch
0.4 to 1.1; the shift β is 0 in both. AL2's authors name PyTorch 0.4 and 1.1 (stated), so their published rows with
batch normalization need `uniform` (inferred, and seen: studies/results), and the preset `al2` takes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from memstudy.models import Network
from memstudy.regularizers.base import Regularizer, checked_options
from memstudy.regularizers.later import later


@dataclass(frozen=True)
class BatchNormalization(Regularizer):
    """Batch normalization with PyTorch's defaults (ε = 1e-5, running-average momentum .1).

    `gamma` is how the scale begins: `one`, or `uniform` in (0, 1), one draw a channel.
    """

    gamma: str = later("one")

    def __post_init__(self) -> None:
        checked_options("bn", self, words={"gamma": ("one", "uniform")})

    def network_options(self) -> dict[str, Any]:
        """Ask the network for its batch normalization."""
        return {"batch_norm": True}

    def initialize(self, network: Network, generator: torch.Generator) -> None:
        """Draw the scales, if they are not 1."""
        if self.gamma == "uniform":
            for layer in network.modules():
                if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                    nn.init.uniform_(layer.weight, generator=generator)
