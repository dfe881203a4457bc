"""What may be done to training batches: random flips and crops, mixup. Drawn by (seed, epoch), on the device.

Off by default, because augmentation hides what is studied here: a network that has memorized a sample has not
memorized its shifted and mirrored copies, and the training loss is then not that of the samples.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from memstudy.randomness import numpy_generator

PADDING = 4


def flip_crop(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image with probability ½, and cut its size out of it padded by 4 reflected pixels.

    (B, C, H, W) of any type → the same. CIFAR's usual augmentation (He et al. 2016), with reflection for zeros.
    """
    count, channels, height, width = images.shape
    draws = torch.rand(3, count, 1, device=images.device, generator=generator)
    rows, columns = (
        _reflected(torch.arange(size, device=images.device) + (draw * (2 * PADDING + 1)).long() - PADDING, size)
        for draw, size in zip(draws, (height, width), strict=False)
    )
    columns = torch.where(draws[2] < 0.5, columns.flip(1), columns)
    batch = torch.arange(count, device=images.device)[:, None, None, None]
    channel = torch.arange(channels, device=images.device)[None, :, None, None]
    return images[batch, channel, rows[:, None, :, None], columns[:, None, None, :]]


def _reflected(positions: Tensor, size: int) -> Tensor:
    """Positions from -4 to size + 3, mirrored at the first and the last pixel."""
    positions = positions.abs()
    return torch.where(positions >= size, 2 * (size - 1) - positions, positions)


def mixup_shares(alpha: float, steps: int, seed: int, epoch: int) -> Tensor:
    """What share each image keeps of itself, one draw a step: (steps,) float32, Beta(α, α) (Zhang et al. 2018)."""
    drawn = numpy_generator(seed, "mixup", epoch).beta(alpha, alpha, steps)
    return torch.from_numpy(drawn.astype(np.float32))


def mixed(images: Tensor, share: Tensor) -> Tensor:
    """Mixup of a batch with itself in reverse order: share · x + (1 - share) · reversed x, same shape."""
    return share * images + (1 - share) * images.flip(0)


def cross_entropy(logits: Tensor, labels: Tensor, share: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy in nats, (B, K) against (B,); with mixup against both images' labels by their shares."""
    loss = F.cross_entropy(logits, labels, label_smoothing=smoothing)
    if share is None:
        return loss
    return share * loss + (1 - share) * F.cross_entropy(logits, labels.flip(0), label_smoothing=smoothing)
