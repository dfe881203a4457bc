"""BN: batch normalization (Ioffe & Szegedy 2015), a baseline.

It is placed where the network's architecture says: in smallNet between the second convolution and its ReLU,
as in AL2's code (stated).
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
