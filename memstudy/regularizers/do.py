"""DO: dropout (Srivastava et al. 2014), a baseline.

It goes where a network's file says, with one p for all places. In smallNet it is the trunk's last layer, as in
AL2's code (stated; p = .5 is inferred from a comment there), so features are dropped ones; in AlexNet, VGG-16,
ResNets and MobileNet it is in the head, behind the features; in WRN within every block, in DenseNet behind every
convolution but the first. No network of ours has dropout unless asked. torchvision's have no place for it and keep
what they come with; a network of one's own has one if its function takes `dropout`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from memstudy.errors import MemstudyError
from memstudy.regularizers.base import Regularizer, checked_options


@dataclass(frozen=True)
class DropoutRegularizer(Regularizer):
    """Dropout; `p` is the probability that an activation is dropped, between 0 and 1, both excluded."""

    p: float = 0.5

    def __post_init__(self) -> None:
        checked_options("do", self)
        if self.p >= 1:
            raise MemstudyError(f"do.p must be below 1 (a probability of dropping), not {self.p:g}.")

    def network_options(self) -> dict[str, Any]:
        """Ask the network for its dropout."""
        return {"dropout": self.p}
