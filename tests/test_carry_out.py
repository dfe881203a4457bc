"""Carrying out a recipe: whatever stops it, the same command continues, and nobody can tell afterwards."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import pytest
import torch

from memstudy.data import sources
from memstudy.errors import Interrupted, MemstudyError, RunFailed
from memstudy.recipe import Recipe, RegularizerSpec, Training
from memstudy.regularizers import parse
from memstudy.store import RunDirectory, Status, Store
from memstudy.study import carry_out as module
from memstudy.study.carry_out import Execution, carry_out
from memstudy.study.interruption import Terminated
from memstudy.study.watcher import Watcher
from tests.kit.sources import stand_in
from tests.kit.stores import train

STEPS = 7  # an epoch: 400 images in batches of 64
EPOCHS = 3
CPU = Execution(device="cpu")


def recipe_of(reg="bn+do+al2", **options):
    training = Training(
        epochs=EPOCHS, batch_size=64, learning_rate=0.05, momentum=0.5, checkpoints=tuple(range(EPOCHS))
    )
    return Recipe(training=training, dataset="mnist5k", regularizers=parse(reg, options))


@pytest.fixture(autouse=True)
def _small(small):
    """Every name of an image set gives the small one, but for those that are really missing."""
    with stand_in(small, "mnist5k"):
        yield


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


@pytest.fixture(scope="module")
def untouched(small, tmp_path_factory):
    """The bytes of a run that nothing disturbed."""
    store = train(tmp_path_factory.mktemp("whole"), [recipe_of()], small)
    return content(store.open(recipe_of()))


def content(run):
    """Every file of a run whose bytes follow from its recipe."""
    assert run.status is Status.FINISHED
    assert not (run.path / "resume.safetensors").exists()
    kept = ["recipe.toml", "metrics.csv", "labels.npz"]
    folders = [run.path / "checkpoints", run.path / "dynamics"]
    files = [run.path / name for name in kept] + sorted(path for folder in folders for path in folder.iterdir())
    return {file.name: file.read_bytes() for file in files}


class Counter(Watcher):
    """Counts; raises `error` once, when so many steps are done or so many epochs."""

    def __init__(self, error=KeyboardInterrupt, step=None, epoch=None):
        self.error, self.stop = error, (step, epoch)
        self.starts = self.steps = self.epochs = 0

    def started(self, run, data, device):
        self.starts += 1

    def stepped(self, step, steps):
        assert steps == STEPS
        self.steps += 1
        if self.steps == self.stop[0]:
            raise self.error

    def epoch_done(self, epoch, metrics):
        self.epochs += 1
        if self.epochs == self.stop[1]:
            raise self.error


def stopped(run, watcher, execution=CPU):
    with pytest.raises(Interrupted) as caught:
        carry_out(run, execution, watcher)
    assert run.status is Status.INTERRUPTED
    assert not run.locked
    return caught.value


# Whole runs


def test_a_run_leaves_what_it_should(store):
    watcher = Counter()
    run = carry_out(store.open(recipe_of()), CPU, watcher)
    assert (watcher.starts, watcher.steps, watcher.epochs) == (1, EPOCHS * STEPS, EPOCHS)
    assert run.metrics()["epoch"].tolist() == [0, 1, 2]
    assert run.checkpoints() == [0, 1, 2]
    state = run.state()
    assert state["status"] == "finished"
    assert state["sessions"][-1]["device"] == "cpu"
    assert state["expected_floor"] == pytest.approx(2.2103, abs=1e-4)
    names = {path.name for path in run.path.iterdir()} - {".lock"}
    assert names == {
        "recipe.toml",
        "state.json",
        "metrics.csv",
        "labels.npz",
        "log.txt",
        "checkpoints",
        "dynamics",
    }


def test_the_same_recipe_elsewhere_gives_the_same_bytes(store, untouched):
    assert content(carry_out(store.open(recipe_of()), CPU)) == untouched


def test_another_seed_gives_other_bytes(store, untouched):
    other = content(carry_out(store.open(replace(recipe_of(), seed=1)), CPU))
    assert other.keys() == untouched.keys()
    assert {name for name in other if other[name] == untouched[name]} == {"labels.npz"}


def test_a_finished_run_returns_at_once(store, monkeypatch):
    run = carry_out(store.open(recipe_of()), CPU)
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    monkeypatch.setattr(sources, "load", None)  # not even images are needed
    watcher = Counter()
    assert carry_out(store.open(recipe_of()), Execution(device="tpu"), watcher).status is Status.FINISHED
    assert (watcher.starts, watcher.steps) == (0, 0)
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before


# Interruptions


@pytest.mark.parametrize(
    "at",
    [
        {"step": 1},
        {"step": STEPS},
        {"step": STEPS + 1},
        {"step": 2 * STEPS + 3},
        {"step": EPOCHS * STEPS},
        {"epoch": 1},
        {"epoch": 2},
        {"epoch": EPOCHS},
    ],
    ids=str,
)
def test_an_interrupted_run_continues_as_if_it_had_not_been(store, untouched, at):
    error = stopped(store.open(recipe_of()), Counter(**at))
    assert error.exit_code == 130
    watcher = Counter()
    assert content(carry_out(store.open(recipe_of()), CPU, watcher)) == untouched
    done = at["epoch"] if "epoch" in at else (at["step"] - 1) // STEPS
    assert watcher.epochs == EPOCHS - done, "no finished epoch is trained twice"


def test_the_comparison_of_bytes_can_fail(store, untouched, monkeypatch):
    """Momentum is forgotten at the interruption."""
    stopped(store.open(recipe_of()), Counter(epoch=1))
    load = RunDirectory.load_resume

    def forgetful(run):
        saved = load(run)
        assert saved is not None
        epochs, tensors = saved
        return epochs, {name: value for name, value in tensors.items() if name.startswith("network.")}

    monkeypatch.setattr(RunDirectory, "load_resume", forgetful)
    assert content(carry_out(store.open(recipe_of()), CPU)) != untouched


def test_a_run_interrupted_again_and_again_ends_the_same(store, untouched):
    for step in (3, STEPS + 2, 2, STEPS + 1, 4):
        stopped(store.open(recipe_of()), Counter(step=step))
    assert content(carry_out(store.open(recipe_of()), CPU)) == untouched


@pytest.mark.parametrize("method", ["append_metrics", "save_checkpoint", "_save"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_interruption_while_writing_loses_nothing(store, untouched, monkeypatch, method, after):
    """Ctrl-C just before or after the second epoch's file is written: none must be missing at the end."""
    original, calls = getattr(RunDirectory, method), []

    def interrupting(run, what, *rest):
        calls.append(what)
        second = len(calls) == (3 if method == "_save" else 2)  # the first _save is that of the labels
        if second and not after:
            raise KeyboardInterrupt
        original(run, what, *rest)
        if second:
            raise KeyboardInterrupt

    monkeypatch.setattr(RunDirectory, method, interrupting)
    stopped(store.open(recipe_of()), Counter())
    assert content(carry_out(store.open(recipe_of()), CPU)) == untouched


def test_an_interruption_says_how_to_continue(store):
    run = store.open(recipe_of())
    text = str(stopped(run, Counter(step=STEPS + 1)))
    assert "1 of 3 epochs are done" in text
    assert str(run.path / "recipe.toml") in text


def test_a_termination_ends_with_its_own_exit_code(store, untouched):
    assert stopped(store.open(recipe_of()), Counter(Terminated, step=STEPS + 2)).exit_code == 143
    assert content(carry_out(store.open(recipe_of()), CPU)) == untouched


@pytest.mark.parametrize("epochs", [0, 1])
def test_a_deadline_stops_after_the_epoch_that_passes_it(store, untouched, monkeypatch, epochs):
    """The clock stands still, but for epochs: each takes it past the deadline."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    class Clock(Counter):
        def epoch_done(self, epoch, metrics):
            super().epoch_done(epoch, metrics)
            now[0] += 2.0

    watcher = Clock()
    stopped(store.open(recipe_of()), watcher, Execution(device="cpu", deadline=2.0 * epochs - 1))
    assert watcher.epochs == epochs
    assert content(carry_out(store.open(recipe_of()), CPU)) == untouched


KILLED = """
    import os, signal, sys
    from tests.kit.sources import every_tenth, stand_in
    from tests.test_carry_out import CPU, Counter, recipe_of
    from memstudy.data import sources
    from memstudy.store import Store
    from memstudy.study import carry_out

    class Killer(Counter):
        def stepped(self, step, steps):
            super().stepped(step, steps)
            if self.steps == 17:
                os.kill(os.getpid(), signal.SIGKILL)

    carry_out.SAVE_EVERY_SECONDS = float(sys.argv[2])
    with stand_in(every_tenth(sources.load("mnist5k"))):
        carry_out.carry_out(Store(__import__("pathlib").Path(sys.argv[1])).open(recipe_of()), CPU, Killer())
"""


@pytest.mark.parametrize(("save_every", "epochs_left"), [(0, 1), (1e9, 3)])
def test_a_killed_run_continues_from_what_was_saved(store, untouched, request, save_every, epochs_left):
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(store.root), str(save_every)]
    killed = subprocess.run(command, cwd=request.config.rootpath, check=False, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    run = store.open(recipe_of())
    assert (run.state()["status"], run.status) == ("running", Status.INTERRUPTED)
    assert run.epochs_done == 2
    watcher = Counter()
    assert content(carry_out(run, CPU, watcher)) == untouched
    assert watcher.epochs == epochs_left


def test_the_state_is_saved_as_it_goes(store, monkeypatch):
    monkeypatch.setattr(module, "SAVE_EVERY_SECONDS", -1.0)
    seen = []

    class Reader(Watcher):
        def epoch_done(self, epoch, metrics):
            seen.append(store.open(recipe_of()).load_resume()[0])

    carry_out(store.open(recipe_of()), CPU, Reader())
    assert seen == [1, 2, 3]


# Failures


def test_a_failed_run_keeps_its_last_good_network(store):
    """λ leaves the range of float32 at epoch 1."""
    run = store.open(recipe_of("al2", al2={"growth": 1e60}))
    with pytest.raises(RunFailed, match=r"non-finite at epoch 1, step 0.*the network after epoch 0 is kept"):
        carry_out(run, CPU)
    assert (run.status, run.epochs_done, run.checkpoints()) == (Status.FAILED, 1, [0])
    assert "epoch 1, step 0" in run.state()["failure"]
    kept = run.load_checkpoint(0)
    assert kept
    assert all(value.isfinite().all() for value in kept.values())
    assert RunFailed.exit_code == 1


def test_a_run_that_fails_at_once_says_so_each_time(store):
    recipe = recipe_of("bare")
    run = store.open(replace(recipe, training=replace(recipe.training, learning_rate=1e30)))
    for _ in range(2):
        with pytest.raises(RunFailed, match=r"epoch 0, step 1 .*nothing before it to keep"):
            carry_out(run, CPU)
        assert (run.status, run.checkpoints(), len(run.metrics())) == (Status.FAILED, [], 0)


@pytest.mark.parametrize(
    ("change", "execution"),
    [
        ({}, Execution(device="cuda")),
        ({}, Execution(device="tpu")),
        ({"dataset": "mnist"}, CPU),
        ({"dataset": "mnist6k"}, CPU),
        ({"network": "lenet"}, CPU),
        ({"regularizers": (RegularizerSpec("al3"),)}, CPU),
        ({"regularizers": (RegularizerSpec("al2", (("initial", -1.0),)),)}, CPU),
    ],
    ids=str,
)
def test_nothing_is_left_behind_by_a_mistake(store, monkeypatch, tmp_path, change, execution):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MemstudyError) as caught:
        carry_out(store.open(replace(recipe_of(), **change)), replace(execution, data_dir=tmp_path / "data"))
    assert caught.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_told(tmp_path):
    (tmp_path / "runs").write_text("in the way")
    with pytest.raises(MemstudyError, match=r"cannot write .*runs.*--runs-dir"):
        carry_out(Store(tmp_path / "runs").open(recipe_of()), CPU)


def test_a_second_writer_is_refused(store):
    run = store.open(recipe_of())
    with run.lock(), pytest.raises(MemstudyError, match="is being run by another process"):
        carry_out(store.open(recipe_of()), CPU)
    assert not run.exists


def test_other_images_than_those_it_was_started_with_are_refused(store, small):
    stopped(store.open(recipe_of()), Counter(epoch=1))
    other = replace(small, train_images=small.train_images.flip(3))
    with stand_in(other), pytest.raises(MemstudyError, match="was started on other images of 'mnist5k'"):
        carry_out(store.open(recipe_of()), CPU)


@pytest.mark.parametrize("file", ["resume.safetensors", "state.json", "metrics.csv"])
def test_a_run_whose_files_are_damaged_is_not_continued(store, file):
    run = store.open(recipe_of())
    stopped(run, Counter(epoch=2))
    os.truncate(run.path / file, 30)
    with pytest.raises(MemstudyError, match=rf"{file} is damaged or was changed"):
        carry_out(store.open(recipe_of()), CPU)


def test_leftovers_of_a_killed_writer_are_removed(store, untouched):
    stopped(store.open(recipe_of()), Counter(epoch=1))
    leftover = store.open(recipe_of()).path / "checkpoints" / ".tmp-1-epoch-0001.safetensors"
    leftover.write_text("half")
    assert content(carry_out(store.open(recipe_of()), CPU)) == untouched
    assert not leftover.exists()


def test_a_recipe_can_be_carried_out_from_its_directory_alone(store, untouched):
    """As a worker does that is given a path."""
    stopped(store.open(recipe_of()), Counter(step=STEPS + 1))
    assert content(carry_out(RunDirectory(store.open(recipe_of()).path), CPU)) == untouched


def test_a_network_that_the_last_step_destroyed_is_not_finished(store, monkeypatch):
    """The loss before the only step is finite; what the step leaves is not, and must not pass for a result."""
    recipe = recipe_of("bare")
    one_step = replace(recipe.training, epochs=1, batch_size=400, learning_rate=1e38, checkpoints=(0,))
    run = store.open(replace(recipe, training=one_step))
    with pytest.raises(RunFailed, match="epoch 0, step 0"):
        carry_out(run, CPU)
    assert run.status is Status.FAILED
    assert run.checkpoints() == []


def test_an_exception_of_any_kind_leaves_what_is_trained(store):
    """Such as a closed pipe behind `| head`, or a full disk that is emptied later."""

    class Breaks(Watcher):
        def epoch_done(self, epoch, metrics):
            raise SystemExit(1)

    run = store.open(recipe_of())
    with pytest.raises(SystemExit):
        carry_out(run, CPU, Breaks())
    saved = run.load_resume()
    assert saved is not None
    assert saved[0] == 1
    assert run.status is Status.INTERRUPTED


def test_every_session_is_recorded(store):
    run = store.open(recipe_of())
    stopped(run, Counter(step=STEPS + 3))
    carry_out(run, CPU)
    assert [session["from_epoch"] for session in run.state()["sessions"]] == [0, 1]
