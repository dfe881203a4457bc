"""A kept network and its trunk's output on the test images: what the analyses of a run look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from memstudy.data import dataset, sources
from memstudy.errors import MemstudyError
from memstudy.models import Network
from memstudy.store import RunDirectory
from memstudy.training import DeviceData
from memstudy.training.evaluation import batch_size
from memstudy.training.state import build_network, load_network


@dataclass
class Workbench:
    """The images that some runs were trained and tested on, on a device, loaded once for all of them."""

    device: torch.device
    data_dir: Path | None = None
    _loaded: tuple[str, str, DeviceData, sources.ImageSet] | None = None

    def data(self, run: RunDirectory) -> tuple[DeviceData, sources.ImageSet]:
        """The run's data; a MemstudyError if the images found are not those it was trained on."""
        name = run.recipe.dataset
        if self._loaded is None or self._loaded[0] != name:
            images = sources.load(name, self.data_dir)
            data = DeviceData.of(dataset.corrupt(images, run.recipe.corruption), self.device)
            self._loaded = name, images.content_hash(), data, images
        _, content_hash, data, images = self._loaded
        if run.state().get("data_sha256") != content_hash:
            raise MemstudyError(
                f"{run.name} was trained on other images of {name!r} than those found now; point --data-dir "
                "at the ones it was trained on."
            )
        return data, images

    def network(self, run: RunDirectory, epoch: int) -> Network:
        """The network kept after an epoch, in evaluation mode."""
        network = build_network(run.recipe, self.data(run)[1], self.device)
        load_network(network, run.load_checkpoint(epoch))
        return network.eval()

    @torch.no_grad()
    def features(self, run: RunDirectory, network: Network) -> Tensor:
        """The trunk's output on all test images, in their order, in its own shape (N, C, H, W) or (N, p)."""
        data, _ = self.data(run)
        chunks = data.test_images.split(batch_size(self.device))
        return torch.cat([network.trunk(data.normalize(chunk)) for chunk in chunks])
