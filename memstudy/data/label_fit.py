"""Whether labels from a file belong to the samples of a set, and the search for those that do.

Labels must be as many as there are samples, and agree with the true ones better than by chance.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memstudy.data import agreement, given, label_files
from memstudy.data.agreement import Agreement
from memstudy.data.given import Given, Listing
from memstudy.data.images import ImageSet
from memstudy.data.label_files import LabelFile, LabelSource
from memstudy.data.transitions import Labels
from memstudy.errors import MemstudyError, listed, quoted

GO_ON = "add --anyway (in a study's file: anyway = true)"


def find(
    identity: str,
    places: Iterable[LabelSource | Path],
    images: ImageSet,
    positions: NDArray[np.int64],
    image_files: Listing = lambda: None,
    seed: int = 0,
    soft: bool = False,
) -> Given:
    """The labels with an identity (with `soft`: soft labels), from the first of some files that holds them.

    Raises a MemstudyError if none does, or if they do not fit the samples of `images` at `positions`.
    """
    label_sources = [LabelSource.of(place) for place in places]
    unusable: list[MemstudyError] = []
    for source in label_sources:
        if not source.path.is_file():
            continue
        try:
            label_file = label_files.read(source)
            labels = given.of(label_file, images, image_files, seed, soft)
        except MemstudyError as error:  # this file may be for another set, and the labels in the next file
            unusable.append(error)
            continue
        if labels.has(soft) and identity in (labels.identity(source.path, soft), _chosen_from(label_file)):
            check(labels, label_file, images, positions, source.anyway)
            return labels
    if unusable:
        raise unusable[0]
    raise MemstudyError(
        f"the recipe trains on the labels {identity[:12]}…, which are in none of the files it was given "
        f"({listed(source.path for source in label_sources) or 'none'}); give their file with --labels."
    )


def _chosen_from(label_file: LabelFile) -> str:
    """The identity of the labels that a file of memstudy's was chosen or drawn from; empty if of none."""
    return label_file.text("given_sha256") if label_file.ours and "given_sha256" in label_file.arrays else ""


def check(
    labels: Given, label_file: LabelFile, images: ImageSet, positions: NDArray[np.int64], anyway: bool = False
) -> None:
    """Raise a MemstudyError if labels are not those of the training samples of `images` at `positions`.

    With `anyway`, labels pass that agree with the truth no better than by chance, or have other true ones beside.
    """
    _check_owner(label_file, images, positions)
    _check_length(labels, label_file, images, positions)
    truth = images.train_labels.numpy()
    truth = truth if len(labels) == len(truth) else truth[positions]
    if label_file.ours or anyway:
        return
    if labels.truth is not None:
        _check_truth(labels.truth, truth, label_file, images)
        return
    if labels.labels is not None:
        agreed = agreement.of_labels(labels.labels, truth, images.classes)
    else:
        assert labels.distribution is not None
        agreed = agreement.of_distribution(labels.distribution, truth)
    if agreed.no_better_than_chance:
        raise _by_chance(agreed, label_file, images)


def _check_owner(label_file: LabelFile, images: ImageSet, positions: NDArray[np.int64]) -> None:
    """A file of memstudy's says which images and which of their samples it is for."""
    if not label_file.ours:
        return
    if (made_for := label_file.text("source_sha256")) != images.content_hash():
        raise MemstudyError(
            f"{label_file.path} was made for {quoted(label_file.text('dataset'))} with the content "
            f"{made_for[:12]}…, but {quoted(images.name)} here has the content {images.content_hash()[:12]}…: the "
            "labels are of other images."
        )
    chosen = label_file.arrays["positions"]
    if chosen.shape != tuple(images.train_labels.shape) and not np.array_equal(chosen, positions):
        raise MemstudyError(
            f"{label_file.path} is for {chosen.size:,} chosen samples of {quoted(images.name)}, others than those "
            "chosen here; leave out --train-size and --corrupt-seed, and they are taken from the file."
        )


def _check_length(labels: Given, label_file: LabelFile, images: ImageSet, positions: NDArray[np.int64]) -> None:
    count, train, test = len(labels), len(images.train_labels), len(images.test_labels)
    if count in (train, len(positions)):
        return
    part = f", or {len(positions):,} for the part that --train-size chooses" if len(positions) < train else ""
    difference = f"{abs(count - train):,} {'too many' if count > train else 'too few'}"
    if count == test:
        difference += ", but as many as its test part has, whose labels stay clean"
    elif count == train + test:
        difference += ", as they are for the training and the test part together"
    raise MemstudyError(
        f"there are {count:,} noisy labels in {label_file.path}, but {quoted(images.name)} has {train:,} training "
        f"samples ({difference}): give one label for each of these{part}, or name the set they belong to with "
        "--dataset."
    )


def _check_truth(beside: Labels, truth: Labels, label_file: LabelFile, images: ImageSet) -> None:
    """The true labels that a file has beside the noisy ones must be the set's."""
    if different := int((beside != truth).sum()):
        raise MemstudyError(
            f"the true labels in {label_file.path} ({quoted(label_file.truth_name)}) are others than those of "
            f"{quoted(images.name)} for {different:,} of {len(truth):,} training samples: are they in another "
            f"order, or of another set? If they are right as they are, {GO_ON}."
        )


def _by_chance(agreed: Agreement, label_file: LabelFile, images: ImageSet) -> MemstudyError:
    question = "are they in another order, or of another set?"
    if agreed.dependent:
        question = "are the classes in another order?"
    return MemstudyError(
        f"the labels in {label_file.path} agree with the true ones of {quoted(images.name)} for "
        f"{agreed.agreeing:,.0f} of {agreed.samples:,} training samples "
        f"({100 * agreed.agreeing / agreed.samples:.1f} %), no better than by chance "
        f"({100 * agreed.by_chance / agreed.samples:.1f} %): {question} If they are right as they are, {GO_ON}."
    )
