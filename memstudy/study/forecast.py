"""What a study will take before it is begun: steps, time by a short measurement on this machine, disk."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from memstudy.data import artifact, dataset
from memstudy.recipe import Recipe
from memstudy.store import RunDirectory, Status, records
from memstudy.study.carry_out import Execution
from memstudy.study.measured import Measured
from memstudy.training import DeviceData, Evaluation, Placement, Trainer, TrainingState, numerics, resolve_device
from memstudy.training.device import wait

WARM, STEPS, SECONDS = 2, 30, 0.5
"""Of each kind of run: steps that are not counted, the most that are, and when counting ends before."""
BUDGET = 30.0
"""Seconds: kinds of run that would be measured later are taken to be as fast as others of their network."""


@dataclass(frozen=True)
class Forecast:
    """What is left to do of a study.

    Attributes:
        runs, finished, failed: how many there are, and how many of them need nothing or are not tried again.
        steps: training steps that are left in all other runs.
        seconds: of one process that does all of it, one run after the other: training and evaluation.
        bytes: on disk, of what is not there yet: networks, labels, records of samples.
        kinds, measured: how many kinds of run (images, network, methods, batch) are left, and how many of them
            were measured for a moment just now.

    """

    runs: int
    finished: int
    failed: int
    steps: int
    seconds: float
    bytes: int
    kinds: int
    measured: int


@dataclass(frozen=True)
class _Pace:
    """Seconds of one training step, and of measuring the network after an epoch."""

    step: float
    evaluation: float


def forecast(runs: Sequence[RunDirectory], execution: Execution, retry_failed: bool = False) -> Forecast:
    """What these runs still take. Images must be there; nothing is written.

    Every kind of run is trained for a moment, until BUDGET is spent.
    """
    done = {Status.FINISHED} if retry_failed else {Status.FINISHED, Status.FAILED}
    left = [run for run in runs if run.status not in done]
    kinds = {_kind(run.recipe): run for run in left}
    paces: dict[tuple[object, ...], _Pace] = {}
    sizes: dict[tuple[object, ...], tuple[int, int, int]] = {}
    began = time.monotonic()
    for kind, run in kinds.items():
        if not paces or time.monotonic() - began < BUDGET:
            paces[kind], sizes[kind] = _tried(run.recipe, execution)
    steps, seconds, size = 0, 0.0, 0
    for run in left:
        training = run.recipe.training
        alike = [kind for kind in paces if kind == _kind(run.recipe)] or _nearest(_kind(run.recipe), list(paces))
        pace = _Pace(fmean(paces[k].step for k in alike), fmean(paces[k].evaluation for k in alike))
        network, labels, samples = sizes[alike[0]]
        epochs = training.epochs - run.epochs_done
        batches = -(-samples // training.batch_size)
        steps += epochs * batches
        seconds += epochs * batches * pace.step + _evaluations(run, samples, execution) * pace.evaluation
        size += _bytes(run, network, labels, samples, execution)
    finished = sum(run.finished for run in runs)
    return Forecast(
        len(runs), finished, len(runs) - finished - len(left), steps, seconds, size, len(kinds), len(paces)
    )


def _kind(recipe: Recipe) -> tuple[object, ...]:
    """What decides how long a step takes, the most important first."""
    training = recipe.training
    options = (training.batch_size, training.precision, training.optimizer, training.augment)
    return recipe.network, recipe.dataset, recipe.train_size, *options, recipe.regularizers


def _nearest(kind: tuple[object, ...], measured: Sequence[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """The measured kinds that have the longest beginning in common with a kind."""
    for length in range(len(kind), 0, -1):
        if alike := [other for other in measured if other[:length] == kind[:length]]:
            return alike
    return list(measured)


def _tried(recipe: Recipe, execution: Execution) -> tuple[_Pace, tuple[int, int, int]]:
    """Train a recipe for a moment: its pace; bytes of its network and of its labels; its training samples."""
    data = dataset.build(recipe, execution.data_dir, execution.download, execution.label_files)
    threads = execution.threads if isinstance(execution.threads, int) else 1
    place = Placement.usual(resolve_device(execution.device), threads)
    with numerics(place.threads, recipe.training.precision):
        state = TrainingState.initial(recipe, data.images, place)
        trainer = Trainer(state, DeviceData.of(data, place), recipe)
        evaluation = Evaluation(state.network, trainer.data)
        trainer.begin()
        for number in range(min(WARM, trainer.steps)):
            trainer.step(number)
        step = _seconds_a_step(trainer, place)
        began = time.monotonic()
        evaluation.begin()
        evaluation.end()
        pace = _Pace(step, time.monotonic() - began)
    network = sum(value.numel() * value.element_size() for value in state.network.state_dict().values())
    return pace, (network, len(artifact.content(data)), len(data.noisy_labels))


def _seconds_a_step(trainer: Trainer, place: Placement) -> float:
    wait(place.device)
    began, steps = time.monotonic(), 0
    while steps < STEPS and time.monotonic() - began < SECONDS:
        trainer.step(steps % trainer.steps)
        steps += 1
    wait(place.device)
    return (time.monotonic() - began) / steps


def _bytes(run: RunDirectory, network: int, labels: int, samples: int, execution: Execution) -> int:
    """What a run will add to the disk: kept networks, and if it is not begun, labels and records of samples."""
    training = run.recipe.training
    done = run.epochs_done
    size = network * sum(epoch >= done for epoch in training.checkpoints)
    if run.status is not Status.NEW:
        return size
    if execution.measured(training, samples).recorded:
        size += samples * (records.BYTES * training.epochs + 2 * len(training.checkpoints))
    return size + labels


def _evaluations(run: RunDirectory, samples: int, execution: Execution) -> int:
    """How many epochs of a run are still to be evaluated."""
    training, done = run.recipe.training, run.epochs_done
    begun = Measured.kept(training, run.state()) if done else execution.measured(training, samples)
    return begun.evaluated.count(done)
