"""What a network knows at an epoch's end, on test images and on its own training images."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from memstudy.analysis.memorization import shares
from memstudy.analysis.modes import evaluating
from memstudy.models import Network
from memstudy.training.batches import DeviceData
from memstudy.training.replay import Replay

MEASURED = ("test_accuracy", "test_cross_entropy", "clean_accuracy", "memorized", "recovered", "other")


def batch_size(images: Tensor) -> int:
    """How many of these images (N, C, H, W) go through a network at once: fewer, the larger they are.

    Few enough for a CPU's cache, enough to fill a GPU; 224 pixels a side take 49 times the memory of 32.
    """
    most, least = (250, 25) if images.device.type == "cpu" else (2500, 50)
    height, width = images.shape[-2:]
    return max(least, min(most, most * 32 * 32 // (height * width)))


@torch.no_grad()
def predict(network: Network, data: DeviceData, images: Tensor) -> Tensor:
    """Images (N, C, H, W) uint8 → logits (N, K), in evaluation mode. The network's mode is kept."""
    with evaluating(network):
        return torch.cat([network(data.normalize(chunk))[1] for chunk in images.split(batch_size(images))])


class Evaluation:
    """Measures a network on all training and test images after an epoch; with `capture`, by replaying a graph.

    `begin` queues the work on the device, `end` waits for it.
    """

    def __init__(self, network: Network, data: DeviceData, capture: bool = False) -> None:
        work = partial(_measured, network, data)
        self._work = Replay(work, data.device) if capture else work
        self.train_logits: Tensor
        self._values: Tensor

    def begin(self) -> None:
        """Queue the work; `train_logits`, (N, K), are there once the device has done it."""
        self._values, self.train_logits = self._work()

    def end(self) -> dict[str, float]:
        """All fractions are of samples; `test_cross_entropy` is in nats, on clean labels.

        `clean_accuracy`, `memorized`, `recovered` and `other` are defined in `analysis.memorization.shares`.
        """
        return dict(zip(MEASURED, self._values.tolist(), strict=True))


@torch.no_grad()
def _measured(network: Network, data: DeviceData) -> tuple[Tensor, Tensor]:
    """The numbers of MEASURED, and the logits of all training images."""
    test, train = (predict(network, data, images) for images in (data.test_images, data.train_images))
    values = {
        "test_accuracy": (test.argmax(dim=1) == data.test_labels).double().mean(),
        "test_cross_entropy": F.cross_entropy(test, data.test_labels).double(),
        **shares(train.argmax(dim=1), data.clean, data.noisy, data.mask),
    }
    return torch.stack([values[name] for name in MEASURED]), train


def evaluate(network: Network, data: DeviceData) -> dict[str, float]:
    """What `Evaluation.end` says, at once."""
    evaluation = Evaluation(network, data)
    evaluation.begin()
    return evaluation.end()
