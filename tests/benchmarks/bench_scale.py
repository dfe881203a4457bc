"""Ten thousand runs through the executors, with a trainer that only writes: what a study costs beside training.

    python -m tests.benchmarks.bench_scale [--runs 1000 10000] [--on local ray]

The executors, their processes and tasks, leases and files are the real ones; training writes three epochs of given
numbers. For each engine and size, in one process: submitting (which carries the runs out), the same command again
(all are finished), status, lists without and with the index, and a table; and this process's largest memory.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path

import torch

from memstudy.store import RunDirectory, Status, Store
from memstudy.store.metrics import MEASURED
from memstudy.study import fleet
from memstudy.study.carry_out import Execution
from memstudy.study.executors import Executor
from memstudy.study.executors.local import Local
from memstudy.study.executors.ray import Ray
from memstudy.study.status import progress
from memstudy.study.watcher import Watcher
from tests.benchmarks.bench_store import recipes

NETWORK = {"weight": torch.zeros(10)}
CHUNK = 100
"""Runs of one of Ray's tasks."""
ENGINES: dict[str, Callable[[], Executor]] = {"local": lambda: Local(jobs=2), "ray": lambda: Ray(chunk=CHUNK)}
HOOK = """
import sys
if any("default_worker.py" in word for word in sys.orig_argv):
    import tests.benchmarks.bench_scale
"""
"""What Python executes as it starts: in Ray's workers, the trainer below takes the place of the real one."""


def write_only(run: RunDirectory, execution: Execution, watcher: Watcher | None = None) -> Generator[None]:
    """In place of `carry_out.turns`: as a run is begun, appended to and finished."""
    if run.finished:
        return
    with run.lock():
        run.write_recipe()
        run.update(status=Status.RUNNING, floor=0.0, dynamics=False)
        for epoch in range(run.recipe.training.epochs):
            run.append_metrics(epoch, dict.fromkeys(MEASURED[1:], 0.5 + 0.1 * epoch))
            if epoch in run.recipe.training.checkpoints:
                run.save_checkpoint(epoch, NETWORK)
            yield
        run.finish()


vars(fleet)["turns"] = write_only  # in processes that are spawned, too: they import this module


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def measure(engine: str, count: int) -> dict[str, float]:
    """Seconds of each step of a study with so many runs."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MEMSTUDY_CACHE"] = f"{folder}/cache"
        store, executor = Store(Path(folder) / "runs"), ENGINES[engine]()
        study = recipes(count, epochs=3)
        seconds = {}
        runs: list[RunDirectory] = []

        def submit() -> None:
            runs[:] = store.open_all(study)
            store.record_study("sim", runs, {})
            outcomes = executor.carry_out(runs, Execution("cpu", 1), store.folder("sim"))
            assert [outcome.error for outcome in outcomes] == [None] * count

        seconds["carried out"] = timed(submit)
        seconds["again"] = timed(submit)
        seconds["status"] = timed(lambda: progress(store, study))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        for name in ("listed first", "listed"):
            seconds[name] = timed(lambda: command(store, "runs"))
        seconds["table"] = timed(lambda: command(store, "table", "--study", "sim"))
        return seconds | {"MiB": memory}


def command(store: Store, *words: str) -> None:
    """A command as users give it, the start of Python included."""
    whole = [sys.executable, "-m", "memstudy", *words, "--runs-dir", str(store.root)]
    subprocess.run(whole, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", nargs="+", type=int, default=[1000, 10_000])
    parser.add_argument("--on", nargs="+", choices=ENGINES, default=list(ENGINES))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as hook:
        Path(hook, "sitecustomize.py").write_text(HOOK)
        os.environ["PYTHONPATH"] = os.pathsep.join([hook, str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
        for engine in given.on:
            for count in given.runs:
                found = measure(engine, count)
                print(f"{engine}, {count:,} runs:", end=" ")
                print("; ".join(f"{name} {value:,.2f}" for name, value in found.items()), flush=True)


if __name__ == "__main__":
    main()
