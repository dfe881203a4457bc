"""ResNet-50 (He et al. 2016) for images of 32 pixels.

    trunk  Conv 3×3 (64) – BN – ReLU – 3, 4, 6, 3 bottleneck blocks of 256, 512, 1024, 2048: 2048×4×4 features
    head   global average pooling – Linear (2048→K)

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
from memstudy.models.residual import bottleneck, stages, stem


def resnet50(channels: int, size: int, classes: int, *, batch_norm: bool = True, dropout: float = 0.0) -> Network:
    """Build ResNet-50 for square images of any size; it is meant for 32 pixels."""
    blocks = stages(bottleneck, 64, (256, 512, 1024, 2048), (3, 4, 6, 3), batch_norm)
    trunk = nn.Sequential(*stem(channels, 64, batch_norm), *blocks)
    return Network(trunk, pooled_head(2048, classes, dropout), kaiming_fan_out)
