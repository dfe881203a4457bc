"""What a network knows at an epoch's end, on test images and on its own training images."""

from __future__ import annotations

import math
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

    `begin` queues the work on the device, `end` waits for it, and then `sound` says whether the network has come
    through the epoch with finite numbers. That is told of epochs that are not measured, too.
    """

    def __init__(self, network: Network, data: DeviceData, capture: bool = False) -> None:
        work = partial(_measured, network, data)
        self._network, self._data = network, data
        self._work = Replay(work, data.device) if capture else work
        self.train_logits: Tensor
        self._values: Tensor
        self._sound: Tensor | None = None
        self.sound = True

    def begin(self, measured: bool = True) -> None:
        """Queue the work; `train_logits`, (N, K), are there once the device has done it, if it is `measured`."""
        if measured:
            self._values, self.train_logits = self._work()
            self._sound = None
        else:
            self._sound = _finite(self._network, self._data)

    def end(self) -> dict[str, float]:
        """All fractions are of samples; `test_cross_entropy` is in nats, on clean labels. NaN if not measured.

        `clean_accuracy`, `memorized`, `recovered` and `other` are defined in `analysis.memorization.shares`.
        """
        if self._sound is not None:
            self.sound = bool(self._sound)
            return dict.fromkeys(MEASURED, math.nan)
        values = dict(zip(MEASURED, self._values.tolist(), strict=True))
        self.sound = math.isfinite(values["test_cross_entropy"])
        return values


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


def _finite(network: Network, data: DeviceData) -> Tensor:
    """Whether parameters, buffers and the logits of a few test images are finite, 0-d; the host does not wait."""
    logits = predict(network, data, data.test_images[: batch_size(data.test_images)])
    tensors = [logits, *network.parameters(), *network.buffers()]
    return torch.stack([tensor.detach().isfinite().all() for tensor in tensors]).all()


def evaluate(network: Network, data: DeviceData) -> dict[str, float]:
    """What `Evaluation.end` says, at once."""
    evaluation = Evaluation(network, data)
    evaluation.begin()
    return evaluation.end()
