"""One run's directory: one writer, readable without this program. What is in it: see `layout`.

Only what reads or writes tensors needs torch, and imports it: a store is listed without, and without pandas.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from memstudy import files, lease
from memstudy import recipe as recipes
from memstudy.errors import Busy, MemstudyError, plain
from memstudy.recipe import Recipe
from memstudy.store import metrics, naming, resume, tensors
from memstudy.store import state as states
from memstudy.store.kinds import is_date
from memstudy.store.known import KnownState
from memstudy.store.layout import (
    CHECKPOINTS,
    DYNAMICS,
    LABELS,
    LOG,
    METRICS,
    RECIPE,
    RESUME,
    STATE,
    checkpoint_name,
    epoch_of,
)
from memstudy.store.records import HOW_TO_RECORD, Dynamics, Records
from memstudy.store.resume import Saved
from memstudy.store.seals import Seals
from memstudy.store.state import CHECKSUMS, EVALUATE_EVERY, Status
from memstudy.store.writer import LOCK, Writer, gone

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

LOOKS, BETWEEN_LOOKS = 20, 0.05
"""How often, and after how many seconds, what makes no sense is looked at again while a process writes to it."""


P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


def directories(root: Path, recipe: Recipe) -> list[Path]:
    """The directories whose names say that they are of a recipe; there should be one at most."""
    try:
        names = os.listdir(root)  # noqa: PTH208 (of a store with ten thousand runs)
    except (FileNotFoundError, NotADirectoryError):
        return []
    belonging = (name for name in sorted(names) if naming.belongs(name, recipe))
    return [root / name for name in belonging if not name.startswith(files.TEMPORARY)]


def may_be_run(folder: str) -> bool:
    """Whether a folder is a run's, or the system does not say: who reads it is told why."""
    try:
        return files.is_there(f"{folder}/{RECIPE}") or files.is_there(f"{folder}/{STATE}")
    except OSError:
        return True


def holds(path: Path, recipe: Recipe) -> bool:
    """Whether a recipe's run is in a directory whose name is of that recipe, be its files damaged or not."""
    if not files.is_there(path / RECIPE):
        return files.is_there(path / STATE)
    try:
        if recipes.identity(path / RECIPE) == recipe.id:
            return True  # whatever the rest of the file is
        found = recipes.read(path / RECIPE)
    except MemstudyError:
        return True
    return found.id == recipe.id or not naming.belongs(path.name, found)  # else one with the same first digits


def _writes(method: Callable[Concatenate[RunDirectory, P], R]) -> Callable[Concatenate[RunDirectory, P], R]:
    """A method that changes the directory: it is refused to a writer that another process has succeeded."""

    @wraps(method)
    def checked(self: RunDirectory, *args: P.args, **options: P.kwargs) -> R:
        self._writer.check()
        return method(self, *args, **options)

    return checked


def _reads(method: Callable[Concatenate[RunDirectory, P], R]) -> Callable[Concatenate[RunDirectory, P], R]:
    """A method that reads several files, or one that another vouches for: another process may be between them.

    So what it finds damaged is looked at again: once, and then for as long as a process writes there, up to LOOKS
    times. A Gone if the whole directory is no longer there.
    """

    @wraps(method)
    def looked(self: RunDirectory, *args: P.args, **options: P.kwargs) -> R:
        if self._looking or self._writer.held:  # within another such method; or nobody else writes
            return method(self, *args, **options)
        self._looking = True
        try:
            for look in range(LOOKS):
                try:
                    return method(self, *args, **options)
                except MemstudyError as error:
                    self._known.forget()
                    if not self.path.exists():
                        raise gone(self.name) from error
                    if look and not self.locked:
                        raise
                    if look:
                        time.sleep(BETWEEN_LOOKS)
            return method(self, *args, **options)
        finally:
            self._looking = False

    return looked


class RunDirectory:
    """A run's directory, which need not exist yet. Writing methods are for whoever holds `lock()`."""

    def __init__(self, path: Path, recipe: Recipe | None = None) -> None:
        self.path = path
        self._seals = Seals()
        self._writer = Writer(path)
        self._loaded: Saved | None = None
        self._from_before = False
        self._known = KnownState(path)
        self._looking = False
        if recipe is not None:
            self.__dict__["recipe"] = recipe

    def __reduce__(self) -> tuple[type[RunDirectory], tuple[Path, Recipe | None]]:
        """Pickled for another process without its seals: those are of what this process wrote."""
        return RunDirectory, (self.path, self.__dict__.get("recipe"))

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe, checked against its identity and against that in the directory's name."""
        return self._recipe()

    @_reads
    def _recipe(self) -> Recipe:
        path = self.path / RECIPE
        recipe = recipes.read(path, self.checksums().get(RECIPE))
        if not naming.belongs(self.name, recipe):
            raise MemstudyError(
                f"{path} is not the recipe this directory was made for "
                f"({naming.run_name(recipe)}); restore it or remove the directory."
            )
        return recipe

    @property
    def knows_recipe(self) -> bool:
        """Whether `recipe` needs no file any more: it was given, or has been read."""
        return "recipe" in self.__dict__

    @cached_property
    def name(self) -> str:
        """The directory's name."""
        return self.path.name

    @property
    def exists(self) -> bool:
        """Whether anything has been written."""
        return files.is_there(self.path / STATE)

    # State

    def state(self) -> Mapping[str, Any]:
        """The content of state.json; a new run's if there is none, and a Gone if there was one before.

        That of a finished run is looked at once, as it does not change any more: tables ask forty times. What
        makes no sense is read again (see `_reads`).
        """
        return self._known.final or self._state()

    @_reads
    def _state(self) -> Mapping[str, Any]:
        return self._known.read()

    @property
    def floor(self) -> float:
        """The lowest training cross-entropy on its labels without memorization, nats (see `state.floor`)."""
        return states.floor(self.state())

    @property
    def expected_floor(self) -> float:
        """The floor expected over label draws."""
        return states.expected_floor(self.state())

    @_writes
    def update(self, **changes: Any) -> None:
        """Change some keys of state.json, atomically."""
        states.write(self.path / STATE, {**self.state(), **changes})
        self._known.forget()

    def checksums(self) -> dict[str, str]:
        """SHA-256 of what was written, by its path in the directory."""
        return dict(self.state().get(CHECKSUMS, {}))

    @_writes
    def finish(self) -> None:
        """Mark the run finished, note the final check sums, and remove what only a continuation would need."""
        if self.has_records:
            self.records.sync()
        epochs = self.epochs_done
        final = self._seals.after(epochs) or self._seals_of_files(epochs).after(epochs)
        checksums = dict(sorted((self.checksums() | final).items()))  # whatever session wrote which of them
        self.update(status=Status.FINISHED, checksums=checksums)
        files.tidy(self._saved_states)  # what remains of them is tidied at the next look

    @property
    def failure(self) -> str:
        """Why it failed, a clause; empty if it did not."""
        state = self.state()
        return str(state.get("failure") or "") if state["status"] == Status.FAILED else ""

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to train."""
        return self.status is Status.FINISHED

    @property
    def status(self) -> Status:
        """Where the run stands; one that was killed while running counts as interrupted."""
        if self._known.final is not None:
            return Status.FINISHED
        status = Status(self.state()["status"])
        return status if status is not Status.RUNNING else self.at_one_moment(lambda: None)[1]

    def status_in(self, state: Mapping[str, Any]) -> Status:
        """As `status`, of the content of state.json."""
        status = Status(state["status"])
        return Status.INTERRUPTED if status is Status.RUNNING and not self.locked else status

    @_reads
    def at_one_moment(self, read: Callable[[], T]) -> tuple[Mapping[str, Any], Status, T]:
        """The state, the status, and what a function reads of the run, as they were together.

        Without this, a run that is finished between two looks has neither a process nor a finished state: it
        would seem to be interrupted. What changes faster than it can be read is taken as it is at last.
        """
        for _ in range(LOOKS):
            state, mark = self.state(), self.mark()
            status = self.status_in(state)
            found = read()
            if self.state() == state and self.mark() == mark:
                break
        return state, status, found

    def mark(self) -> str:
        """What tells at a glance whether its state or its metrics have changed (see `stamps`).

        That of a finished run is looked at once: tables of ten thousand ask for it seven times.
        """
        return self._known.mark()

    @contextlib.contextmanager
    def lock(self, begin: bool = True) -> Iterator[None]:
        """Be the only writer. Raises a Busy if another process is; a dead one's lock is free (see `lease`).

        It is raised, too, if the same recipe's run was begun in a directory of another name meanwhile, and by
        every writing method once another process has succeeded this one, which was stopped for too long.
        begin: whether a run that is not there may be begun; else a Gone says that it is not.
        """
        self._writer.acquire(begin)
        self._known.begin()  # whatever was there before, what is there now is ours
        try:
            if begin:
                self._check_links()
                self._check_begun_nowhere_else()
            elif not ((self.path / RECIPE).is_file() or self.exists):  # it was removed as we came
                self._writer.leave()
                raise gone(self.name)
            files.tidy([self.path / LOCK, *self.path.rglob(f"{files.TEMPORARY}*")])
            yield
        finally:
            self._writer.release()

    def _check_links(self) -> None:
        """Refuse to train in a directory with a link: files grow in place, and would grow wherever it leads."""
        for path in self.path.rglob("*"):
            if path.is_symlink():
                raise MemstudyError(
                    f"{path} is a link, and a run writes to nothing outside its directory; put what it leads to "
                    "in its place, or remove it."
                )

    def _check_begun_nowhere_else(self) -> None:
        """Refuse to begin what is begun already, under a name that another version has chosen.

        Called under the lock: of two processes that begin at once, each sees the other's directory or lock.
        """
        if self.exists:
            return
        for path in directories(self.path.parent, self.recipe):
            other = RunDirectory(path, self.recipe)
            if path.name != self.name and (holds(path, self.recipe) or other.locked):
                self._writer.leave()
                raise Busy(
                    f"{self.name} has just been begun as {other.name}; the same command again finds it there."
                )

    def remove(self) -> None:
        """Remove the run for good, at once as a whole. A Busy if a process writes to it, a Gone if it is gone."""
        with self.lock(begin=False), files.explained(self.path):
            files.discard(self.path)
            self._known.begin()

    def sizes(self) -> dict[str, int]:
        """Bytes of every file by its path in the directory, those of a writer too."""
        found = {}
        for path in sorted(self.path.rglob("*")):
            with contextlib.suppress(FileNotFoundError):  # one that is written under another name first
                if path.is_file():
                    found[path.relative_to(self.path).as_posix()] = path.stat().st_size
        return found

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(self.sizes().values())

    def tidy(self) -> None:
        """Remove what a process left that was killed as it finished the run; nothing where we may only read."""
        try:
            names = os.listdir(self.path)  # noqa: PTH208 (of ten thousand runs)
        except OSError:
            return
        states = {path.name for path in self._saved_states}
        left = any(name in states or name.startswith(files.TEMPORARY) for name in names)
        with contextlib.suppress(MemstudyError):  # it is damaged, in use, or may not be written to
            if left and self.finished:
                with self.lock():
                    files.tidy(self._saved_states)

    @property
    def locked(self) -> bool:
        """Whether a process is writing here now, at a glance (see `lease.owner`)."""
        return self.owner is not None or self.is_locked_by_earlier_version

    @property
    def is_locked_by_earlier_version(self) -> bool:
        """Whether a process of an earlier version is writing here."""
        return self._writer.is_of_earlier_version

    @property
    def owner(self) -> lease.Owner | None:
        """Who is writing here now, since when, and when it last gave a sign of life; None if nobody is."""
        return self._writer.owner

    @_writes
    def log(self, text: str) -> None:
        """Append a line with the time to log.txt."""
        with files.explained(self.path), (self.path / LOG).open("a", encoding="utf-8") as file:
            file.write(f"{files.now()}  {plain(text)}\n")

    def times(self, state: Mapping[str, Any]) -> list[str]:
        """When something was noted of it, ISO 8601 in UTC, in order; without its log, when it was begun."""
        dates = [str(session["date"]) for session in state.get("sessions", []) if "date" in session]
        try:
            lines = (self.path / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        return sorted({*dates, *(time for line in lines if is_date(time := line.partition(" ")[0]))})

    @_writes
    def write_recipe(self, recorded: Mapping[str, Any] | None = None) -> dict[str, str]:
        """Write recipe.toml with facts about its images; returns its check sum, to be put in state.json next."""
        content = self.recipe.to_toml(recorded).encode()
        files.write(self.path / RECIPE, content)
        return {RECIPE: files.digest(content)}

    # Metrics

    def metrics(self) -> pd.DataFrame:
        """One row an epoch, column `epoch` from 0; empty before the first epoch."""
        import pandas as pd

        return pd.DataFrame(self.columns())

    @_reads
    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns of `metrics`, (epochs,) each."""
        path = self.path / METRICS
        if (final := self._final_metrics()) is not None:
            return metrics.parse(path, final)
        saved = resume.look(self.path / RESUME)
        begun = saved is not None and saved.epochs_done > 0
        if not begun and not files.is_there(path):
            return {"epoch": np.arange(0)}
        content = self._read(METRICS)
        if not begun and b"\n" not in content:  # the first row was not written whole
            return {"epoch": np.arange(0)}
        if saved is not None:
            self._compare({METRICS: files.digest(metrics.first(content, saved.epochs_done))}, saved)
        return metrics.parse(path, content)

    @_writes
    def append_metrics(self, epoch: int, values: dict[str, float]) -> None:
        """Append one epoch's row, once its records are written; floats keep all their digits."""
        path, row = self.path / METRICS, metrics.row(epoch, values)
        with files.explained(path), path.open("ab") as file:
            file.write(row)
        self._seals.grown(METRICS, row)
        self._seals.epoch_done(epoch + 1)

    @property
    def epochs_done(self) -> int:
        """How many epochs have their metrics written."""
        return self._rows()

    @_reads
    def _rows(self) -> int:
        path = self.path / METRICS
        return metrics.rows(files.read(path)) if files.is_there(path) else 0

    @property
    @_reads
    def checked_epochs_done(self) -> int:
        """As `epochs_done`; a MemstudyError if metrics.csv is not as it was finished, or lacks what was saved."""
        if (final := self._final_metrics()) is not None:
            return metrics.rows(final)
        saved, done = resume.look(self.path / RESUME), self._rows()
        if saved is not None and done < saved.epochs_done:
            raise files.damaged(self.path / METRICS, "rows are missing")
        return done

    def _final_metrics(self) -> bytes | None:
        """The content of metrics.csv that was noted when the run was finished; None if it is not."""
        state = self.state()
        if state["status"] != Status.FINISHED:
            return None
        checksums = state.get(CHECKSUMS, {})
        return self._load(METRICS, checksums) if METRICS in checksums else self._read(METRICS)

    @property
    def evaluate_every(self) -> int:
        """It is evaluated after every so many epochs, and after others that are read: see `EvaluatedEpochs`."""
        return int(self.state().get(EVALUATE_EVERY, 1))

    # Records of single samples

    @property
    def records(self) -> Records:
        """The files of what is recorded of each training sample, for the writer."""
        self._writer.check()
        training = self.recipe.training
        return Records(self.path / DYNAMICS, training.epochs, training.checkpoints, self._seals)

    @property
    def has_records(self) -> bool:
        """Whether each training sample is recorded after each epoch."""
        return bool(self.state().get(DYNAMICS))

    @_reads
    def dynamics(self, samples: int) -> Dynamics:
        """What was recorded of so many samples in the epochs done; a MemstudyError if it was not or is damaged."""
        if not self.has_records:
            raise MemstudyError(f"{self.name} has no records of its samples; {HOW_TO_RECORD}.")
        if self.state()["status"] == Status.FINISHED:
            for name, digest in self.records.digests().items():
                if self.checksums().get(name) != digest:
                    raise files.damaged(self.path / name, "its checksum does not match")
        elif saved := resume.look(self.path / RESUME):
            self._compare(self._seals_of_files(saved.epochs_done).after(saved.epochs_done), saved)
        return self.records.read(samples, self.epochs_done)

    # Tensors

    @_writes
    def _save(self, relative: str, content: bytes) -> None:
        """Write a file, and note its check sum."""
        files.write(self.path / relative, content)
        self.update(checksums=self.checksums() | {relative: files.digest(content)})

    def _read(self, relative: str) -> bytes:
        return files.read(self.path / relative)

    def _load(self, relative: str, checksums: Mapping[str, str] | None = None) -> bytes:
        """The content of a file; a MemstudyError if it does not have its check sum."""
        content, known = self._read(relative), self.checksums() if checksums is None else checksums
        if known.get(relative) != files.digest(content):
            raise files.damaged(self.path / relative, "its checksum does not match")
        return content

    def save_labels(self, content: bytes) -> None:
        """Write labels.npz."""
        self._save(LABELS, content)

    @_reads
    def labels(self) -> Path:
        """The file of the run's labels; a MemstudyError if it is not the one that was written."""
        if LABELS in self.checksums() and files.is_there(self.path / LABELS):
            self._load(LABELS)
        return self.path / LABELS

    @_reads
    def read_labels(self, read: Callable[[Path], T]) -> T:
        """What a function reads of the file of labels; a Gone if the run is removed meanwhile."""
        return read(self.labels())

    def save_checkpoint(self, epoch: int, network: dict[str, Tensor]) -> None:
        """Keep the network after `epoch`."""
        self._save(checkpoint_name(epoch), tensors.encode(network))

    @_reads
    def load_checkpoint(self, epoch: int) -> dict[str, Tensor]:
        """The tensors of a kept epoch; a MemstudyError that names the kept ones if it is not among them."""
        if epoch not in self.checkpoints():
            kept = ", ".join(map(str, self.checkpoints())) or "none yet"
            raise MemstudyError(f"{self.name} has no checkpoint of epoch {epoch}; it has: {kept}.")
        name = checkpoint_name(epoch)
        return tensors.decode(self.path / name, self._load(name))

    def checkpoints(self) -> list[int]:
        """The epochs whose network was kept, ascending."""
        kept = [name for name in self.checksums() if name.startswith(CHECKPOINTS)]
        return sorted(map(epoch_of, kept))

    def checkpoint_digest(self, epoch: int) -> str:
        """The checksum of a kept network: what an analysis of it depends on."""
        return self.checksums()[checkpoint_name(epoch)]

    # Continuing

    @_writes
    def save_resume(self, epochs_done: int, state: dict[str, Tensor]) -> None:
        """Write what continues the run after `epochs_done` epochs, once all that belongs to these is on disk."""
        self.records.sync()
        if files.is_there(self.path / METRICS):
            files.sync(self.path / METRICS)
        resume.write(self.path / RESUME, Saved(epochs_done, self.name, self._seals.after(epochs_done)), state)

    def load_resume(self) -> tuple[int, dict[str, Tensor]] | None:
        """(epochs done, tensors) of the newest state that is whole; None if nothing was saved."""
        found = resume.read(self.path / RESUME)
        if found is None:
            return None
        self._loaded, tensors, self._from_before = found
        return self._loaded.epochs_done, tensors

    @property
    def _saved_states(self) -> tuple[Path, Path]:
        """The newest state that continues the run, and the one before it."""
        return self.path / RESUME, resume.before(self.path / RESUME)

    @property
    def has_saved_state(self) -> bool:
        """Whether anything was saved that continues it, be it damaged."""
        return any(map(files.is_there, self._saved_states))

    @_writes
    def keep(self, epochs: int) -> list[str]:
        """Prepare to continue after `epochs` epochs, those of the state that was loaded.

        What belongs to them is checked, and what is written again removed.

        Returns a sentence on each thing that is made again because it was lost, damaged or not saved. A
        MemstudyError, before anything is changed, names a damaged file that cannot be made again.
        """
        again, lost = self._unsaved(epochs), self._lost(epochs)
        if epochs:
            self._check(epochs)
        if self._from_before:
            resume.return_to_before(self.path / RESUME)
            self._from_before = False
        if lost:
            self.update(checksums={name: value for name, value in self.checksums().items() if name not in lost})
        if epochs:
            self._seals = self._seals_of_files(epochs)
            files.write(self.path / METRICS, metrics.first(self._read(METRICS), epochs))
        else:
            self._seals = Seals()
            files.remove([self.path / METRICS])
        if epochs and self.has_records:
            lost += self.records.resize()
        else:
            self.records.remove()
        return again + [f"{name} is damaged or gone, and is made again" for name in lost]

    def _check(self, epochs: int) -> None:
        """Raise a MemstudyError if anything that belongs to the first `epochs` epochs is not what was written."""
        for epoch in self.recipe.training.checkpoints:
            if epoch < epochs:
                self._load(checkpoint_name(epoch))
        whole = metrics.parse(self.path / METRICS, metrics.first(self._read(METRICS), epochs))
        if len(whole["epoch"]) < epochs:
            raise files.damaged(self.path / METRICS, "rows are missing")
        if saved := self._loaded or resume.look(self.path / RESUME):
            self._compare(dict.fromkeys(saved.sealed, "") | self._seals_of_files(epochs).after(epochs), saved)

    def _unsaved(self, epochs: int) -> list[str]:
        """A sentence on the epochs that were done but not saved, and are trained again; none if there are none."""
        rows = self.epochs_done
        if self._from_before:
            return [
                f"{RESUME} is damaged or gone: the run goes on from the state saved before it, after {epochs} of "
                f"{rows} epochs"
            ]
        if rows <= epochs:
            return []
        which = f"epoch {epochs}" if rows == epochs + 1 else f"epochs {epochs} to {rows - 1}"
        return [f"{which} had not been saved, and will be trained again"]

    def _lost(self, epochs: int) -> list[str]:
        """Damaged or missing files among those that are written again after `epochs` epochs."""
        checksums = self.checksums()
        later = {checkpoint_name(epoch) for epoch in self.checkpoints() if epoch >= epochs}
        again = [name for name in checksums if name in {RECIPE, LABELS, *later}]
        return [name for name in again if not self._fits(name)]

    def damaged_files(self) -> list[str]:
        """The files that are there and do not have the check sums that were noted of them."""
        return [name for name in self.checksums() if files.is_there(self.path / name) and not self._fits(name)]

    def absent_files(self) -> list[str]:
        """The files that were written and are not there."""
        return [name for name in self.checksums() if not files.is_there(self.path / name)]

    def _fits(self, name: str) -> bool:
        """Whether a file has its check sum."""
        try:
            self._load(name)
        except MemstudyError:
            return False
        return True

    def _seals_of_files(self, epochs: int) -> Seals:
        """The seals of the growing files as they are now, up to the first `epochs` epochs."""
        seals = Seals()
        seals.grown(METRICS, metrics.first(self._read(METRICS), epochs))
        if self.has_records:
            replace(self.records, seals=seals).seal_again(epochs)
        seals.seal(epochs)
        return seals

    def _compare(self, digests: Mapping[str, str], saved: Saved) -> None:
        """Refuse a file whose check sum is not the sealed one. Those of earlier versions have no seals."""
        for name, digest in digests.items() if saved.sealed else ():
            if saved.sealed.get(name) != digest:
                why = f"its first {saved.epochs_done} epochs are not those that were saved"
                raise files.damaged(self.path / name, why)
