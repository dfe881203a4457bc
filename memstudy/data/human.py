"""Human labels of CIFAR-10 and CIFAR-100 (CIFAR-10N, CIFAR-100N), from the authors' original files.

Wei et al. 2022, "Learning with Noisy Labels Revisited: A Study Using Real-World Human Annotations", ICLR.

The files were written by torch.save; `pickled` reads them and runs nothing. Since 2023, CIFAR-100's file holds its
coarse labels as lists.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from memstudy.data import pickled
from memstudy.data.transitions import Labels
from memstudy.errors import MemstudyError, quoted, reason, unknown

FILES = {
    "cifar10": "CIFAR-10_human.pt", "cifar100": "CIFAR-100_human.pt", "cifar100-coarse": "CIFAR-100_human.pt",
}  # fmt: skip
CLASSES = {"cifar10": 10, "cifar100": 100, "cifar100-coarse": 20}
COLUMNS = {
    "cifar10": {
        "aggregate": "aggre_label",
        "random1": "random_label1",
        "random2": "random_label2",
        "random3": "random_label3",
        "worst": "worse_label",
    },
    "cifar100": {"fine": "noisy_label"},
    "cifar100-coarse": {"coarse": "noisy_coarse_label"},
}
"""The human labels of each set: our name of them, and the file's."""
CLEAN = {"cifar10": "clean_label", "cifar100": "clean_label", "cifar100-coarse": "clean_coarse_label"}
"""The file's names of the true labels."""
PLACES = ("cifar-n", "", "data")
"""Folders of the data directory that a file may be in."""

SITE = "the authors' site, github.com/UCSC-REAL/cifar-10-100n (CC BY-NC 4.0)"


def path(folder: Path, dataset: str) -> Path | None:
    """The file of a set in a data directory; None if there is none, or no human labels of the set."""
    if dataset not in FILES:
        return None
    places = (folder / place / FILES[dataset] for place in PLACES)
    return next((place for place in places if place.is_file()), None)


def read(folder: Path, dataset: str, column: str, clean: Labels) -> Labels:
    """The human labels (N,) int64 of a set's training images, in torchvision's order.

    `clean` are the set's true labels (N,): a file with other true labels belongs to other images. Raises a
    MemstudyError for that, for a set or column that has no human labels, and for a missing or unusable file.
    """
    if dataset not in COLUMNS:
        raise MemstudyError(
            f"there are no human labels for {quoted(dataset)}, only for {', '.join(COLUMNS)}; choose one of "
            "these sets, or another corruption."
        )
    if column not in COLUMNS[dataset] and (others := [name for name in COLUMNS if column in COLUMNS[name]]):
        raise MemstudyError(
            f"the human labels {quoted(column)} are of {others[0]}, not of {dataset}, which has "
            f"{', '.join(COLUMNS[dataset])}; choose of these, or --dataset {others[0]}."
        )
    if column not in COLUMNS[dataset]:
        raise unknown(f"human labels of {dataset}", column, COLUMNS[dataset])
    file = path(folder, dataset)
    if file is None:
        looked = ", ".join(str(folder / place / FILES[dataset]) for place in PLACES)
        raise MemstudyError(
            f"the human labels of {dataset} are in none of {looked}; get {FILES[dataset]} from {SITE} and put it "
            "there, or choose another folder with --data-dir or MEMSTUDY_DATA."
        )
    table = _table(file)
    columns = CLEAN[dataset], COLUMNS[dataset][column]
    truth, labels = (_labels(file, table, name, CLASSES[dataset]) for name in columns)
    if not np.array_equal(truth, clean):
        raise MemstudyError(
            f"{file} is a human file for another set, or in another order: its true labels are not those of the "
            f"{len(clean):,} training images of {dataset} here; get both as torchvision and {SITE} have them."
        )
    if len(labels) != len(truth):
        raise _foreign(file, f"{len(labels):,} human labels for {len(truth):,} images")
    return labels


def _foreign(file: Path, why: object) -> MemstudyError:
    """The error about a file that is not the authors'."""
    return MemstudyError(
        f"{file} is truncated, or not the authors' file ({reason(why)}); get {file.name} again from {SITE}."
    )


def _labels(file: Path, table: dict[str, Any], name: str, classes: int) -> Labels:
    """A column of a file, (N,) int64, checked to be classes."""
    if name not in table:
        raise _foreign(file, f"it has no {name}")
    labels = table[name]
    if isinstance(labels, list) and all(type(label) is int for label in labels):
        labels = np.array(labels)
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise _foreign(file, f"{name} is not whole numbers in one dimension")
    if len(labels) == 0 or labels.min() < 0 or labels.max() >= classes:
        raise _foreign(file, f"{name} is not classes from 0 to {classes - 1}")
    return labels.astype(np.int64)


def _table(file: Path) -> dict[str, Any]:
    """What a file holds, by name. Raises a MemstudyError if it is damaged or asks for anything else."""
    try:
        if file.stat().st_size > pickled.LIMIT:
            raise _foreign(file, "far too large")
        content = file.read_bytes()
    except OSError as error:
        raise MemstudyError(
            f"cannot read {file}: {error.strerror}; make it readable, or choose another folder with --data-dir."
        ) from error
    try:
        table = pickled.read(content)
    except ValueError as error:
        raise _foreign(file, error) from error
    if not isinstance(table, dict):
        raise _foreign(file, "no table of labels")
    return table
