"""DenseNet-121 (Huang et al. 2017) for images of 32 pixels, as AL2's code uses it.

    trunk  Conv 3×3 (64) – dense blocks of 6, 12, 24, 16 layers, transitions between – BN – ReLU: 1024×4×4 features
    layer  x ↦ [x, Conv 3×3 (ReLU (BN (Conv 1×1 (ReLU (BN x)))))]: 32 new channels (the growth), 128 between
    transition  BN – ReLU – Conv 1×1 to half the channels – AvgPool 2
    head   global average pooling – Linear (1024→K)

The paper's network for ImageNet with a 3×3 stem of stride 1 and no pooling behind it, as AL2's code has it.
Weights: Kaiming normal by fan-in (AL2's code), biases 0 (torchvision).

Batch normalization: before every ReLU (theirs); without it, convolutions have a bias (ours).
Dropout: behind every convolution but the first (theirs; p = .2, ours 0 unless asked for).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from memstudy.models.initialization import kaiming_fan_in
from memstudy.models.layers import convolution, dropped, normalization, pooled_head, require_size
from memstudy.models.network import Network

GROWTH = 32
LAYERS = (6, 12, 24, 16)


class Dense(nn.Module):
    """x ↦ [x, body(x)], joined by channels."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C + growth, H, W)."""
        return torch.cat([x, self.body(x)], dim=1)


def densenet121(
    channels: int, size: int, classes: int, *, batch_norm: bool = True, dropout: float = 0.0
) -> Network:
    """Build DenseNet-121 for square images of `size` pixels (at least 8); it is meant for 32."""
    require_size("densenet121", size, 8)

    def active(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
        layer = convolution(inputs, outputs, kernel, bias=not batch_norm)
        return [*normalization(inputs, batch_norm), nn.ReLU(), layer, *dropped(dropout)]

    width = 2 * GROWTH
    trunk: list[nn.Module] = [convolution(channels, width, 3, bias=not batch_norm)]
    for index, count in enumerate(LAYERS):
        if index:
            trunk += [*active(width, width // 2, 1), nn.AvgPool2d(2)]
            width //= 2
        for _ in range(count):
            trunk.append(Dense(nn.Sequential(*active(width, 4 * GROWTH, 1), *active(4 * GROWTH, GROWTH, 3))))
            width += GROWTH
    trunk += [*normalization(width, batch_norm), nn.ReLU()]
    return Network(nn.Sequential(*trunk), pooled_head(width, classes), kaiming_fan_in)
