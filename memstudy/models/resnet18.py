"""ResNet-18 (He et al. 2016) for images of 32 pixels.

    trunk  Conv 3×3 (64) – BN – ReLU – 2 basic blocks each of 64, 128, 256, 512: 512×4×4 features at 32 pixels
    head   global average pooling – Linear (512→K)

The paper's network for ImageNet with a 3×3 stem of stride 1 and no max-pooling, as is usual on CIFAR (not the
paper's). Shortcut B. Weights: Kaiming normal by fan-out, biases 0 (fb.resnet.torch, torchvision).

Batch normalization: behind every convolution (theirs); without it, convolutions have a bias (ours).
Dropout: before the last linear layer (ours).
"""

from __future__ import annotations

from torch import nn

from memstudy.models.initialization import kaiming_fan_out
from memstudy.models.layers import pooled_head
from memstudy.models.network import Network
from memstudy.models.residual import basic, stages, stem


def resnet18(channels: int, size: int, classes: int, *, batch_norm: bool = True, dropout: float = 0.0) -> Network:
    """Build ResNet-18 for square images of any size; it is meant for 32 pixels."""
    blocks = stages(basic, 64, (64, 128, 256, 512), (2, 2, 2, 2), batch_norm)
    trunk = nn.Sequential(*stem(channels, 64, batch_norm), *blocks)
    return Network(trunk, pooled_head(512, classes, dropout), kaiming_fan_out)
