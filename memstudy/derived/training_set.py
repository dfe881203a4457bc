"""The images that a run was trained on, as an analysis of its networks sees them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from memstudy.data import artifact
from memstudy.data.dataset import replaces_images, stratified
from memstudy.derived.workbench import Workbench
from memstudy.store import RunDirectory
from memstudy.training.batches import normalized, per_channel


@dataclass(frozen=True)
class TrainingSet:
    """Normalized training images (N, C, H, W) float32, not augmented; their true and noisy labels (N,) int64."""

    images: Tensor
    true: Tensor
    noisy: Tensor


def training_set(bench: Workbench, run: RunDirectory, size: int | None = None) -> TrainingSet:
    """The run's training samples, in their order, on the bench's device; with `size`, a stratified part of them.

    The part is the same for all runs on the same samples. A MemstudyError if the images found are not those that
    the run was trained on, or if its labels are damaged.
    """
    source, labels = bench.image_set(run), run.read_labels(artifact.read)
    whole = size is None or size >= len(labels.clean)
    part = stratified(labels.clean, None if whole else size, seed=0)
    # A set of replaced images holds the run's samples only; any other set holds all samples.
    places = part if replaces_images(run.recipe) else labels.positions[part]
    mean, std = per_channel(source.mean, bench.device), per_channel(source.std, bench.device)
    pixels = source.train_images[torch.from_numpy(places)].to(bench.device)
    true, noisy = (torch.from_numpy(values[part]).to(bench.device) for values in (labels.clean, labels.noisy))
    return TrainingSet(normalized(pixels, mean, std), true, noisy)
