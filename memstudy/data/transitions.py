"""Transition matrices: rows are true classes, columns noisy labels, entries P(noisy label | true class)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memstudy import files
from memstudy.data import npy
from memstudy.data.class_names import CIFAR10, CIFAR100, CLOTHES, DIGITS, SUPERCLASSES
from memstudy.errors import MemstudyError, quoted, reason

Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]

TOLERANCE = 1e-6
"""How far a row of a user's matrix may be from adding up to 1: matrices are written with few digits."""


def symmetric(classes: int, rate: float) -> Matrix:
    """1 - rate on the diagonal, rate / (K-1) elsewhere."""
    matrix = np.full((classes, classes), rate / (classes - 1))
    np.fill_diagonal(matrix, 1 - rate)
    return matrix


def uniform(classes: int, rate: float) -> Matrix:
    """(1 - rate) I + rate / K: the true class may be drawn again, so rate·(K-1)/K of the labels are wrong."""
    return (1 - rate) * np.eye(classes) + rate / classes


def along(targets: Sequence[int], rate: float) -> Matrix:
    """Each class i becomes class `targets[i]` with probability `rate`; a class that is its own target stays."""
    classes = len(targets)
    matrix = (1 - rate) * np.eye(classes)
    matrix[np.arange(classes), list(targets)] += rate
    return matrix


def pair_targets(classes: int) -> list[int]:
    """The next class of each class; that of the last is the first."""
    return [(label + 1) % classes for label in range(classes)]


# Asymmetric noise: class → the class it is mistaken for; classes that are not named stay. For MNIST and CIFAR-10
# Patrini et al. 2017, for Fashion-MNIST Zhang & Sabuncu 2018; for CIFAR-100 each class becomes the next one of
# its superclass, in a circle (Patrini et al. 2017).
_DIGITS = {"2": "7", "3": "8", "5": "6", "6": "5", "7": "1"}
_CLOTHES = {
    "ankle boot": "sneaker", "sneaker": "sandal", "pullover": "shirt", "coat": "dress", "dress": "coat",
}  # fmt: skip
_CIFAR10 = {"truck": "automobile", "bird": "airplane", "deer": "horse", "cat": "dog", "dog": "cat"}
_CIFAR100 = {
    name: members[(place + 1) % len(members)]
    for members in SUPERCLASSES.values()
    for place, name in enumerate(members)
}
MAPS: dict[str, tuple[tuple[str, ...], Mapping[str, str]]] = {
    "mnist": (DIGITS, _DIGITS),
    "mnist5k": (DIGITS, _DIGITS),
    "digits": (DIGITS, _DIGITS),
    "fashion": (CLOTHES, _CLOTHES),
    "cifar10": (CIFAR10, _CIFAR10),
    "cifar100": (CIFAR100, _CIFAR100),
}


def asymmetric_targets(dataset: str) -> list[int]:
    """The class that each class of a data set is mistaken for; itself if it is not."""
    if dataset not in MAPS:
        raise MemstudyError(
            f"asymmetric noise needs to know which classes of {quoted(dataset)} are mistaken for which, and "
            "does so for "
            f"{', '.join(sorted(MAPS))}; describe it by a transition matrix instead: --noise matrix --matrix FILE."
        )
    names, becomes = MAPS[dataset]
    return [names.index(becomes.get(name, name)) for name in names]


def check(matrix: object, classes: int | None = None, subject: str = "the transition matrix") -> Matrix:
    """The matrix as float64, its rows scaled to add up to 1 exactly.

    Raises a MemstudyError, about `subject`, if it is not square ((K, K) if `classes` is given), has an entry that
    is not finite or below 0, or a row that does not add up to 1 within 1e-6.
    """
    try:
        if np.asarray(matrix).dtype.kind == "c":
            raise TypeError("its entries are complex")
        rows = np.asarray(matrix, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MemstudyError(f"{subject} must be a square table of numbers: {reason(error)}.") from error
    shape = "×".join(map(str, rows.shape))
    if rows.ndim != 2 or rows.shape[0] != rows.shape[1] or len(rows) < 2:
        raise MemstudyError(
            f"{subject} must be square, one row and one column a class, not {shape or 'one number'}."
        )
    if classes is not None and len(rows) != classes:
        raise MemstudyError(f"{subject} is {shape}, but the data set has {classes} classes; give a row for each.")
    if (wrong := ~((rows >= 0) & (rows <= 1 + TOLERANCE))).any():
        row, column = np.argwhere(wrong)[0]
        raise MemstudyError(
            f"{subject} must hold probabilities, but row {row}, column {column} (from 0) is {rows[row, column]:g}."
        )
    sums = np.cumsum(rows, axis=1)[:, -1]  # from left to right, however the array lies in memory
    if (wrong := np.abs(sums - 1) > TOLERANCE).any():
        row = int(wrong.argmax())
        hint = "; its columns do: transpose it" if np.allclose(rows.sum(axis=0), 1, atol=TOLERANCE) else ""
        raise MemstudyError(
            f"{subject} is no stochastic matrix: row {row} (from 0; rows are true classes) adds up to "
            f"{sums[row]:.6g}, not 1{hint}."
        )
    return stochastic(rows)


def stochastic(rows: Matrix) -> Matrix:
    """Rows (N, K) divided by their sums: the same bits on every machine, and unchanged if divided again."""
    sums = np.cumsum(rows, axis=1)[:, -1]  # from left to right, however the array lies in memory
    near = np.abs(sums - 1) <= 1e-12  # as near as rounding allows
    return np.asarray(rows / np.where(near, 1.0, sums)[:, None])


def read(path: Path) -> Matrix:
    """A matrix from a text file (numbers separated by commas or blanks, a row a line) or a .npy file."""
    try:
        content = path.read_bytes()
        if path.suffix == ".npy":
            matrix: Any = npy.read(content)
        else:
            lines = (line.partition("#")[0].replace(",", " ").split() for line in content.decode().splitlines())
            matrix = [[float(word) for word in line] for line in lines if line]
    except OSError as error:
        raise files.unusable("read the transition matrix", path, error) from error
    except Exception as error:  # a file can be wrong in more ways than numpy has errors for
        raise MemstudyError(
            f"{path} is no transition matrix ({reason(error)}); write a text file with one line a "
            "true class, its K probabilities separated by commas or blanks, or a .npy file."
        ) from error
    return check(matrix, subject=f"the transition matrix in {path}")


def realized(clean: Labels, noisy: Labels, classes: int) -> Matrix:
    """The (K, K) matrix of observed frequencies; the row of a class that does not occur is zero."""
    counts = np.bincount(clean * classes + noisy, minlength=classes * classes).reshape(classes, classes)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def entropy(probabilities: Matrix) -> NDArray[np.float64]:
    """The entropy of each row, in nats; 0 ln 0 is 0."""
    logarithm = np.log(probabilities, out=np.zeros_like(probabilities), where=probabilities > 0)
    return -(probabilities * logarithm).sum(axis=1)
