"""Residual blocks (He et al. 2016), shared by the ResNets."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from memstudy.models.layers import convolution, normalized

Shortcut = Callable[[int, int, int, bool], nn.Module]


class Residual(nn.Module):
    """ReLU(body(x) + shortcut(x))."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C', H/stride, W/stride)."""
        return functional.relu(self.body(x) + self.shortcut(x))


class Padding(nn.Module):
    """Shortcut A: every other pixel, and zeros in the channels that are new. No parameters."""

    def __init__(self, new_channels: int, stride: int) -> None:
        super().__init__()
        self.new_channels = new_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C + new, H/stride, W/stride); the new channels half before, half behind."""
        before = self.new_channels // 2
        kept = x[:, :, :: self.stride, :: self.stride]
        return functional.pad(kept, (0, 0, 0, 0, before, self.new_channels - before))


def padding(inputs: int, outputs: int, stride: int, batch_norm: bool) -> nn.Module:
    """Shortcut A: the identity, or subsampled and padded where the shape changes."""
    return nn.Identity() if (inputs, stride) == (outputs, 1) else Padding(outputs - inputs, stride)


def projection(inputs: int, outputs: int, stride: int, batch_norm: bool) -> nn.Module:
    """Shortcut B: the identity, or a 1×1 convolution (and BN) where the shape changes."""
    if (inputs, stride) == (outputs, 1):
        return nn.Identity()
    layer = convolution(inputs, outputs, 1, stride=stride, bias=not batch_norm)
    return nn.Sequential(*normalized(layer, batch_norm))


def basic(inputs: int, outputs: int, stride: int, batch_norm: bool, shortcut: Shortcut = projection) -> Residual:
    """Conv 3×3/stride – BN – ReLU – Conv 3×3 – BN, added to the shortcut."""
    body = nn.Sequential(
        *normalized(convolution(inputs, outputs, 3, stride=stride, bias=not batch_norm), batch_norm),
        nn.ReLU(),
        *normalized(convolution(outputs, outputs, 3, bias=not batch_norm), batch_norm),
    )
    return Residual(body, shortcut(inputs, outputs, stride, batch_norm))


def bottleneck(inputs: int, outputs: int, stride: int, batch_norm: bool) -> Residual:
    """Conv 1×1 – BN – ReLU – Conv 3×3/stride – BN – ReLU – Conv 1×1 – BN, added to the shortcut.

    The inner width is a quarter of `outputs`. The stride is that of the 3×3, as in torchvision.
    """
    width, bias = outputs // 4, not batch_norm
    body = nn.Sequential(
        *normalized(convolution(inputs, width, 1, bias=bias), batch_norm),
        nn.ReLU(),
        *normalized(convolution(width, width, 3, stride=stride, bias=bias), batch_norm),
        nn.ReLU(),
        *normalized(convolution(width, outputs, 1, bias=bias), batch_norm),
    )
    return Residual(body, projection(inputs, outputs, stride, batch_norm))


def stem(channels: int, outputs: int, batch_norm: bool) -> list[nn.Module]:
    """Conv 3×3 – BN – ReLU, without pooling: for images of about 32 pixels."""
    return [*normalized(convolution(channels, outputs, 3, bias=not batch_norm), batch_norm), nn.ReLU()]


def stages(
    block: Callable[[int, int, int, bool], nn.Module],
    inputs: int,
    widths: tuple[int, ...],
    blocks: tuple[int, ...],
    batch_norm: bool,
) -> list[nn.Module]:
    """Stages of blocks, `widths` wide; every one but the first starts with a stride of 2."""
    layers = []
    for stage, (outputs, count) in enumerate(zip(widths, blocks, strict=True)):
        for index in range(count):
            layers.append(block(inputs, outputs, 2 if stage and not index else 1, batch_norm))
            inputs = outputs
    return layers
