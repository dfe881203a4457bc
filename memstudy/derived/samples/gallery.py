"""Corrupted samples to look at: images, given and true classes, and what each run predicts in training (ours)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from memstudy.data.artifact import Artifact
from memstudy.data.dataset import replaces_images
from memstudy.derived.samples.recorded import Recorded, classes_of
from memstudy.derived.workbench import Workbench
from memstudy.errors import MemstudyError
from memstudy.report.frames import Groups
from memstudy.report.page.gallery import Gallery

MOST_EPOCHS = 12
MOST_SAMPLES = 1000
MOST_PREDICTIONS = 600_000  # of all runs, epochs and samples: 1.2 MB
MOST_PIXELS = 1_200_000  # of all images and channels: about as many bytes, and fewer of images with plain grounds


def galleries(runs: Sequence[Recorded], groups: Groups, bench: Workbench) -> Iterator[Gallery]:
    """One for each setting, of those runs that were trained on the same labels as its first one."""
    for place, (setting, _) in enumerate(groups):
        here = [one for one in runs if one.setting == place]
        alike = [one for one in here if one.labels.labels_sha256 == here[0].labels.labels_sha256]
        if here and here[0].labels.mask.any():
            methods = [one.method for one in here]
            alike.sort(key=lambda one: methods.index(one.method))
            yield _gallery(alike, f"samples{setting.suffix}", setting.words, bench)


def _gallery(runs: Sequence[Recorded], name: str, words: str, bench: Workbench) -> Gallery:
    labels = runs[0].labels
    corrupted = np.flatnonzero(labels.mask)
    last = np.stack([np.asarray(one.predictions[-1])[corrupted] for one in runs])
    memorized = np.mean(last == labels.noisy[corrupted], axis=0)
    epochs = sorted({epoch for one in runs for epoch in one.epochs(MOST_EPOCHS)})
    images, note = _images(runs[0], bench)
    most = min(MOST_SAMPLES, MOST_PREDICTIONS // (len(epochs) * len(runs)))
    if images is not None:
        most = min(most, MOST_PIXELS // int(np.prod(images.shape[1:])))
    shown = np.sort(_chosen(memorized, most))
    samples = corrupted[shown]
    predicted = np.full((len(runs), len(epochs), len(samples)), -1, np.int64)
    for place, one in enumerate(runs):
        for at, epoch in enumerate(epochs):
            if epoch < len(one.predictions):
                predicted[place, at] = np.asarray(one.predictions[epoch])[samples]
    which = (
        f"All {len(corrupted):,} corrupted samples"
        if len(shown) == len(corrupted)
        else f"{len(shown):,} of {len(corrupted):,} corrupted samples: the most and least memorized, and others"
    )
    notes = (
        f"{which}. Memorized: the share of the {len(runs)} runs that predict the given, wrong label after their "
        "last epoch. A strip has a bar for each of its epochs: tall and orange where the given label is "
        "predicted, half as tall and green where the true class is, low and gray for any other.",
        *note,
    )
    return Gallery(
        name, f"Corrupted samples{f': {words}' if words else ''}", notes, _positions(labels)[samples],
        labels.noisy[samples], labels.clean[samples], memorized[shown],
        None if images is None else images[torch.from_numpy(samples)].numpy(), classes_of(labels), epochs,
        [(one.method, one.seeds) for one in runs], predicted,
    )  # fmt: skip


def _chosen(memorized: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """So many samples: a third the most memorized, a third the least, and others evenly between."""
    order = np.argsort(-memorized, kind="stable")
    if len(order) <= most:
        return order
    third = max(1, most // 3)
    between = order[third:-third]
    places = np.linspace(0, len(between) - 1, max(0, most - 2 * third)).round().astype(int)
    return np.unique(np.concatenate([order[:third], between[places], order[-third:]]))


def _images(one: Recorded, bench: Workbench) -> tuple[torch.Tensor | None, tuple[str, ...]]:
    """The training images of a run, (N, C, H, W) uint8; or none, and a sentence that says why."""
    try:
        source = bench.image_set(one.run)
    except MemstudyError as error:
        return None, (f"Without images: {error}",)
    places = np.arange(len(one.labels.clean)) if replaces_images(one.run.recipe) else one.labels.positions
    return source.train_images[torch.from_numpy(places)], ()


def _positions(labels: Artifact) -> NDArray[np.int64]:
    return np.asarray(labels.positions)
