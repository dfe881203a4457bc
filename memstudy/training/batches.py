"""A corrupted data set as tensors on the device, uint8 until used. There is no DataLoader."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from memstudy.data.dataset import CorruptedDataset
from memstudy.training.placement import Placement


@dataclass(frozen=True)
class DeviceData:
    """A corrupted data set on one device.

    Attributes:
        train_images, test_images: (N, C, H, W) uint8.
        clean, noisy, test_labels: (N,) int64.
        mask: (N,) bool, True where the training label is corrupted.
        mean, std: (C, 1, 1) float32, of each channel.
        memory_format: the layout of normalized images.

    """

    train_images: Tensor
    clean: Tensor
    noisy: Tensor
    mask: Tensor
    test_images: Tensor
    test_labels: Tensor
    mean: Tensor
    std: Tensor
    memory_format: torch.memory_format

    @classmethod
    def of(cls, data: CorruptedDataset, place: torch.device | Placement) -> DeviceData:
        """Copy a corrupted data set to a device; a device alone stands for its `Placement.usual`."""
        images, place = data.images, place if isinstance(place, Placement) else Placement.usual(place)
        device = place.device
        return cls(
            train_images=images.train_images.to(device),
            clean=images.train_labels.to(device),
            noisy=data.noisy_labels.to(device),
            mask=data.mask.to(device),
            test_images=images.test_images.to(device),
            test_labels=images.test_labels.to(device),
            mean=per_channel(images.mean, device),
            std=per_channel(images.std, device),
            memory_format=place.memory_format,
        )

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.train_images.device

    def normalize(self, images: Tensor) -> Tensor:
        """`normalized` with this set's mean and std, in its layout."""
        return normalized(images, self.mean, self.std, self.memory_format)


def normalized(
    images: Tensor, mean: Tensor, std: Tensor, memory_format: torch.memory_format | None = None
) -> Tensor:
    """(B, C, H, W) uint8 → float32, scaled to [0, 1], minus mean, over std; the layout is `Placement.usual`'s."""
    scaled = (images.float().div_(255) - mean) / std
    return scaled.contiguous(memory_format=memory_format or Placement.usual(images.device).memory_format)


def per_channel(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Numbers (C,) as a float32 tensor (C, 1, 1) that broadcasts over images."""
    return torch.tensor(values, device=device).reshape(-1, 1, 1)
