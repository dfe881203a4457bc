"""LeNet-5 (LeCun et al. 1998, "Gradient-based learning applied to document recognition").

    trunk  Conv 5×5 (C→6, padded by 2) – tanh – AvgPool 2 – Conv 5×5 (6→16) – tanh – AvgPool 2 – [Dropout]
    head   Linear (400→120) – tanh – Linear (120→84) – tanh – Linear (84→K)

Sizes of layers and the frame of 2 pixels around 28×28 images are the paper's (stated). Images of other sizes get
the same frame (ours), so 32×32 give 16×6×6 = 576 features. As is usual now, every map of the second convolution
sees all of the first, pooling has no weights and no squashing of its own, tanh is not scaled, and the last layer
is linear instead of distances to drawn digits (all ours). PyTorch's default weights.

Batch normalization: between each convolution and its tanh (ours).
Dropout: the trunk's last layer, as in smallNet (ours).
"""

from __future__ import annotations

from torch import nn

from memstudy.models import Network
from memstudy.models.layers import dropped, normalization, require_size


def lenet5(channels: int, size: int, classes: int, *, batch_norm: bool = False, dropout: float = 0.0) -> Network:
    """Build LeNet-5 for square images of `size` pixels (at least 12)."""
    require_size("lenet5", size, 12)
    side = (size // 2 - 4) // 2
    trunk = [
        nn.Conv2d(channels, 6, 5, padding=2),
        *normalization(6, batch_norm),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        *normalization(16, batch_norm),
        nn.Tanh(),
        nn.AvgPool2d(2),
        *dropped(dropout),
    ]
    head = [
        nn.Flatten(),
        nn.Linear(16 * side * side, 120),
        nn.Tanh(),
        nn.Linear(120, 84),
        nn.Tanh(),
        nn.Linear(84, classes),
    ]
    return Network(nn.Sequential(*trunk), nn.Sequential(*head))
