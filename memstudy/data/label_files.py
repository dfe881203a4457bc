"""Noisy labels in files: memstudy's own, and the forms in which others keep theirs.

`label_tables` reads a file's columns, `label_columns` chooses among them, and here what they hold is checked. What
class names, file names and votes mean depends on the set that the labels are for: see `given`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memstudy.data import label_columns, transitions
from memstudy.data.label_columns import Choice
from memstudy.data.label_tables import NAMELESS, NUMBER, READERS, Columns
from memstudy.errors import MemstudyError, quoted, reason

Labels = NDArray[np.int64]
Matrix = NDArray[np.float64]
Text = NDArray[np.object_]

OURS = frozenset({"clean", "noisy", "mask", "dataset", "positions", "source_sha256", "version"})
"""Arrays that a file of memstudy's has (see `artifact`)."""
MOST = 2**31
"""No class has a higher number."""


@dataclass(frozen=True)
class LabelSource:
    """A file of labels, and how it is to be read.

    Attributes:
        path: the file.
        column: which of its columns to take; None for the one whose name says that it is noisy.
        anyway: take labels that agree with the true ones no better than chance.

    """

    path: Path
    column: str | None = None
    anyway: bool = False

    @classmethod
    def of(cls, place: LabelSource | Path) -> LabelSource:
        """A file that is read as usual, if only its path is given."""
        return place if isinstance(place, LabelSource) else cls(place)


@dataclass(frozen=True)
class LabelFile:
    """Labels read from a file, as far as that can be done without the set that they are for.

    Attributes:
        path: the file.
        entries: in the order of its rows, (N,) int64 classes or text (names of classes), or (N, A) int64: the
            labels of A annotators (-1: none), or how many of them chose each of A classes; None if it has none.
        names: of the columns that these are from.
        distribution: (N, K) float64, rows that add up to 1: soft labels, in the order of its rows; or None.
        classes: names of the columns of the distribution; empty if they have none.
        truth: (N,) int64 or text, the true labels that stand beside; None if there are none.
        truth_name: of the column that these are from.
        order: (N,) int64, the row of each sample; None if the rows are in the set's order, or named by files.
        index_name: of the column that says so.
        files: (N,) text, each row's image file; None if it has no such column.
        arrays: everything else in it, by name.

    """

    path: Path
    entries: Labels | Text | None
    names: tuple[str, ...] = ()
    distribution: Matrix | None = None
    classes: tuple[str, ...] = ()
    truth: Labels | Text | None = None
    truth_name: str = ""
    order: Labels | None = None
    index_name: str = ""
    files: Text | None = None
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        """Whether memstudy wrote it, so that it says which images it belongs to."""
        return {"noisy", *self.arrays} >= OURS

    def text(self, name: str) -> str:
        """One of its scalars as text."""
        return str(self.arrays[name])

    @property
    def noisy(self) -> Labels:
        """Its labels (N,), in the set's order; a MemstudyError if only the set can tell what they are."""
        entries = self.entries
        if entries is None or entries.ndim != 1 or entries.dtype.kind != "i" or self.files is not None:
            raise MemstudyError(
                f"{self.path} holds names of classes or files, several annotators' labels or soft ones, which "
                "mean something only together with a set; name that with --dataset."
            )
        return np.asarray(entries if self.order is None else entries[self.order], np.int64)

    @property
    def digest(self) -> str:
        """The identity of the labels, whatever kind of file they are in."""
        return digest(self.noisy)


def digest(labels: Labels) -> str:
    """SHA-256 over labels as little-endian 64-bit whole numbers."""
    return hashlib.sha256(labels.astype("<i8").tobytes()).hexdigest()


def read(source: LabelSource | Path) -> LabelFile:
    """Read labels; a MemstudyError, one sentence, if the file is missing, damaged or holds none."""
    source = LabelSource.of(source)
    path = source.path
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MemstudyError(f"cannot read the labels {path}: {error.strerror}.") from error
    if path.suffix.lower() not in READERS:
        raise MemstudyError(
            f"{path} has the ending {quoted(path.suffix or 'of no file type')}; labels are read from "
            f"{', '.join(READERS)}, so save them as one of these."
        )
    try:
        columns = READERS[path.suffix.lower()](content)
    except Exception as error:  # a file can be wrong in more ways than its reader has errors for
        raise MemstudyError(
            f"{path} is truncated, damaged or no {path.suffix} file of labels ({reason(error)})."
        ) from error
    if set(columns) >= OURS and source.column in (None, "noisy"):
        others = {name: values for name, values in columns.items() if name != "noisy"}
        return LabelFile(path, entries(path, "noisy", columns["noisy"]), ("noisy",), arrays=others)
    return _chosen(path, columns, label_columns.choose(path, columns, source.column))


def _chosen(path: Path, columns: Columns, choice: Choice) -> LabelFile:
    """What the columns that were chosen hold."""
    taken = _taken(path, columns, choice)
    soft = _soft(columns, choice.soft)
    if taken is None and soft is not None and _is_one_hot(soft):
        taken = soft.argmax(axis=1)
    count = len(taken if taken is not None else soft if soft is not None else ())
    truth = None
    if choice.truth is not None and len(columns[choice.truth]) == count:
        truth = _read_truth(path, choice.truth, columns[choice.truth])
    order = None if choice.index is None else _order(path, choice.index, columns[choice.index], count)
    files = None if choice.file is None else np.array([str(name) for name in columns[choice.file]], dtype=object)
    if files is not None and len(files) != count:
        raise MemstudyError(f"{path} has {count:,} labels, but {len(files):,} of {choice.file}; give one each.")
    return LabelFile(
        path,
        taken,
        choice.labels,
        soft,
        choice.soft if len(choice.soft) > 1 else (),
        truth,
        choice.truth or "",
        order,
        choice.index or "",
        files,
        {name: values for name, values in columns.items() if name not in choice.labels},
    )


def _taken(path: Path, columns: Columns, choice: Choice) -> Labels | Text | None:
    if not choice.labels:
        return None
    if len(choice.labels) == 1:
        return entries(path, choice.labels[0], columns[choice.labels[0]])
    lengths = {len(columns[name]) for name in choice.labels}
    if len(lengths) > 1:
        raise MemstudyError(f"the annotators' columns of {path} are of different lengths; give one label each.")
    return _votes(path, choice.labels, columns)


def _soft(columns: Columns, names: tuple[str, ...]) -> Matrix | None:
    """A distribution (N, K) whose rows add up to 1 as exactly as numbers can."""
    if not names:
        return None
    found = columns[names[0]] if len(names) == 1 else label_columns.together(columns, names)
    assert found is not None
    return transitions.stochastic(found.astype(np.float64))


def _is_one_hot(rows: NDArray[Any]) -> bool:
    return bool(((rows == 1).sum(axis=1) == 1).all() and ((rows != 0).sum(axis=1) == 1).all())


# Entries


def _where(name: str) -> str:
    return f" in the column {quoted(name)}" if name != NAMELESS else ""


def entries(path: Path, name: str, found: NDArray[Any]) -> Labels | Text:
    """Labels as int64, (N,) or (N, A), or as text; a MemstudyError that names the first entry that is none."""
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim not in (1, 2) or found.size == 0:
        raise MemstudyError(
            f"labels must be one a sample, (N,) or (N, 1), or soft ones, (N, K); in {path}{_where(name)} their "
            f"shape is {found.shape}."
        )
    if found.ndim == 2 and found.dtype.kind in "iuf" and _is_one_hot(found):
        return found.argmax(axis=1).astype(np.int64)
    if found.dtype.kind == "f" and found.ndim == 2 and (found != np.floor(found)).any():
        raise _no_distribution(path, name, found)
    if found.dtype.kind in "iuf":
        return _numbers(path, name, found)
    if found.dtype.kind in "USO" and found.ndim == 1:
        return _words(path, name, found)
    raise MemstudyError(
        f"labels must be whole numbers, the classes counted from 0, or names of classes; in {path}{_where(name)} "
        f"they are {found.dtype}, the first {quoted(found.tolist()[0])}."
    )


def _numbers(path: Path, name: str, found: NDArray[Any]) -> Labels:
    if found.dtype.kind == "f":
        found = found.astype(np.float64)
    with np.errstate(invalid="ignore"):
        whole = np.isfinite(found) & (found == np.floor(found))
    all_good(path, name, found, whole, "must be whole numbers, the classes counted from 0")
    good = (found >= 0) & (found <= MOST)
    all_good(path, name, found, good, "must be classes counted from 0")
    return found.astype(np.int64)


def all_good(path: Path, name: str, found: NDArray[Any], good: NDArray[np.bool_], must: str) -> None:
    """Raise a MemstudyError that names the first entry that is not good, and says how many there are."""
    bad = np.flatnonzero(~good if good.ndim == 1 else ~good.all(axis=1))
    if not len(bad):
        return
    value = found[bad[0]].tolist() if isinstance(found[bad[0]], np.ndarray | np.generic) else found[bad[0]]
    many = "it alone" if len(bad) == 1 else f"the first of {len(bad):,}"
    raise MemstudyError(
        f"labels {must}; in {path}{_where(name)} row {bad[0]:,} (the first is 0) is {quoted(value)}, {many} of "
        f"{len(found):,}."
    )


def _words(path: Path, name: str, found: NDArray[Any]) -> Labels | Text:
    """Text that is numbers as numbers, else as text without the space around it."""
    texts = [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in found.tolist()]
    number = np.array([_is_number(value) for value in texts])
    word = np.array([isinstance(value, str) and bool(value.strip()) for value in texts]) & ~number
    if number.sum() >= word.sum():
        all_good(path, name, found, number, "must be whole numbers, the classes counted from 0")
        return _numbers(path, name, np.array([float(value) for value in texts]))
    all_good(path, name, found, number | word, "must be names of classes, or their numbers from 0 on")
    return np.array([str(value).strip() for value in texts], dtype=object)


def _is_number(value: object) -> bool:
    if isinstance(value, str):
        return len(value) < 40 and NUMBER.fullmatch(value) is not None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return not isinstance(value, int) or value.bit_length() < 63


def _votes(path: Path, names: tuple[str, ...], columns: Columns) -> Labels | Text:
    """Annotators' labels (N, A): classes, -1 where one gave none; or names, empty where one gave none."""
    read = [_vote(path, name, columns[name]) for name in names]
    text = any(own.dtype.kind == "O" for own in read)
    votes = [own if not text or own.dtype.kind == "O" else _as_text(own) for own in read]
    together: Labels | Text = np.stack(votes, axis=1)  # type: ignore[assignment]
    given = (together != ("" if text else -1)).any(axis=1)
    all_good(path, " + ".join(names), together, np.asarray(given), "must be given by somebody")
    return together


def _vote(path: Path, name: str, found: NDArray[Any]) -> Labels | Text:
    """One annotator's labels (N,); an empty entry, -1 or NaN is none."""
    values = found.astype(object)
    given = np.array([not _is_missing(value) for value in values.tolist()])
    if not given.any():
        return np.full(len(found), -1, np.int64)
    filled = values.copy()
    filled[~given] = values[given][0]
    own = entries(path, name, filled).copy()
    own[~given] = -1 if own.dtype.kind == "i" else ""
    return own


def _as_text(votes: NDArray[Any]) -> Text:
    return np.array([str(vote) if vote >= 0 else "" for vote in votes], dtype=object)


def _is_missing(value: object) -> bool:
    if isinstance(value, str):
        return not value.strip() or re.fullmatch(r"\s*(-1(\.0*)?|nan|NaN|NA)\s*", value) is not None
    return value is None or value != value or value == -1


def _read_truth(path: Path, name: str, found: NDArray[Any]) -> Labels | Text | None:
    """The true labels beside noisy ones; None if they are not in a form that could be compared."""
    try:
        truth = entries(path, name, found)
    except MemstudyError:
        return None
    return truth if truth.ndim == 1 else None


def _no_distribution(path: Path, name: str, found: NDArray[Any]) -> MemstudyError:
    good = (found >= 0).all(axis=1) & (np.abs(found.sum(axis=1) - 1) < 1e-3)
    row = int(np.flatnonzero(~good)[0]) if not good.all() else 0
    return MemstudyError(
        f"the rows of soft labels must be fractions that add up to 1; in {path}{_where(name)} row {row:,} (the "
        f"first is 0) is {quoted(found[row].tolist())}, one of {int((~good).sum()):,} such of {len(found):,}."
    )


# The order of the rows


def _order(path: Path, name: str, found: NDArray[Any], count: int) -> Labels | None:
    """The row of each sample, from the column that says where each row's sample is; None for rows in order.

    Samples are counted from 0, or from 1. A MemstudyError if some are left out or given twice.
    """
    if len(found) != count:
        raise MemstudyError(f"{path} has {count:,} labels, but {len(found):,} of {quoted(name)}; give one each.")
    numbers = np.array([float(value) for value in found])
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    if twice := np.flatnonzero(np.diff(ordered) == 0).tolist():
        raise MemstudyError(
            f"{path} has more than one label for sample {ordered[twice[0]]:g} by its column {quoted(name)} "
            f"({len(twice):,} too many in {count:,} rows); keep one for each sample."
        )
    if ordered[0] not in (0, 1) or not np.array_equal(ordered, ordered[0] + np.arange(count)):
        raise MemstudyError(
            f"the {count:,} rows of {path} go from sample {ordered[0]:g} to {ordered[-1]:g} by its column "
            f"{quoted(name)}, so they are a part of a set; give every sample from 0 to {count - 1:,} a label, or "
            "remove the column if it is none of samples' numbers."
        )
    return None if np.array_equal(order, np.arange(count)) else order
