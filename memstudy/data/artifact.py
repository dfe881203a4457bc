"""Corrupted labels as one file that others can train on: what each label was, is, and why.

An .npz of plain arrays; with numpy alone, `numpy.load("noisy.npz")["noisy"]`:

clean, noisy           (N,) int64
mask                   (N,) bool, True where they differ
transition             (K, K), realized frequencies, rows are true classes
transition_asked       (K, K), the rule's own matrix; (0, 0) if it has none
positions              (N,) int64, where each sample is in the set's training part (0, 1, 2, … for all of it)
rule, seed             text
rate_asked             a number; NaN for a rule without a rate
rate_realized          the share of labels that differ
dataset, class_names   text
source_sha256          content hash of the whole image set, `ImageSet.content_hash`
train_size             how many samples were chosen; 0 for all
labels_sha256          identity of the noisy labels
version                of this format and of the rules: 1
given_sha256           identity of the labels that these were chosen or drawn from; only where it is another
distribution           (N, K), votes or soft labels, rows add up to 1; only where the labels came with them

The same command gives the same bytes: there is no date, no machine and no program version in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from memstudy import files, trust
from memstudy.data import label_files, transitions
from memstudy.data.label_files import LabelFile
from memstudy.data.transitions import Labels, Matrix
from memstudy.errors import MemstudyError, listed

if TYPE_CHECKING:
    from memstudy.data.dataset import CorruptedDataset

VERSION = 1

KINDS = {
    "clean": ("i", 1), "noisy": ("i", 1), "mask": ("b", 1), "positions": ("i", 1),
    "transition": ("f", 2), "transition_asked": ("f", 2), "class_names": ("U", 1),
    "rule": ("U", 0), "seed": ("U", 0), "dataset": ("U", 0), "source_sha256": ("U", 0), "labels_sha256": ("U", 0),
    "rate_asked": ("f", 0), "rate_realized": ("f", 0), "train_size": ("i", 0), "version": ("i", 0),
}  # fmt: skip
"""numpy's kind of each array that every file has, and the number of its dimensions."""
OPTIONAL = {"given_sha256": ("U", 0), "distribution": ("f", 2)}
"""The same of the arrays that not every file has."""


def content(data: CorruptedDataset, has_images: bool = True) -> bytes:
    """A corrupted data set's labels as the bytes of the file; without images it has no `source_sha256` (empty)."""
    unknown = {} if has_images else {"source_sha256": np.array("")}
    return files.npz(**_arrays(data) | unknown)


def _arrays(data: CorruptedDataset) -> dict[str, NDArray[Any]]:
    corruption, images, noisy = data.corruption, data.images, data.noisy_labels.numpy()
    whole = len(data.positions) == len(data.source.train_labels)
    arrays = {
        "clean": images.train_labels.numpy(),
        "noisy": noisy,
        "mask": data.mask.numpy(),
        "transition": data.transition,
        "transition_asked": np.zeros((0, 0)) if data.expected is None else data.expected,
        "positions": data.positions,
        "rule": np.array(corruption.rule),
        "seed": np.array(str(corruption.seed)),
        "rate_asked": np.array(np.nan if corruption.rate is None else corruption.rate),
        "rate_realized": np.array(data.corrupted_share),
        "dataset": np.array(images.name),
        "class_names": np.array(images.class_names),
        "source_sha256": np.array(data.source.content_hash()),
        "train_size": np.array(0 if whole else len(noisy)),
        "labels_sha256": np.array(label_files.digest(noisy)),
        "version": np.array(VERSION),
    }
    if corruption.labels not in ("", str(arrays["labels_sha256"])):
        arrays["given_sha256"] = np.array(corruption.labels)
    if data.distribution is not None:
        arrays["distribution"] = data.distribution
    return arrays


@dataclass(frozen=True)
class Artifact:
    """A file that `content` made. Attributes are its arrays; text and numbers are Python's own."""

    clean: Labels
    noisy: Labels
    mask: NDArray[np.bool_]
    transition: Matrix
    transition_asked: Matrix
    positions: NDArray[np.int64]
    rule: str
    seed: int
    rate_asked: float
    rate_realized: float
    dataset: str
    class_names: tuple[str, ...]
    source_sha256: str
    train_size: int
    labels_sha256: str
    version: int
    given_sha256: str = ""
    distribution: Matrix | None = None


def made_of(data: CorruptedDataset) -> Artifact:
    """The artifact of a data set, as reading what `content` writes would give it."""
    arrays = _arrays(data)
    return _checked(LabelFile(Path("labels.npz"), arrays.pop("noisy"), ("noisy",), arrays=arrays))


def of(label_file: LabelFile) -> Artifact:
    """The artifact in a file of labels that memstudy wrote; `trust` is told what code of others it may name.

    Raises a MemstudyError if it did not, if a later version did, or if the parts contradict each other.
    """
    artifact = _checked(label_file)
    trust.named(label_file.path, [("corruption rule", artifact.rule), ("dataset", artifact.dataset)])
    return artifact


def _checked(label_file: LabelFile) -> Artifact:
    arrays: dict[str, Any] = label_file.arrays | {"noisy": label_file.noisy}
    if missing := [name for name in KINDS if name not in arrays]:
        raise MemstudyError(
            f"{label_file.path} is not one of memstudy's files of labels (it has no {listed(missing)}); name the "
            "set that it is for with --dataset to look at it, or train on it with 'memstudy run --labels'."
        )
    version = _plain(arrays["version"])
    if isinstance(version, int) and version != VERSION:
        raise MemstudyError(
            f"{label_file.path} has format {version}, and this memstudy knows format {VERSION}; use the version "
            "that made it, or a newer one."
        )
    kinds = KINDS | {name: kind for name, kind in OPTIONAL.items() if name in arrays}
    wrong = [name for name, kind in kinds.items() if (arrays[name].dtype.kind, arrays[name].ndim) != kind]
    if wrong or not str(arrays["seed"]).isdecimal():
        raise files.damaged(label_file.path, f"its {(wrong or ['seed'])[0]} is of another kind", "get it again")
    values = {name: _plain(arrays[name]) for name in kinds}
    values |= {"seed": int(values["seed"]), "class_names": tuple(values["class_names"].tolist())}
    artifact = Artifact(**values)
    _check(label_file, artifact)
    return artifact


def _plain(array: NDArray[Any]) -> Any:
    """A single value as Python's own, any other array as it is."""
    return array.item() if array.ndim == 0 else array


def _check(label_file: LabelFile, artifact: Artifact) -> None:
    """Raise a MemstudyError if the arrays contradict each other, or the labels their checksum."""
    count, classes = len(artifact.noisy), len(artifact.class_names)
    sound = (
        artifact.clean.shape == artifact.mask.shape == artifact.positions.shape == (count,)
        and artifact.transition.shape == (classes, classes)
        and np.array_equal(artifact.mask, artifact.clean != artifact.noisy)
        and min(artifact.clean.min(), artifact.noisy.min()) >= 0
        and max(artifact.clean.max(), artifact.noisy.max()) < classes
        and np.array_equal(artifact.transition, transitions.realized(artifact.clean, artifact.noisy, classes))
        and artifact.rate_realized == artifact.mask.mean()
        and artifact.labels_sha256 == label_file.digest
        and (artifact.distribution is None or _is_distribution(artifact.distribution, (count, classes)))
        and (artifact.rule != "soft" or _are_drawn(artifact.noisy, artifact.distribution))
    )
    if not sound:
        raise files.damaged(label_file.path, "its labels, mask and checksum do not agree", "get it again")


def _is_distribution(rows: Matrix, shape: tuple[int, int]) -> bool:
    return rows.shape == shape and bool((rows >= 0).all() and np.allclose(rows.sum(axis=1), 1))


def _are_drawn(labels: Labels, rows: Matrix | None) -> bool:
    """Whether each label (N,) could be drawn from its row of soft labels (N, K)."""
    return rows is not None and bool((rows[np.arange(len(labels)), labels] > 0).all())


def read(path: Path) -> Artifact:
    """Read an artifact; a MemstudyError if the file is none."""
    return of(label_files.read(path))
