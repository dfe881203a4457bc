"""What is recorded of every training sample after each epoch: a .npy file for each quantity in `dynamics/`.

loss, margin    (epochs, N) float16
prediction      (epochs, N) uint8, or int16 for more than 256 classes
el2n            (kept epochs, N) float16: a row for each of the recipe's checkpoints, in their order

That is five bytes a sample and epoch, and two more at kept epochs; `analysis.records` defines the quantities.
Files have their final size from the start, and each epoch its row in them, so an epoch that is trained again after
an interruption writes the same bytes to the same place. Rows of epochs that metrics.csv lacks mean nothing.
Files are read as memory maps, so a part can be read without the rest, but written by ordinary calls: a full disk
is then an error that can be caught, and not a signal that kills the process.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tokenize
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memstudy import files
from memstudy.store.seals import Seals

HOW_TO_RECORD = "they are made while it trains: remove its directory and run it again with --dynamics"
"""How to get records of a run that has none."""
BYTES = 5
"""Of one sample in one epoch; two more in kept ones."""
MOST = 250_000_000
"""Bytes: records up to this size are made by default. Those of every preset are smaller (AL2's: 210 MB)."""
KINDS = {"loss": "e", "margin": "e", "prediction": "Bh", "el2n": "e"}
"""The quantities, each with numpy's type characters that its file may have."""


def usual(epochs: int, samples: int) -> bool:
    """Whether a run of so many epochs and training samples is recorded by default."""
    return BYTES * epochs * samples <= MOST


def megabytes(size: float) -> str:
    """`210 MB`."""
    return f"{size / 1e6:,.0f} MB"


@dataclass(frozen=True)
class Dynamics:
    """The records of a run's finished epochs; `kept` are the epochs that the rows of `el2n` belong to."""

    loss: NDArray[np.float16]
    margin: NDArray[np.float16]
    prediction: NDArray[Any]
    el2n: NDArray[np.float16]
    kept: tuple[int, ...]


@dataclass(frozen=True)
class Records:
    """Writes and reads the files of a run of `epochs` epochs, of which those in `kept` have checkpoints."""

    folder: Path
    epochs: int
    kept: tuple[int, ...]
    seals: Seals = field(default_factory=Seals, compare=False)

    def write(self, epoch: int, values: Mapping[str, NDArray[Any]]) -> None:
        """Write an epoch's row of each quantity, (N,); the first epoch makes the files."""
        for name, row in values.items():
            path, epochs = self.path(name), self._epochs(name)
            if epoch == 0:
                self.seals.grown(self.relative(name), self._begin(name, (len(epochs), len(row)), row.dtype))
            if epoch in epochs:
                start = self._file(name).start + epochs.index(epoch) * row.nbytes
                with files.explained(path), path.open("r+b") as file:
                    file.seek(start)
                    file.write(row.tobytes())
                self.seals.grown(self.relative(name), row.tobytes())

    def _begin(self, name: str, shape: tuple[int, int], kind: np.dtype[Any]) -> bytes:
        """Make a file in its final size; returns the bytes of its header."""
        path = self.path(name)
        with files.explained(path):
            self.folder.mkdir(exist_ok=True)
            np.lib.format.open_memmap(path, "w+", kind, shape, version=(1, 0)).flush()
        return files.read(path)[: self._file(name).start]

    def read(self, samples: int, done: int) -> Dynamics:
        """The first `done` epochs, as memory maps; a MemstudyError names a file that is not what it should be."""
        arrays = {name: self._checked(name, samples).map() for name in KINDS}
        rows = {name: sum(epoch < done for epoch in self._epochs(name)) for name in KINDS}
        return Dynamics(
            **{name: array[: rows[name]] for name, array in arrays.items()},
            kept=tuple(epoch for epoch in self.kept if epoch < done),
        )

    def seal_again(self, done: int) -> None:
        """Give the seals what the files hold of the first `done` epochs, as if it were written now."""
        for name in KINDS:
            file = self._file(name)
            rows = sum(epoch < done for epoch in self._epochs(name))
            for piece in file.first(rows):
                self.seals.grown(self.relative(name), piece)

    def resize(self) -> list[str]:
        """Cut or extend files of a wrong size to their own, and return their paths.

        Called after the rows of all saved epochs were checked: what is lost or added are rows that mean nothing.
        """
        changed = []
        for name in KINDS:
            file = self._file(name)
            with files.explained(file.path):
                if file.path.stat().st_size != file.size:
                    os.truncate(file.path, file.size)
                    changed.append(self.relative(name))
        return changed

    def digests(self) -> dict[str, str]:
        """SHA-256 of every file, by its path in the run's directory."""
        digests = {}
        for name in KINDS:
            with self._readable(name), self.path(name).open("rb") as file:
                digests[self.relative(name)] = hashlib.file_digest(file, "sha256").hexdigest()
        return digests

    def sync(self) -> None:
        """Flush the files to disk; called before the state is saved that a continuation starts from."""
        for path in self.folder.glob("*.npy"):
            files.sync(path)

    def remove(self) -> None:
        """Remove the files."""
        with files.explained(self.folder), contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.folder)

    def path(self, name: str) -> Path:
        """A quantity's file."""
        return self.folder / f"{name}.npy"

    def relative(self, name: str) -> str:
        """A quantity's file, seen from the run's directory."""
        return f"{self.folder.name}/{name}.npy"

    def _epochs(self, name: str) -> Sequence[int]:
        """The epoch of each row of a file."""
        return self.kept if name == "el2n" else range(self.epochs)

    def _checked(self, name: str, samples: int) -> _File:
        """A quantity's file, of which header, number of samples and size were found to be right."""
        file = self._file(name)
        if file.shape[1] != samples:
            raise files.damaged(file.path, f"it holds {file.shape[1]} samples, not {samples}")
        with self._readable(name):
            if file.path.stat().st_size != file.size:
                raise ValueError(f"it has {file.path.stat().st_size} bytes, not {file.size}")
        return file

    def _file(self, name: str) -> _File:
        """A quantity's file as its header describes it; a MemstudyError if this run would not write that."""
        path = self.path(name)
        with self._readable(name), path.open("rb") as file, warnings.catch_warnings(action="error"):
            if np.lib.format.read_magic(file) != (1, 0):
                raise ValueError("it is not of version 1.0")
            shape, fortran_order, kind = np.lib.format.read_array_header_1_0(file)
            if fortran_order or kind.char not in KINDS[name] or kind.newbyteorder("<") != kind:
                raise ValueError(f"it holds {kind}{' by columns' if fortran_order else ''}")
            if len(shape) != 2 or shape[0] != len(self._epochs(name)) or shape[1] < 1:
                raise ValueError(f"it is of shape {shape}")
            return _File(path, file.tell(), shape, kind)

    @contextlib.contextmanager
    def _readable(self, name: str) -> Iterator[None]:
        """Let what goes wrong with reading a file become a MemstudyError that names it."""
        with files.reading(self.path(name)):
            try:
                yield
            except (*files.ABSENT, *MALFORMED) as error:
                raise files.damaged(self.path(name), error) from error


MALFORMED = (
    ValueError, EOFError, TypeError, SyntaxError, tokenize.TokenError, OverflowError, RecursionError,
    MemoryError, Warning,
)  # fmt: skip
"""What numpy raises for malformed headers: it parses them as Python literals (and runs nothing)."""


@dataclass(frozen=True)
class _File:
    """One .npy file in C order, as its header describes it: its rows begin at byte `start`."""

    path: Path
    start: int
    shape: tuple[int, int]
    kind: np.dtype[Any]

    @property
    def size(self) -> int:
        """Bytes, when it is whole."""
        return self.start + self.shape[0] * self.row

    @property
    def row(self) -> int:
        """Bytes of a row."""
        return self.shape[1] * self.kind.itemsize

    def map(self) -> NDArray[Any]:
        """Its array (epochs, N), as a memory map."""
        return np.memmap(self.path, self.kind, "r", self.start, self.shape)

    def first(self, rows: int) -> Iterator[bytes]:
        """The bytes of the header and of each of the first `rows` rows; fewer where the file ends before."""
        with files.reading(self.path), self.path.open("rb") as file:
            yield file.read(self.start)
            for _ in range(rows):
                yield file.read(self.row)
