"""VGG-16 (Simonyan & Zisserman 2015, configuration D) for images of 32 pixels.

    trunk  2 × Conv 3×3 (64) – MaxPool – 2 × 128 – MaxPool – 3 × 256 – MaxPool – 3 × 512 – MaxPool – 3 × 512
           – MaxPool, a ReLU behind every convolution: 512×1×1 features
    head   Linear (512→512) – ReLU – Linear (512→K)

The head is that of Liu & Deng 2015, who fitted the network to CIFAR. Max-pooling rounds up: nothing changes at
32 pixels, and smaller images do not shrink to nothing (ours). Convolutions have a bias with batch normalization,
too, as torchvision's. Weights: Kaiming normal by fan-out, biases 0, as torchvision's; linear layers as PyTorch's
(ours: torchvision's normal of deviation .01 is meant for 4096 units).

Batch normalization: between each convolution and its ReLU (as torchvision's vgg16_bn).
Dropout: before both linear layers (Liu & Deng's; p = .5 in both papers, ours 0 unless asked for).
"""

from __future__ import annotations

from torch import nn

from memstudy.models.initialization import kaiming_fan_out
from memstudy.models.layers import convolution, dropped, normalized
from memstudy.models.network import Network

STAGES = ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3)


def vgg16(channels: int, size: int, classes: int, *, batch_norm: bool = False, dropout: float = 0.0) -> Network:
    """Build VGG-16 for square images of any size; it is meant for 32 pixels."""
    trunk: list[nn.Module] = []
    inputs = channels
    for widths in STAGES:
        for outputs in widths:
            trunk += [*normalized(convolution(inputs, outputs, 3, bias=True), batch_norm), nn.ReLU()]
            inputs = outputs
        trunk.append(nn.MaxPool2d(2, ceil_mode=True))
    side = -(-size // 2 ** len(STAGES))  # halved and rounded up, stage by stage
    head = [
        nn.Flatten(),
        *dropped(dropout),
        nn.Linear(inputs * side * side, 512),
        nn.ReLU(),
        *dropped(dropout),
        nn.Linear(512, classes),
    ]
    return Network(nn.Sequential(*trunk), nn.Sequential(*head), kaiming_fan_out)
