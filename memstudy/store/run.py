"""One run's directory: one writer, readable without this program.

recipe.toml                       what was run, its identity first
state.json                        status, environment, checksums
metrics.csv                       one row an epoch
labels.npz                        clean and noisy labels, mask, rule, …: see `memstudy.data.artifact`
dynamics/                         what was recorded of each training sample, if it was: see `records`
checkpoints/epoch-NNNN.safetensors   the network after epoch NNNN (0-based)
resume.safetensors                network and momentum after the newest saved epoch; gone when finished
log.txt                           what happened when

Only what reads or writes tensors needs torch, and imports it: a store is listed without.
"""

from __future__ import annotations

import contextlib
import datetime
import io
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import pandas as pd
from safetensors import SafetensorError, safe_open

from memstudy import files
from memstudy import recipe as recipes
from memstudy.errors import Busy, MemstudyError
from memstudy.recipe import Recipe
from memstudy.regularizers import label
from memstudy.store.records import HOW, Dynamics, Records

if TYPE_CHECKING:
    from torch import Tensor


class Status(StrEnum):
    """Where a run stands."""

    NEW = "new"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    FINISHED = "finished"
    FAILED = "failed"


RECIPE, STATE, METRICS, LABELS = "recipe.toml", "state.json", "metrics.csv", "labels.npz"
RESUME, LOG, CHECKPOINTS, LOCK = "resume.safetensors", "log.txt", "checkpoints", ".lock"
DYNAMICS = "dynamics"
MEASURED = {"epoch", "train_cross_entropy", "test_accuracy", "memorized", "recovered"}
"""Columns that every run's metrics have; a file without them is another's."""


def run_name(recipe: Recipe) -> str:
    """A name people can read, made unique by the recipe's identity."""
    return (
        f"{recipe.dataset}-{recipe.corruption.short}-{label(recipe.regularizers)}-s{recipe.seed}-{recipe.id[:8]}"
    )


def _safetensors(tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """Tensors as the bytes of a safetensors file."""
    from safetensors.torch import save

    content: bytes = save(tensors, metadata)
    return content


class RunDirectory:
    """A run's directory, which need not exist yet. Writing methods are for whoever holds `lock()`."""

    def __init__(self, path: Path, recipe: Recipe | None = None) -> None:
        self.path = path
        if recipe is not None:
            self.__dict__["recipe"] = recipe

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe, checked against its identity and against the directory's name."""
        recipe = recipes.read(self.path / RECIPE)
        if run_name(recipe) != self.name:
            raise MemstudyError(
                f"{self.path / RECIPE} is not the recipe this directory was made for "
                f"({run_name(recipe)}); restore it or remove the directory."
            )
        return recipe

    @property
    def name(self) -> str:
        """The directory's name."""
        return self.path.name

    @property
    def exists(self) -> bool:
        """Whether anything has been written."""
        return (self.path / STATE).is_file()

    # State

    def state(self) -> dict[str, Any]:
        """The content of state.json; a new run's if there is none."""
        path = self.path / STATE
        if not path.is_file():
            return {"status": Status.NEW}
        state = files.read_json(path)
        if state.get("status") not in list(Status):
            raise files.damaged(path, "it has no known status")
        if not isinstance(state.get("floor"), int | float):  # written with the first status
            raise files.damaged(path, "it has no floor")
        return state

    def update(self, **changes: Any) -> None:
        """Change some keys of state.json, atomically."""
        files.write_json(self.path / STATE, self.state() | changes)

    def finish(self) -> None:
        """Mark the run finished, its metrics final; forget what only a continuation would need."""
        final = {METRICS: files.digest(self._read(METRICS))}
        if self.recorded:
            self.records.sync()
            final |= self.records.digests()
        self.update(status=Status.FINISHED, checksums=self.state().get("checksums", {}) | final)
        self.drop_resume()

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to train."""
        return self.status is Status.FINISHED

    @property
    def status(self) -> Status:
        """Where the run stands; one that was killed while running counts as interrupted."""
        status = Status(self.state()["status"])
        return Status.INTERRUPTED if status is Status.RUNNING and not self.locked else status

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only writer. Raises a MemstudyError if another process is; a dead one's lock is free."""
        with files.explained(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.path / LOCK)
            try:
                lock.acquire(timeout=1)
            except filelock.Timeout as error:
                raise Busy(
                    f"{self.name} is being run by another process; wait for it, or stop it first."
                ) from error
        try:
            for leftover in self.path.rglob(f"{files.TEMPORARY}*"):
                leftover.unlink(missing_ok=True)
            yield
        finally:
            lock.release()

    @property
    def locked(self) -> bool:
        """Whether a process is writing here now."""
        if not (self.path / LOCK).exists():
            return False
        try:
            with filelock.FileLock(self.path / LOCK).acquire(timeout=0):
                return False
        except filelock.Timeout:
            return True
        except OSError:  # a store we may only read: nobody can tell, and nobody here can write
            return False

    def log(self, text: str) -> None:
        """Append a line with the time to log.txt."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        with files.explained(self.path), (self.path / LOG).open("a", encoding="utf-8") as file:
            file.write(f"{now}  {text}\n")

    def write_recipe(self, recorded: Mapping[str, Any] | None = None) -> None:
        """Write recipe.toml, with what was found of its images."""
        files.write(self.path / RECIPE, self.recipe.to_toml(recorded))

    # Metrics

    def metrics(self) -> pd.DataFrame:
        """One row an epoch, column `epoch` from 0; empty before the first epoch."""
        path, state = self.path / METRICS, self.state()
        if state["status"] != Status.FINISHED and not path.is_file():
            return pd.DataFrame({"epoch": pd.Series(dtype=int)})
        content = self._load(METRICS) if METRICS in state.get("checksums", {}) else self._read(METRICS)
        whole = content[: content.rfind(b"\n") + 1]  # the last row may be half written
        try:
            # By way of text: pandas' own float parser may miss the last digit.
            table = pd.read_csv(io.BytesIO(whole), dtype=str).astype(float).astype({"epoch": int})
        except (ValueError, KeyError) as error:
            raise files.damaged(path, error) from error
        if missing := MEASURED - set(table.columns):
            raise files.damaged(path, f"it has no {', '.join(sorted(missing))}")
        if table["epoch"].tolist() != list(range(len(table))):
            raise files.damaged(path, "its epochs are not 0, 1, 2, …")
        return table

    def append_metrics(self, epoch: int, metrics: dict[str, float]) -> None:
        """Append one epoch's row; floats keep all their digits."""
        row = pd.DataFrame([{"epoch": epoch, **metrics}])
        path = self.path / METRICS
        with files.explained(path), path.open("a", encoding="utf-8", newline="") as file:
            file.write(row.to_csv(index=False, header=epoch == 0, lineterminator="\n"))

    def keep_metrics(self, epochs: int) -> None:
        """Drop rows of epochs that will be trained again, and a row that an interruption cut short."""
        path = self.path / METRICS
        if epochs == 0:
            path.unlink(missing_ok=True)
            return
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
        lines = lines[: epochs + 1]
        if len(lines) < epochs + 1 or not lines[-1].endswith("\n"):
            raise files.damaged(path, "rows are missing")
        files.write(path, "".join(lines))

    @property
    def epochs_done(self) -> int:
        """How many epochs have their metrics written."""
        path = self.path / METRICS
        if not path.is_file():
            return 0
        with path.open("rb") as file:
            return max(0, sum(1 for line in file if line.endswith(b"\n")) - 1)

    # Records of single samples

    @property
    def records(self) -> Records:
        """The files of what is recorded of each training sample, for the writer."""
        training = self.recipe.training
        return Records(self.path / DYNAMICS, training.epochs, training.checkpoints)

    @property
    def recorded(self) -> bool:
        """Whether each training sample is recorded after each epoch."""
        return bool(self.state().get(DYNAMICS))

    def dynamics(self, samples: int) -> Dynamics:
        """What was recorded of so many samples in the epochs done; a MemstudyError if it was not or is damaged."""
        if not self.recorded:
            raise MemstudyError(f"{self.name} has no records of its samples; {HOW}.")
        if self.state()["status"] == Status.FINISHED:
            for name, digest in self.records.digests().items():
                if self.state()["checksums"].get(name) != digest:
                    raise files.damaged(self.path / name, "its checksum does not match")
        return self.records.read(samples, self.epochs_done)

    # Tensors

    def _save(self, relative: str, content: bytes) -> None:
        files.write(self.path / relative, content)
        self.update(checksums=self.state().get("checksums", {}) | {relative: files.digest(content)})

    def _read(self, relative: str) -> bytes:
        path = self.path / relative
        try:
            return path.read_bytes()
        except OSError as error:
            raise files.damaged(path, error.strerror) from error

    def _load(self, relative: str) -> bytes:
        content = self._read(relative)
        if self.state().get("checksums", {}).get(relative) != files.digest(content):
            raise files.damaged(self.path / relative, "its checksum does not match")
        return content

    def save_labels(self, content: bytes) -> None:
        """Write labels.npz."""
        self._save(LABELS, content)

    def save_checkpoint(self, epoch: int, tensors: dict[str, Tensor]) -> None:
        """Keep the network after `epoch`."""
        self._save(f"{CHECKPOINTS}/epoch-{epoch:04d}.safetensors", _safetensors(tensors))

    def load_checkpoint(self, epoch: int) -> dict[str, Tensor]:
        """The tensors of a kept epoch; a MemstudyError that names the kept ones if it is not among them."""
        if epoch not in self.checkpoints():
            kept = ", ".join(map(str, self.checkpoints())) or "none yet"
            raise MemstudyError(f"{self.name} has no checkpoint of epoch {epoch}; it has: {kept}.")
        from safetensors.torch import load

        return load(self._load(f"{CHECKPOINTS}/epoch-{epoch:04d}.safetensors"))

    def checkpoints(self) -> list[int]:
        """The epochs whose network was kept, ascending."""
        names = self.state().get("checksums", {})
        kept = [name for name in names if name.startswith(CHECKPOINTS)]
        return sorted(int(Path(name).stem.removeprefix("epoch-")) for name in kept)

    def checkpoint_digest(self, epoch: int) -> str:
        """The checksum of a kept network: what an analysis of it depends on."""
        return str(self.state()["checksums"][f"{CHECKPOINTS}/epoch-{epoch:04d}.safetensors"])

    def save_resume(self, epochs_done: int, tensors: dict[str, Tensor]) -> None:
        """Write what continues the run after `epochs_done` epochs: one file, so it is never half new."""
        self.records.sync()
        metadata = {"epochs_done": str(epochs_done), "sha256": files.digest(_safetensors(tensors))}
        files.write(self.path / RESUME, _safetensors(tensors, metadata=metadata))

    def load_resume(self) -> tuple[int, dict[str, Tensor]] | None:
        """(epochs done, tensors), or None if nothing was saved."""
        path = self.path / RESUME
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                metadata = file.metadata()
            if metadata["sha256"] != files.digest(_safetensors(tensors)):
                raise ValueError("its checksum does not match")
            return int(metadata["epochs_done"]), tensors
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise files.damaged(path, error) from error

    def drop_resume(self) -> None:
        """Forget what only a continuation would need."""
        (self.path / RESUME).unlink(missing_ok=True)
