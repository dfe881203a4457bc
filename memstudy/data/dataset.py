"""The corrupted data set: an image set, noisy training labels, and the mask of what was corrupted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from memstudy.data import RULES, own_sets, sources, transitions
from memstudy.data.corruption import Noise, Places, Rule
from memstudy.data.given import Given
from memstudy.data.images import ImageSet
from memstudy.data.label_files import LabelSource
from memstudy.data.transitions import Labels, Matrix
from memstudy.errors import MemstudyError, quoted
from memstudy.randomness import numpy_generator
from memstudy.recipe import Corruption, Recipe


@dataclass(frozen=True)
class CorruptedDataset:
    """What a run trains on: images with noisy labels, and what is known of the noise.

    Attributes:
        images: what is trained and tested on, with true labels: the chosen part of the source, normalized as the
            recipe says.
        noisy_labels: (N,) int64, what the network is trained on.
        mask: (N,) bool, True where the noisy label differs from the true one.
        transition: (K, K) float64, realized frequencies P(noisy | true).
        floor: the lowest training cross-entropy without memorization, in nats, on the labels drawn. It is
            reached by knowing of each sample what the rule looks at, and nothing else.
        expected_floor: the expectation of `floor` over label draws. They differ by about .01 for 4,000 labels.
        corruption: how the labels were made.
        expected: (K, K), the rule's own transition matrix; None for labels that were given, or depend on the
            image or on soft labels.
        source: the whole image set as it was loaded.
        positions: (N,) int64, where each sample is in the source's training part.
        distribution: (N, K) float64, the votes or soft labels that given labels come with; None without.
        notes: how given labels were read, a sentence each, where a user could be surprised by it.

    """

    images: ImageSet
    noisy_labels: Tensor
    mask: Tensor
    transition: Matrix
    floor: float
    expected_floor: float
    corruption: Corruption
    expected: Matrix | None
    source: ImageSet
    positions: NDArray[np.int64]
    distribution: Matrix | None = None
    notes: tuple[str, ...] = ()

    @property
    def corrupted_share(self) -> float:
        """The realized fraction of corrupted training labels."""
        return float(self.mask.double().mean())


def build(
    recipe: Recipe,
    folder: Path | None = None,
    download: bool = False,
    label_files: Sequence[LabelSource | Path] = (),
) -> CorruptedDataset:
    """Load a recipe's image set and make of it what the recipe trains on.

    `folder` is the data directory, `label_files` are where a recipe that trains on given labels finds them.
    Raises a MemstudyError for a set, a part of it, or labels that cannot be had.
    """
    return prepare(sources.load(recipe.dataset, folder, download), recipe, folder, label_files)


def prepare(
    source: ImageSet, recipe: Recipe, folder: Path | None = None, label_files: Sequence[LabelSource | Path] = ()
) -> CorruptedDataset:
    """`build` with a set that is loaded already."""
    corruption = recipe.corruption
    positions = stratified(source.train_labels.numpy(), recipe.train_size, corruption.seed)
    whole = recipe.train_size is None
    given = _given(source, corruption, Places(own_sets.data_directory(folder), label_files, positions))
    images = normalized(source, recipe.normalization)
    data = corrupt(images if whole else images.part(torch.from_numpy(positions)), corruption, given)
    return replace(data, source=source, positions=positions)


def corrupt(images: ImageSet, corruption: Corruption, given: Given | None = None) -> CorruptedDataset:
    """Apply a corruption to an image set's training labels, once, before any training.

    `given` are the labels for a rule that takes them from elsewhere, one for each training sample.
    """
    rule: Rule = RULES.get(corruption.rule)
    noise = rule.draw(images, corruption, numpy_generator(corruption.seed, "corruption"), given)
    clean = images.train_labels.numpy()
    realized = transitions.realized(clean, noise.labels, images.classes)
    floor, expected_floor = _floors(clean, noise, realized)
    return CorruptedDataset(
        images=images if noise.images is None else noise.images,
        noisy_labels=torch.from_numpy(noise.labels),
        mask=torch.from_numpy(noise.labels != clean),
        transition=realized,
        floor=floor,
        expected_floor=expected_floor,
        corruption=corruption,
        expected=noise.by_class,
        source=images,
        positions=np.arange(len(clean)),
        distribution=None if given is None else given.distribution,
        notes=() if given is None else given.notes,
    )


def replaces_images(recipe: Recipe) -> bool:
    """Whether a recipe's corruption makes other images of the set's, test images too."""
    return bool(RULES.get(recipe.corruption.rule).replaces_images)


def tested_on(source: ImageSet, recipe: Recipe) -> ImageSet:
    """The set as a recipe's network is tested on it, whatever labels it was trained on."""
    if replaces_images(recipe):
        return prepare(source, recipe).images
    return normalized(source, recipe.normalization)


def normalized(images: ImageSet, normalization: str) -> ImageSet:
    """The set with the mean and standard deviation that a recipe names: `al2` (as loaded) or the set's `own`."""
    if normalization == "al2":
        return images
    mean, std = images.statistics
    if min(std) == 0:
        raise MemstudyError(
            f"the training images of {quoted(images.name)} are of one color, so their standard deviation cannot "
            "normalize them; use --normalization al2."
        )
    return replace(images, mean=mean, std=std)


def stratified(labels: Labels, size: int | None, seed: int) -> NDArray[np.int64]:
    """Positions of `size` samples with each class's share kept as nearly as whole numbers allow, ascending.

    None is all of them. The samples of a smaller part are among those of a larger one with the same seed, up to
    the rounding of a class's share; classes of equal remainders are rounded up in their order.
    """
    if size is None:
        return np.arange(len(labels))
    counts = np.bincount(labels)
    if not np.count_nonzero(counts) <= size <= len(labels):
        raise MemstudyError(
            f"--train-size must be between {np.count_nonzero(counts)} (one sample a class) and {len(labels)} (all "
            f"of them), not {size}."
        )
    order = np.argsort(numpy_generator(seed, "subset").random(len(labels)), kind="stable")
    wanted = _shares(counts, size)
    chosen = [order[labels[order] == label][:count] for label, count in enumerate(wanted)]
    return np.sort(np.concatenate(chosen))


def _shares(counts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """`size` shared out in proportion to counts (K,), by the largest remainder; at least 1 where one is not 0."""
    whole, remainder = np.divmod(counts * size, counts.sum())
    lifted = (whole == 0) & (counts > 0)
    whole[lifted], remainder[lifted] = 1, -1  # their one sample is more than their share already
    while (left := size - int(whole.sum())) != 0:
        if left > 0:
            whole[np.argsort(-remainder, kind="stable")[:left]] += 1
        else:
            whole[whole.argmax()] -= 1
    return whole


def _given(source: ImageSet, corruption: Corruption, places: Places) -> Given | None:
    """The labels that a rule takes from elsewhere, for the chosen samples; None for other rules."""
    rule: Rule = RULES.get(corruption.rule)
    if rule.given is None:
        return None
    given = rule.given(source, corruption, places)
    return given.part(places.positions) if len(given) == len(source.train_labels) else given


def _floors(clean: Labels, noise: Noise, realized: Matrix) -> tuple[float, float]:
    """The floor for these labels, and the one expected over label draws (nats).

    Both are conditional entropies of the noisy label. Where it depends on the true class alone, a network that
    knows every true class and the transition matrix, and nothing else, reaches H(noisy | class): expected with the
    rule's matrix, exact with the realized one. Symmetric, rate .75, K = 10: -.25 ln .25 - .75 ln(.75/9) = 2.2103.
    Where it depends on the image, or is drawn from soft labels, one who knows each sample's probabilities reaches
    their mean entropy; on these labels, the mean of -ln P(noisy). Of given labels only the realized matrix is
    known; the image may tell more.
    """
    if noise.by_sample is not None:
        drawn = noise.by_sample[np.arange(len(clean)), noise.labels]
        return float(-np.log(drawn).mean()), float(transitions.entropy(noise.by_sample).mean())
    exact = float(transitions.entropy(realized)[clean].mean())
    if noise.by_class is None:
        return exact, exact
    expected = float(transitions.entropy(noise.by_class)[clean].mean())
    # a rule that replaces images keeps the true labels: they are not drawn, so both floors are the same
    return expected if noise.images is not None else exact, expected
