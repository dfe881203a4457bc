"""The workbench of analyses: test images loaded once, kept networks, and their output on these images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.optim.swa_utils import update_bn

from memstudy import files
from memstudy.data import dataset, sources
from memstudy.data.images import ImageSet
from memstudy.derived.analysis import Unusable
from memstudy.errors import MemstudyError, quoted
from memstudy.models import Network
from memstudy.randomness import torch_generator
from memstudy.recipe import Recipe
from memstudy.store import RunDirectory, code
from memstudy.store.layout import checkpoint_name
from memstudy.training.batches import normalized, per_channel
from memstudy.training.evaluation import batch_size
from memstudy.training.state import build_network, load_network

REMADE = "restore it, or code of your own that its network was made with, or run it again in another store"
"""What to do if the tensors of a checkpoint do not fit the network."""


class NotFinite(Unusable):
    """A network that diverged."""

    def __init__(self, run: RunDirectory, epoch: int) -> None:
        super().__init__(f"{run.name}, epoch {epoch}: its representation is not finite")
        self.side = run, epoch


@dataclass(frozen=True)
class TestSet:
    """Normalized test images (N, C, H, W) float32 and their true labels (N,), the same for every run.

    Training labels are not here: each run has its own noisy ones, in its labels.npz.
    """

    __test__ = False  # for pytest: no test, whatever its name

    images: Tensor
    labels: Tensor


@dataclass
class Workbench:
    """A device, and the images that runs were tested on, loaded once for all runs that share them."""

    device: torch.device
    data_dir: Path | None = None
    _source: ImageSet | None = None
    _loaded: tuple[object, TestSet, ImageSet] | None = None

    def test_set(self, run: RunDirectory) -> TestSet:
        """The run's test images; a MemstudyError if it was trained on others, or with other code."""
        return self._load(run)[0]

    def image_set(self, run: RunDirectory) -> ImageSet:
        """The image set of `test_set`, on the CPU."""
        return self._load(run)[1]

    def network(self, run: RunDirectory, epoch: int) -> Network:
        """The network kept after an epoch, in evaluation mode. Raises NotFinite if its weights are not."""
        network = build_network(run.recipe, self._load(run)[1], self.device)
        tensors = run.load_checkpoint(epoch)
        with files.blamed(run.path / checkpoint_name(epoch), REMADE):
            load_network(network, tensors)
        if not all(value.isfinite().all() for value in network.state_dict().values()):
            raise NotFinite(run, epoch)
        return network.eval()

    def untrained(self, run: RunDirectory, images: Tensor) -> Network:
        """The run's network before training, in evaluation mode.

        Batch normalization gets the statistics of these normalized images (N, C, H, W): its own initial ones (0
        and 1) are never used in training.
        """
        network = build_network(run.recipe, self._load(run)[1], self.device)
        network.seed_dropout(torch_generator(run.recipe.seed, "untrained", device=self.device))
        update_bn(images.chunk(max(1, len(images) // batch_size(images))), network)
        return network.eval()

    def features(self, run: RunDirectory, epoch: int) -> Tensor:
        """The output of a kept network's trunk on all test images, in their order: (N, C, H, W) or (N, p).

        Raises NotFinite if it is not finite.
        """
        return self.network_and_features(run, epoch)[1]

    @torch.no_grad()
    def network_and_features(self, run: RunDirectory, epoch: int) -> tuple[Network, Tensor]:
        """`network` and `features`, the network loaded once."""
        network = self.network(run, epoch)
        images = self.test_set(run).images
        chunks = images.split(batch_size(images))
        features = torch.cat([network.trunk(chunk) for chunk in chunks])
        if not features.isfinite().all():
            raise NotFinite(run, epoch)
        return network, features

    def _load(self, run: RunDirectory) -> tuple[TestSet, ImageSet]:
        code.check(run)
        name, tested_on = run.recipe.dataset, _tested_on(run.recipe)
        if self._source is None or self._source.name != name:
            self._source = sources.load(name, self.data_dir)
        if run.state().get("data_sha256") != self._source.content_hash():
            raise MemstudyError(
                f"{run.name} was trained on other images of {quoted(name)} than those found now; point --data-dir "
                "at the ones it was trained on."
            )
        if self._loaded is None or self._loaded[0] != tested_on:
            images = dataset.tested_on(self._source, run.recipe)
            mean, std = per_channel(images.mean, self.device), per_channel(images.std, self.device)
            pixels = normalized(images.test_images.to(self.device), mean, std)
            self._loaded = tested_on, TestSet(pixels, images.test_labels.to(self.device)), images
        return self._loaded[1:]


def _tested_on(recipe: Recipe) -> tuple[object, ...]:
    """What the test images of a recipe depend on."""
    replaced = (recipe.corruption, recipe.train_size) if dataset.replaces_images(recipe) else ()
    return recipe.dataset, recipe.normalization, *replaced
