"""Carry out many runs in local processes, each on its own run directory.

The directories are the only channel of progress, so anything that can read them can watch, and a cluster's
executor has nothing more to offer than this one. Nothing is queued: a worker process is handed its next run
when its last one has ended, so stopping never starts another run, and a worker that dies takes one run along.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType

from memstudy.errors import Interrupted, MemstudyError, RunFailed
from memstudy.store import RunDirectory, Status
from memstudy.study.carry_out import Execution, carry_out
from memstudy.study.interruption import Terminated, blocked, unblock

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
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // threads)


def carry_out_all(
    runs: Sequence[RunDirectory],
    execution: Execution,
    jobs: int,
    on_tick: Callable[[], None] = lambda: None,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Carry out all runs, at most `jobs` at a time; one that fails does not stop the others.

    `on_tick` is called about twice a second, `on_outcome` as each run ends; finished runs are reported at
    once and cost nothing. Raises Interrupted on Ctrl-C and SIGTERM, after every running run has saved; a run
    that the deadline stopped has an Interrupted as its outcome's error.
    """
    outcomes: list[Outcome] = []
    waiting: deque[RunDirectory] = deque()
    workers: list[_Worker] = []

    def ended(outcome: Outcome) -> None:
        outcomes.append(outcome)
        on_outcome(outcome)

    for run in runs:
        if run.exists and run.status is Status.FINISHED:
            ended(Outcome(run))
        else:
            waiting.append(run)
    try:
        while waiting or workers:
            while waiting and len(workers) < jobs:
                workers.append(_Worker(execution, waiting.popleft()))
            wait([worker.pipe for worker in workers], timeout=TICK_SECONDS)
            for worker in [worker for worker in workers if worker.pipe.poll()]:
                outcome = worker.outcome()
                if worker.process.is_alive() and waiting:
                    worker.hand(waiting.popleft())
                else:
                    worker.dismiss()
                    workers.remove(worker)
                ended(outcome)
            on_tick()
    except KeyboardInterrupt as stop:
        for worker in workers:
            worker.interrupt()
        for worker in workers:
            worker.dismiss()
        number = 15 if isinstance(stop, Terminated) else 2
        raise Interrupted("stopped and saved; the same command continues where each run is.", number) from stop
    return outcomes


class _Worker:
    """A process that carries out one run after another, and the pipe to it."""

    def __init__(self, execution: Execution, run: RunDirectory) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(theirs, execution), daemon=True)
        with blocked():
            self.process.start()
        theirs.close()
        self.hand(run)

    def hand(self, run: RunDirectory) -> None:
        self.run = run
        self.pipe.send(run)

    def outcome(self) -> Outcome:
        """How the run in hand ended; a pipe that closes instead means that the process died with it."""
        try:
            error: MemstudyError | None = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            error = RunFailed(
                f"{self.run.name}: its process died (killed, or out of memory); the same command continues it, "
                "with fewer --jobs if memory was short."
            )
        return Outcome(self.run, error)

    def dismiss(self) -> None:
        self.pipe.close()
        self.process.join()

    def interrupt(self) -> None:
        """Let it save and end: a signal sent to the parent alone has not reached it."""
        if self.process.pid is not None and self.process.is_alive():
            os.kill(self.process.pid, signal.SIGTERM)


def _work(pipe: Connection, execution: Execution) -> None:
    """In a worker: carry out the runs that come through the pipe until it closes."""
    threading.Thread(target=_follow_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent passes it on as SIGTERM
    signal.signal(signal.SIGTERM, _interrupt_once)
    try:
        unblock()
        while True:
            run: RunDirectory = pipe.recv()
            pipe.send(_error(run, execution))
    except (EOFError, OSError, KeyboardInterrupt):  # the parent wants no more, or is no more
        return


def _error(run: RunDirectory, execution: Execution) -> MemstudyError | None:
    """A user's mistake as it is; anything else is told as a failure of its run."""
    try:
        carry_out(run, execution)
    except MemstudyError as error:
        return error
    except Exception as error:
        return RunFailed(f"{run.name} broke: {type(error).__name__}: {error}")
    return None


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
