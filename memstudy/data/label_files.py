"""Noisy labels in files: memstudy's own, and the forms in which others keep theirs.

.npz    memstudy's (see `artefact`), or one that holds integer labels under a usual name, or one array alone
.npy    an array of labels
.json   a list of labels (DivideMix's noise files)
.csv    a column `given_label` (cleanlab's), `noisy_label`, `noisy_labels`, `given_labels`, `noisy` or `label`
.txt    one label a line
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from memstudy.errors import MemstudyError

if TYPE_CHECKING:
    from memstudy.data.images import ImageSet

Labels = NDArray[np.int64]

USUAL = ("noisy", "noisy_labels", "noisy_label", "given_labels", "given_label", "labels", "label", "y", "y_train")
"""What the field calls noisy labels, the clearest name first."""


@dataclass(frozen=True)
class LabelFile:
    """Labels read from a file.

    Attributes:
        path: the file.
        noisy: (N,) int64.
        arrays: everything else in it, by name, if it is an .npz.

    """

    path: Path
    noisy: Labels
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        """Whether memstudy wrote it, so that it says which images it belongs to."""
        return {"clean", "mask", "dataset", "positions", "source_sha256", "version"} <= set(self.arrays)

    def text(self, name: str) -> str:
        """One of its scalars as text."""
        return str(self.arrays[name])

    @property
    def digest(self) -> str:
        """The identity of the labels, whatever kind of file they are in."""
        return digest(self.noisy)


def digest(labels: Labels) -> str:
    """SHA-256 over labels as little-endian 64-bit whole numbers."""
    return hashlib.sha256(labels.astype("<i8").tobytes()).hexdigest()


def _check_owner(found: LabelFile, source: ImageSet, positions: NDArray[np.int64]) -> None:
    if not found.ours:
        return
    if (made_for := found.text("source_sha256")) != source.content_hash():
        raise MemstudyError(
            f"{found.path} was made for {found.text('dataset')!r} with the content {made_for[:12]}…, but "
            f"{source.name!r} here has the content {source.content_hash()[:12]}…: the labels are of other images."
        )
    own = found.arrays["positions"]
    if own.shape != tuple(source.train_labels.shape) and not np.array_equal(own, positions):
        raise MemstudyError(
            f"{found.path} is for {own.size:,} chosen samples of {source.name!r}, others than those chosen here; "
            "leave out --train-size and --corrupt-seed, and they are taken from the file."
        )


def read(path: Path) -> LabelFile:
    """Read labels; a MemstudyError, one sentence, if the file is missing, damaged or holds none."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MemstudyError(f"cannot read the labels {path}: {error.strerror}.") from error
    if path.suffix not in READERS:
        raise MemstudyError(
            f"{path} has the ending {path.suffix or 'of no file type'!r}; labels are read from "
            f"{', '.join(READERS)}, so save them as one of these."
        )
    try:
        found, others = READERS[path.suffix](content)
    except Exception as error:  # a file can be wrong in more ways than its reader has errors for
        raise MemstudyError(
            f"{path} is truncated, damaged or no {path.suffix} file of labels ({' '.join(str(error).split())})."
        ) from error
    return LabelFile(path, _whole(path, found), others)


def _npz(content: bytes) -> tuple[Any, dict[str, Any]]:
    loaded = np.load(io.BytesIO(content), allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        raise ValueError("it holds a single array; name it .npy")
    with loaded as archive:
        arrays = {name: archive[name] for name in archive.files}
    if strange := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
        raise ValueError(f"{strange[0]} is no array")
    known = [name for name in USUAL if name in arrays] or (list(arrays) if len(arrays) == 1 else [])
    if not known:
        raise ValueError(f"it has {', '.join(arrays) or 'nothing'}, but none of {', '.join(USUAL)}")
    return arrays.pop(known[0]), arrays


def _npy(content: bytes) -> tuple[Any, dict[str, Any]]:
    return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False), {}


def _json(content: bytes) -> tuple[Any, dict[str, Any]]:
    return np.asarray(json.loads(content)), {}


def _csv(content: bytes) -> tuple[Any, dict[str, Any]]:
    table = pd.read_csv(io.BytesIO(content))
    if not isinstance(table.index, pd.RangeIndex):
        raise ValueError("its rows have more columns than its first line names")
    known = [name for name in USUAL if name in table]
    if not known:
        raise ValueError(f"its columns are {', '.join(map(str, table))}, but none of {', '.join(USUAL)}")
    return table[known[0]].to_numpy(), {}


def _txt(content: bytes) -> tuple[Any, dict[str, Any]]:
    return np.asarray([float(line) for line in content.decode().split()]), {}


READERS = {".npz": _npz, ".npy": _npy, ".json": _json, ".csv": _csv, ".txt": _txt}


def _whole(path: Path, found: NDArray[Any]) -> Labels:
    """Labels as int64; a MemstudyError if they are not whole numbers from 0 on in one dimension."""
    if found.ndim != 1 or len(found) == 0:
        raise MemstudyError(
            f"labels must be one a sample, in one dimension; in {path} their shape is {found.shape}."
        )
    if found.dtype.kind not in "iuf" or not np.isfinite(found).all() or (found != np.floor(found)).any():
        raise MemstudyError(
            f"labels must be whole numbers, the classes counted from 0; in {path} they are {found.dtype}, the "
            f"first {found.tolist()[0]!r}."
        )
    if (found < 0).any() or float(found.max()) > 2**31:
        raise MemstudyError(
            f"labels must be classes counted from 0; {path} has {found.min():g} to {found.max():g}."
        )
    return found.astype(np.int64)


def find(wanted: str, paths: Iterable[Path], source: ImageSet, positions: NDArray[np.int64]) -> Labels:
    """The labels of an identity, from the first of some files that holds them.

    Raises a MemstudyError if none does, or if the file says that it belongs to other images than the samples of
    `source` at `positions`.
    """
    looked = list(paths)
    for path in looked:
        if path.is_file() and (found := read(path)).digest == wanted:
            _check_owner(found, source, positions)
            return found.noisy
    raise MemstudyError(
        f"the recipe trains on the labels {wanted[:12]}…, which are in none of the files it was given "
        f"({', '.join(map(str, looked)) or 'none'}); give their file with --labels."
    )
