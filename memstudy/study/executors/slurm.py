"""`--on slurm`: by Slurm, through submitit. A study is an array of jobs, each with a chunk of its runs.

The directories of runs say how far they are; beside them `studies/NAME/slurm/jobs.json` remembers which job has
which runs, and that is all. Where Slurm tells a job that its time is up, or that it is preempted, its runs save
and it is queued again. Where it does not, as for a node that died or a job that was cancelled, the same command
afterwards submits what is left.
"""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memstudy import files, options
from memstudy.errors import Busy, Interrupted, MemstudyError, RunFailed, listed, quoted, reason
from memstudy.options import option
from memstudy.study.executors import UNWATCHED, Watch, missing

if TYPE_CHECKING:
    from memstudy.recipe import Recipe
    from memstudy.store import RunDirectory
    from memstudy.study.carry_out import Execution
    from memstudy.study.fleet import Outcome

FOLDER, JOBS, PROBLEMS = "slurm", "jobs.json", "problems"
TICK, QUEUE_EVERY = 0.5, 5.0
"""Seconds between two looks at the runs, and at Slurm's queue."""
GRACE = 20.0
"""Seconds after a job's end in which what it wrote may still be on its way here: file systems keep copies."""
USUAL_REASONS = ("None", "Priority", "Resources", "BeginTime", "JobArrayTaskLimit", "Dependency", "Cleaning")
"""Why Slurm lets jobs wait that it will start one day; of other reasons the user is told."""
REQUEUES = 1000
"""How often a job may be queued again. One in which no epoch was finished is not (see `job`)."""
REMADE = "remove it; jobs that are still queued are then unknown here, so cancel them with scancel first"


def _minutes(name: str, value: Any) -> str | None:
    """A time as Slurm writes it, checked: 90 (minutes), 1:30:00, 2-12:00:00."""
    if value is None:
        return None
    form = r"(\d+-)?\d+(:\d+){0,2}"
    if not isinstance(value, str) or not re.fullmatch(form, value):
        raise MemstudyError(
            f"{name} must be a time as Slurm writes it: minutes (90), hours:minutes:seconds (1:30:00) or "
            f"days-hours (2-12), not {quoted(value)}."
        )
    return value


def minutes(text: str) -> int:
    """The minutes of a time as Slurm writes it, rounded up."""
    days, dash, clock = text.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    if dash:  # days-hours[:minutes[:seconds]]
        hours, mins, seconds = (*parts, 0, 0)[:3]
    elif len(parts) == 3:
        hours, mins, seconds = parts
    else:  # minutes[:seconds]
        hours, mins, seconds = 0, parts[0], parts[1] if len(parts) > 1 else 0
    return max(1, 1440 * int(days or 0) + 60 * hours + mins + -(-seconds // 60))


def _pairs(name: str, value: Any) -> tuple[str, ...]:
    """KEY=VALUE texts, checked."""
    texts = tuple(value)
    for text in texts:
        if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*(=.*)?", text):
            raise MemstudyError(
                f"{name} must be one of sbatch's options, KEY=VALUE without dashes, such as qos=long, not "
                f"{quoted(text)}."
            )
    return texts


@dataclass(frozen=True)
class Slurm:
    """Jobs of a Slurm cluster, given from a machine that has sbatch and sees the store."""

    jobs: int | None = option("Jobs at a time.", None, least=1)
    fleet: int | None = option("Runs that take turns in each process of a job.", None, least=1)
    chunk: int = option("Runs in one job.", 8, least=1)
    partition: str | None = option("Slurm's partition.", None)
    time: str | None = option("A job's time: minutes, H:M:S, or days-hours.", None, checker=_minutes, usual="60")
    gpus: int = option("GPUs for each job.", 0, least=0)
    cpus: int = option("CPU cores for each job.", 1, least=1)
    memory: str | None = option("Memory for each job: 8G.", None)
    slurm: tuple[str, ...] = option("Any other of sbatch's options, KEY=VALUE.", (), checker=_pairs)
    detach: bool = option("Submit, and leave.", False)

    def __post_init__(self) -> None:
        options.check(self)

    def at_once(self, recipes: Sequence[Recipe], execution: Execution) -> None:
        """Slurm decides."""

    def carry_out(
        self, runs: Sequence[RunDirectory], execution: Execution, folder: Path, watch: Watch = UNWATCHED
    ) -> list[Outcome]:
        """See `executors.Executor`. Jobs still queued or running keep their runs; the rest is submitted."""
        from memstudy.study.executors.processes import settled
        from memstudy.study.fleet import Outcome

        outcomes, unfinished = settled(runs, watch)
        left = {run.name: run for run in unfinished}
        place = folder / FOLDER
        if left:
            alive = queued(_ask())
            known = {job: names for job, names in recorded(place).items() if job in alive}
            taken = {name for names in known.values() for name in names}
            submitted = self._submit([run for name, run in left.items() if name not in taken], execution, place)
            files.write_json(place / JOBS, known | submitted)
            jobs = known | submitted
            where = {name: job for job, names in jobs.items() for name in names}
            watch.say(_announced(len(known), submitted, self.detach))
            if self.detach:
                return outcomes + [
                    Outcome(run, Busy(f"{name} is in job {where[name]}.")) for name, run in left.items()
                ]
            outcomes += _wait(left, where, place, execution, watch)
        return outcomes

    def _submit(self, runs: Sequence[RunDirectory], execution: Execution, place: Path) -> dict[str, list[str]]:
        """Submit an array of jobs; the names of runs by job."""
        if not runs:
            return {}
        try:
            from submitit.core.utils import FailedJobError, FailedSubmissionError
            from submitit.slurm.slurm import SlurmExecutor
        except ImportError as error:
            raise missing("submitit", FOLDER) from error
        import torch

        from memstudy.study.executors.chunk import Chunk
        from memstudy.study.executors.job import Job
        from memstudy.study.executors.processes import FLEET, most_threads

        files.write_json(place / JOBS, recorded(place))  # it is there before a job looks whether it sees the store
        fleet = self.fleet or (FLEET if self.gpus else 1)
        parts = [runs[start : start + self.chunk] for start in range(0, len(runs), self.chunk)]
        threads = most_threads([run.recipe for run in runs], execution, torch.device("cpu"))
        processes = None if self.gpus else max(1, self.cpus // threads)
        chunks = [Chunk.of(part, execution, fleet, processes, place / JOBS) for part in parts]
        try:
            engine = SlurmExecutor((place / "log").absolute(), max_num_timeout=REQUEUES)
            engine.update_parameters(**self._parameters())
            with contextlib.redirect_stderr(io.StringIO()), engine.batch():  # sbatch's words are in the error
                jobs = [engine.submit(Job(chunk, (place / PROBLEMS).absolute())) for chunk in chunks]
        except (FailedJobError, FailedSubmissionError) as error:
            raise _refused(error) from error
        return {job.job_id: [run.name for run in part] for job, part in zip(jobs, parts, strict=True)}

    def _parameters(self) -> dict[str, Any]:
        """What sbatch is asked for, as submitit calls it."""
        pairs = [text.partition("=") for text in self.slurm]
        others = {key.replace("_", "-"): value if equals else True for key, equals, value in pairs}
        delay = others.pop("signal-delay-s", 90)
        parameters: dict[str, Any] = {
            "job_name": "memstudy",
            "time": minutes(self.time or "60"),
            "cpus_per_task": self.cpus,
            "signal_delay_s": int(str(delay)),
            "wckey": "",
            "additional_parameters": {"requeue": True, **others},
        }
        optional = {
            "partition": self.partition, "mem": self.memory, "gpus_per_node": self.gpus or None,
            "array_parallelism": self.jobs,
        }  # fmt: skip
        return parameters | {name: value for name, value in optional.items() if value is not None}


def cancel(folder: Path) -> list[str]:
    """Cancel the jobs of a study that are still queued or running; their names. Running runs save first."""
    alive = queued(_ask())
    mine = [job for job in recorded(folder / FOLDER) if job in alive]
    if mine:
        subprocess.run(["scancel", *mine], check=True)
    return mine


def recorded(place: Path) -> dict[str, list[str]]:
    """The names of runs by job, as they were submitted; some may have ended since."""
    if not (place / JOBS).is_file():
        return {}
    jobs = files.read_json(place / JOBS, REMADE)
    if not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names) for names in jobs.values()
    ):
        raise files.damaged(place / JOBS, "no lists of names", REMADE)
    return jobs


def queued(lines: Iterable[str]) -> dict[str, str]:
    """The jobs that are waiting, running, or about to end, by name (`12_3`): why Slurm lets them wait, or None."""
    pairs = (line.strip().partition("|") for line in lines if line.strip())
    return {job: why for job, _, why in pairs}


def _ask() -> list[str]:
    """The user's jobs in the queue, an array's one by one; a MemstudyError if Slurm does not answer."""
    if shutil.which("squeue") is None:
        raise MemstudyError(
            "there is no Slurm here (no squeue); give the command where jobs are submitted, or choose another "
            "--on."
        )
    command = ["squeue", "--me", "--noheader", "--array", "--format=%i|%r"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except subprocess.CalledProcessError as error:
        raise MemstudyError(f"Slurm does not answer: {reason(error.stderr)}; try again when it does.") from error
    except subprocess.TimeoutExpired as error:
        raise MemstudyError("Slurm does not answer within a minute; try again when it does.") from error
    return done.stdout.splitlines()


def _refused(error: Exception) -> MemstudyError:
    """The answer to a job that sbatch did not take: its own words."""
    said = re.findall(r"sbatch: error: (?!Batch job submission failed)(.+)", str(error)) or [str(error)]
    hint = "look at the options of this command"
    if "partition" in said[0]:
        done = subprocess.run(["sinfo", "--noheader", "--format=%R"], capture_output=True, text=True, check=False)
        hint = f"partitions here: {', '.join(dict.fromkeys(done.stdout.split())) or 'none'}"
    return MemstudyError(f"Slurm refuses the jobs: {reason(said[0]).rstrip('.')}; {hint}.")


def _announced(known: int, submitted: Mapping[str, Sequence[str]], detach: bool) -> str:
    """What was submitted, and what to do next."""
    parts = []
    if submitted:
        runs = sum(map(len, submitted.values()))
        many = len(submitted) > 1
        jobs = f"{len(submitted)} job{'s' * many} submitted, with {runs} run{'s' * (runs > 1)}"
        parts.append(f"{jobs} ({listed(submitted)})")
    if known:
        parts.append(
            f"{known} job{'s' * (known > 1)} of before {'are' if known > 1 else 'is'} still queued or running"
        )
    hint = "'memstudy study status' says how far they are; the same command then makes tables and figures"
    return "; ".join([*parts, *([hint] if detach else [])]) + "."


def _wait(
    left: dict[str, RunDirectory], where: Mapping[str, str], place: Path, execution: Execution, watch: Watch
) -> list[Outcome]:
    """Wait until every run has ended, or its job has."""
    from memstudy.study.fleet import Outcome

    outcomes: list[Outcome] = []
    gone: dict[str, float] = {}
    told: set[str] = set(USUAL_REASONS)
    looked = -QUEUE_EVERY
    try:
        while left:
            if execution.deadline is not None and time.monotonic() > execution.deadline:
                return outcomes + [
                    Outcome(run, Busy(f"{name} is in job {where[name]}.")) for name, run in left.items()
                ]
            if time.monotonic() - looked > QUEUE_EVERY:
                with contextlib.suppress(MemstudyError):  # its controller is being restarted
                    alive, looked = queued(_ask()), time.monotonic()
                    for job in set(where.values()) - set(alive):
                        gone.setdefault(job, looked)
                    for why in {alive[job] for job in where.values() if job in alive} - told:
                        told.add(why)
                        watch.say(
                            f"Slurm does not start jobs of this study ({why}); 'squeue --me' says which, and "
                            "'memstudy study cancel' cancels them."
                        )
            for run, error in list(_ended(left, where, place, gone)):
                del left[run.name]
                outcomes.append(Outcome(run, error))
                watch.ended(outcomes[-1])
            watch.tick()
            time.sleep(TICK)
    except KeyboardInterrupt as stop:
        raise Interrupted(
            "stopped waiting; the jobs go on. The same command waits for them again; 'memstudy study cancel' with "
            "the same study cancels them.",
            15 if type(stop).__name__ == "Terminated" else 2,
        ) from stop
    return outcomes


def _ended(
    left: Mapping[str, RunDirectory], where: Mapping[str, str], place: Path, gone: Mapping[str, float]
) -> Iterator[tuple[RunDirectory, MemstudyError | None]]:
    """Runs that have ended, and with what error."""
    for name, run in left.items():
        job = where[name]
        if run.finished:
            yield run, None
        elif (found := problem(place / PROBLEMS, job, name)) is not None:
            yield run, MemstudyError(found)
        elif job not in gone:
            continue
        elif run.failure:
            yield run, RunFailed(f"{name} failed: {run.failure}.")
        elif time.monotonic() - gone[job] > GRACE or run.exists:
            how = "its job was cancelled, or killed, or its time was up; the same command submits it again"
            if not run.exists:
                how = f"its job ended before it began; why may be in {place / 'log'}"
            yield run, Interrupted(f"{name}: {how}.")


def problem(place: Path, job: str, name: str) -> str | None:
    """What a job said of a run that its directory does not say."""
    path = place / f"{job}.json"
    with contextlib.suppress(MemstudyError):
        if path.is_file():
            said = files.read_json(path)
            return said.get(name)
    return None
