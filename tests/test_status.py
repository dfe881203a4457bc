"""`memstudy study status`, --dry-run and --retry-failed: what a study's run directories say, and what is left."""

from __future__ import annotations

import datetime
import json
import os
import re
from pathlib import Path

import pytest

from memstudy import presets
from memstudy.cli.progress import StudyProgress
from memstudy.errors import MemstudyError, RunFailed
from memstudy.store import Status, Store
from memstudy.store.layout import METRICS
from memstudy.study import forecast as forecasts
from memstudy.study.carry_out import Execution, carry_out
from memstudy.study.fleet import Outcome
from memstudy.study.forecast import forecast
from memstudy.study.status import DAMAGED, overall, progress
from tests.kit.runs import write_run

DATE = "2026-11-28T12:00:00+00:00"
STUDY = 'name = "five"\nseeds = 5\n[grid]\nepochs = 8\ntrain_size = 400\n'
RECIPES = [presets.build(epochs=8, train_size=400, seed=seed) for seed in range(5)]


def content(root: Path) -> dict[Path, bytes]:
    """Every file, by its path."""
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def store(tmp_path) -> Store:
    """One finished, one running (that nobody trains), one failed, one damaged, one not begun."""
    root, (finished, running, failed, broken, _) = tmp_path / "runs", RECIPES
    session = {"from_epoch": 2, "date": DATE, "device": "cpu"}
    write_run(root, finished, [{}] * 8, status=Status.FINISHED, sessions=[session])
    run = write_run(root, running, [{}] * 5, status=Status.RUNNING, sessions=[session])
    begun = datetime.datetime.fromisoformat(DATE).timestamp()
    os.utime(run.path / METRICS, (begun + 6, begun + 6))
    write_run(root, failed, [{}], status=Status.FAILED, failure="the loss became non-finite", sessions=[session])
    (write_run(root, broken, [{}] * 2).path / "state.json").write_text("{")
    (tmp_path / "five.toml").write_text(STUDY)
    return Store(root)


def test_each_run_says_how_far_it_is(store):
    before = content(store.root)
    runs = progress(store, RECIPES)
    assert [run.status for run in runs] == ["finished", "interrupted", "failed", DAMAGED, "new"]
    assert [(run.epochs_done, run.epochs) for run in runs] == [(8, 8), (5, 8), (1, 8), (0, 8), (0, 8)]
    assert runs[2].problem == "the loss became non-finite"
    assert "state.json is damaged" in runs[3].problem
    assert [run.rate for run in runs] == [None] * 5  # nobody trains the second one
    assert content(store.root) == before


@pytest.mark.parametrize(
    ("at", "harm"), [(0, lambda rows: rows[:-1]), (0, lambda rows: [*rows, rows[-1]]), (0, lambda rows: [])]
)
def test_epochs_are_those_that_the_run_was_finished_with(store, at, harm):
    path = store.open(RECIPES[at]).path / METRICS
    path.write_bytes(b"".join(harm(path.read_bytes().splitlines(keepends=True))))
    run = progress(store, RECIPES)[at]
    assert run.status == DAMAGED
    assert "metrics.csv is damaged" in run.problem


def test_epochs_are_no_fewer_than_were_saved(store):
    run = store.open(RECIPES[1])
    with run.lock():
        run.save_resume(5, {})
    assert progress(store, RECIPES)[1].status == "interrupted"
    path = run.path / METRICS
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    found = progress(store, RECIPES)[1]
    assert found.status == DAMAGED
    assert "metrics.csv is damaged or was changed (rows are missing)" in found.problem


def test_the_rate_is_that_of_this_process(store):
    """Three epochs in the six seconds since epoch 2: half an epoch a second, and three are left."""
    with store.open(RECIPES[1]).lock():
        run = progress(store, RECIPES)[1]
    assert run.status == "running"
    assert (run.rate, run.left) == (0.5, 6.0)
    whole = overall([run, *progress(store, RECIPES[4:])])
    assert whole.left == (3 + 8) / 0.5
    assert whole.by_status == {"new": 1, "running": 1}


def test_the_command_lists_what_is_to_be_told(command, store):
    result = command("study", "status", "five.toml")
    assert result.exit_code == 0
    first, blank, _, *rows = result.stdout.splitlines()
    assert first == ("study five: 5 runs: 1 new, 1 interrupted, 1 finished, 1 failed, 1 damaged; 14 of 40 epochs")
    assert not blank
    names = [store.open(recipe).name for recipe in RECIPES]
    assert [row.split()[0] for row in rows[:3]] == names[1:4]  # not what is finished or not begun
    assert f"{names[2]} failed: the loss became non-finite" in rows
    everything = command("study", "status", "five.toml", "--all").stdout
    assert all(name in everything for name in names)
    whole = json.loads(command("study", "status", "five.toml", "--json").stdout)
    assert (whole["runs"], whole["epochs_done"], whole["epochs"]) == (5, 14, 40)
    assert [run["run"] for run in whole["progress"]] == names


def test_to_watch_ends_when_nothing_is_left(command, tmp_path):
    write_run(tmp_path / "runs", presets.build(epochs=1), [{}], status=Status.FINISHED)
    (tmp_path / "one.toml").write_text('name = "one"\n[grid]\nepochs = 1\n')
    assert command("study", "status", "one.toml", "--watch").stdout == (
        "study one: 1 run: 1 finished; 1 of 1 epochs\n"
    )
    result = command("study", "status", "one.toml", "--watch", "--json")
    assert result.exit_code == 2


@pytest.fixture
def failing(tmp_path) -> Store:
    """A study of one run that failed; trained anew it would be finished."""
    (tmp_path / "s.toml").write_text('name = "s"\n[grid]\nepochs = 1\ntrain_size = 400\n')
    recipe = presets.build(epochs=1, train_size=400)
    write_run(tmp_path / "runs", recipe, status=Status.FAILED, failure="its loss became non-finite")
    return Store(tmp_path / "runs")


def test_a_failed_run_is_passed_over_and_named(command, failing):
    before = content(failing.root)
    result = command("study", "s.toml", "--train-only")
    assert result.exit_code == 1
    assert "failed before (its loss became non-finite); --retry-failed tries it again" in result.output
    assert {name: kept for name, kept in content(failing.root).items() if "studies" not in str(name)} == before


def test_a_failed_run_is_tried_again_if_asked(command, failing):
    result = command("study", "s.toml", "--train-only", "--retry-failed", "--jobs", "1")
    assert result.exit_code == 0, result.output
    (run,) = failing.runs()
    assert run.finished


def test_a_dry_run_says_what_is_left_and_does_nothing(command, store, monkeypatch):
    monkeypatch.setattr(forecasts, "SECONDS", 0.01)
    (store.open(RECIPES[3]).path / "state.json").unlink()
    (store.open(RECIPES[3]).path / METRICS).unlink()
    before = content(store.root)
    result = command("study", "five.toml", "--dry-run", "--jobs", "2")
    assert result.exit_code == 0, result.output
    steps = (3 + 8 + 8) * 7  # of 64 images each
    assert f"left: {steps} steps" in result.output
    assert "5 runs, 1 finished, 1 failed (--retry-failed tries them again); nothing is trained" in result.output
    assert re.search(r"if 2 at a time are as fast as one \(1 of 1 kinds of run", result.output)
    assert content(store.root) == before


def test_the_disk_that_is_forecast_is_the_disk_that_is_used(tmp_path, small_source):
    recipe = presets.build(epochs=3)
    run = Store(tmp_path).open(recipe)
    expected = forecast([run], Execution(device="cpu")).bytes
    carry_out(run, Execution(device="cpu"))
    used = sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file())
    assert expected < used < 1.2 * expected + 20_000  # headers, metrics, state
    assert forecast([run], Execution(device="cpu")).steps == 0


def test_kinds_that_are_not_measured_are_taken_to_be_as_fast_as_their_nearest(tmp_path, small_source, monkeypatch):
    recipes = [presets.build(epochs=1, reg=reg) for reg in ("bare", "al2", "do")]
    runs = [Store(tmp_path).open(recipe) for recipe in recipes]
    monkeypatch.setattr(forecasts, "BUDGET", 0.0)
    left = forecast(runs, Execution(device="cpu"))
    assert (left.kinds, left.measured) == (3, 1)
    assert left.steps == 3 * 7
    assert left.seconds > 0


def test_what_keeps_many_runs_from_being_trained_is_said_once(store, capsys):
    """As a node of a cluster without the images; what is of one run alone names it once."""
    shown = StudyProgress([store.open(recipe) for recipe in RECIPES])
    for recipe in RECIPES[:2]:
        shown.ended(Outcome(store.open(recipe), MemstudyError("on n7: MNIST is not there.")))
    name = store.open(RECIPES[2]).name
    shown.ended(Outcome(store.open(RECIPES[2]), RunFailed(f"{name} failed: the loss became non-finite.")))
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"[1/5] {store.open(RECIPES[0]).name}: on n7: MNIST is not there.")
    assert second.startswith(f"[3/5] {name} failed: the loss became non-finite.")
