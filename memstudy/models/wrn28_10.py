"""WRN-28-10, a wide residual network (Zagoruyko & Komodakis 2016) for CIFAR; Norm Loss uses it.

    trunk  Conv 3×3 (16) – 4 blocks each of 160, 320, 640 – BN – ReLU: 640×8×8 features at 32 pixels
    block  x ↦ Conv 3×3 (ReLU (BN (Conv 3×3/stride (ReLU (BN x))))) + shortcut
    head   global average pooling – Linear (640→K)

Pre-activation; where the shape changes, the shortcut is a 1×1 convolution of ReLU (BN x), as in their code.
Weights: Kaiming normal by fan-out, biases 0 (their code).

Batch normalization: before every ReLU (theirs); without it, convolutions have a bias (ours).
Dropout: between the two convolutions of a block (theirs; p = .3 on CIFAR, ours 0 unless asked for).
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from memstudy.models.initialization import kaiming_fan_out
from memstudy.models.layers import convolution, dropped, normalization, pooled_head
from memstudy.models.network import Network
from memstudy.models.residual import stages


class PreActivated(nn.Module):
    """body(a) + x, or body(a) + shortcut(a) where there is a shortcut; a = activation(x)."""

    def __init__(self, activation: nn.Module, body: nn.Module, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.activation = activation
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C', H/stride, W/stride)."""
        active = self.activation(x)
        around = x if self.shortcut is None else self.shortcut(active)
        return self.body(active) + around


def block(inputs: int, outputs: int, stride: int, batch_norm: bool, *, dropout: float) -> PreActivated:
    """One block, as described at the top of this file."""
    bias = not batch_norm
    body = nn.Sequential(
        convolution(inputs, outputs, 3, stride=stride, bias=bias),
        *normalization(outputs, batch_norm),
        nn.ReLU(),
        *dropped(dropout),
        convolution(outputs, outputs, 3, bias=bias),
    )
    changes = (inputs, stride) != (outputs, 1)
    shortcut = convolution(inputs, outputs, 1, stride=stride, bias=bias) if changes else None
    return PreActivated(nn.Sequential(*normalization(inputs, batch_norm), nn.ReLU()), body, shortcut)


def wrn28_10(channels: int, size: int, classes: int, *, batch_norm: bool = True, dropout: float = 0.0) -> Network:
    """Build WRN-28-10 for square images of any size; it is meant for 32 pixels."""
    trunk = nn.Sequential(
        convolution(channels, 16, 3, bias=not batch_norm),
        *stages(partial(block, dropout=dropout), 16, (160, 320, 640), (4, 4, 4), batch_norm),
        *normalization(640, batch_norm),
        nn.ReLU(),
    )
    return Network(trunk, pooled_head(640, classes), kaiming_fan_out)
