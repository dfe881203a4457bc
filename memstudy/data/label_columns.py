"""Which of a file's columns are the noisy labels, going by their names (`label_words`) and by what they hold.

True labels are never taken for noisy ones: where there are two columns of labels and no name says which are noisy,
the error names both, and the user chooses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memstudy.data.label_tables import NAMELESS, NUMBER, Columns
from memstudy.data.label_words import FILE, INDEX, LABEL, OTHER, Kind, kind, words
from memstudy.errors import MemstudyError, listed, quoted, unknown

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


@dataclass(frozen=True)
class Choice:
    """The names of the columns to read, by what they are read for.

    Attributes:
        labels: noisy labels, one column, or one for each annotator; empty if there are soft labels alone.
        soft: soft labels, one column for each class, or one array (N, K).
        truth: the true labels that stand beside the noisy ones.
        index: the number of each row's sample.
        file: each row's image file.

    """

    labels: tuple[str, ...] = ()
    soft: tuple[str, ...] = ()
    truth: str | None = None
    index: str | None = None
    file: str | None = None


def choose(path: Path, columns: Columns, wanted: str | None = None) -> Choice:
    """Choose a file's columns, with the labels from the column `wanted`, if one is.

    Raises a MemstudyError, which names the columns, if their names do not say which are the noisy labels.
    """
    if list(columns) == [NAMELESS]:
        if wanted is not None:
            raise MemstudyError(f"{path} has no columns with names, so leave --label-column out.")
        return _alone(columns)
    keys = _keys(columns)
    rest = {name: values for name, values in columns.items() if name not in keys.values()}
    if wanted is not None and wanted not in rest:
        raise unknown(f"column of {path}", wanted, rest)
    soft = _soft(rest)
    candidates = {name: said for name in rest if name not in soft and (said := _kind_of(name, rest))}
    masks = {name: said for name, said in candidates.items() if _is_mask(name, rest, candidates)}
    kinds = {name: said for name, said in candidates.items() if name not in masks}
    labels = _noisy(path, rest, kinds, masks) if wanted is None else tuple({wanted} - {*soft})
    if not labels and not soft:
        if len(rest) != 1:
            raise MemstudyError(
                f"none of {path}'s columns has a name of noisy labels, such as noisy_label or label; they are "
                f"{listed(rest)}: say which with --label-column."
            )
        labels = tuple(rest)
    return Choice(labels, soft, _truth(kinds, labels), **keys)


def _kind_of(name: str, columns: Columns) -> Kind | None:
    """What a column's name says; None if it holds no labels, but a list of the classes."""
    values = columns[name]
    if not 1 <= values.ndim <= 2:
        return None
    texts = [str(value) for value in values] if values.dtype.kind in "UO" else []
    if len(columns) > 1 and len(set(texts)) == len(texts) > 1 and not any(map(NUMBER.fullmatch, texts)):
        return None
    return kind(name)


def _alone(columns: Columns) -> Choice:
    """The choice in a file of one array without a name."""
    (values,) = columns.values()
    return Choice(soft=(NAMELESS,)) if are_shares(values) else Choice(labels=(NAMELESS,))


def _keys(columns: Columns) -> dict[str, str]:
    """The columns that say which sample a row is of: names by `index` and `file`, those of them that there are."""
    keys: dict[str, str] = {}
    flat = [name for name, values in columns.items() if values.ndim == 1]
    for name in flat:
        joined, numeric = "".join(words(name)), _is_numeric(columns[name])
        if numeric and joined in INDEX:
            keys.setdefault("index", name)
        elif not numeric and (joined in INDEX | FILE or _are_images(columns[name])):
            keys.setdefault("file", name)
    first = next(iter(columns))
    if (
        first in flat
        and first not in keys.values()
        and (_is_unnamed(first) or _counts_rows(first, columns[first]))
    ):
        keys.setdefault("index" if _is_numeric(columns[first]) else "file", first)
    return keys


def _are_images(values: NDArray[Any]) -> bool:
    """Whether a column of text, whatever its name, names image files."""
    return bool(len(values)) and all(str(value).strip().lower().endswith(IMAGE_ENDINGS) for value in values)


def _is_unnamed(name: str) -> bool:
    """Whether a table gave a column no name, as pandas does to its index."""
    return name.startswith("Unnamed: ")


def _counts_rows(name: str, values: NDArray[Any]) -> bool:
    """Whether the first column of a table without names counts the rows, in any order."""
    if name != "column 1" or not _is_numeric(values):
        return False
    numbers = np.sort([float(value) for value in values])
    return len(numbers) > 2 and bool((np.diff(numbers) == 1).all())


def _is_numeric(values: NDArray[Any]) -> bool:
    """Whether a column holds numbers, or text that is such."""
    return values.dtype.kind in "iuf" or (
        values.dtype.kind in "UO" and all(NUMBER.fullmatch(str(value)) for value in values)
    )


# Soft labels


def are_shares(values: NDArray[Any]) -> bool:
    """Whether an array (N, K) of fractions is probabilities: none below 0, and each row adds up to 1."""
    if values.ndim != 2 or values.dtype.kind != "f" or values.shape[1] < 2 or not len(values):
        return False
    close = 5e-3 if values.dtype.itemsize < 4 else 1e-3  # as they may be rounded
    return bool((values >= 0).all() and (np.abs(values.sum(axis=1, dtype=np.float64) - 1) < close).all())


def _soft(columns: Columns) -> tuple[str, ...]:
    """The names of soft labels: of an array (N, K), or of a column for each class; empty if there are none.

    Empty also if two arrays could be the soft labels.
    """
    arrays = [name for name, values in columns.items() if are_shares(values)]
    if arrays:
        return tuple(arrays) if len(arrays) == 1 else ()
    for names in ([name for name in columns if kind(name) is None], list(columns)):
        if together(columns, names) is not None:
            return tuple(names)
    return ()


def together(columns: Columns, names: Sequence[str]) -> NDArray[np.float64] | None:
    """Columns (N,), one a class, as soft labels (N, K); None if they are none."""
    parts = [columns[name] for name in names]
    if len(parts) < 2 or {part.ndim for part in parts} != {1} or len({len(part) for part in parts}) > 1:
        return None
    if not all(len(part) and _is_numeric(part[:1]) for part in parts):
        return None
    if abs(sum(float(part[0]) for part in parts) - 1) > 1e-2 or not all(_is_numeric(part) for part in parts):
        return None
    table = np.array([[float(value) for value in part] for part in parts]).T
    return table if are_shares(table) and (table != np.floor(table)).any() else None


# Labels


def _noisy(path: Path, columns: Columns, kinds: Mapping[str, Kind], masks: Mapping[str, Kind]) -> tuple[str, ...]:
    """The names of the columns of noisy labels; empty if no name says labels.

    `kinds` and `masks` are what the names of columns say, of those that are labels and those that mark labels.
    """
    by_kind = {said: [name for name in kinds if kinds[name] is said] for said in Kind}
    wholes = by_kind[Kind.NOISY] or by_kind[Kind.LABELS]
    if Kind.NOISY in masks.values() and not by_kind[Kind.NOISY]:
        raise _undecided(path, [*masks, *wholes], f", of which {next(iter(masks))} holds only 0 and 1, as a mask")
    if annotators := _annotators(by_kind):
        return annotators
    if len(wholes) == 1:
        alike = [] if by_kind[Kind.NOISY] else [name for name in columns if _is_alike(columns, name, wholes[0])]
        if alike:
            raise _undecided(path, [wholes[0], *alike])
        return (wholes[0],)
    if len(wholes) > 1:
        return (_same(path, columns, wholes),)
    if kinds:
        raise _undecided(path, list(kinds), ", all named as true ones,")
    return ()


def _is_alike(columns: Columns, name: str, labels: str) -> bool:
    """Whether a column whose name says nothing (`sym40`) has the classes of the labels: it may be noisy ones."""
    values, classes = columns[name], columns[labels]
    if kind(name) is not None or set(words(name)) & OTHER or values.ndim != 1 or values.shape != classes.shape:
        return False
    if values.dtype.kind not in "iuUO" or _is_binary(values):
        return False
    return {*map(str, values.tolist())} <= {*map(str, classes.tolist())}


def _undecided(path: Path, names: list[str], more: str = "") -> MemstudyError:
    return MemstudyError(
        f"{path} has the columns of labels {listed(names)}{more}, and their names do not say which are the noisy "
        f"ones: say it with --label-column, for example --label-column {quoted(names[-1])}."
    )


def _is_mask(name: str, columns: Columns, kinds: Mapping[str, Kind]) -> bool:
    """Whether a column marks which labels are noisy, or clean: 0 and 1 where one beside it has more classes.

    Where all columns are 0 and 1, one named `noisy` alone is a mask if another is named `label`.
    """
    if columns[name].dtype.kind == "b":
        return len(kinds) > 1
    if not _is_binary(columns[name]):
        return False
    others = [other for other in kinds if other != name]
    if any(not _is_binary(columns[other]) for other in others):
        return kinds[name] in (Kind.NOISY, Kind.CLEAN)
    alone = not set(words(name)) & LABEL
    return alone and any(set(words(other)) & LABEL for other in others)


def _is_binary(values: NDArray[Any]) -> bool:
    """Whether a column holds nothing but 0 and 1, or false and true."""
    if values.ndim != 1 or not len(values):
        return False
    if values.dtype.kind == "O" and any(isinstance(value, list | tuple | dict) for value in values):
        return False
    return {str(value).strip().lower() for value in np.unique(values.astype(str))} <= {
        "0", "1", "0.0", "1.0", "true", "false",
    }  # fmt: skip


def _annotators(by_kind: Mapping[Kind, list[str]]) -> tuple[str, ...]:
    """The columns of several annotators, empty if there are none.

    They are named so, or their names differ in a number alone: `random_label1`, `random_label2`. Of columns that
    are not named noisy there must be three or more.
    """
    if by_kind[Kind.ANNOTATOR] and not by_kind[Kind.NOISY]:
        return tuple(by_kind[Kind.ANNOTATOR])
    names, least = (by_kind[Kind.NOISY], 2) if by_kind[Kind.NOISY] else (by_kind[Kind.LABELS], 3)
    stems = {tuple(word for word in words(name) if not word.isdecimal()) for name in names}
    numbered = all(any(word.isdecimal() for word in words(name)) for name in names)
    doubled = any(re.fullmatch(r".*\.[0-9]+", name) for name in names)  # a second `label`, see `label_tables`
    return tuple(names) if len(names) >= least and len(stems) == 1 and numbered and not doubled else ()


def _same(path: Path, columns: Columns, names: list[str]) -> str:
    """The column of numbers, where the others name the same classes; a MemstudyError where they differ."""
    texts = {name: not _is_numeric(columns[name]) for name in names if columns[name].ndim == 1}
    numbers = [name for name in names if not texts.get(name, False)]
    if len(numbers) == 1 and len(texts) == len(names):
        codes = [np.unique(columns[name].astype(str), return_inverse=True)[1] for name in names]
        # as many pairs of codes as codes: each class of the first has one name in the other
        pairs = {len(set(zip(codes[0].tolist(), other.tolist(), strict=False))) for other in codes}
        if len({len(code) for code in codes}) == 1 and pairs == {int(codes[0].max()) + 1}:
            return numbers[0]
    raise _undecided(path, names)


def _truth(kinds: Mapping[str, Kind], labels: tuple[str, ...]) -> str | None:
    """The column of true labels beside noisy ones: the one named so, else the only other."""
    others = [name for name in kinds if name not in labels]
    clean = [name for name in others if kinds[name] is Kind.CLEAN]
    if len(clean) == 1:
        return clean[0]
    plain = [name for name in others if kinds[name] is Kind.LABELS]
    noisy = labels and all(kinds.get(name) in (Kind.NOISY, Kind.ANNOTATOR) for name in labels)
    return plain[0] if noisy and not clean and len(plain) == 1 else None
