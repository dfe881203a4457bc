"""Noisy labels in files: memstudy's own, and the forms in which others keep theirs.

`label_tables` reads a file's columns, `label_columns` chooses among them, and here their values are checked. What
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

from memstudy import files
from memstudy.data import label_columns, transitions
from memstudy.data.label_columns import Choice
from memstudy.data.label_tables import NAMELESS, NUMBER, READERS, Columns
from memstudy.data.transitions import Labels, Matrix
from memstudy.errors import MemstudyError, quoted, reason, shortened

Text = NDArray[np.object_]

OURS = frozenset({"clean", "noisy", "mask", "dataset", "positions", "source_sha256", "version"})
"""Arrays that a file of memstudy's has (see `artifact`)."""
HIGHEST_CLASS = 2**31
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
    """Labels read from a file, as far as that can be done without knowing their set.

    Attributes:
        path: the file.
        entries: one label a row, (N,), or those of A annotators, (N, A), in the order of the rows: int64 classes,
            or text that names classes. -1 and empty text: an annotator gave none. A single array (N, A) may also
            count how many annotators chose each of A classes. None if the file has soft labels alone.
        names: the names of the columns that the entries are from.
        distribution: soft labels, (N, K) float64, in the order of the rows, each of which adds up to 1; or None.
        classes: the names of the columns of the distribution; empty if it is a single array.
        truth: the true labels that stand beside, (N,) int64 or text; None if there are none.
        truth_name: the name of their column.
        order: (N,) int64, the row of each sample; None if the rows are in the set's order, or named by files.
        index_name: the name of the column that the order is from.
        files: (N,) text, each row's image file; None if there is no such column.
        arrays: everything but the labels, by name.

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
        """Whether memstudy wrote it; then it says which images it belongs to."""
        return {"noisy", *self.arrays} >= OURS

    def text(self, name: str) -> str:
        """One of its arrays, a single value, as text."""
        return str(self.arrays[name])

    @property
    def noisy(self) -> Labels:
        """The labels (N,), in the set's order; a MemstudyError if it takes the set to say what they are."""
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
        content = files.content(path)
    except OSError as error:
        raise files.unusable("read the labels", shortened(str(path)), error) from error
    if path.suffix.lower() not in READERS:
        raise MemstudyError(
            f"{path} has the ending {quoted(path.suffix or 'of no file type')}; labels are read from "
            f"{', '.join(READERS)}, so save them as one of these."
        )
    try:
        columns = READERS[path.suffix.lower()](content)
    except Exception as error:  # a file can be wrong in more ways than its reader has errors for
        raise MemstudyError(
            f"{path} is truncated, damaged or no {path.suffix} file of labels ({reason(error)}); restore it, "
            "or write it again."
        ) from error
    if set(columns) >= OURS and source.column in (None, "noisy"):
        others = {name: values for name, values in columns.items() if name != "noisy"}
        return LabelFile(path, entries(path, "noisy", columns["noisy"]), ("noisy",), arrays=others)
    return _chosen(path, columns, label_columns.choose(path, columns, source.column))


def _chosen(path: Path, columns: Columns, choice: Choice) -> LabelFile:
    """The chosen columns, each read as what it was chosen for."""
    labels = _labels(path, columns, choice.labels)
    soft = _distribution(columns, choice.soft)
    if labels is None and soft is not None and _is_one_hot(soft):
        labels = soft.argmax(axis=1)
    count = len(labels if labels is not None else soft if soft is not None else ())
    truth = None
    if choice.truth is not None and len(columns[choice.truth]) == count:
        truth = _read_truth(path, choice.truth, columns[choice.truth])
    order = None if choice.index is None else _order(path, choice.index, columns[choice.index], count)
    files = None if choice.file is None else np.array([str(name) for name in columns[choice.file]], dtype=object)
    if files is not None and len(files) != count:
        raise MemstudyError(f"{path} has {count:,} labels, but {len(files):,} of {choice.file}; give one each.")
    return LabelFile(
        path,
        labels,
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


def _labels(path: Path, columns: Columns, names: tuple[str, ...]) -> Labels | Text | None:
    """One column of labels, (N,), or several annotators' columns side by side, (N, A); None without a column."""
    if not names:
        return None
    if len(names) == 1:
        return entries(path, names[0], columns[names[0]])
    if len({len(columns[name]) for name in names}) > 1:
        raise MemstudyError(f"the annotators' columns of {path} are of different lengths; give one label each.")
    return _side_by_side(path, columns, names)


def _distribution(columns: Columns, names: tuple[str, ...]) -> Matrix | None:
    """Soft labels (N, K) whose rows add up to 1 as exactly as numbers can; None without such columns."""
    if not names:
        return None
    shares = columns[names[0]] if len(names) == 1 else label_columns.together(columns, names)
    assert shares is not None
    return transitions.stochastic(shares.astype(np.float64))


def _is_one_hot(rows: NDArray[Any]) -> bool:
    """Whether each row (of N, K) is 1 for one class and 0 for all others."""
    return bool(((rows == 1).sum(axis=1) == 1).all() and ((rows != 0).sum(axis=1) == 1).all())


# Entries


def _where(name: str) -> str:
    """Of the column of this name, to be put behind that of a file; empty for a nameless one."""
    return f" in the column {quoted(name)}" if name != NAMELESS else ""


def entries(path: Path, name: str, values: NDArray[Any]) -> Labels | Text:
    """The values of a column as labels: int64, (N,) or (N, A), or text, (N,).

    Raises a MemstudyError that shows the first value that is no label.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim not in (1, 2) or values.size == 0:
        raise MemstudyError(
            f"labels must be one a sample, (N,) or (N, 1), or soft ones, (N, K); in {path}{_where(name)} their "
            f"shape is {values.shape}."
        )
    if values.ndim == 2 and values.dtype.kind in "iuf" and _is_one_hot(values):
        return values.argmax(axis=1).astype(np.int64)
    if values.dtype.kind == "f" and values.ndim == 2 and (values != np.floor(values)).any():
        raise _bad_shares(path, name, values)
    if values.dtype.kind in "iuf":
        return _numbers(path, name, values)
    if values.dtype.kind in "USO" and values.ndim == 1:
        return _words(path, name, values)
    raise MemstudyError(
        f"labels must be whole numbers, the classes counted from 0, or names of classes; in {path}{_where(name)} "
        f"they are {values.dtype}, the first {quoted(values.tolist()[0])}."
    )


def _numbers(path: Path, name: str, values: NDArray[Any]) -> Labels:
    if values.dtype.kind == "f":
        values = values.astype(np.float64)
    with np.errstate(invalid="ignore"):
        whole = np.isfinite(values) & (values == np.floor(values))
    require(path, name, values, whole, "must be whole numbers, the classes counted from 0")
    good = (values >= 0) & (values <= HIGHEST_CLASS)
    require(path, name, values, good, "must be classes counted from 0")
    return values.astype(np.int64)


def require(path: Path, name: str, values: NDArray[Any], good: NDArray[np.bool_], must: str) -> None:
    """Raise a MemstudyError that shows the first row that is not good, and says how many there are.

    `name` is that of the column, `must` says what labels must be; `values` and `good` are (N,) or (N, A).
    """
    bad = np.flatnonzero(~good if good.ndim == 1 else ~good.all(axis=1))
    if not len(bad):
        return
    first = values[bad[0]]
    value = first.tolist() if isinstance(first, np.ndarray | np.generic) else first
    many = "it alone" if len(bad) == 1 else f"the first of {len(bad):,}"
    raise MemstudyError(
        f"labels {must}; in {path}{_where(name)} row {bad[0]:,} (the first is 0) is {quoted(value)}, {many} of "
        f"{len(values):,}."
    )


def _words(path: Path, name: str, values: NDArray[Any]) -> Labels | Text:
    """Text that is numbers as numbers, other text without the space around it.

    The more frequent of the two says what the column is of, and so what is wrong in it.
    """
    texts = [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values.tolist()]
    number = np.array([_is_number(value) for value in texts])
    word = np.array([isinstance(value, str) and bool(value.strip()) for value in texts]) & ~number
    if number.sum() >= word.sum():
        require(path, name, values, number, "must be whole numbers, the classes counted from 0")
        return _numbers(path, name, np.array([float(value) for value in texts]))
    require(path, name, values, number | word, "must be names of classes, or their numbers from 0 on")
    return np.array([str(value).strip() for value in texts], dtype=object)


def _is_number(value: object) -> bool:
    """Whether a value is a number, or text that is one, short enough to be converted."""
    if isinstance(value, str):
        return len(value) < 40 and NUMBER.fullmatch(value) is not None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return not isinstance(value, int) or value.bit_length() < 63


def _side_by_side(path: Path, columns: Columns, names: tuple[str, ...]) -> Labels | Text:
    """Annotators' labels (N, A): numbers, -1 where one gave none, or, if any gave names, text, empty for none."""
    answers = [_answers(path, name, columns[name]) for name in names]
    if text := any(labels.dtype.kind == "O" for labels in answers):
        answers = [labels if labels.dtype.kind == "O" else _as_text(labels) for labels in answers]
    table: Labels | Text = np.stack(answers, axis=1)  # type: ignore[assignment]
    answered = (table != ("" if text else -1)).any(axis=1)
    require(path, " + ".join(names), table, np.asarray(answered), "must be given by somebody")
    return table


def _answers(path: Path, name: str, column: NDArray[Any]) -> Labels | Text:
    """One annotator's labels (N,), -1 or empty text where there is none."""
    values = column.astype(object)
    answered = np.array([not _is_missing(value) for value in values.tolist()])
    if not answered.any():
        return np.full(len(column), -1, np.int64)
    values[~answered] = values[answered][0]  # something that is read as the others are
    labels = entries(path, name, values).copy()
    labels[~answered] = -1 if labels.dtype.kind == "i" else ""
    return labels


def _as_text(numbers: NDArray[Any]) -> Text:
    return np.array([str(number) if number >= 0 else "" for number in numbers], dtype=object)


def _is_missing(value: object) -> bool:
    """Whether an annotator gave no label: empty text, None, -1, NaN or NA."""
    if isinstance(value, str):
        return not value.strip() or re.fullmatch(r"\s*(-1(\.0*)?|nan|NaN|NA)\s*", value) is not None
    return value is None or value != value or value == -1


def _read_truth(path: Path, name: str, values: NDArray[Any]) -> Labels | Text | None:
    """The true labels beside noisy ones; None if they are not in a form that could be compared."""
    try:
        truth = entries(path, name, values)
    except MemstudyError:
        return None
    return truth if truth.ndim == 1 else None


def _bad_shares(path: Path, name: str, values: NDArray[Any]) -> MemstudyError:
    good = (values >= 0).all(axis=1) & (np.abs(values.sum(axis=1) - 1) < 1e-3)
    row = int(np.flatnonzero(~good)[0]) if not good.all() else 0
    return MemstudyError(
        f"the rows of soft labels must be fractions that add up to 1; in {path}{_where(name)} row {row:,} (the "
        f"first is 0) is {quoted(values[row].tolist())}, one of {int((~good).sum()):,} such of {len(values):,}."
    )


# The order of the rows


def _order(path: Path, name: str, column: NDArray[Any], count: int) -> Labels | None:
    """The row of each sample, (N,), from the column that samples each row's sample; None for rows in order.

    Samples are counted from 0 or from 1. Raises a MemstudyError if some are left out or given twice.
    """
    if len(column) != count:
        raise MemstudyError(f"{path} has {count:,} labels, but {len(column):,} of {quoted(name)}; give one each.")
    if not count:
        return None
    samples = np.array([float(value) for value in column])
    order = np.argsort(samples, kind="stable")
    ordered = samples[order]
    if twice := np.flatnonzero(np.diff(ordered) == 0).tolist():
        raise MemstudyError(
            f"{path} has more than one label for sample {ordered[twice[0]]:g} by its column {quoted(name)} "
            f"({len(twice):,} too many in {count:,} rows); keep one for each sample."
        )
    if ordered[0] not in (0, 1) or not np.array_equal(ordered, ordered[0] + np.arange(count)):
        raise MemstudyError(
            f"the {count:,} rows of {path} go from sample {ordered[0]:g} to {ordered[-1]:g} by its column "
            f"{quoted(name)}, so they are a part of a set; give every sample from 0 to {count - 1:,} a label, or "
            "remove the column if it is none of samples' samples."
        )
    return None if np.array_equal(order, np.arange(count)) else order
