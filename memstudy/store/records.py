"""What was recorded of every training sample: one .npy a quantity in a run's `dynamics/`.

loss, margin    (epochs, N) float16
prediction      (epochs, N) uint8, or int16 for more than 256 classes
el2n            (kept epochs, N) float16: a row for each of the recipe's checkpoints, in their order

Five bytes a sample and epoch, and two more at kept epochs; `analysis.records` says what they are. The files have
their final size from the start, and each epoch its place in them, so one that is trained again after an
interruption writes the same bytes to the same place. Rows of epochs that metrics.csv does not have mean nothing.
They are read as memory maps, so a part can be looked at without the rest, but written as files: a full disk is
then an error and no signal.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memstudy import files

HOW = "they are made while it trains: remove its directory and run it again with --dynamics"
"""To have records of a run that has none."""
KINDS = {"loss": "e", "margin": "e", "prediction": "Bh", "el2n": "e"}
"""The quantities, and numpy's characters of the types that they may have."""


@dataclass(frozen=True)
class Dynamics:
    """The records of the epochs that are done; `kept` are those that the rows of `el2n` belong to."""

    loss: NDArray[np.float16]
    margin: NDArray[np.float16]
    prediction: NDArray[Any]
    el2n: NDArray[np.float16]
    kept: tuple[int, ...]


@dataclass(frozen=True)
class Records:
    """The files of a run of so many epochs, of which some are kept."""

    folder: Path
    epochs: int
    kept: tuple[int, ...]

    def write(self, epoch: int, values: Mapping[str, NDArray[Any]]) -> None:
        """Write an epoch's row of each quantity, (N,); the first epoch makes the files."""
        for name, row in values.items():
            path, epochs = self.path(name), self._epochs(name)
            with files.explained(path):
                if epoch == 0:
                    self.folder.mkdir(exist_ok=True)
                    shape = (len(epochs), len(row))
                    np.lib.format.open_memmap(path, "w+", row.dtype, shape, version=(1, 0)).flush()
                if epoch in epochs:
                    start = self._map(name).offset + epochs.index(epoch) * row.nbytes
                    with path.open("r+b") as file:
                        file.seek(start)
                        file.write(row.tobytes())

    def read(self, samples: int, done: int) -> Dynamics:
        """The first `done` epochs, as memory maps; a MemstudyError names a file that is not what it should be."""
        found: dict[str, NDArray[Any]] = {}
        for name, kinds in KINDS.items():
            array, epochs = self._map(name), self._epochs(name)
            if array.shape != (len(epochs), samples) or array.dtype.char not in kinds:
                raise files.damaged(self.path(name), f"it holds {array.dtype} of shape {array.shape}")
            found[name] = array[: sum(epoch < done for epoch in epochs)]
        return Dynamics(**found, kept=tuple(epoch for epoch in self.kept if epoch < done))

    def digests(self) -> dict[str, str]:
        """SHA-256 of every file, by its path in the run's directory."""
        found = {}
        for name in KINDS:
            with self._readable(name), self.path(name).open("rb") as file:
                found[f"{self.folder.name}/{name}.npy"] = hashlib.file_digest(file, "sha256").hexdigest()
        return found

    def sync(self) -> None:
        """Have on disk what was written, before anything is that a continuation would start from."""
        for path in self.folder.glob("*.npy"):
            with files.explained(path), path.open("r+b") as file:
                os.fsync(file.fileno())

    def remove(self) -> None:
        """Forget them."""
        with files.explained(self.folder), contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.folder)

    def path(self, name: str) -> Path:
        """A quantity's file."""
        return self.folder / f"{name}.npy"

    def _epochs(self, name: str) -> Sequence[int]:
        """Which epoch each row of a file is of."""
        return self.kept if name == "el2n" else range(self.epochs)

    def _map(self, name: str) -> np.memmap[Any, Any]:
        with self._readable(name):
            array = np.load(self.path(name), mmap_mode="r")
            if not isinstance(array, np.memmap):
                raise ValueError("it is no .npy file")
            return array

    @contextlib.contextmanager
    def _readable(self, name: str) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, EOFError) as error:
            raise files.damaged(self.path(name), error) from error
