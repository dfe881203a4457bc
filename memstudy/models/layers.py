"""The parts that several architectures share."""

from __future__ import annotations

from torch import nn

from memstudy.errors import MemstudyError, quoted
from memstudy.models.dropout import Dropout


def convolution(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1, bias: bool
) -> nn.Conv2d:
    """A convolution that keeps the images' size at stride 1, and halves it (rounded up) at stride 2."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=bias)


def normalized(convolution: nn.Conv2d, batch_norm: bool) -> list[nn.Module]:
    """The convolution, with batch normalization behind it or not."""
    return [convolution, *normalization(convolution.out_channels, batch_norm)]


def normalization(channels: int, batch_norm: bool) -> list[nn.Module]:
    """Batch normalization, or nothing."""
    return [nn.BatchNorm2d(channels)] if batch_norm else []


def dropped(p: float) -> list[nn.Module]:
    """Dropout, or nothing."""
    return [Dropout(p)] if p else []


def pooled_head(features: int, classes: int, dropout: float = 0.0) -> nn.Sequential:
    """Global average pooling – [Dropout] – Linear."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), *dropped(dropout), nn.Linear(features, classes))


def require_size(name: str, size: int, least: int) -> None:
    """A MemstudyError for images that the architecture would shrink to nothing."""
    if size < least:
        raise MemstudyError(f"network {quoted(name)} needs images of at least {least} pixels, not {size}.")
