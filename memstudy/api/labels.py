"""Noisy labels for labels of one's own: the very draws of `memstudy run` and `memstudy data build`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from memstudy import foreign
from memstudy.analysis import inputs
from memstudy.api.images import Images
from memstudy.data import RULES, own_sets, transitions
from memstudy.data import dataset as datasets
from memstudy.data.corruption import Places, Rule
from memstudy.data.dataset import CorruptedDataset
from memstudy.data.given import Given
from memstudy.data.images import ImageSet
from memstudy.data.label_files import digest
from memstudy.data.recognized import class_names, recognized
from memstudy.data.transitions import Labels
from memstudy.errors import MemstudyError, quoted
from memstudy.recipe import Corruption

UNNAMED = "own"
"""What a set is called that nobody has named."""


@dataclass(frozen=True)
class NoisyLabels:
    """True labels (N,), noisy ones, and what is known of the noise.

    Attributes:
        data: all of it, as a run of memstudy's own has it.
        has_images: whether the images that the labels are for were given, too.

    """

    data: CorruptedDataset
    has_images: bool = False

    @property
    def noisy(self) -> Tensor:
        """(N,) int64: what to train on."""
        return self.data.noisy_labels

    @property
    def clean(self) -> Tensor:
        """(N,) int64: the true labels."""
        return self.data.images.train_labels

    @property
    def mask(self) -> Tensor:
        """(N,) bool, true where the noisy label is not the true one."""
        return self.data.mask

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(K, K): P(noisy label | true class), rows are true classes.

        It is the rule's own. Where a label depends on more than its class (`instance`), or was given, the rule has
        none: then it is `realized`.
        """
        return self.data.transition if self.data.expected is None else self.data.expected

    @property
    def realized(self) -> NDArray[np.float64]:
        """(K, K): the frequencies of noisy labels by true class in these labels."""
        return self.data.transition

    @property
    def rate(self) -> float:
        """The share of labels that are wrong, from 0 to 1; asked for was `data.corruption.rate`."""
        return self.data.corrupted_share

    @property
    def floor(self) -> float:
        """The lowest mean cross-entropy on these labels, nats, that needs no memorization (see `data.dataset`)."""
        return self.data.floor

    @property
    def classes(self) -> int:
        """The number of classes, K."""
        return self.data.images.classes

    def __len__(self) -> int:
        return len(self.noisy)

    def __repr__(self) -> str:
        of, asked = quoted(self.data.images.name), self.data.corruption.title
        return f"<{len(self):,} labels of {of}, {asked}: {100 * self.rate:.2f} % wrong, floor {self.floor:.4f}>"


def corrupt(
    labels: Any,
    rule: str | None = None,
    rate: float | None = None,
    *,
    seed: int = 0,
    classes: int | None = None,
    dataset: str | None = None,
    images: Images | None = None,
    matrix: Any = None,
    noisy: Any = None,
    data_dir: str | Path | None = None,
) -> NoisyLabels:
    """Corrupt labels by a rule: the same draws as those of `memstudy run --noise RULE --corrupt RATE`.

    Args:
        labels: the true ones, (N,), whole numbers from 0 on: a list, an array or a tensor.
        rule: one of `memstudy data rules`, `symmetric` if left out.
        rate: a fraction between 0 and 1, for a rule that has one; the rule says what it is the rate of.
        seed: of the draws; `--corrupt-seed` of the command line.
        classes: how many there are; without it, those of the data set, else one more than the largest label.
        dataset: the set's name, for `asymmetric` and people's labels. The labels of mnist5k, digits, MNIST,
            Fashion-MNIST and CIFAR-10 are recognized without it.
        images: what the labels are of (`memstudy.images`), for a rule that looks at them (`instance`).
        matrix: (K, K), rows of P(noisy | true class), for the rule `matrix`, which it implies.
        noisy: noisy labels that are there already, (N,), for the rule `file`, which they imply.
        data_dir: where people's labels are, as for `memstudy run`.

    Raises a MemstudyError, one sentence, for whatever is not so. Rules that replace images (`gaussian`, …) are
    refused.

    """
    clean = _classes(labels, "labels")
    if matrix is not None and noisy is not None:
        raise MemstudyError("matrix= makes noisy labels, and noisy= gives some; leave one of the two out.")
    rule = rule or ("matrix" if matrix is not None else "file" if noisy is not None else "symmetric")
    how: Rule = RULES.get(rule)
    _check_images(rule, how, images)
    _check_needs(rule, how, rate, matrix, noisy)
    source = _image_set(clean, classes, dataset, images)
    if rule == "asymmetric" and source.name not in transitions.MAPS:
        raise MemstudyError(
            "asymmetric corruption needs to know which classes are mistaken for which: give dataset=, one of "
            f"{', '.join(sorted(transitions.MAPS))}, or a matrix= of your own instead of the rule."
        )
    kept = None if noisy is None else _noisy(noisy, source)
    rows = () if matrix is None else transitions.check(matrix, source.classes, "matrix").tolist()
    corruption = Corruption(rule, rate, seed, tuple(map(tuple, rows)), "" if kept is None else digest(kept))
    given = None if kept is None else Given(kept)
    if given is None and how.given is not None:
        folder = own_sets.data_directory(None if data_dir is None else Path(data_dir))
        given = how.given(source, corruption, Places(folder, (), np.arange(len(clean))))
    return NoisyLabels(datasets.corrupt(source, corruption, given), images is not None)


def _classes(labels: Any, name: str) -> Labels:
    """Labels (N,), N > 0, as an array that shares nothing with what was given."""
    found = inputs.classes(labels, name).cpu().numpy().copy()
    if not len(found):
        raise MemstudyError(f"{name} must be one class a sample, and there is none.")
    return found


def _check_images(rule: str, how: Rule, images: Images | None) -> None:
    """Refuse a rule that changes images, and one that looks at some where none are given."""
    if images is not None and not isinstance(images, Images):
        raise MemstudyError(
            f"images must be a set that memstudy.images gives, not {quoted(type(images).__name__)}."
        )
    if how.replaces_images:
        raise MemstudyError(f"{rule} replaces the images and keeps the labels; train on it with memstudy.run.")
    if images is None and (how.looks_at_images or not foreign.is_ours(how.draw)):
        raise MemstudyError(f"{rule} corruption looks at the images: give images=memstudy.images(NAME), too.")


def _check_needs(rule: str, how: Rule, rate: float | None, matrix: Any, noisy: Any) -> None:
    """Each rule has what it needs, and nothing that it would ignore."""
    if how.rate and rate is None:
        raise MemstudyError(f"{rule} corruption needs a rate, a fraction between 0 and 1: {how.rate}.")
    if not how.rate and rate is not None:
        raise MemstudyError(f"{rule} corruption has no rate ({how.about}); leave it out.")
    if rule == "soft":
        raise MemstudyError("soft labels are in a file of their own; train on it with memstudy.run(labels=FILE).")
    for name, value, of in (("matrix", matrix, "matrix"), ("noisy", noisy, "file")):
        if rule == of and value is None:
            raise MemstudyError(f"{rule} corruption needs {name}=.")
        if rule != of and value is not None:
            raise MemstudyError(
                f"{rule} corruption does not look at {name}=; leave it out, or leave the rule out."
            )


def _image_set(clean: Labels, classes: int | None, dataset: str | None, images: Images | None) -> ImageSet:
    """The set that the labels are of; one without pixels if there are only labels."""
    if images is not None:
        if not np.array_equal(clean, images.train_labels.numpy()):
            raise MemstudyError(
                f"the labels are not those of the {len(images.train_labels):,} training images of "
                f"{quoted(images.name)}; give images.train_labels."
            )
        if dataset not in (None, images.name) or classes not in (None, images.classes):
            raise MemstudyError(
                "images= says which set it is, and how many classes; leave dataset= and classes= out."
            )
        return images.source
    name = recognized(clean) if dataset is None else dataset
    if not isinstance(name, str):
        raise MemstudyError(f"dataset must be the name of a set, such as 'cifar10', not {quoted(name)}.")
    count = _count(clean, classes, len(transitions.MAPS[name][0]) if name in transitions.MAPS else None)
    pixels, none = torch.zeros(len(clean), 1, 0, 0, dtype=torch.uint8), torch.zeros(0, dtype=torch.int64)
    names = class_names(name, count)
    return ImageSet(name or UNNAMED, pixels, torch.from_numpy(clean), pixels[:0], none, names, (0.0,), (1.0,))


def _count(clean: Labels, classes: int | None, known: int | None) -> int:
    """The number of classes: as given, else as the set has it, else as the labels show."""
    largest = int(clean.max())
    if classes is not None and (isinstance(classes, bool) or not isinstance(classes, int) or classes < 2):
        raise MemstudyError(f"classes must be a whole number of at least 2, not {quoted(classes)}.")
    count = max(largest + 1, 2) if classes is None and known is None else classes or known or 0
    if largest >= count:
        raise MemstudyError(f"there is a label {largest}, but the classes are 0 to {count - 1}; give classes=.")
    return count


def _noisy(noisy: Any, source: ImageSet) -> Labels:
    """Noisy labels that were given, one for each sample."""
    labels = _classes(noisy, "noisy")
    if len(labels) != len(source.train_labels):
        raise MemstudyError(f"noisy has {len(labels):,} labels for {len(source.train_labels):,} samples.")
    if (largest := int(labels.max())) >= source.classes:
        raise MemstudyError(
            f"there is a noisy label {largest}, but the classes are 0 to {source.classes - 1}; give classes=."
        )
    return labels
