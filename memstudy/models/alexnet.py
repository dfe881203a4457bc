"""AlexNet (Krizhevsky et al. 2012) in torchvision's form (Krizhevsky 2014), on images enlarged to 224 pixels.

    trunk  Resize 224 – Conv 11×11/4 (C→64) – MaxPool 3/2 – Conv 5×5 (192) – MaxPool 3/2 – Conv 3×3 (384)
           – Conv 3×3 (256) – Conv 3×3 (256) – MaxPool 3/2, a ReLU behind every convolution: 256×6×6 features
    head   Linear (9216→4096) – ReLU – Linear (4096→4096) – ReLU – Linear (4096→K)

AL2's code uses it at 224 pixels (stated). Images are resized inside the trunk, so on the device: bilinear, corners
not aligned, without antialiasing, which would change nothing where images are enlarged (ours). torchvision's
6×6 average pooling is the identity at this size and left out. On CUDA, PyTorch's gradient through the resizing,
which penalties on image gradients need, does not repeat bit for bit. PyTorch's default weights, as torchvision's.

Batch normalization: between each convolution and its ReLU (ours).
Dropout: before the first two linear layers (theirs; torchvision's p is .5, ours 0 unless asked for).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from memstudy.models.layers import dropped, normalized
from memstudy.models.network import Network

SIDE = 224


class Resize(nn.Module):
    """Images of any size to `side` × `side` pixels."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C, side, side)."""
        side = (self.side, self.side)
        return functional.interpolate(images, side, mode="bilinear", align_corners=False, antialias=False)


def alexnet(channels: int, size: int, classes: int, *, batch_norm: bool = False, dropout: float = 0.0) -> Network:
    """Build AlexNet for square images of any size."""

    def block(inputs: int, outputs: int, kernel: int, stride: int, padding: int) -> list[nn.Module]:
        layer = nn.Conv2d(inputs, outputs, kernel, stride, padding)
        return [*normalized(layer, batch_norm), nn.ReLU()]

    trunk = [
        Resize(SIDE),
        *block(channels, 64, 11, 4, 2),
        nn.MaxPool2d(3, 2),
        *block(64, 192, 5, 1, 2),
        nn.MaxPool2d(3, 2),
        *block(192, 384, 3, 1, 1),
        *block(384, 256, 3, 1, 1),
        *block(256, 256, 3, 1, 1),
        nn.MaxPool2d(3, 2),
    ]
    head = [
        nn.Flatten(),
        *dropped(dropout),
        nn.Linear(256 * 6 * 6, 4096),
        nn.ReLU(),
        *dropped(dropout),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Linear(4096, classes),
    ]
    return Network(nn.Sequential(*trunk), nn.Sequential(*head))
