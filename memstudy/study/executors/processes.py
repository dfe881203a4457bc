"""Carry out many runs in processes of one machine, each on its own run directory.

The directories are the only channel of progress, so anything that can read them can watch. Nothing is queued: a
worker process is handed a run when one of its own has ended, so stopping never starts another run, and a worker
that dies takes no more along than it had. A worker has one run at a time, or a fleet of them that trains in turns;
on several GPUs, each has one to itself.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import NoReturn

import torch

from memstudy import recipe as recipes
from memstudy import trust
from memstudy.errors import Interrupted, MemstudyError, RunFailed
from memstudy.recipe import Recipe
from memstudy.store import RunDirectory, code
from memstudy.study.carry_out import Execution
from memstudy.study.executors import UNWATCHED, Watch
from memstudy.study.fleet import NOT_STARTED, Fleet, Outcome
from memstudy.study.interruption import Terminated, blocked, unblock
from memstudy.training.device import cores, resolve_device
from memstudy.training.placement import SMALL, usual_threads

TICK_SECONDS = 0.5
FLEET = 8
"""Runs of a small network that fill a GPU together."""


def default_jobs(device: torch.device, threads: int) -> int:
    """How many processes: as many as cores suffice for; on GPUs one for each, or for the one that is named."""
    if device.type == "cuda":
        return torch.cuda.device_count() if str(device) == "cuda" else 1
    return max(1, cores() // threads)


def default_fleet(device: torch.device, recipes: Sequence[Recipe]) -> int:
    """How many runs take turns in a process: FLEET on a GPU, if all networks are small; else one."""
    small = all(recipe.network in SMALL for recipe in recipes)
    return FLEET if device.type == "cuda" and small else 1


def most_threads(recipes: Sequence[Recipe], execution: Execution, device: torch.device) -> int:
    """The CPU threads of a run; of the largest, where networks differ."""
    if execution.threads == "auto":
        return max(usual_threads(recipe.network, device) for recipe in recipes)
    return execution.threads or 1


def carry_out_all(
    runs: Sequence[RunDirectory], execution: Execution, jobs: int, fleet: int = 1, watch: Watch = UNWATCHED
) -> list[Outcome]:
    """Carry out all runs in at most `jobs` processes, each with up to `fleet` of them in turns.

    One that fails does not stop the others; finished runs are reported at once and cost nothing. Raises
    Interrupted on Ctrl-C and SIGTERM, after every running run has saved; a run that the deadline stopped has an
    Interrupted as its outcome's error.
    """
    outcomes, left = settled(runs, watch)
    waiting = deque(left)
    workers: list[_Worker] = []

    def ended(outcome: Outcome) -> None:
        outcomes.append(outcome)
        watch.ended(outcome)

    try:
        while waiting or workers:
            if execution.deadline is not None and time.monotonic() > execution.deadline:
                for run in waiting:
                    ended(Outcome(run, Interrupted(NOT_STARTED)))
                waiting.clear()
            _hand_out(waiting, workers, execution, jobs, fleet)
            wait([worker.pipe for worker in workers], timeout=TICK_SECONDS)
            for worker in [worker for worker in workers if worker.pipe.poll()]:
                for outcome in worker.outcomes():
                    ended(outcome)
            for worker in [worker for worker in workers if worker.is_done(bool(waiting))]:
                worker.dismiss()
                workers.remove(worker)
            watch.tick()
    except KeyboardInterrupt as stop:
        for worker in workers:
            worker.interrupt()
        for worker in workers:
            worker.dismiss()
        number = 15 if isinstance(stop, Terminated) else 2
        raise Interrupted("stopped and saved; the same command continues where each run is.", number) from stop
    return outcomes


def settled(runs: Sequence[RunDirectory], watch: Watch) -> tuple[list[Outcome], list[RunDirectory]]:
    """Report the runs that are finished, which cost nothing: their outcomes, and the runs that are left."""
    outcomes: list[Outcome] = []
    left: list[RunDirectory] = []
    for run in runs:
        if run.finished:
            outcomes.append(Outcome(run, _refused(run)))
            watch.ended(outcomes[-1])
        else:
            left.append(run)
    return outcomes, left


def _refused(run: RunDirectory) -> MemstudyError | None:
    """Why a finished run does not count as one: it was trained with other code."""
    try:
        code.check(run)
    except MemstudyError as error:
        return error
    return None


def _hand_out(
    waiting: deque[RunDirectory], workers: list[_Worker], execution: Execution, jobs: int, fleet: int
) -> None:
    """Give waiting runs to new processes up to `jobs`, then to those that have the fewest, up to `fleet` each."""
    while waiting:
        if len(workers) < jobs:
            slot = min(set(range(jobs)) - {worker.slot for worker in workers})
            workers.append(_Worker(slot, on_gpu(execution, slot), fleet))
        able = [worker for worker in workers if len(worker.runs) < fleet and worker.process.is_alive()]
        if not able:
            return
        worker = min(able, key=lambda worker: len(worker.runs))
        worker.hand(waiting.popleft())


def on_gpu(execution: Execution, slot: int) -> Execution:
    """The execution of the process in a slot, on a GPU of its own, where `cuda` names none."""
    device = resolve_device(execution.device)
    if str(device) != "cuda":
        return execution
    return replace(execution, device=f"cuda:{slot % torch.cuda.device_count()}")


class _Worker:
    """A process that carries out the runs in its hands, and the pipe to it."""

    def __init__(self, slot: int, execution: Execution, fleet: int) -> None:
        self.slot = slot
        self.runs: dict[str, RunDirectory] = {}
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(
            target=_work, args=(theirs, execution, fleet, trust.given()), daemon=True
        )
        with blocked():
            self.process.start()
        theirs.close()

    def hand(self, run: RunDirectory) -> None:
        """Give it a run; if it has just died, the next look at its pipe says so."""
        self.runs[run.name] = run
        with contextlib.suppress(OSError):
            self.pipe.send(run)

    def outcomes(self) -> list[Outcome]:
        """How those of its runs ended that did. A closed pipe means that the process died, with all its runs."""
        try:
            ended: list[tuple[str, MemstudyError | None]] = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            ended = [(name, _died(name)) for name in self.runs]
        return [Outcome(self.runs.pop(name), error) for name, error in ended]

    def is_done(self, more: bool) -> bool:
        """Whether it has no run, and will get none: there are no `more`, which another may have got, or it died.

        One that died with runs is not: its pipe says so at the next look, and they are told as lost.
        """
        return not self.runs and not (more and self.process.is_alive())

    def dismiss(self) -> None:
        """Let it end, and wait for that."""
        self.pipe.close()
        self.process.join()

    def interrupt(self) -> None:
        """Let it save and end: a signal sent to the parent alone has not reached it."""
        if self.process.pid is not None and self.process.is_alive():
            os.kill(self.process.pid, signal.SIGTERM)


def _died(name: str) -> RunFailed:
    return RunFailed(
        f"{name}: its process died (killed, or out of memory); the same command continues it, with fewer --jobs "
        "if memory was short."
    )


def _work(pipe: Connection, execution: Execution, size: int, consent: trust.Consent) -> None:
    """In a worker: carry out the runs that come through the pipe until it closes."""
    trust.take_over(consent)
    threading.Thread(target=_follow_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent passes it on as SIGTERM
    signal.signal(signal.SIGTERM, _interrupt_once)
    fleet = Fleet(execution, size)
    try:
        unblock()
        _serve(pipe, fleet)
    except (EOFError, OSError, KeyboardInterrupt):  # the parent wants no more, or is no more
        fleet.stop()
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as it shuts down there is nothing left to save


def _serve(pipe: Connection, fleet: Fleet) -> NoReturn:
    """Train what comes through the pipe, and send back what has ended, until the pipe is closed."""
    while True:
        while not fleet.busy or pipe.poll():
            run = pipe.recv()
            trust.named(run.path, recipes.names(run.recipe))
            fleet.add(run)
        if ended := fleet.turn():
            pipe.send([(outcome.run.name, outcome.error) for outcome in ended])


def _interrupt_once(number: int, frame: FrameType | None) -> None:
    """The first signal interrupts; a second one must not disturb the saving that the first one started."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _follow_parent() -> None:
    """Save and end when the parent has died: nobody would hand out the next run or hear of this one."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
