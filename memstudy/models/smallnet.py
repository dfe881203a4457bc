"""smallNet, AL2's network, exactly as in the authors' code (stated).

    trunk  Conv 5×5 (C→20) – ReLU – MaxPool 2 – Conv 5×5 (20→50) – [BN] – ReLU – MaxPool 2 – [Dropout]
    head   Linear (800→500) – ReLU – Linear (500→K)

Here pooling comes before its ReLU: the largest positive part of several numbers is the positive part of the
largest, so values and gradients are the same bit for bit, and ReLU has a quarter of the work.

No padding; 28×28 images give 50×4×4 = 800 features, 32×32 give 50×5×5 = 1250. PyTorch's default weights.

Batch normalization: between the second convolution and its ReLU (theirs).
Dropout: the trunk's last layer (theirs), so a penalty on the features sees the dropped and rescaled ones.
"""

from __future__ import annotations

from torch import nn

from memstudy.models.layers import dropped, normalization, require_size
from memstudy.models.network import Network


def smallnet(channels: int, size: int, classes: int, *, batch_norm: bool = False, dropout: float = 0.0) -> Network:
    """Build smallNet for square images of `size` pixels (at least 16)."""
    require_size("smallnet", size, 16)
    side = ((size - 4) // 2 - 4) // 2
    trunk = [
        nn.Conv2d(channels, 20, 5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(20, 50, 5),
        *normalization(50, batch_norm),
        nn.MaxPool2d(2),
        nn.ReLU(),
        *dropped(dropout),
    ]
    head = [nn.Flatten(), nn.Linear(50 * side * side, 500), nn.ReLU(), nn.Linear(500, classes)]
    return Network(nn.Sequential(*trunk), nn.Sequential(*head))
