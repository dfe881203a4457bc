"""What every architecture is: a trunk, a head, and how its initial weights are drawn."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from memstudy.models.dropout import Dropout
from memstudy.models.initialization import Initializer, pytorch_default


class Network(nn.Module):
    """A trunk followed by a head. `features` are the trunk's output, kept in their own shape.

    Convolutional features stay (N, C, H, W), so that an analysis can take positions as samples; the head
    flattens them itself. `initializer` draws the initial weights of a network that is built without any.
    """

    def __init__(self, trunk: nn.Module, head: nn.Module, initializer: Initializer = pytorch_default) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head
        self.initializer = initializer

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Normalized images (N, C, H, W) → (features, logits (N, K))."""
        features = self.trunk(images)
        return features, self.head(features)

    def seed_dropout(self, generator: torch.Generator) -> None:
        """Let every dropout layer draw from `generator` from now on."""
        for module in self.modules():
            if isinstance(module, Dropout):
                module.generator = generator
