"""`--on ray`: on a Ray cluster that is running, or on a new one of this machine. Each task is a chunk of a study.

Ray places tasks, and starts those of a lost node elsewhere; a run continues there from what was saved. How far
runs are, is what their directories say.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memstudy import files, options
from memstudy.errors import Interrupted, MemstudyError, RunFailed, quoted, reason
from memstudy.options import option
from memstudy.study.executors import UNWATCHED, Watch, missing

if TYPE_CHECKING:
    from memstudy.recipe import Recipe
    from memstudy.store import RunDirectory
    from memstudy.study.carry_out import Execution
    from memstudy.study.executors.chunk import Chunk
    from memstudy.study.fleet import Outcome

FOLDER, MARKER = "ray", "here.json"
TICK, ANSWER = 0.5, 5.0
"""Seconds between two looks, and in which a cluster must answer."""
SAVING = 60.0
"""Seconds that tasks have to save in after Ctrl-C."""
RETRIES = 10
"""How often a task is started again whose node or process was lost."""
ENVIRONMENT = {"RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0", "RAY_USAGE_STATS_ENABLED": "0"}
"""Nothing is sent anywhere, and no environment is made on the nodes."""


@dataclass(frozen=True)
class Ray:
    """Tasks of a Ray cluster whose nodes have memstudy and see the store."""

    jobs: int | None = option("Tasks at a time.", None, least=1)
    fleet: int | None = option("Runs that take turns in each task.", None, least=1)
    chunk: int | None = option("Runs in one task.", None, least=1, usual="as many as take turns")
    gpus: float = option("GPUs for each task; 0.5 lets two share one.", 0.0, least=0)
    cpus: int = option("CPU cores for each task.", 1, least=1)
    address: str | None = option("A running cluster: host:port.", None, usual="RAY_ADDRESS, else a new one here")

    def __post_init__(self) -> None:
        options.check(self)

    def at_once(self, recipes: Sequence[Recipe], execution: Execution) -> None:
        """Ray decides."""

    def carry_out(
        self, runs: Sequence[RunDirectory], execution: Execution, folder: Path, watch: Watch = UNWATCHED
    ) -> list[Outcome]:
        """See `executors.Executor`."""
        from memstudy.study.executors.chunk import Chunk
        from memstudy.study.executors.processes import FLEET, settled

        outcomes, left = settled(runs, watch)
        if not left:
            return outcomes
        marker = folder / FOLDER / MARKER
        with _cluster(self.address) as (ray, where):
            watch.say(f"on {where}: {_resources(ray)}.")
            files.write_json(marker, {"ray": where})
            fleet = self.fleet or (FLEET if self.gpus else 1)
            size = self.chunk or fleet
            parts = [left[start : start + size] for start in range(0, len(left), size)]
            chunks = [Chunk.of(part, execution, fleet, 1, marker) for part in parts]
            return outcomes + _Tasks(ray, self, watch).carry_out(chunks, execution.deadline)


class _Tasks:
    """Tasks that were handed to Ray, by their references."""

    def __init__(self, ray: Any, executor: Ray, watch: Watch) -> None:
        self.ray, self.watch, self.most = ray, watch, executor.jobs
        task = ray.remote(_work)
        self.task = task.options(num_cpus=executor.cpus, num_gpus=executor.gpus, max_retries=RETRIES)
        self.running: dict[Any, Chunk] = {}
        self.outcomes: list[Outcome] = []

    def carry_out(self, chunks: Sequence[Chunk], deadline: float | None) -> list[Outcome]:
        """Hand out all chunks, and wait for them. Raises Interrupted after Ctrl-C, once all runs are saved."""
        waiting = list(chunks)[::-1]
        try:
            while waiting or self.running:
                if deadline is not None and time.monotonic() > deadline:
                    self._stop()
                    self._end([run for chunk in waiting for run in chunk.runs], {})
                    break
                while waiting and (self.most is None or len(self.running) < self.most):
                    chunk = waiting.pop()
                    self.running[self.task.remote(chunk)] = chunk
                self._collect(TICK)
                self.watch.tick()
        except KeyboardInterrupt as stop:
            self._stop()
            number = 15 if type(stop).__name__ == "Terminated" else 2
            raise Interrupted("stopped and saved; the same command continues where each run is.", number) from stop
        return self.outcomes

    def _collect(self, seconds: float) -> None:
        """Wait so long for tasks to end, and see how their runs did."""
        ended, _ = self.ray.wait(list(self.running), num_returns=1, timeout=seconds)
        for reference in ended:
            runs, found = self.running.pop(reference).runs, {}
            try:
                found = self.ray.get(reference)
            except self.ray.exceptions.TaskCancelledError:
                pass
            except self.ray.exceptions.RayError as error:
                why = reason(str(error).strip().splitlines()[-1])
                lost = f"its task was lost ({why}); the same command continues it."
                found = {run.name: f"{run.name}: {lost}" for run in runs}
            self._end(runs, found)

    def _end(self, runs: Sequence[RunDirectory], found: dict[str, str]) -> None:
        """Say how runs ended, which is in their directories, and in what a task found beside."""
        from memstudy.study.fleet import Outcome

        for run in runs:
            error: MemstudyError | None = None
            if not run.finished:
                error = Interrupted(f"{run.name} was stopped; the same command continues it.")
                if run.failure:
                    error = RunFailed(f"{run.name} failed: {run.failure}.")
                elif run.name in found:
                    error = MemstudyError(found[run.name])
            self.outcomes.append(Outcome(run, error))
            self.watch.ended(self.outcomes[-1])

    def _stop(self) -> None:
        """Interrupt all tasks, which save, and wait for that."""
        for reference in self.running:
            self.ray.cancel(reference)
        until = time.monotonic() + SAVING
        while self.running and time.monotonic() < until:
            self._collect(TICK)


def _work(chunk: Chunk) -> dict[str, str]:
    """A task: what run directories do not say of how a chunk's runs ended."""
    from memstudy.study.executors.chunk import problems

    try:
        chunk.check(socket.gethostname())
        return problems(chunk.carry_out())
    except MemstudyError as error:
        return {run.name: str(error) for run in chunk.runs if not run.finished}


@contextmanager
def _cluster(address: str | None) -> Iterator[tuple[Any, str]]:
    """Ray, connected to the cluster at an address, or to a new one of this machine; and which it is."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise missing("ray", FOLDER) from error
    address = address or os.environ.get("RAY_ADDRESS")
    if address:
        _check_answers(address)
    try:
        ray.init(
            address=address or "local",
            include_dashboard=None if address else False,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    except (ConnectionError, RuntimeError, TimeoutError) as error:
        raise MemstudyError(f"Ray cannot be used: {reason(error)}.") from error
    try:
        yield ray, f"the Ray cluster at {address}" if address else "a Ray cluster of this machine"
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """A MemstudyError if nothing listens at an address: Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address in ("auto", "local") or not port.isdigit():
        if address == "auto":
            return
        raise MemstudyError(f"a Ray cluster's address is host:port, or auto, not {quoted(address)}.")
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER).close()
    except (OSError, OverflowError) as error:
        raise MemstudyError(
            f"no Ray cluster answers at {address} ({reason(error)}); start one with 'ray start --head', or leave "
            "--address out for a new one of this machine."
        ) from error


def _resources(ray: Any) -> str:
    """`2 nodes, 4 CPU cores, 1 GPU`."""
    total, nodes = ray.cluster_resources(), sum(node["Alive"] for node in ray.nodes())
    gpus = f", {total['GPU']:g} GPU{'s' * (total['GPU'] != 1)}" if total.get("GPU") else ""
    return f"{nodes} node{'s' * (nodes != 1)}, {total.get('CPU', 0):g} CPU cores{gpus}"
