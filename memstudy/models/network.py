"""What every architecture is, how one is built, and where its initial weights come from."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from memstudy.errors import MemstudyError
from memstudy.models.dropout import Dropout
from memstudy.registry import Registry

NETWORKS = Registry("network", smallnet="memstudy.models.smallnet:smallnet")


class Network(nn.Module):
    """A trunk followed by a head. `features` are the trunk's output, kept in their own shape.

    Convolutional features stay (N, C, H, W), so that an analysis can take positions as samples; the head
    flattens them itself.
    """

    def __init__(self, trunk: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Normalized images (N, C, H, W) → (features, logits (N, K))."""
        features = self.trunk(images)
        return features, self.head(features)

    def seed_dropout(self, generator: torch.Generator) -> None:
        """Let every dropout layer draw from `generator` from now on."""
        for module in self.modules():
            if isinstance(module, Dropout):
                module.generator = generator


def build(
    name: str, *, channels: int, size: int, classes: int, generator: torch.Generator, **options: Any
) -> Network:
    """A network with PyTorch's default initialization, drawn from `generator` (a CPU one).

    Options are the architecture's own (for example `batch_norm=True`, `dropout=0.5`); one that it does not
    know raises a MemstudyError. PyTorch's global generator is neither used nor moved.
    """
    architecture = NETWORKS.get(name)
    try:
        with torch.device("meta"):
            network: Network = architecture(channels, size, classes, **options)
    except TypeError as error:
        raise MemstudyError(f"network {name!r} has no place for one of {sorted(options)}: {error}.") from error
    network.to_empty(device="cpu")
    initialize(network, generator)
    return network


def initialize(network: nn.Module, generator: torch.Generator) -> None:
    """PyTorch's default initial weights from an explicit generator, bit for bit what its layers would draw.

    Convolutions and linear layers: weight and bias uniform in ±1/√fan_in (`kaiming_uniform_` with a = √5).
    Normalization layers: scale 1, shift 0. Any other layer with parameters is refused.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5), generator=generator)
            if module.bias is not None:
                bound = 1 / math.sqrt(module.weight[0].numel())
                nn.init.uniform_(module.bias, -bound, bound, generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif next(module.parameters(recurse=False), None) is not None:
            raise NotImplementedError(f"no deterministic initialization for {type(module).__name__}")
