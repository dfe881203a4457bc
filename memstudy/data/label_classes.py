"""What the entries of a label file mean as classes of a set: names, numbers and annotators' votes.

Of the shapes below, N is the number of rows, K that of the set's classes and A that of the annotators.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memstudy.data.images import ImageSet
from memstudy.data.label_files import LabelFile, require
from memstudy.data.transitions import Labels, Matrix
from memstudy.errors import MemstudyError, listed, quoted
from memstudy.randomness import numpy_generator

NO_ANSWER = -1
"""Stands for the label that an annotator did not give."""
UNKNOWN = -2
"""Stands for an entry that is no class of the set."""


def numbers(label_file: LabelFile, images: ImageSet) -> Labels | None:
    """The label of each row, (N,): numbers as the file has them, names looked up; None if rows have several."""
    entries = label_file.entries
    if entries is None or entries.ndim != 1:
        return None
    return entries.astype(np.int64) if entries.dtype.kind == "i" else _from_names(label_file, entries, images)


def votes(label_file: LabelFile, images: ImageSet) -> Matrix | None:
    """How many annotators chose each class, (N, K); None if there is one label a row.

    A file has the annotators' labels, (N, A), or in a single array such counts themselves.
    """
    entries, classes = label_file.entries, images.classes
    if entries is None or entries.ndim != 2:
        return None
    if entries.dtype.kind == "O":
        entries = _from_names(label_file, entries, images)
    if len(label_file.names) == 1 and entries.shape[1] == classes and entries.min() >= 0:
        sums = entries.sum(axis=1)
        if sums.min() > 0 and (entries.max() >= classes or sums.min() == sums.max()):
            return entries.astype(np.float64)
        raise MemstudyError(
            f"{label_file.path} holds {classes} whole numbers a sample: how many annotators chose each of the "
            f"{classes} classes, or the labels of {classes} annotators; write the first as shares that add up to "
            "1, the second as a .csv with a named column for each annotator."
        )
    must = f"must be classes of {quoted(images.name)}, 0 to {classes - 1}"
    require(label_file.path, _columns(label_file), entries, np.asarray(entries < classes), must)
    return np.stack([(entries == label).sum(axis=1) for label in range(classes)], axis=1).astype(np.float64)


def truth(label_file: LabelFile, images: ImageSet) -> Labels | None:
    """True labels as numbers of classes, (N,); None if there are none, or not in the set's words."""
    true_entries: NDArray[Any] | None = label_file.truth
    if true_entries is None or true_entries.dtype.kind == "i":
        return true_entries
    true_labels = _looked_up(true_entries, images)
    return None if true_labels.min() < 0 else true_labels


def distribution(label_file: LabelFile, images: ImageSet) -> Matrix | None:
    """Soft labels (N, K) with a column for each class of the set, in its order; None if there are none."""
    soft = label_file.distribution
    if soft is None:
        return None
    if soft.shape[1] != images.classes:
        raise MemstudyError(
            f"the soft labels in {label_file.path} are of {soft.shape[1]} classes, but "
            f"{quoted(images.name)} has {images.classes}; give one share for each class."
        )
    if not label_file.classes:
        return soft
    class_of_name = _class_of_name(images)
    columns = [class_of_name.get(name.casefold(), _last_number(name)) for name in label_file.classes]
    if sorted(columns) != list(range(images.classes)):
        raise MemstudyError(
            f"the columns of soft labels in {label_file.path} are {listed(label_file.classes)}; name them by the "
            f"classes of {quoted(images.name)} ({listed(images.class_names)}), or by their numbers from 0 on."
        )
    return soft[:, np.argsort(columns)]


def majority(label_file: LabelFile, shares: Matrix, seed: int, notes: list[str]) -> Labels:
    """The class with most votes, (N,), from shares of votes (N, K); of several such, one drawn by the seed."""
    best = shares == shares.max(axis=1, keepdims=True)
    tied = best.sum(axis=1)
    drawn = np.floor(numpy_generator(seed, "ties").random(len(shares)) * tied)
    chosen: Labels = (best.cumsum(axis=1) > drawn[:, None]).argmax(axis=1).astype(np.int64)
    whose = listed(map(quoted, label_file.names)) if len(label_file.names) > 1 else "annotators"
    notes.append(
        f"labels are the majority's of {whose}; {int((tied > 1).sum()):,} of {len(shares):,} are ties, decided "
        f"by the corruption's seed {seed}"
    )
    return chosen


def counted_or_named(label_file: LabelFile, labels: Labels, images: ImageSet, notes: list[str]) -> Labels:
    """Numbers (N,), in the order of the samples, as classes of the set.

    They count the classes from 0, unless the classes have numbers for names (folders 1, 10, 2) and the labels are
    among these. Where both could be meant, that is taken which agrees with more true labels. Raises a
    MemstudyError for numbers of no class.
    """
    names = images.class_names
    class_of_number = {int(name): label for label, name in enumerate(names) if name.isdecimal()}
    are_numbers = len(class_of_number) == len(names) and list(class_of_number) != list(range(len(names)))
    if are_numbers and set(labels.tolist()) <= set(class_of_number):
        by_name = np.array([class_of_number[number] for number in labels.tolist()], np.int64)
        true_labels = images.train_labels.numpy()
        could_count = labels.max() < len(names) and len(true_labels) == len(labels)
        if not could_count or (by_name == true_labels).sum() > (labels == true_labels).sum():
            notes.append(
                f"numbers are taken as the names of the classes ({listed(names)}), not as their positions"
            )
            return by_name
        notes.append("numbers are taken as the classes counted from 0, not as their names")
    if labels.max() >= images.classes:
        entries = label_file.entries  # in the file's order: the error names a row
        rows = entries if entries is not None and entries.dtype.kind == "i" else labels
        hint = " (are they counted from 1?)" if labels.min() == 1 and labels.max() == images.classes else ""
        must = f"must be classes of {quoted(images.name)}, 0 to {images.classes - 1}{hint}"
        require(label_file.path, _columns(label_file), rows, np.asarray(rows < images.classes), must)
    return labels


def _from_names(label_file: LabelFile, entries: NDArray[Any], images: ImageSet) -> Labels:
    """Text of any shape as numbers of classes; a MemstudyError for what is no class."""
    labels = _looked_up(entries, images)
    must = f"must be classes of {quoted(images.name)} by name ({listed(images.class_names)}) or number"
    require(label_file.path, _columns(label_file), entries, labels != UNKNOWN, must)
    return labels


def _looked_up(entries: NDArray[Any], images: ImageSet) -> Labels:
    """Text of any shape as numbers of classes: NO_ANSWER where it is empty, UNKNOWN where it is no class."""
    class_of_name = _class_of_name(images) | {"": NO_ANSWER}
    labels = [class_of_name.get(str(entry).casefold(), UNKNOWN) for entry in entries.flat]
    return np.array(labels, np.int64).reshape(entries.shape)


def _class_of_name(images: ImageSet) -> dict[str, int]:
    """Numbers of classes by their names, in lower case where that tells them apart; also by themselves as text."""
    times = Counter(name.casefold() for name in images.class_names)
    by_number = {str(label): label for label in range(images.classes)}
    by_name = {name.casefold(): label for label, name in enumerate(images.class_names)}
    return by_number | {name: label for name, label in by_name.items() if times[name] == 1}


def _columns(label_file: LabelFile) -> str:
    return " + ".join(label_file.names)


def _last_number(name: str) -> int:
    """The number at the end of a column's name (`prob_3`); -1 if there is none."""
    digits = re.search(r"[0-9]{1,6}$", name)
    return int(digits[0]) if digits else -1
