"""What Slurm starts on a node, called by submitit: one chunk, saved and queued again when Slurm says so."""

from __future__ import annotations

import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from memstudy.errors import MemstudyError
from memstudy.study.executors.chunk import Chunk, problems, write_problems

NO_PROGRESS = "no epoch was finished in a whole job, so it is not queued again: give jobs more --time"


@dataclass(frozen=True)
class Job:
    """A chunk as a job. `problems` is the folder for what it has to say beside what the runs' directories say."""

    chunk: Chunk
    problems: Path

    def __call__(self) -> None:
        """Carry out the chunk.

        SIGTERM (cancelled, or preempted: then Slurm itself queues the job again) saves all runs and ends. SIGUSR2
        (the time is nearly up) saves, too, and has submitit queue the job again, unless it got nowhere.
        """
        requeue, arrived = signal.getsignal(signal.SIGUSR2), []

        def stop(number: int, frame: FrameType | None) -> None:
            for each in (signal.SIGTERM, signal.SIGUSR2):
                signal.signal(each, lambda again, frame: arrived.append(again))
            arrived.append(number)
            raise KeyboardInterrupt

        before = sum(run.epochs_done for run in self.chunk.runs)
        path = self.problems / f"{job_name()}.json"
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGUSR2, stop)
        try:
            self.chunk.check(socket.gethostname())
            found = problems(self.chunk.carry_out())
        except MemstudyError as error:
            found = {run.name: str(error) for run in self.chunk.runs if not run.finished}
        except KeyboardInterrupt:  # before anything was trained
            found = {}
        stuck = sum(run.epochs_done for run in self.chunk.runs) == before
        left = [run for run in self.chunk.runs if not run.finished and not run.failure and run.name not in found]
        again = bool(signal.SIGUSR2 in arrived and left)
        if again and stuck:
            found |= {run.name: f"{run.name}: {NO_PROGRESS}." for run in left}
        write_problems(path, found)
        if again and not stuck and callable(requeue):
            requeue(signal.SIGUSR2, None)

    def checkpoint(self) -> Any:
        """What submitit queues again: the same."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def job_name() -> str:
    """`12_3`, of an array, or `12`."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array else os.environ["SLURM_JOB_ID"]
