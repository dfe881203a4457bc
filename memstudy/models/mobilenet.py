"""MobileNet (V1, Howard et al. 2017) for images of 32 pixels.

    trunk  Conv 3×3 (32) – 13 separable blocks, 64 to 1024 wide: 1024×2×2 features at 32 pixels
    block  depthwise Conv 3×3/stride – BN – ReLU – Conv 1×1 – BN – ReLU
    head   global average pooling – Linear (1024→K)

The paper's network for ImageNet with a stem of stride 1, as is usual on CIFAR (not the paper's). Weights: Kaiming
normal by fan-in, biases 0 (ours: the paper names none; fan-out, which PyTorch computes without regard to groups,
would start depthwise kernels too small).

Batch normalization: behind every convolution (theirs); without it, convolutions have a bias (ours).
Dropout: before the last linear layer (ours).
"""

from __future__ import annotations

from torch import nn

from memstudy.models.initialization import kaiming_fan_in
from memstudy.models.layers import convolution, normalized, pooled_head
from memstudy.models.network import Network
from memstudy.models.residual import stem

BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))


def separable(inputs: int, outputs: int, stride: int, batch_norm: bool) -> list[nn.Module]:
    """One block, as described at the top of this file."""
    bias = not batch_norm
    depthwise = convolution(inputs, inputs, 3, stride=stride, groups=inputs, bias=bias)
    pointwise = convolution(inputs, outputs, 1, bias=bias)
    return [*normalized(depthwise, batch_norm), nn.ReLU(), *normalized(pointwise, batch_norm), nn.ReLU()]


def mobilenet(channels: int, size: int, classes: int, *, batch_norm: bool = True, dropout: float = 0.0) -> Network:
    """Build MobileNet for square images of any size; it is meant for 32 pixels."""
    trunk = stem(channels, 32, batch_norm)
    inputs = 32
    for outputs, stride in BLOCKS:
        trunk += separable(inputs, outputs, stride, batch_norm)
        inputs = outputs
    return Network(nn.Sequential(*trunk), pooled_head(inputs, classes, dropout), kaiming_fan_in)
