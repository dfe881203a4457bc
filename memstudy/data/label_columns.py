"""Which of a file's columns are the noisy labels, going by their names; never silently the clean ones.

A name is taken apart into words: `y_train_noisy`, `noisyLabels`, `noise-label`. Words say that a column is labels,
that those are noisy, or clean; a word of another thing (`label_quality`, `is_label_issue`, `test_labels`) that it
is none. Where there are two columns of labels and no word says which are noisy, both are named and nobody guesses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memstudy.data.label_tables import NAMELESS, NUMBER, Columns
from memstudy.errors import MemstudyError, listed, quoted, unknown


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


LABEL = _set(
    "label labels lbl lab y ys target targets class classes cls category categories annotation annotations "
    "answer answers"
)
NOISY = _set(
    "noisy noise observed given human worse worst corrupt corrupted perturbed flipped wrong annotated "
    "annotation annotations crowd crowdsourced mturk amt weak random rand aggre aggregate aggregated majority "
    "web tilde"
)
CLEAN = _set(
    "clean true truth gt groundtruth ground gold golden correct corrected original orig real expert oracle "
    "verified actual reference uncorrupted"
)
ALONE = _set(
    "noisy noise observed given human worse worst corrupted annotated annotation annotations crowd clean true "
    "truth gt groundtruth ground gold expert"
)
"""Of these, what stands for labels without a word that says so."""
FILLING = _set("train training trn the of")
OTHER = _set(
    "is has issue issues error errors mask flag quality score scores prob probs probability probabilities "
    "confidence conf weight weights text count counts test val valid validation pred preds predicted "
    "prediction predictions logit logits loss losses margin changed rate type seed matrix transition names "
    "map mapping num or not time times sigma std mean entropy"
)
PEOPLE = _set("annotator worker rater coder labeler labeller judge user person")
INDEX = _set(
    "index indices indexes idx idxs i id ids row rows position positions sample sampleindex sampleid sampleidx "
    "image img imageid imgid imageindex imageidx imgidx no nr"
)
FILE = _set(
    "filename filenames file files path paths filepath filepaths image images img imgs imagepath imgpath "
    "imagefile imagename imgname imagefilename imgfilename fname relpath relativepath"
)
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


class Kind(Enum):
    """What a name says of a column of labels."""

    NOISY = "noisy"
    CLEAN = "clean"
    LABELS = "labels"
    ANNOTATOR = "annotator"


def words(name: str) -> list[str]:
    """`y_trainNoisy2` → y, train, noisy, 2."""
    return re.findall(r"[a-z]+|[0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())


def kind(name: str) -> Kind | None:
    """What a name says; None if it is no name of labels."""
    own = [word for word in words(name) if not word.isdecimal()]
    said = set(own) - FILLING
    if not said or said & OTHER:
        return None
    if said & PEOPLE and not said & {"id", "ids"}:
        return Kind.ANNOTATOR
    if not (said & LABEL or said <= ALONE):
        return None
    if said & NOISY and not said & CLEAN:
        return Kind.NOISY
    return Kind.CLEAN if said & CLEAN else Kind.LABELS


@dataclass(frozen=True)
class Choice:
    """Which columns are what.

    Attributes:
        labels: the columns of labels: one, or one an annotator; empty if there are none but soft ones.
        soft: the columns of a distribution over classes, or the one array (N, K) that is one.
        truth: the column of clean labels that stands beside noisy ones.
        index: where each row's sample is in the set.
        file: each row's image file.

    """

    labels: tuple[str, ...] = ()
    soft: tuple[str, ...] = ()
    truth: str | None = None
    index: str | None = None
    file: str | None = None


def choose(path: Path, columns: Columns, wanted: str | None = None) -> Choice:
    """Choose by names, or the column `wanted`. A MemstudyError names the columns where names do not say.

    Of an array that stands alone, the name does not matter.
    """
    if list(columns) == [NAMELESS]:
        if wanted is not None:
            raise MemstudyError(f"{path} has no columns with names, so leave --label-column out.")
        return _alone(columns)
    rows = _keys(columns)
    rest = {name: values for name, values in columns.items() if name not in rows.values()}
    if wanted is not None and wanted not in rest:
        raise unknown(f"column of {path}", wanted, rest)
    soft = _soft(rest)
    found = {name: own for name in rest if name not in soft and (own := _kind_of(name, rest))}
    masks = [name for name in found if _is_mask(name, rest, found)]
    plain = {name: own for name, own in found.items() if name not in masks}
    if wanted is not None:
        taken = () if wanted in soft else (wanted,)
        return Choice(taken, soft, _truth(plain, taken), **rows)
    labels = _noisy(path, rest, plain, {name: found[name] for name in masks})
    if not labels and not soft:
        if len(rest) != 1:
            raise MemstudyError(
                f"none of {path}'s columns has a name of noisy labels, such as noisy_label or label; they are "
                f"{listed(rest)}: say which with --label-column."
            )
        labels = tuple(rest)
    return Choice(labels, soft, _truth(plain, labels), **rows)


def _kind_of(name: str, columns: Columns) -> Kind | None:
    """What a column is by its name, and its form: in an archive, names of classes lie beside labels."""
    values = columns[name]
    if not 1 <= values.ndim <= 2:
        return None
    texts = [str(value) for value in values] if values.dtype.kind in "UO" else []
    if len(columns) > 1 and len(set(texts)) == len(texts) > 1 and not any(map(NUMBER.fullmatch, texts)):
        return None
    return kind(name)


def _alone(columns: Columns) -> Choice:
    (values,) = columns.values()
    return Choice(soft=(NAMELESS,)) if shares(values) else Choice(labels=(NAMELESS,))


def _keys(columns: Columns) -> dict[str, str]:
    """The columns that say which sample a row is of, by `index` and `file`."""
    rows: dict[str, str] = {}
    flat = [name for name, values in columns.items() if values.ndim == 1]
    for name in flat:
        joined, numeric = "".join(words(name)), _numeric(columns[name])
        if numeric and joined in INDEX:
            rows.setdefault("index", name)
        elif not numeric and (joined in INDEX | FILE or _images(columns[name])):
            rows.setdefault("file", name)
    first = next(iter(columns))
    if first in flat and first not in rows.values() and (_unnamed(first) or _counts(first, columns[first])):
        rows.setdefault("index" if _numeric(columns[first]) else "file", first)
    return rows


def _images(values: NDArray[Any]) -> bool:
    """Whether a column of text, whatever its name, names image files."""
    return bool(len(values)) and all(str(value).strip().lower().endswith(IMAGES) for value in values)


def _unnamed(name: str) -> bool:
    return name.startswith("Unnamed: ")


def _counts(name: str, values: NDArray[Any]) -> bool:
    """Whether the first column of a table without names counts the rows, in any order."""
    if name != "column 1" or not _numeric(values):
        return False
    numbers = np.sort([float(value) for value in values])
    return len(numbers) > 2 and bool((np.diff(numbers) == 1).all())


def _numeric(values: NDArray[Any]) -> bool:
    return values.dtype.kind in "iuf" or (
        values.dtype.kind in "UO" and all(NUMBER.fullmatch(str(value)) for value in values)
    )


# Soft labels


def shares(values: NDArray[Any]) -> bool:
    """Whether an array (N, K) of fractions is probabilities: none below 0, and each row adds up to 1."""
    if values.ndim != 2 or values.dtype.kind != "f" or values.shape[1] < 2 or not len(values):
        return False
    close = 5e-3 if values.dtype.itemsize < 4 else 1e-3  # as they may be rounded
    return bool((values >= 0).all() and (np.abs(values.sum(axis=1, dtype=np.float64) - 1) < close).all())


def _soft(columns: Columns) -> tuple[str, ...]:
    """The array that is a distribution, or the columns that are one together; none if there is none, or two."""
    arrays = [name for name, values in columns.items() if shares(values)]
    if arrays:
        return tuple(arrays) if len(arrays) == 1 else ()
    for parts in ([name for name in columns if kind(name) is None], list(columns)):
        if together(columns, parts) is not None:
            return tuple(parts)
    return ()


def together(columns: Columns, names: Sequence[str]) -> NDArray[np.float64] | None:
    """Columns as one distribution (N, K); None if they are none."""
    parts = [columns[name] for name in names]
    if len(parts) < 2 or {part.ndim for part in parts} != {1} or len({len(part) for part in parts}) > 1:
        return None
    if not all(len(part) and _numeric(part[:1]) for part in parts):
        return None
    if abs(sum(float(part[0]) for part in parts) - 1) > 1e-2 or not all(_numeric(part) for part in parts):
        return None
    found = np.array([[float(value) for value in part] for part in parts]).T
    return found if shares(found) and (found != np.floor(found)).any() else None


# Labels


def _noisy(path: Path, columns: Columns, found: Mapping[str, Kind], masks: Mapping[str, Kind]) -> tuple[str, ...]:
    """The columns of noisy labels among those named as labels, of which some turned out to be masks."""
    by_kind = {own: [name for name in found if found[name] is own] for own in Kind}
    wholes = by_kind[Kind.NOISY] or by_kind[Kind.LABELS]
    if Kind.NOISY in masks.values() and not by_kind[Kind.NOISY]:
        raise _undecided(path, [*masks, *wholes], f", of which {next(iter(masks))} holds only 0 and 1, as a mask")
    if several := _annotators(by_kind):
        return several
    if len(wholes) == 1:
        alike = [] if by_kind[Kind.NOISY] else [name for name in columns if _is_alike(columns, name, wholes[0])]
        if alike:
            raise _undecided(path, [wholes[0], *alike])
        return (wholes[0],)
    if len(wholes) > 1:
        return (_same(path, columns, wholes),)
    if found:
        raise _undecided(path, list(found), ", all named as true ones,")
    return ()


def _is_alike(columns: Columns, name: str, labels: str) -> bool:
    """Whether a column whose name says nothing (`sym40`) holds classes of one of labels: it may be noisy."""
    own, theirs = columns[name], columns[labels]
    if kind(name) is not None or set(words(name)) & OTHER or own.ndim != 1 or own.shape != theirs.shape:
        return False
    if own.dtype.kind not in "iuUO" or _binary(own):
        return False
    return {*map(str, own.tolist())} <= {*map(str, theirs.tolist())}


def _undecided(path: Path, names: list[str], more: str = "") -> MemstudyError:
    return MemstudyError(
        f"{path} has the columns of labels {listed(names)}{more}, and their names do not say which are the noisy "
        f"ones: say it with --label-column, for example --label-column {quoted(names[-1])}."
    )


def _is_mask(name: str, columns: Columns, found: Mapping[str, Kind]) -> bool:
    """Whether a column marks labels rather than being some: 0 and 1 where a column beside it has more classes.

    Where all have two classes, one that is named by a word alone (`noisy`) gives way to one named as labels.
    """
    if columns[name].dtype.kind == "b":
        return len(found) > 1
    if not _binary(columns[name]):
        return False
    others = [other for other in found if other != name]
    if any(not _binary(columns[other]) for other in others):
        return found[name] in (Kind.NOISY, Kind.CLEAN)
    alone = not set(words(name)) & LABEL
    return alone and any(set(words(other)) & LABEL for other in others)


def _binary(values: NDArray[Any]) -> bool:
    if values.ndim != 1 or not len(values):
        return False
    return {str(value).strip().lower() for value in np.unique(values.astype(str))} <= {
        "0", "1", "0.0", "1.0", "true", "false",
    }  # fmt: skip


def _annotators(by_kind: Mapping[Kind, list[str]]) -> tuple[str, ...]:
    """Columns that differ in a number alone: `random_label1`, `random_label2`. Of plain labels, three or more."""
    if by_kind[Kind.ANNOTATOR] and not by_kind[Kind.NOISY]:
        return tuple(by_kind[Kind.ANNOTATOR])
    for own, least in ((Kind.NOISY, 2), (Kind.LABELS, 3)):
        stems = {tuple(word for word in words(name) if not word.isdecimal()) for name in by_kind[own]}
        numbered = all(any(word.isdecimal() for word in words(name)) for name in by_kind[own])
        doubled = any(re.fullmatch(r".*\.[0-9]+", name) for name in by_kind[own])
        if len(by_kind[own]) >= least and len(stems) == 1 and numbered and not doubled:
            return tuple(by_kind[own])
        if by_kind[own]:
            return ()
    return ()


def _same(path: Path, columns: Columns, names: list[str]) -> str:
    """The one of several columns that say the same, numbers before the names of their classes."""
    texts = {name: not _numeric(columns[name]) for name in names if columns[name].ndim == 1}
    numbers = [name for name in names if not texts.get(name, False)]
    if len(numbers) == 1 and len(texts) == len(names):
        codes = [np.unique(columns[name].astype(str), return_inverse=True)[1] for name in names]
        pairs = {len(set(zip(codes[0].tolist(), other.tolist(), strict=False))) for other in codes}
        if len({len(code) for code in codes}) == 1 and pairs == {int(codes[0].max()) + 1}:
            return numbers[0]
    raise _undecided(path, names)


def _truth(found: Mapping[str, Kind], labels: tuple[str, ...]) -> str | None:
    """The column of true labels beside noisy ones: the one named so, else the one not named noisy."""
    others = [name for name in found if name not in labels]
    clean = [name for name in others if found[name] is Kind.CLEAN]
    if len(clean) == 1:
        return clean[0]
    plain = [name for name in others if found[name] is Kind.LABELS]
    noisy = labels and all(found.get(name) in (Kind.NOISY, Kind.ANNOTATOR) for name in labels)
    return plain[0] if noisy and not clean and len(plain) == 1 else None
