"""What a network knows at an epoch's end, on test images and on its own training images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from memstudy.analysis.memorization import shares
from memstudy.models import Network
from memstudy.training.batches import DeviceData


def batch_size(device: torch.device) -> int:
    """Images per forward pass: small enough for a CPU's cache, large enough to fill a GPU."""
    return 250 if device.type == "cpu" else 5000


@torch.no_grad()
def predict(network: Network, data: DeviceData, images: Tensor) -> Tensor:
    """Images (N, C, H, W) uint8 → logits (N, K), in evaluation mode. The network's mode is kept."""
    training = network.training
    network.eval()
    try:
        chunks = images.split(batch_size(data.device))
        return torch.cat([network(data.normalize(chunk))[1] for chunk in chunks])
    finally:
        network.train(training)


def evaluate(network: Network, data: DeviceData, train_logits: Tensor | None = None) -> dict[str, float]:
    """All fractions are of samples; `test_cross_entropy` is in nats, on clean labels.

    `train_logits` are what `predict` answers on the training images, if the caller needs them too.
    `clean_accuracy`, `memorized`, `recovered` and `other` are defined in `analysis.memorization.shares`.
    """
    test = predict(network, data, data.test_images)
    if train_logits is None:
        train_logits = predict(network, data, data.train_images)
    measured = {
        "test_accuracy": (test.argmax(dim=1) == data.test_labels).double().mean(),
        "test_cross_entropy": F.cross_entropy(test, data.test_labels).double(),
        **shares(train_logits.argmax(dim=1), data.clean, data.noisy, data.mask),
    }
    values = torch.stack(list(measured.values())).tolist()
    return dict(zip(measured, values, strict=True))
