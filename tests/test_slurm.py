"""A study on a real Slurm: whatever happens to its jobs, its runs end as on this machine alone, byte for byte."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from memstudy import presets
from memstudy.errors import Busy, Interrupted, MemstudyError
from memstudy.store import RunDirectory, Store
from memstudy.study.carry_out import Execution, carry_out
from memstudy.study.executors import Watch
from memstudy.study.executors.slurm import FOLDER, JOBS, Slurm, cancel
from tests.kit.outcomes import whole
from tests.kit.slurm import needs_slurm, said, waited_for

pytestmark = [
    pytest.mark.engine,
    needs_slurm,
    pytest.mark.skipif(find_spec("submitit") is None, reason="submitit is not installed"),
]

CPU = Execution(device="cpu")
SEEDS, LONG = (0, 1), 60
"""Epochs that take some seconds: long enough to be disturbed."""


def recipes(epochs: int, seeds=SEEDS):
    return [
        presets.build(reg=reg, epochs=epochs, train_size=400, seed=s) for s in seeds for reg in ("bare", "al2")
    ]


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Store:
    """The long runs, trained in this process, undisturbed."""
    store = Store(tmp_path_factory.mktemp("alone"))
    for recipe in recipes(LONG):
        carry_out(store.open(recipe), CPU)
    return store


@pytest.fixture
def place(tmp_path) -> Path:
    return tmp_path / "runs" / "studies" / "long"


@pytest.fixture
def runs(tmp_path) -> list[RunDirectory]:
    return [Store(tmp_path / "runs").open(recipe) for recipe in recipes(LONG)]


def begin(runs, place, **options) -> Slurm:
    """Submit them, two in a job, and leave when all jobs have trained some epochs."""
    executor = Slurm(chunk=2, detach=True, **options)
    outcomes = executor.carry_out(runs, CPU, place)
    assert all(isinstance(outcome.error, Busy) for outcome in outcomes)
    waited_for(lambda: min(runs[0].epochs_done, runs[2].epochs_done) > 3)
    return executor


def end(runs, place, alone, **options) -> None:
    """The same command, waiting: all runs end as they do alone."""
    outcomes = Slurm(chunk=2, **options).carry_out(runs, CPU, place)
    assert [outcome.error for outcome in outcomes] == [None] * len(runs)
    for run, recipe in zip(runs, recipes(LONG), strict=True):
        assert whole(run) == whole(alone.open(recipe))


def sessions(runs) -> list[int]:
    return [len(run.state()["sessions"]) for run in runs]


def push_aside(slurm) -> None:
    """A job of a higher partition takes all nodes for a moment."""
    words = ["--nodes=2", "--exclusive", "--parsable", "--output=/dev/null", "--wrap=sleep 2"]
    number = said("sbatch", "--partition=strong", *words).strip()
    waited_for(lambda: slurm.states().get(number) in ("RUNNING", "COMPLETING", None))
    waited_for(lambda: number not in slurm.states())
    slurm.release()


def test_an_array_over_a_small_study(slurm, tmp_path):
    """Chunks of three of eight runs; then nothing is left to submit."""
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    few = recipes(2, seeds=range(4))
    for recipe in few:
        carry_out(here.open(recipe), CPU)
    runs, place = [there.open(recipe) for recipe in few], there.folder("s")
    outcomes = Slurm(chunk=3).carry_out(runs, CPU, place)
    assert {outcome.run.name: outcome.error for outcome in outcomes} == {run.name: None for run in runs}
    assert [whole(run) for run in runs] == [whole(here.open(recipe)) for recipe in few]
    jobs = json.loads((place / FOLDER / JOBS).read_text())
    assert sorted(map(len, jobs.values())) == [2, 3, 3]
    assert len(Slurm(chunk=3).carry_out(runs, CPU, place)) == 8
    assert json.loads((place / FOLDER / JOBS).read_text()) == jobs


def test_preempted_jobs_are_queued_again_by_slurm(slurm, runs, place, alone):
    begin(runs, place, partition="usual")
    push_aside(slurm)
    before = set(slurm.states())
    end(runs, place, alone, partition="usual")
    assert max(sessions(runs)) == 2
    assert before  # the same jobs came back, and the command waited for them
    assert set(json.loads((place / FOLDER / JOBS).read_text())) >= before


def test_preempted_jobs_that_slurm_cancels_are_submitted_again(slurm, runs, place, alone):
    begin(runs, place, partition="weak")
    push_aside(slurm)
    assert not slurm.states()
    assert not all(run.finished for run in runs)
    end(runs, place, alone, partition="weak")
    assert max(sessions(runs)) == 2


def test_cancelled_jobs_save_and_are_submitted_again(slurm, runs, place, alone):
    begin(runs, place)
    assert len(cancel(place)) == 2
    waited_for(lambda: not slurm.states())
    disturbed = [run for run in runs if run.epochs_done and not run.finished]
    assert all(run.load_resume() is not None for run in disturbed)
    outcomes = Slurm(chunk=2, detach=True).carry_out(runs, CPU, place)  # by another command, that left
    assert any(isinstance(outcome.error, Busy) for outcome in outcomes)
    end(runs, place, alone)


def test_killed_jobs_are_submitted_again(slurm, runs, place, alone):
    """SIGKILL, as when a node dies: nothing is saved in time, nothing is told."""
    begin(runs, place)
    subprocess.run(["scancel", "--signal=KILL", "--full", *slurm.states()], check=True)
    waited_for(lambda: not slurm.states())
    end(runs, place, alone)


def test_a_job_whose_time_is_up_saves_and_is_queued_again(slurm, tmp_path):
    """A minute's limit strikes in mid-epoch: epochs without end, of all 4,000 images."""
    store = Store(tmp_path / "runs")
    run, place = store.open(presets.build(epochs=100_000)), store.folder("s")
    executor = Slurm(time="1", slurm=("signal_delay_s=45",), detach=True)
    executor.carry_out([run], CPU, place)
    waited_for(lambda: run.epochs_done)

    def taken_up_again() -> bool:
        slurm.release()
        return len(run.state()["sessions"]) == 2

    waited_for(taken_up_again, seconds=150)
    assert [session["from_epoch"] for session in run.state()["sessions"]][1] > 0
    assert slurm.states()  # queued again, not submitted
    cancel(place)
    waited_for(lambda: not slurm.states())


def test_the_controller_is_restarted_meanwhile(slurm, runs, place, alone, tmp_path):
    begin(runs, place)
    slurm.stop("slurmctld")
    with pytest.raises(MemstudyError, match="Slurm does not answer"):
        Slurm(chunk=2).carry_out(runs, CPU, place)
    slurm.controller()
    end(runs, place, alone)


def test_whoever_waits_may_be_stopped_and_the_jobs_go_on(slurm, tmp_path):
    (tmp_path / "s.toml").write_text(f'name = "s"\n[grid]\nepochs = {LONG}\ntrain_size = 400\n')
    words = [sys.executable, "-m", "memstudy", "study", "s.toml", "--on", "slurm", "--train-only"]
    waiting = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    waited_for(lambda: list(tmp_path.glob("runs/*/metrics.csv")))
    waiting.send_signal(signal.SIGINT)
    _, error = waiting.communicate(timeout=60)
    assert waiting.returncode == 130
    assert "stopped waiting; the jobs go on" in error
    again = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert again.returncode == 0, again.stderr
    assert "1 job of before is still queued or running" in again.stderr
    (run,) = Store(tmp_path / "runs").runs()
    assert run.finished
    assert sessions([run]) == [1]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"partition": "nowhere"}, "invalid partition specified: nowhere; partitions here: usual, weak, strong"),
        ({"memory": "much"}, "Slurm refuses the jobs: .*mem.*; look at the options"),
        ({"slurm": ("no_such_option=1",)}, "Slurm refuses the jobs: .*no-such-option"),
    ],
)
def test_what_slurm_refuses_is_said_once(slurm, tmp_path, options, sentence, capfd):
    store = Store(tmp_path / "runs")
    runs = [store.open(recipe) for recipe in recipes(1)]
    with pytest.raises(MemstudyError, match=sentence):
        Slurm(**options).carry_out(runs, CPU, store.folder("s"))
    assert capfd.readouterr() == ("", "")
    assert not any(run.exists for run in runs)


def test_jobs_that_can_never_start_are_told_of(slurm, tmp_path):
    """More cores than a node has: Slurm takes them, and lets them wait forever."""
    store = Store(tmp_path / "runs")
    said: list[str] = []
    runs = [store.open(recipe) for recipe in recipes(1)]
    limited = Execution(device="cpu", deadline=time.monotonic() + 8)
    outcomes = Slurm(cpus=1000, chunk=2).carry_out(runs, limited, store.folder("s"), Watch(say=said.append))
    assert all(isinstance(outcome.error, Busy) for outcome in outcomes)
    assert len([sentence for sentence in said if "Slurm does not start jobs of this study (" in sentence]) == 1
    assert len(cancel(store.folder("s"))) == 2


def test_a_node_that_lacks_the_images_says_so_once(slurm, tmp_path, monkeypatch):
    monkeypatch.delenv("MEMSTUDY_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    store = Store(tmp_path / "runs")
    runs = [store.open(presets.build(dataset="mnist", epochs=1, seed=seed)) for seed in SEEDS]
    outcomes = Slurm().carry_out(runs, CPU, store.folder("s"))
    said = {str(outcome.error) for outcome in outcomes}
    assert len(said) == 1
    assert os.uname().nodename in said.pop()
    assert not any(isinstance(outcome.error, Interrupted) for outcome in outcomes)
