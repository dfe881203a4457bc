"""Carry out a recipe in its run directory: start, continue, or find it finished.

Whatever stops it, at whatever moment, the same command continues: from the newest finished epoch after Ctrl-C,
SIGTERM or an error, from at most `SAVE_EVERY_SECONDS` (and an epoch) before after a kill. On the same device, with
as many threads and the same layout, the whole is bit for bit what it would have been in one go; a run keeps its
number of threads and its layout unless it is told another number.
"""

from __future__ import annotations

import contextlib
import inspect
import shlex
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from memstudy import files, foreign, presets
from memstudy.analysis.records import record
from memstudy.data import artifact, dataset
from memstudy.data.dataset import CorruptedDataset
from memstudy.data.label_files import LabelSource
from memstudy.derived.workbench import REMADE
from memstudy.errors import Interrupted, MemstudyError, RunFailed, quoted
from memstudy.recipe import Training
from memstudy.store import RunDirectory, Status, code
from memstudy.store.layout import LABELS, RESUME
from memstudy.study.environment import environment
from memstudy.study.interruption import Terminated, deferred
from memstudy.study.measured import Measured, check
from memstudy.study.watcher import Watcher
from memstudy.training import (
    CapturedSteps,
    DeviceData,
    Evaluation,
    NonFiniteLoss,
    Placement,
    Ranks,
    Trainer,
    TrainingState,
    capturable,
    numerics,
    resolve_device,
)
from memstudy.training.hooks import Unusable
from memstudy.training.placement import LAYOUTS, usual_threads
from memstudy.training.state import NETWORK

SAVE_EVERY_SECONDS = 10.0
"""How often the state is written while all goes well; an interruption writes it in any case."""


@dataclass(frozen=True)
class Execution:
    """How a run is carried out: all that is no part of the recipe."""

    device: str = "auto"
    threads: int | Literal["auto"] | None = None  # None: as begun, else 1; auto: else as is usual for its network
    capture: bool = True  # on a GPU: replay steps instead of launching their kernels one by one
    data_dir: Path | None = None
    download: bool = False
    label_files: tuple[LabelSource | Path, ...] = ()  # where a recipe that trains on given labels finds them
    data_sha256: str | None = None  # of the images that a recorded recipe was carried out on; others are refused
    code: object = None  # what a recorded recipe says of others' code, check sums by name; other code is refused
    dynamics: bool | None = None  # record each sample after each epoch; None: if that is `records.usual`
    evaluate_every: int | None = None  # after every so many epochs; None: as begun, else after each
    evaluate_at: tuple[int, ...] = ()  # and after these epochs
    deadline: float | None = None  # on time.monotonic's clock: stop after the epoch that passes it

    def __post_init__(self) -> None:
        check(self.evaluate_every, self.dynamics)

    def measured(self, training: Training, samples: int, begun: Mapping[str, Any] | None = None) -> Measured:
        """What is measured of a run that begins (see `Measured.chosen`)."""
        return Measured.chosen(training, samples, self.evaluate_every, self.evaluate_at, self.dynamics, begun)


def carry_out(run: RunDirectory, execution: Execution, watcher: Watcher | None = None) -> RunDirectory:
    """Train a run to its end; return at once if it is there already.

    Raises Interrupted after saving (Ctrl-C, SIGTERM, the deadline), RunFailed for a non-finite loss, and
    MemstudyError, before anything is written, for a device or data set that is not there.
    """
    for _ in turns(run, execution, watcher):
        pass
    return run


def turns(run: RunDirectory, execution: Execution, watcher: Watcher | None = None) -> Generator[None]:
    """As `carry_out`, but pausing whenever an epoch's work is queued on the device, so that runs can take turns.

    Each turn has its own numerics, and on a GPU all of a run's turns are on one stream of its own.
    """
    code.check_recorded(run.recipe, execution.code)
    code.check_before_training(run)
    if run.finished:
        run.tidy()
        return
    with foreign.blamed():
        work = Work.of(run, execution)
    epochs = work.epochs(watcher or Watcher())
    stream = torch.cuda.Stream(work.place.device) if work.place.device.type == "cuda" else None
    step: Callable[[], None] = partial(next, epochs)
    while True:
        try:
            with (
                files.answered(),
                numerics(work.place.threads, run.recipe.training.precision),
                torch.cuda.stream(stream),
            ):
                step()
            yield
            step = partial(next, epochs)
        except StopIteration:
            return
        except BaseException as stop:
            if inspect.getgeneratorstate(epochs) == inspect.GEN_CLOSED:  # it has ended with this
                raise
            step = partial(epochs.throw, stop)  # raised between two turns: passed on to the run, which saves


@dataclass(frozen=True)
class Work:
    """A run that is about to be trained, with all that it needs."""

    run: RunDirectory
    execution: Execution
    data: CorruptedDataset
    place: Placement
    ranks: Ranks

    @classmethod
    def of(cls, run: RunDirectory, execution: Execution) -> Work:
        """Check and load; nothing is written. A MemstudyError for a device or data set that is not there."""
        presets.check(run.recipe)
        ranks = Ranks.from_environment()
        device = ranks.join(resolve_device(execution.device))
        label_files = (*execution.label_files, run.path / LABELS)
        data = dataset.build(run.recipe, execution.data_dir, execution.download, label_files)
        if execution.data_sha256 not in (None, data.source.content_hash()):
            raise MemstudyError(
                f"the recipe was recorded on other images of {quoted(run.recipe.dataset)} than those found "
                "now; point --data-dir at those, or remove [recorded] from a copy of the recipe."
            )
        return cls(run, execution, data, _place(run, execution, device), ranks)

    def epochs(self, watcher: Watcher) -> Generator[None]:
        """Train to the end, and save on the way; pause whenever an epoch's work is queued on the device."""
        run, place = self.run, self.place
        with foreign.blamed():
            state = TrainingState.initial(run.recipe, self.data.images, place)
        if not self.ranks.leads:
            _follow(run, Trainer(state, DeviceData.of(self.data, place), run.recipe, self.ranks))
            return
        with run.lock():
            if run.finished:  # by another process, while we waited
                return
            made_again = _prepare(run, self.data, state, place, self.execution, self.ranks.size)
            watcher.started(run, self.data, place.device)
            for sentence in made_again:
                watcher.made_again(sentence)
            trainer = Trainer(state, DeviceData.of(self.data, place), run.recipe, self.ranks)
            yield from _train(run, trainer, self.execution, watcher)


def _place(run: RunDirectory, execution: Execution, device: torch.device) -> Placement:
    """Where and how to train: as the run was begun, else as is usual for its network."""
    asked = execution.threads if isinstance(execution.threads, int) else None
    sessions = run.state().get("sessions", [])
    begun = sessions[-1] if sessions else {}
    if begun.get("device", "").partition(":")[0] == device.type and begun.get("layout") in LAYOUTS:
        return Placement(device, begun["layout"], asked or begun.get("threads", 1))
    usual = usual_threads(run.recipe.network, device) if execution.threads == "auto" else 1
    return Placement.usual(device, asked or usual)


def _prepare(
    run: RunDirectory,
    data: CorruptedDataset,
    state: TrainingState,
    place: Placement,
    execution: Execution,
    processes: int,
) -> list[str]:
    """Write what is known before training, or restore what was saved by an earlier process.

    Returns a sentence on each thing that is made again (see `RunDirectory.keep`). A MemstudyError, before anything
    is written, if the run cannot be continued.
    """
    source_hash = data.source.content_hash()
    earlier = run.state()
    if earlier.get("data_sha256", source_hash) != source_hash:
        raise MemstudyError(
            f"{run.name} was started on other images of {quoted(run.recipe.dataset)} than those found now; point "
            "--data-dir at the ones it was started with, or remove its directory."
        )
    saved = run.load_resume()
    if saved is not None:
        with files.blamed(run.path / RESUME, REMADE):
            state.restore(saved[1], saved[0])
    made_again = run.keep(state.epochs_done)
    training, samples = run.recipe.training, len(data.noisy_labels)
    if state.epochs_done:
        measured = Measured.kept(training, earlier)
    else:
        measured = execution.measured(training, samples, earlier)
    if measured.recorded and state.epochs_done:
        run.records.read(samples, state.epochs_done)  # before training, not after: are they whole?
    facts = {"data_sha256": source_hash, "mean": data.images.mean, "std": data.images.std}
    others = code.of(run.recipe)
    written = run.write_recipe(facts | code.sums(others))
    run.update(
        status=Status.RUNNING,
        failure=None,
        expected_floor=data.expected_floor,
        sessions=[
            *earlier.get("sessions", []),
            {"from_epoch": state.epochs_done, "date": files.now(), **environment(place), "processes": processes},
        ],
        epochs=run.recipe.training.epochs,
        corrupted_share=data.corrupted_share,
        floor=data.floor,
        data_sha256=source_hash,
        data_note=data.images.note,
        checksums=run.checksums() | written,
        **measured.as_state(),
        **code.record(others),
    )
    run.save_labels(artifact.content(data))
    run.log(f"{'continued' if saved else 'started'} at epoch {state.epochs_done} on {place.device}")
    for sentence in made_again:
        run.log(sentence)
    return made_again


@dataclass(frozen=True)
class _Snapshot:
    """The newest finished epoch, in memory: what an interruption writes."""

    epochs_done: int
    tensors: dict[str, Tensor]

    @classmethod
    def of(cls, state: TrainingState) -> _Snapshot:
        return cls(state.epochs_done, state.tensors())

    def network(self) -> dict[str, Tensor]:
        return {name: value for name, value in self.tensors.items() if name.startswith(NETWORK)}


def _follow(run: RunDirectory, trainer: Trainer) -> None:
    """Train the same epochs as the first process, from where that one begins, for as long as it goes on."""
    begun = trainer.ranks.agree(0)
    if begun:
        saved = run.load_resume()
        if saved is None or saved[0] != begun:
            raise MemstudyError(f"{run.name}: this process does not see what the first one continues from.")
        trainer.state.restore(saved[1], begun)
    while trainer.ranks.agree(0):
        trainer.begin()
        trainer.run()
        with contextlib.suppress(NonFiniteLoss):  # the first process says so, and stops all
            trainer.end()


def _train(run: RunDirectory, trainer: Trainer, execution: Execution, watcher: Watcher) -> Generator[None]:
    """Train epoch by epoch, saving as it goes; end finished, or saved and raising."""
    state, data, ranks = trainer.state, trainer.data, trainer.ranks
    good, recorded = _Snapshot.of(state), run.has_records
    saved_at = began = time.monotonic()
    capture = execution.capture and capturable(trainer)
    evaluated = Measured.kept(run.recipe.training, run.state()).evaluated
    evaluation = Evaluation(state.network, data, capture)
    steps = CapturedSteps(trainer) if capture else trainer
    ranks.agree(state.epochs_done)
    try:
        while state.epochs_done < run.recipe.training.epochs:
            if execution.deadline is not None and time.monotonic() > execution.deadline:
                ranks.agree(0)
                raise KeyboardInterrupt
            ranks.agree(1)
            trainer.begin()
            steps.run(watcher.stepped)
            evaluation.begin(state.epochs_done in evaluated)
            yield
            metrics = trainer.end()
            metrics = evaluation.end() | metrics
            epoch = state.epochs_done - 1
            if not evaluation.sound:  # the last step's own damage shows only now
                raise NonFiniteLoss(epoch, -(-len(data.noisy) // run.recipe.training.batch_size) - 1)
            with deferred():
                if recorded:
                    quantities = record(evaluation.train_logits, data.noisy)
                    run.records.write(epoch, {name: row.cpu().numpy() for name, row in quantities.items()})
                run.append_metrics(epoch, metrics)
                snapshot = _Snapshot.of(state)
                if epoch in run.recipe.training.checkpoints:
                    run.save_checkpoint(epoch, snapshot.network())
                good = snapshot  # only now: a continuation would not write this epoch's checkpoint again
                if time.monotonic() - saved_at > SAVE_EVERY_SECONDS:
                    run.save_resume(good.epochs_done, good.tensors)
                    saved_at = time.monotonic()
            watcher.epoch_done(epoch, metrics)
    except NonFiniteLoss as failure:
        ranks.agree(0)
        raise _failed(run, good, str(failure), "try a smaller learning rate or a smaller penalty") from failure
    except KeyboardInterrupt as stop:
        raise _stopped(run, good, 15 if isinstance(stop, Terminated) else 2) from stop
    except BaseException as error:  # save what is trained; if that fails, too, the first error is the one to tell
        foreign_fault = str(error).rstrip(".") if isinstance(error, Unusable) else foreign.blame(error)
        if foreign_fault is not None:
            where = f"{foreign_fault}, at epoch {state.epochs_done}, step {trainer.reached}"
            raise _failed(run, good, where, _correct_it(run, good)) from error
        with contextlib.suppress(Exception):
            _stopped(run, good, 2)
        raise
    ranks.agree(0)
    run.finish()
    run.log(f"finished after {time.monotonic() - began:.1f} s")


def _stopped(run: RunDirectory, good: _Snapshot, signal_number: int) -> Interrupted:
    """Save the newest finished epoch, and say how to continue."""
    if good.epochs_done:
        run.save_resume(good.epochs_done, good.tensors)
    run.update(status=Status.INTERRUPTED)
    run.log(f"interrupted with {good.epochs_done} epochs done")
    return Interrupted(
        f"stopped and saved: {good.epochs_done} of {run.recipe.training.epochs} epochs are done; the same command "
        f"continues from there, and so does: memstudy run --runs-dir {shlex.quote(str(run.path.parent))} --recipe "
        f"{shlex.quote(str(run.path / 'recipe.toml'))}",
        signal_number,
    )


def _correct_it(run: RunDirectory, good: _Snapshot) -> str:
    """What to do about an error in others' code. Epochs trained with it are not continued with corrected code."""
    first = f"remove {run.path}, " if good.epochs_done else ""
    return f"{first}correct the code, and give the same command again (of a study, with --retry-failed)"


def _failed(run: RunDirectory, good: _Snapshot, failure: str, advice: str) -> RunFailed:
    """Keep the last good network, mark the run failed, and say where it broke and what to do."""
    kept = "nothing before it to keep"
    if good.epochs_done:
        run.save_checkpoint(good.epochs_done - 1, good.network())
        run.save_resume(good.epochs_done, good.tensors)
        kept = f"the network after epoch {good.epochs_done - 1} is kept"
    run.update(status=Status.FAILED, failure=failure)
    run.log(failure)
    return RunFailed(f"{run.name} failed: {failure} (both counted from 0), {kept}; {advice}.")
