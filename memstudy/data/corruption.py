"""Corruption rules: pure functions from true labels (and images, where a rule needs them) to noisy labels.

"Rate" means different things to different authors, so every rule says what it means by it. Draws use only
`Generator.random`, whose stream numpy keeps, and arithmetic that is the same on every machine: the same seed gives
the same labels anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from memstudy.data import human, label_fit, sources, transitions
from memstudy.data.given import Given
from memstudy.data.images import ImageSet
from memstudy.data.label_files import LabelSource
from memstudy.data.transitions import Labels, Matrix
from memstudy.errors import MemstudyError
from memstudy.recipe import Corruption


@dataclass(frozen=True)
class Noise:
    """The noisy labels that a rule made for a training set, and how likely they were.

    Attributes:
        labels: (N,) int64, noisy.
        by_class: (K, K), P(noisy label | true class), of a rule that looks at the true class alone.
        by_sample: (N, K), P(noisy label | sample), of a rule that looks at the image, or at soft labels.
        images: the set with other images, of a rule that replaces them; else None.

    """

    labels: Labels
    by_class: Matrix | None = None
    by_sample: Matrix | None = None
    images: ImageSet | None = None


@dataclass(frozen=True)
class Places:
    """Where labels from elsewhere are looked for, and for which samples of the whole set.

    Attributes:
        folder: the data directory.
        label_files: files of labels.
        positions: (n,) int64, the chosen training samples.

    """

    folder: Path
    label_files: Sequence[LabelSource | Path]
    positions: NDArray[np.int64]


Draw = Callable[[ImageSet, Corruption, np.random.Generator, Given | None], Noise]


@dataclass(frozen=True)
class Rule:
    """A corruption rule.

    Attributes:
        about: what it does, and its source.
        draw: (true set, corruption, generator, given labels) → noise. Pure: nothing that it takes is changed.
        rate: what the rate is the rate of; empty for a rule that has none.
        given: (whole set, corruption, places) → labels that come from elsewhere, for a rule that takes such: one
            for each sample of the whole set, or for each chosen one.
        replaces_images: whether the images, train and test, become others.
        looks_at_images: whether labels depend on pixels, so that true labels alone are not enough.

    """

    about: str
    draw: Draw
    rate: str = ""
    given: Callable[[ImageSet, Corruption, Places], Given] | None = None
    replaces_images: bool = False
    looks_at_images: bool = False

    @property
    def is_known(self) -> bool:
        """Whether it is known how the labels are drawn: not so if they are taken from elsewhere as they are."""
        return self.draw is not take


# Class-dependent rules: a transition matrix and one draw for each label


def flip(labels: Labels, transition: Matrix, generator: np.random.Generator) -> Labels:
    """Draw a noisy label for each true one, independently, by the rows of a (K, K) transition matrix.

    One number decides whether a label leaves its class, a second one where it goes. So a higher rate corrupts
    more of the same samples, to the same classes.
    """
    classes = len(transition)
    leaves = generator.random(len(labels)) < (1 - np.diag(transition))[labels]
    where = generator.random(len(labels))
    noisy = labels.copy()
    for label in range(classes):
        mine = np.flatnonzero(leaves & (labels == label))
        others = (label + 1 + np.arange(classes - 1)) % classes
        upto = np.cumsum(transition[label, others])
        if upto[-1] > 0:
            upto[np.flatnonzero(transition[label, others])[-1] :] = np.inf  # no rounding goes past the last
            noisy[mine] = others[np.searchsorted(upto, where[mine] * _total(transition[label, others]), "right")]
    return noisy


def _total(values: NDArray[np.float64]) -> float:
    """The sum, added from left to right as `cumsum` does; `sum` may add in another order."""
    return float(np.cumsum(values)[-1])


def by_class(transition: Callable[[ImageSet, Corruption], Matrix]) -> Draw:
    """The draw of a rule that has a transition matrix."""

    def draw(
        images: ImageSet, corruption: Corruption, generator: np.random.Generator, given: Given | None
    ) -> Noise:
        matrix = transition(images, corruption)
        return Noise(flip(images.train_labels.numpy(), matrix, generator), matrix)

    return draw


def rate_of(corruption: Corruption) -> float:
    """The rate, of a rule that has one; a MemstudyError if none was given."""
    if corruption.rate is None:
        raise MemstudyError(f"{corruption.rule} corruption needs a rate; give one with --corrupt.")
    return corruption.rate


def _matrix(images: ImageSet, corruption: Corruption) -> Matrix:
    return transitions.check(corruption.matrix, images.classes)


def _along_map(images: ImageSet, corruption: Corruption) -> Matrix:
    return transitions.along(transitions.asymmetric_targets(images.name), rate_of(corruption))


def _along_pairs(images: ImageSet, corruption: Corruption) -> Matrix:
    return transitions.along(transitions.pair_targets(images.classes), rate_of(corruption))


SYMMETRIC = Rule(
    "another class, each wrong one as likely (AL2's rule)",
    by_class(lambda images, corruption: transitions.symmetric(images.classes, rate_of(corruption))),
    rate="the probability, for each label alone, of being replaced by a wrong class",
)
UNIFORM = Rule(
    "any class, the true one too (Zhang et al. 2017)",
    by_class(lambda images, corruption: transitions.uniform(images.classes, rate_of(corruption))),
    rate="the probability of being drawn anew from all K classes, so rate·(K-1)/K of the labels are wrong",
)
PAIR = Rule(
    "the next class, the last becomes the first (Han et al. 2018)",
    by_class(_along_pairs),
    rate="the probability, for each label alone, of being replaced by the next class",
)
ASYMMETRIC = Rule(
    "the class it is mistaken for: truck → automobile, 7 → 1, … (Patrini et al. 2017)",
    by_class(_along_map),
    rate="the probability of each label of a class that is mistaken for another; other classes stay, so on "
    "CIFAR-10 and MNIST half of the rate is corrupted",
)
MATRIX = Rule("by the rows of a transition matrix of your own (--matrix)", by_class(_matrix))
RANDOM_LABELS = Rule(
    "control: every label drawn from all classes (Zhang et al. 2017)",
    by_class(lambda images, corruption: transitions.uniform(images.classes, 1.0)),
)


# An exact count


def exact(
    images: ImageSet, corruption: Corruption, generator: np.random.Generator, given: Given | None = None
) -> Noise:
    """Exactly round(rate · N) labels, chosen at random, become a uniformly drawn wrong class."""
    clean, classes = images.train_labels.numpy(), images.classes
    count = int(np.floor(rate_of(corruption) * len(clean) + 0.5))
    chosen = np.argsort(generator.random(len(clean)), kind="stable")[:count]
    step = 1 + np.floor(generator.random(len(clean)) * (classes - 1)).astype(np.int64)
    noisy = clean.copy()
    noisy[chosen] = (clean[chosen] + step[chosen]) % classes
    return Noise(noisy, transitions.symmetric(classes, rate_of(corruption)))


SYMMETRIC_EXACT = Rule(
    "another class, an exact number of labels",
    exact,
    rate="the share of labels replaced by a wrong class, exact to one label",
)


# Noise that depends on the image

SPREAD = 0.1
"""Standard deviation of the flip rates over images, before truncation: the value of Xia et al.'s experiments."""


def instance(
    images: ImageSet, corruption: Corruption, generator: np.random.Generator, given: Given | None = None
) -> Noise:
    """Each image has a flip rate of its own, and its own likelihood of each wrong class.

    Xia et al. 2020, "Part-dependent label noise", algorithm 2, as in the authors' code: the flip rate q of an
    image is drawn from a normal distribution (rate, .1²) truncated to [0, 1]; the wrong classes have the
    probabilities q · softmax(x W_y) without the true class y, with x the standardized pixels and W_y (D, K)
    standard normal. Ours: rate 0 corrupts nothing (the truncated normal's mean there is .08), and W is rounded to
    2⁻¹² so that x W, a product of whole numbers, is the same on every machine.
    """
    clean, classes = images.train_labels.numpy(), images.classes
    flip_rates = _flip_rates(rate_of(corruption), generator.random(len(clean)))
    expected = np.zeros((len(clean), classes))
    for label in range(classes):
        mine = np.flatnonzero(clean == label)
        scores = _scores(images, mine, generator)
        scores[:, label] = -np.inf
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        expected[mine] = flip_rates[mine, None] * odds / odds.sum(axis=1, keepdims=True)
        expected[mine, label] = 1 - flip_rates[mine]
    leaves = generator.random(len(clean)) < flip_rates
    others = expected.copy()
    others[np.arange(len(clean)), clean] = 0
    upto = np.cumsum(others, axis=1)
    where = generator.random(len(clean))[:, None] * upto[:, -1:]
    noisy = np.where(leaves, np.minimum((upto <= where).sum(axis=1), classes - 1), clean)
    return Noise(noisy, by_sample=expected)


def _flip_rates(rate: float, uniform: NDArray[np.float64]) -> NDArray[np.float64]:
    """Uniform numbers → a normal (rate, SPREAD²) truncated to [0, 1], by its inverse distribution function."""
    if rate == 0:
        return np.zeros_like(uniform)
    low, high = ndtr(-rate / SPREAD), ndtr((1 - rate) / SPREAD)
    return np.clip(rate + SPREAD * ndtri(low + uniform * (high - low)), 0.0, 1.0)


def _scores(images: ImageSet, positions: NDArray[np.int64], generator: np.random.Generator) -> Matrix:
    """Standardized pixels (n, D) times a drawn normal matrix (D, K) → (n, K), the same bits everywhere."""
    grid = 2.0**12
    mean, std = images.statistics
    pixels = images.train_images[torch.from_numpy(positions)].flatten(2).double().numpy()
    scores = np.zeros((len(positions), images.classes))
    for channel, (middle, width) in enumerate(zip(mean, std, strict=True)):
        uniform = generator.random((pixels.shape[2], images.classes)) + 2.0**-54  # not 0, nor, rounded, 1
        drawn = ndtri(np.minimum(uniform, 1 - 2.0**-53))
        weights = np.round(drawn * grid)
        product = pixels[:, channel] @ weights  # of whole numbers far below 2⁵³: exact in any order
        scores += (product / 255 - middle * weights.sum(axis=0)) / (width or 1.0) / grid
    return scores


INSTANCE = Rule(
    "by the image's own pixels (Xia et al. 2020)",
    instance,
    rate="the mean flip rate before truncation to [0, 1] (standard deviation .1 over images)",
    looks_at_images=True,
)


# Labels from elsewhere


def take(images: ImageSet, corruption: Corruption, generator: np.random.Generator, given: Given | None) -> Noise:
    """The labels that were given."""
    assert given is not None
    assert given.labels is not None
    return Noise(given.labels.copy())


def _human(column: str) -> Rule:
    def read(images: ImageSet, corruption: Corruption, places: Places) -> Given:
        return Given(human.read(places.folder, images.name, column, images.train_labels.numpy()))

    which = "CIFAR-100N" if column in ("fine", "coarse") else "CIFAR-10N"
    return Rule(f"{which}'s {column} human labels (Wei et al. 2022)", take, given=read)


HUMAN_AGGREGATE, HUMAN_WORST = _human("aggregate"), _human("worst")
HUMAN_FINE, HUMAN_COARSE = _human("fine"), _human("coarse")
HUMAN_RANDOM1, HUMAN_RANDOM2, HUMAN_RANDOM3 = (_human(f"random{annotator}") for annotator in (1, 2, 3))


def from_file(images: ImageSet, corruption: Corruption, places: Places) -> Given:
    """The labels that a corruption names, from one of the files of labels."""
    return label_fit.find(
        corruption.labels,
        places.label_files,
        images,
        places.positions,
        lambda: sources.files(images.name, places.folder),
        corruption.seed,
        soft=corruption.rule == "soft",
    )


FILE = Rule("labels read from a file (--labels)", take, given=from_file)


def soft(images: ImageSet, corruption: Corruption, generator: np.random.Generator, given: Given | None) -> Noise:
    """One label for each sample, drawn by its row of soft labels (N, K)."""
    assert given is not None
    assert given.distribution is not None
    rows = given.distribution
    upto = np.cumsum(rows, axis=1)
    where = generator.random(len(rows))[:, None] * upto[:, -1:]
    last = rows.shape[1] - 1 - (rows[:, ::-1] > 0).argmax(axis=1)  # no rounding goes past it
    labels: Labels = np.minimum((upto <= where).sum(axis=1), last)
    return Noise(labels, by_sample=rows)


SOFT = Rule(
    "drawn for each sample from its soft labels, or its annotators' votes, in a file (--labels)",
    soft,
    given=from_file,
)


# Controls of Zhang et al. 2017: true labels, other images


def _replaced(images: ImageSet, change: Callable[[torch.Tensor], torch.Tensor], by_class: Matrix) -> Noise:
    """Change the training and the test images, each (N, C, P) with P = H·W pixels; keep the true labels."""
    train, test = (
        change(whole.flatten(2)).reshape(whole.shape) for whole in (images.train_images, images.test_images)
    )
    changed = replace(images, train_images=train, test_images=test)
    return Noise(images.train_labels.numpy().copy(), by_class, images=changed)


def shuffled_pixels(
    images: ImageSet, corruption: Corruption, generator: np.random.Generator, given: Given | None = None
) -> Noise:
    """One random permutation of the pixels' positions for all images: they lose locality and nothing else."""
    order = torch.from_numpy(np.argsort(generator.random(images.size**2), kind="stable"))
    return _replaced(images, lambda pixels: pixels[:, :, order], np.eye(images.classes))


def random_pixels(
    images: ImageSet, corruption: Corruption, generator: np.random.Generator, given: Given | None = None
) -> Noise:
    """Another permutation of the pixels' positions for each image; the channels of a pixel stay together."""

    def change(pixels: torch.Tensor) -> torch.Tensor:
        return torch.cat([_permuted(chunk, generator) for chunk in pixels.split(1000)])

    return _replaced(images, change, np.eye(images.classes))


def _permuted(pixels: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
    count, channels, positions = pixels.shape
    order = torch.from_numpy(np.argsort(generator.random((count, positions)), axis=1, kind="stable"))
    return pixels.gather(2, order[:, None].expand(-1, channels, -1))


def gaussian(
    images: ImageSet, corruption: Corruption, generator: np.random.Generator, given: Given | None = None
) -> Noise:
    """Independent normal pixels of the training set's mean and variance by channel, rounded and cut to 0 … 255.

    The images say nothing of the labels: without memorizing, a network can know only how frequent each class is.
    """
    levels = [_levels(mean, std) for mean, std in zip(*images.statistics, strict=True)]

    def change(pixels: torch.Tensor) -> torch.Tensor:
        fresh = torch.empty_like(pixels)
        for image in fresh.split(1000):
            for channel, upto in enumerate(levels):
                drawn = np.searchsorted(upto, generator.random(image[:, channel].shape), "right")
                image[:, channel] = torch.from_numpy(drawn.astype(np.uint8))
        return fresh

    shares = np.bincount(images.train_labels.numpy(), minlength=images.classes) / len(images.train_labels)
    return _replaced(images, change, np.tile(shares, (images.classes, 1)))


def _levels(mean: float, std: float) -> NDArray[np.float64]:
    """P(pixel ≤ 0), …, P(pixel ≤ 254) of a rounded and cut normal distribution (scaled to 0 … 1)."""
    return np.asarray(ndtr(((np.arange(255) + 0.5) / 255 - mean) / (std or 1e-9)))


SHUFFLED_PIXELS = Rule(
    "control: true labels, one permutation of the pixels of all images (Zhang et al. 2017)",
    shuffled_pixels,
    replaces_images=True,
)
RANDOM_PIXELS = Rule(
    "control: true labels, another permutation for each image (Zhang et al. 2017)",
    random_pixels,
    replaces_images=True,
)
GAUSSIAN = Rule(
    "control: true labels, Gaussian images (Zhang et al. 2017)",
    gaussian,
    replaces_images=True,
)
