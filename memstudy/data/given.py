"""Labels from a file, for the training samples of a set.

`label_files` reads a file without knowing its set. Here the set gives meaning to what was read: rows are put in
the order of its samples, and names, numbers and votes become its classes (`label_classes`). Whether the labels
belong to the set at all is checked in `label_fit`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memstudy.data import label_classes, transitions
from memstudy.data.file_rows import Parts, rows_of_files
from memstudy.data.images import ImageSet
from memstudy.data.label_files import LabelFile, digest
from memstudy.data.transitions import Labels, Matrix
from memstudy.errors import MemstudyError, listed, quoted

Listing = Callable[[], Parts | None]
"""Lists a set's image files by part, `train` and `test`, in the order of the samples; None if it has no files."""


@dataclass(frozen=True)
class Given:
    """Labels from elsewhere, in the set's order: for its whole training part, or for the chosen samples.

    Attributes:
        labels: (N,) int64; None if there are soft labels alone.
        distribution: (N, K) float64, rows that add up to 1: soft labels, or the shares of annotators' votes; None
            without.
        truth: (N,) int64, the true labels that the file has beside; None if it has none.
        notes: how the file was read, a sentence each, where a user could be surprised by it.

    """

    labels: Labels | None
    distribution: Matrix | None = None
    truth: Labels | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        rows = self.labels if self.labels is not None else self.distribution
        return 0 if rows is None else len(rows)

    def part(self, positions: NDArray[np.int64]) -> Given:
        """The labels of the samples at `positions`, (n,)."""
        return Given(
            None if self.labels is None else self.labels[positions],
            None if self.distribution is None else self.distribution[positions],
            None if self.truth is None else self.truth[positions],
            self.notes,
        )

    @classmethod
    def ours(cls, label_file: LabelFile) -> Given:
        """The labels of a file that memstudy wrote: they are in the set's order and classes already."""
        return cls(label_file.noisy, label_file.arrays.get("distribution"))

    def has(self, soft: bool) -> bool:
        """Whether there are soft labels (`soft`), or labels."""
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
    sha256 = hashlib.sha256(str(distribution.shape).encode())
    sha256.update(np.ascontiguousarray(distribution, dtype="<f8").tobytes())
    return sha256.hexdigest()


def of(label_file: LabelFile, images: ImageSet, image_files: Listing, seed: int = 0, soft: bool = False) -> Given:
    """The labels of a file, for the training samples of a set.

    `seed` decides between classes with equally many votes. With `soft`, soft labels or votes are taken as they are
    if the file has any, and no majority is made of them.

    Raises a MemstudyError for a class or an image file that is none of the set's.
    """
    if label_file.ours:
        return Given.ours(label_file)
    notes = _beside_truth(label_file)
    order = _sample_rows(label_file, images, image_files, notes)
    distribution = label_classes.distribution(label_file, images)
    truth = label_classes.truth(label_file, images)
    labels = label_classes.numbers(label_file, images)
    votes = label_classes.votes(label_file, images)
    given = Given(labels, distribution if votes is None else transitions.stochastic(votes), truth)
    if order is not None:
        given = given.part(order)
    if soft and given.distribution is not None:
        return replace(given, labels=None, notes=tuple(notes))
    if votes is not None and given.distribution is not None:
        given = replace(given, labels=label_classes.majority(label_file, given.distribution, seed, notes))
    elif given.labels is not None:
        given = replace(given, labels=label_classes.counted_or_named(label_file, given.labels, images, notes))
    if given.labels is not None and np.array_equal(given.labels, images.train_labels.numpy()):
        notes.append(
            f"the labels of {label_file.path.name} are the true ones of {images.name}, so nothing is corrupted"
        )
    return replace(given, notes=tuple(notes))


def _beside_truth(label_file: LabelFile) -> list[str]:
    """The note that a file has true labels beside the noisy ones, if it has."""
    if label_file.truth is None or not label_file.names:
        return []
    return [
        f"labels are from {listed(map(quoted, label_file.names))} of {label_file.path.name}, beside true ones in "
        f"{quoted(label_file.truth_name)}"
    ]


def _sample_rows(label_file: LabelFile, images: ImageSet, image_files: Listing, notes: list[str]) -> Labels | None:
    """The row of each training sample, (N,); None if the rows are in the set's order already."""
    if label_file.files is None:
        if label_file.order is not None:
            notes.append(f"rows are put in the set's order by their column {quoted(label_file.index_name)}")
        return label_file.order
    parts = image_files()
    if parts is None:
        if label_file.index_name and not label_file.index_name.startswith("Unnamed"):
            return label_file.order
        raise MemstudyError(
            f"the rows of {label_file.path} are named by files, such as {quoted(label_file.files[0])}, but "
            f"{quoted(images.name)} has no files to match them with; give a column index that counts the training "
            "samples from 0, or remove that of the files if the rows are in the set's order."
        )
    rows = rows_of_files(label_file.path, label_file.files, parts, notes)
    return None if np.array_equal(rows, np.arange(len(label_file.files))) else rows
