"""Labels that come from elsewhere, for the samples of a set: what a file's names, keys and votes mean there.

Class names become numbers, rows get the set's order, annotators' labels a majority. Then labels must fit: as many
as there are training samples, of its classes, and in better agreement with the true ones than by chance.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memstudy.data import agreement, label_files, transitions
from memstudy.data.agreement import Agreement
from memstudy.data.file_rows import Parts, rows_of_files
from memstudy.data.images import ImageSet
from memstudy.data.label_files import LabelFile, Labels, LabelSource, Matrix, all_good, digest
from memstudy.errors import MemstudyError, listed, quoted
from memstudy.randomness import numpy_generator

Listing = Callable[[], Parts | None]
"""The files of a set in folders by its parts, `train` and `test`, in their order; None for a set without files."""


@dataclass(frozen=True)
class Given:
    """Labels from elsewhere, in the set's order: of the whole training part, or of the chosen samples.

    Attributes:
        labels: (N,) int64; None if there are soft ones alone.
        distribution: (N, K) float64, rows that add up to 1: soft labels, or annotators' votes; None without.
        truth: (N,) int64, the true labels that the file has beside; None if it has none.
        notes: how the file was read, a sentence each, where that is not plain.

    """

    labels: Labels | None
    distribution: Matrix | None = None
    truth: Labels | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        one = self.labels if self.labels is not None else self.distribution
        return 0 if one is None else len(one)

    def part(self, positions: NDArray[np.int64]) -> Given:
        """Those of some samples."""
        return Given(
            None if self.labels is None else self.labels[positions],
            None if self.distribution is None else self.distribution[positions],
            None if self.truth is None else self.truth[positions],
            self.notes,
        )

    @classmethod
    def ours(cls, found: LabelFile) -> Given:
        """What memstudy itself wrote."""
        return cls(found.noisy, found.arrays.get("distribution"))

    def has(self, soft: bool) -> bool:
        """Whether there are labels, or soft ones."""
        return (self.distribution if soft else self.labels) is not None

    def identity(self, path: Path, soft: bool = False) -> str:
        """The SHA-256 of the labels, or of the soft ones; a MemstudyError if the file at `path` has none."""
        if soft and self.distribution is not None:
            return distribution_digest(self.distribution)
        if not soft and self.labels is not None:
            return digest(self.labels)
        if soft:
            raise MemstudyError(f"{path} holds one label a sample, no soft ones to draw from; leave --noise out.")
        raise MemstudyError(
            f"{path} holds soft labels alone, shares of the classes for each sample; draw labels from them with "
            "--noise soft."
        )


def distribution_digest(distribution: Matrix) -> str:
    """SHA-256 over the shape and the little-endian 64-bit numbers of soft labels (N, K)."""
    found = hashlib.sha256(str(distribution.shape).encode())
    found.update(np.ascontiguousarray(distribution, dtype="<f8").tobytes())
    return found.hexdigest()


def of(found: LabelFile, images: ImageSet, files: Listing, seed: int = 0, soft: bool = False) -> Given:
    """What a file says of a set; `seed` decides between classes with as many votes.

    Of a file that has soft labels or votes, `soft` takes them alone.

    Raises a MemstudyError for a name or a key that is none of the set's.
    """
    if found.ours:
        return Given.ours(found)
    notes = _origin(found)
    order = _order(found, images, files, notes)
    distribution = None if found.distribution is None else _in_order_of_classes(found, found.distribution, images)
    truth = None if found.truth is None else _truth(found.truth, images)
    given = Given(_numbers(found, images), distribution, truth)
    if found.entries is not None and found.entries.ndim == 2:
        votes = _votes(found, found.entries, images)
        given = replace(given, distribution=transitions.stochastic(votes))
    if order is not None:
        given = given.part(order)
    if soft and given.distribution is not None:
        return replace(given, labels=None, notes=tuple(notes))
    if found.entries is not None and found.entries.ndim == 2:
        given = replace(given, labels=_majority(found, _soft(given), seed, notes))
    elif given.labels is not None:
        given = replace(given, labels=_meant(found, given.labels, images, notes))
    if given.labels is not None and np.array_equal(given.labels, images.train_labels.numpy()):
        notes.append(
            f"the labels of {found.path.name} are the true ones of {images.name}, so nothing is corrupted"
        )
    return replace(given, notes=tuple(notes))


def _origin(found: LabelFile) -> list[str]:
    if found.truth is None or not found.names:
        return []
    return [
        f"labels are from {_named(found.names)} of {found.path.name}, beside true ones in "
        f"{quoted(found.truth_name)}"
    ]


def find(
    wanted: str,
    places: Iterable[LabelSource | Path],
    images: ImageSet,
    positions: NDArray[np.int64],
    files: Listing = lambda: None,
    seed: int = 0,
    soft: bool = False,
) -> Given:
    """The labels of an identity (of soft ones: `soft`), from the first of some files that holds them.

    Raises a MemstudyError if none does, or if they do not fit the samples of `images` at `positions`.
    """
    looked = [LabelSource.of(place) for place in places]
    unusable: list[MemstudyError] = []
    for source in looked:
        if not source.path.is_file():
            continue
        try:
            found = label_files.read(source)
            given = of(found, images, files, seed, soft)
        except MemstudyError as error:  # it may be for another set than this, and what is wanted in the next
            unusable.append(error)
            continue
        if given.has(soft) and wanted in (given.identity(source.path, soft), _chosen_from(found)):
            check(given, found, images, positions, source.anyway)
            return given
    if unusable:
        raise unusable[0]
    raise MemstudyError(
        f"the recipe trains on the labels {wanted[:12]}…, which are in none of the files it was given "
        f"({listed(source.path for source in looked) or 'none'}); give their file with --labels."
    )


def _chosen_from(found: LabelFile) -> str:
    """The identity of the labels that a file of memstudy's was chosen from; empty if it is its own."""
    return found.text("given_sha256") if found.ours and "given_sha256" in found.arrays else ""


# Rows to samples


def _order(found: LabelFile, images: ImageSet, files: Listing, notes: list[str]) -> Labels | None:
    """The row of each training sample; None if the rows are in the set's order already."""
    if found.files is None:
        if found.order is not None:
            notes.append(f"rows are put in the set's order by their column {quoted(found.index_name)}")
        return found.order
    parts = files()
    if parts is None:
        if found.index_name and not found.index_name.startswith("Unnamed"):
            return found.order
        raise MemstudyError(
            f"the rows of {found.path} are named by files, such as {quoted(found.files[0])}, but "
            f"{quoted(images.name)} has no files to match them with; give a column index that counts the training "
            "samples from 0, or remove that of the files if the rows are in the set's order."
        )
    order = rows_of_files(found.path, found.files, parts, notes)
    return None if np.array_equal(order, np.arange(len(found.files))) else order


# Entries to classes


def _numbers(found: LabelFile, images: ImageSet) -> Labels | None:
    """Numbers of classes for each row, their names looked up; None if there is not one label a row."""
    if found.entries is None or found.entries.ndim != 1:
        return None
    if found.entries.dtype.kind == "i":
        return found.entries.astype(np.int64)
    numbers = _class_numbers(images)
    known = np.array([str(value).casefold() in numbers for value in found.entries])
    must = f"must be classes of {quoted(images.name)} by name ({listed(images.class_names)}) or number"
    all_good(found.path, _of_column(found), found.entries, known, must)
    return np.array([numbers[str(value).casefold()] for value in found.entries], np.int64)


def _of_column(found: LabelFile) -> str:
    return found.names[0] if found.names else ""


def _class_numbers(images: ImageSet) -> dict[str, int]:
    """Classes by their names, in any case where that tells them apart; also by their numbers."""
    folded = Counter(name.casefold() for name in images.class_names)
    numbers = {str(number): number for number in range(images.classes)}
    return numbers | {
        name.casefold(): k for k, name in enumerate(images.class_names) if folded[name.casefold()] == 1
    }


def _truth(own: NDArray[Any], images: ImageSet) -> Labels | None:
    """True labels as numbers of classes; None if they are not in the set's words."""
    if own.dtype.kind == "i":
        return own
    numbers = _class_numbers(images)
    found = [numbers.get(str(value).casefold(), -1) for value in own]
    return None if min(found) < 0 else np.array(found, np.int64)


def _meant(found: LabelFile, labels: Labels, images: ImageSet, notes: list[str]) -> Labels:
    """Numbers are classes counted from 0, unless classes have numbers for names (folders 1, 10, 2) and those fit.

    Where both could be meant, what agrees with more true labels is. A MemstudyError for numbers of no class.
    """
    names = images.class_names
    by_name = {int(name): k for k, name in enumerate(names) if name.isdecimal()}
    if (
        len(by_name) == len(names)
        and list(by_name) != list(range(len(names)))
        and set(labels.tolist()) <= {*by_name}
    ):
        named = np.array([by_name[value] for value in labels.tolist()], np.int64)
        truth = images.train_labels.numpy()
        fits = labels.max() < len(names) and len(truth) == len(labels)
        if not fits or (named == truth).sum() > (labels == truth).sum():
            notes.append(
                f"numbers are taken as the names of the classes ({listed(names)}), not as their positions"
            )
            return named
        notes.append("numbers are taken as the classes counted from 0, not as their names")
    if labels.max() >= images.classes:
        rows = found.entries if found.entries is not None and found.entries.dtype.kind == "i" else labels
        hint = " (are they counted from 1?)" if labels.min() == 1 and labels.max() == images.classes else ""
        must = f"must be classes of {quoted(images.name)}, 0 to {images.classes - 1}{hint}"
        all_good(found.path, _of_column(found), rows, np.asarray(rows < images.classes), must)
    return labels


def _votes(found: LabelFile, entries: NDArray[Any], images: ImageSet) -> Matrix:
    """How many annotators chose each class (N, K), from their labels (N, A), or from such counts themselves."""
    classes = images.classes
    if entries.dtype.kind == "O":
        entries = _votes_by_name(found, entries, images)
    if len(found.names) == 1 and entries.shape[1] == classes and entries.min() >= 0:
        sums = entries.sum(axis=1)
        if sums.min() > 0 and (entries.max() >= classes or sums.min() == sums.max()):
            return entries.astype(np.float64)
        raise MemstudyError(
            f"{found.path} holds {classes} whole numbers a sample: how many annotators chose each of the "
            f"{classes} "
            f"classes, or the labels of {classes} annotators; write the first as shares that add up to 1, the "
            "second as a .csv with a named column for each annotator."
        )
    must = f"must be classes of {quoted(images.name)}, 0 to {classes - 1}"
    all_good(found.path, " + ".join(found.names), entries, np.asarray(entries < classes), must)
    return np.stack([(entries == label).sum(axis=1) for label in range(classes)], axis=1).astype(np.float64)


def _votes_by_name(found: LabelFile, entries: NDArray[Any], images: ImageSet) -> Labels:
    """Annotators' labels (N, A) as numbers of classes, -1 where one gave none."""
    numbers = _class_numbers(images) | {"": -1}
    known = np.array([[str(value).casefold() in numbers for value in row] for row in entries])
    must = f"must be classes of {quoted(images.name)} by name ({listed(images.class_names)}) or number"
    all_good(found.path, " + ".join(found.names), entries, known, must)
    return np.array([[numbers[str(value).casefold()] for value in row] for row in entries], np.int64)


def _majority(found: LabelFile, votes: Matrix, seed: int, notes: list[str]) -> Labels:
    """The class with most votes (N,); of several such, one drawn by the seed."""
    best = votes == votes.max(axis=1, keepdims=True)
    tied = best.sum(axis=1)
    drawn = np.floor(numpy_generator(seed, "ties").random(len(votes)) * tied)
    chosen: Labels = (best.cumsum(axis=1) > drawn[:, None]).argmax(axis=1).astype(np.int64)
    whose = _named(found.names) if len(found.names) > 1 else "annotators"
    notes.append(
        f"labels are the majority's of {whose}; {int((tied > 1).sum()):,} of {len(votes):,} are ties, decided "
        f"by the corruption's seed {seed}"
    )
    return chosen


def _named(names: Sequence[str]) -> str:
    return listed(quoted(name) for name in names)


def _in_order_of_classes(found: LabelFile, distribution: Matrix, images: ImageSet) -> Matrix:
    """Soft labels (N, K) with a column for each class of the set, in its order."""
    if distribution.shape[1] != images.classes:
        raise MemstudyError(
            f"the soft labels in {found.path} are of {distribution.shape[1]} classes, but "
            f"{quoted(images.name)} has {images.classes}; give one share for each class."
        )
    if not found.classes:
        return distribution
    numbers = _class_numbers(images)
    own = [numbers.get(name.casefold(), _last_number(name)) for name in found.classes]
    if sorted(own) != list(range(images.classes)):
        raise MemstudyError(
            f"the columns of soft labels in {found.path} are {listed(found.classes)}; name them by the classes of "
            f"{quoted(images.name)} ({listed(images.class_names)}), or by their numbers from 0 on."
        )
    return distribution[:, np.argsort(own)]


def _last_number(name: str) -> int:
    found = re.search(r"[0-9]{1,6}$", name)
    return int(found[0]) if found else -1


# Whether they fit


def check(
    given: Given, found: LabelFile, images: ImageSet, positions: NDArray[np.int64], anyway: bool = False
) -> None:
    """Raise a MemstudyError if labels are not those of the training samples of `images` at `positions`.

    What agrees with the truth no better than chance, or has other true labels beside it, is taken `anyway`.
    """
    _check_owner(found, images, positions)
    _check_length(given, found, images, positions)
    truth = images.train_labels.numpy()
    truth = truth if len(given) == len(truth) else truth[positions]
    if found.ours or anyway:
        return
    if given.truth is not None:
        _check_truth(given.truth, truth, found, images)
        return
    one = (
        agreement.of_labels(given.labels, truth, images.classes)
        if given.labels is not None
        else agreement.of_distribution(_soft(given), truth)
    )
    if one.no_better_than_chance:
        raise _by_chance(one, found, images)


def _soft(given: Given) -> Matrix:
    assert given.distribution is not None
    return given.distribution


def _check_owner(found: LabelFile, source: ImageSet, positions: NDArray[np.int64]) -> None:
    if not found.ours:
        return
    if (made_for := found.text("source_sha256")) != source.content_hash():
        raise MemstudyError(
            f"{found.path} was made for {quoted(found.text('dataset'))} with the content {made_for[:12]}…, but "
            f"{quoted(source.name)} here has the content {source.content_hash()[:12]}…: the labels are of other "
            "images."
        )
    own = found.arrays["positions"]
    if own.shape != tuple(source.train_labels.shape) and not np.array_equal(own, positions):
        raise MemstudyError(
            f"{found.path} is for {own.size:,} chosen samples of {quoted(source.name)}, others than those chosen "
            "here; leave out --train-size and --corrupt-seed, and they are taken from the file."
        )


def _check_length(given: Given, found: LabelFile, images: ImageSet, positions: NDArray[np.int64]) -> None:
    count, train, test = len(given), len(images.train_labels), len(images.test_labels)
    if count in (train, len(positions)):
        return
    part = f", or {len(positions):,} for the part that --train-size chooses" if len(positions) < train else ""
    what = f"{abs(count - train):,} {'too many' if count > train else 'too few'}"
    if count == test:
        what += ", but as many as its test part has, whose labels stay clean"
    elif count == train + test:
        what += ", as they are for the training and the test part together"
    raise MemstudyError(
        f"there are {count:,} noisy labels in {found.path}, but {quoted(images.name)} has {train:,} training "
        "samples "
        f"({what}): give one label for each of these{part}, or name the set they belong to with --dataset."
    )


GO_ON = "add --anyway (in a study's file: anyway = true)"


def _check_truth(own: Labels, truth: Labels, found: LabelFile, images: ImageSet) -> None:
    if different := int((own != truth).sum()):
        raise MemstudyError(
            f"the true labels in {found.path} ({quoted(found.truth_name)}) are others than those of "
            f"{quoted(images.name)} for {different:,} of {len(truth):,} training samples: are they in another "
            f"order, or of another set? If they are right as they are, {GO_ON}."
        )


def _by_chance(one: Agreement, found: LabelFile, images: ImageSet) -> MemstudyError:
    said = "are they in another order, or of another set?"
    if one.dependent:
        said = "are the classes in another order?"
    return MemstudyError(
        f"the labels in {found.path} agree with the true ones of {quoted(images.name)} for {one.agreeing:,.0f} of "
        f"{one.samples:,} training samples ({100 * one.agreeing / one.samples:.1f} %), no better than by chance "
        f"({100 * one.by_chance / one.samples:.1f} %): {said} If they are right as they are, {GO_ON}."
    )
