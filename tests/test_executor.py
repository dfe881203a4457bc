"""Many runs in processes: what dies takes one run along, and nothing outlives its parent. Real images."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from multiprocessing.connection import wait
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
import torch

from memstudy import presets
from memstudy.errors import Busy, Interrupted, MemstudyError, RunFailed
from memstudy.store import Status, Store
from memstudy.study.carry_out import Execution
from memstudy.study.executors import Executor, Watch, processes, slurm
from memstudy.study.executors.processes import carry_out_all, default_jobs
from memstudy.study.executors.ray import Ray

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess


def waited_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def test_a_killed_worker_takes_one_run_along(tmp_path):
    store = Store(tmp_path)
    long, short = (store.open(presets.build(epochs=epochs, train_size=400)) for epochs in (200, 1))

    killed: list[multiprocessing.process.BaseProcess] = []

    def kill_once():
        if long.epochs_done and not killed:
            killed.extend(multiprocessing.active_children())
            killed[0].kill()

    outcomes = carry_out_all([long, short], Execution(device="cpu"), jobs=1, watch=Watch(tick=kill_once))
    errors = {outcome.run.name: outcome.error for outcome in outcomes}
    assert isinstance(errors[long.name], RunFailed)
    assert "its process died" in str(errors[long.name])
    assert errors[short.name] is None
    assert (long.status, short.status) == (Status.INTERRUPTED, Status.FINISHED)


def ended_by(seconds=120.0):
    """Fails a study that waits for nothing."""
    deadline = time.monotonic() + seconds

    def look():
        assert time.monotonic() < deadline, "it waits for a worker that has nothing to do"

    return Watch(tick=look)


def test_two_workers_that_end_together_as_one_run_waits_are_both_let_go(tmp_path, monkeypatch):
    """Such a study waited for ever: the one got the run, and the other never had anything more to say."""
    runs = [Store(tmp_path).open(presets.build(epochs=1, train_size=100, seed=seed)) for seed in range(3)]
    looks = []

    def together(pipes, timeout):
        looks.append(len(pipes))
        if len(looks) == 1:
            return [waited_for(pipe.poll) for pipe in pipes]
        return wait(pipes, timeout)

    monkeypatch.setattr(processes, "wait", together)
    outcomes = carry_out_all(runs, Execution(device="cpu", threads=1), jobs=2, watch=ended_by())
    assert looks[0] == 2
    assert all(outcome.error is None for outcome in outcomes)
    assert {outcome.run.name for outcome in outcomes} == {run.name for run in runs}


def test_all_runs_of_a_worker_that_died_are_told_those_that_it_had_reported_apart(tmp_path, monkeypatch):
    runs = [Store(tmp_path).open(presets.build(epochs=1, seed=seed)) for seed in range(3)]

    class Dying(processes._Worker):
        """Takes two runs, reports the first and is gone; no process is needed for that."""

        def __init__(self, slot, execution, fleet):
            self.slot, self.runs = slot, {}
            self.pipe, self.theirs = multiprocessing.Pipe()
            self.process = cast("BaseProcess", SimpleNamespace(is_alive=lambda: not self.theirs.closed, join=int))

        def hand(self, run):
            super().hand(run)
            if len(self.runs) == 2 or run is runs[2]:
                self.theirs.send([(next(iter(self.runs)), None)])
                self.theirs.close()

    monkeypatch.setattr(processes, "_Worker", Dying)
    outcomes = carry_out_all(runs, Execution(device="cpu"), jobs=1, fleet=2, watch=ended_by())
    errors = {outcome.run.name: outcome.error for outcome in outcomes}
    assert len(outcomes) == 3
    assert errors[runs[0].name] is errors[runs[2].name] is None
    assert "its process died" in str(errors[runs[1].name])


def test_past_the_deadline_nothing_is_started(tmp_path):
    runs = [Store(tmp_path).open(presets.build(epochs=1, train_size=400, seed=seed)) for seed in (0, 1)]
    outcomes = carry_out_all(runs, Execution(device="cpu", deadline=time.monotonic()), jobs=1)
    assert [outcome.run for outcome in outcomes] == runs
    assert all(isinstance(outcome.error, Interrupted) for outcome in outcomes)
    assert not any(run.path.exists() for run in runs)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the worker through /proc")
def test_workers_of_a_killed_parent_save_and_end(tmp_path):
    (tmp_path / "s.toml").write_text('name = "two"\nseeds = [0, 1]\n[grid]\nepochs = 200\ntrain_size = 400\n')
    words = [sys.executable, "-m", "memstudy", "study", "s.toml", "--train-only", "--jobs", "1"]
    parent = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert waited_for(lambda: list(tmp_path.glob("runs/*/metrics.csv")))
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    (run,) = Store(tmp_path / "runs").runs()
    assert waited_for(lambda: not run.locked)
    assert run.load_resume() is not None
    time.sleep(1)
    assert len(Store(tmp_path / "runs").directories()) == 1  # the second was not begun


def test_finished_runs_start_no_process(trained):
    runs = Store(trained).runs()
    outcomes = carry_out_all(runs, Execution(device="cpu"), jobs=2)
    assert [outcome.run for outcome in outcomes] == runs
    assert not multiprocessing.active_children()


def test_jobs_fill_the_cores_and_one_gpu_takes_one():
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    assert default_jobs(torch.device("cpu"), 1) == cores
    assert default_jobs(torch.device("cpu"), 10_000) == 1
    assert default_jobs(torch.device("cuda", 0), 1) == 1


def test_a_run_in_another_process_s_hands_is_busy_not_failed(tmp_path):
    run = Store(tmp_path).open(presets.build(epochs=1, train_size=400))
    with run.lock():
        (outcome,) = carry_out_all([run], Execution(device="cpu"), jobs=1)
    assert isinstance(outcome.error, Busy)


def test_an_option_of_another_executor_is_refused(command, tmp_path):
    (tmp_path / "s.toml").write_text('name = "s"\n[grid]\nepochs = 1\n')
    result = command("study", "s.toml", "--partition", "gpu")
    assert result.exit_code == 2
    assert "--partition is an option of --on slurm, and runs are trained on local; leave it out" in result.output
    result = command("study", "s.toml", "--on", "slum")
    assert result.exit_code == 2
    assert "did you mean slurm?" in result.output
    assert not (tmp_path / "runs").exists()


def test_engines_are_imported_only_when_asked_for():
    code = (
        "import sys; from memstudy.study.executors import EXECUTORS as E; [E.get(name) for name in E.names()]; "
        "import memstudy.cli; print(sorted({'ray', 'submitit', 'torch'} & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
    )


def test_a_missing_engine_is_answered_with_what_to_install(tmp_path, monkeypatch):
    run = Store(tmp_path).open(presets.build(epochs=1, train_size=400))
    for name, package in (("ray", "ray"), ("submitit", "slurm")):
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setitem(sys.modules, f"{name}.core.utils", None)
        monkeypatch.setattr(slurm, "_ask", list)
        executor: Executor = Ray() if package == "ray" else slurm.Slurm()
        with pytest.raises(MemstudyError, match=rf"pip install 'memstudy\[{package}\]'"):
            executor.carry_out([run], Execution(device="cpu"), tmp_path / "s")
    assert not run.exists


@pytest.mark.parametrize(
    ("text", "minutes"), [("90", 90), ("1:30:00", 90), ("2-12", 3600), ("0:30", 1), ("1-00:00:01", 1441)]
)
def test_times_are_read_as_slurm_does(text, minutes):
    """https://slurm.schedmd.com/sbatch.html, --time; seconds are rounded up."""
    assert slurm.minutes(slurm.Slurm(time=text).time or "") == minutes


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"time": "soon"}, "time must be a time as Slurm writes it.*not 'soon'"),
        ({"slurm": ("--qos long",)}, "slurm must be one of sbatch's options, KEY=VALUE without dashes"),
        ({"chunk": 0}, "chunk must be a whole number of at least 1, not 0"),
    ],
)
def test_a_wrong_option_of_slurm(options, sentence):
    with pytest.raises(MemstudyError, match=sentence):
        slurm.Slurm(**options)
