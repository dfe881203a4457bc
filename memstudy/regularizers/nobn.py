"""noBN: a network that has batch normalization of its own, without it; to tell its part in what is memorized.

A control of ours. In the networks here convolutions get a bias in its place; initial weights are not adapted, so a
deep network may need a smaller learning rate. A network born without batch normalization is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from memstudy.regularizers.base import Regularizer


@dataclass(frozen=True)
class NoBatchNormalization(Regularizer):
    """Leave batch normalization out."""

    def network_options(self) -> dict[str, Any]:
        """Ask the network to do without its batch normalization."""
        return {"batch_norm": False}
