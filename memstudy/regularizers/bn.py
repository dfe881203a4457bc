"""BN: batch normalization (Ioffe & Szegedy 2015), a baseline.

It adds what a network leaves out unless asked, where that network's file says: in smallNet between the second
convolution and its ReLU, as in AL2's code (stated); in AlexNet and VGG-16 between every convolution and its ReLU.
Initial weights are those of the bare network. ResNets, WRN, DenseNet and MobileNet are born with batch
normalization: there it is refused, and `nobn` is the opposite. torchvision's networks have no place for it, as
their names say what they have (`vgg16_bn`); a network of one's own, if its function takes `batch_norm`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from memstudy.regularizers.base import Regularizer


@dataclass(frozen=True)
class BatchNormalization(Regularizer):
    """Batch normalization with PyTorch's defaults (ε = 1e-5, running-average momentum .1)."""

    def network_options(self) -> dict[str, Any]:
        """Ask the network for its batch normalization."""
        return {"batch_norm": True}
