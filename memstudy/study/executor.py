"""Carry out many runs in local processes, each on its own run directory.

The directories are the only channel of progress, so anything that can read them can watch, and a cluster's
executor has nothing more to offer than this one. Each worker process takes one run after another.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from types import FrameType

from memstudy.errors import Interrupted, MemstudyError, RunFailed
from memstudy.store import RunDirectory, Status
from memstudy.study.carry_out import Execution, carry_out
from memstudy.study.interruption import Terminated

TICK_SECONDS = 0.5


@dataclass(frozen=True)
class Outcome:
    """How one run ended: `error` is None if it is finished."""

    run: RunDirectory
    error: MemstudyError | None = None


def default_jobs(device: str, threads: int) -> int:
    """As many single runs as the processor has room for; one at a time on a GPU."""
    if device.startswith("cuda"):
        return 1
    return max(1, len(os.sched_getaffinity(0)) // threads if hasattr(os, "sched_getaffinity") else 1)


def carry_out_all(
    runs: Sequence[RunDirectory],
    execution: Execution,
    jobs: int,
    on_tick: Callable[[], None] = lambda: None,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Carry out all runs, at most `jobs` at a time; one that fails does not stop the others.

    `on_tick` is called about twice a second, `on_outcome` as each run ends; finished runs are reported at
    once and cost nothing. Raises Interrupted on Ctrl-C, after every running run has saved; a run that the
    deadline stopped has an Interrupted as its outcome's error.
    """
    outcomes = [Outcome(run) for run in runs if run.exists and run.status is Status.FINISHED]
    for outcome in outcomes:
        on_outcome(outcome)
    finished = {outcome.run.name for outcome in outcomes}
    waiting = [run for run in runs if run.name not in finished]
    if not waiting:
        return outcomes
    pool = ProcessPoolExecutor(
        min(jobs, len(waiting)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_ignore_interrupts,
    )
    with pool:
        futures = {pool.submit(_work, run, execution): run for run in waiting}
        pending = set(futures)
        try:
            while pending:
                done, pending = wait(pending, timeout=TICK_SECONDS, return_when=FIRST_COMPLETED)
                for future in done:
                    outcomes.append(Outcome(futures[future], _error(futures[future], future)))
                    on_outcome(outcomes[-1])
                on_tick()
        except KeyboardInterrupt as stop:
            pool.shutdown(wait=False, cancel_futures=True)
            _interrupt_workers()
            wait(futures)
            number = 15 if isinstance(stop, Terminated) else 2
            raise Interrupted("stopped and saved; the same command continues where each run is.", number) from stop
    return outcomes


def _work(run: RunDirectory, execution: Execution) -> None:
    """In a worker: carry out one run, open to one interruption while at it."""
    signal.signal(signal.SIGINT, _interrupt_once)
    signal.signal(signal.SIGTERM, _interrupt_once)
    try:
        carry_out(run, execution)
    finally:
        _ignore_interrupts()


def _ignore_interrupts() -> None:
    """An idle worker leaves Ctrl-C, which reaches it too, to its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt_once(number: int, frame: FrameType | None) -> None:
    """The first signal interrupts; a second one must not disturb the saving that the first one started."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


def _interrupt_workers() -> None:
    """Pass the interruption on: a signal sent to the parent alone has not reached its workers."""
    for process in multiprocessing.active_children():
        if process.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGINT)


def _error(run: RunDirectory, future: Future[None]) -> MemstudyError | None:
    """A worker's mistake of the user's as it is; anything else is told as a failure of its run."""
    error = future.exception()
    if error is None or isinstance(error, MemstudyError):
        return error
    if isinstance(error, BrokenProcessPool):
        return RunFailed(
            f"{run.name}: its process died (killed, or out of memory); the same command continues it, "
            "with fewer --jobs if memory was short."
        )
    return RunFailed(f"{run.name} broke: {type(error).__name__}: {error}")
