"""ResNet-110 (He et al. 2016, section 4.2), their network for CIFAR; Norm Loss uses it.

    trunk  Conv 3×3 (16) – BN – ReLU – n = 18 basic blocks each of 16, 32, 64: 64×8×8 features at 32 pixels
    head   global average pooling – Linear (64→K)

Shortcut A (theirs): no parameters, 1.7 M in all. Weights: Kaiming normal by fan-out, biases 0 (the paper leaves
the fan open; fan-out is fb.resnet.torch's).

Batch normalization: behind every convolution (theirs); without it, convolutions have a bias (ours).
Dropout: before the last linear layer (ours).
"""

from __future__ import annotations

from functools import partial

from torch import nn

from memstudy.models.initialization import kaiming_fan_out
from memstudy.models.layers import pooled_head
from memstudy.models.network import Network
from memstudy.models.residual import basic, padding, stages, stem


def resnet110(channels: int, size: int, classes: int, *, batch_norm: bool = True, dropout: float = 0.0) -> Network:
    """Build ResNet-110 for square images of any size; it is meant for 32 pixels."""
    blocks = stages(partial(basic, shortcut=padding), 16, (16, 32, 64), (18, 18, 18), batch_norm)
    trunk = nn.Sequential(*stem(channels, 16, batch_norm), *blocks)
    return Network(trunk, pooled_head(64, classes, dropout), kaiming_fan_out)
