"""Another process writes to a run, ends it or removes it between two looks: the answer is of one moment."""

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pytest

from memstudy import files, lease, presets
from memstudy.cli.board import Board
from memstudy.errors import Gone, Unreadable
from memstudy.report.comparison import compared
from memstudy.report.description import described
from memstudy.store import RunDirectory, Status, Store, moving
from memstudy.store import run as runs
from memstudy.store.layout import LABELS
from memstudy.store.metrics import MEASURED
from memstudy.store.pack import pack
from memstudy.store.summary import run_summary
from memstudy.study.status import Observer
from memstudy.trackers import Snapshot
from tests.kit.runs import select, write_run

RECIPE, OTHER = presets.build(epochs=3), presets.build(epochs=3, seed=1)
EPOCHS = [{"test_accuracy": 0.25 * epoch} for epoch in range(3)]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


@pytest.fixture
def written(store):
    write_run(store.root, OTHER, EPOCHS, status=Status.FINISHED)
    return write_run(store.root, RECIPE, EPOCHS)


def reopened(run):
    return RunDirectory(run.path)


def at_look(monkeypatch, number, do, at=RunDirectory.state):
    """Do something before the number-th call of a method, once, as another process would."""
    calls = iter(range(10_000))

    def first_do(self, *args):
        if next(calls) == number:
            do()
        return at(self, *args)

    monkeypatch.setattr(RunDirectory, at.__name__, first_do)


# Removed or moved


@pytest.mark.parametrize("number", range(4))
def test_a_run_that_is_removed_while_it_is_listed_is_not_damaged(store, written, monkeypatch, number):
    at_look(monkeypatch, number, lambda: shutil.rmtree(written.path))
    found = store.listing()
    assert not found.damaged
    assert {one.run.name for one in found.runs} in ({store.open(OTHER).name}, set(store.names()) | {written.name})
    assert store.listing().runs[0].run.name == store.open(OTHER).name


@pytest.mark.parametrize(
    "read",
    [RunDirectory.columns, RunDirectory.metrics, run_summary, described, Snapshot.of, lambda run: run.status],
)
def test_what_is_read_of_a_run_that_was_there_is_not_nothing(written, read):
    """Else a table would silently be without it."""
    run = reopened(written)
    assert run.status is Status.INTERRUPTED
    shutil.rmtree(run.path)
    with pytest.raises(Gone, match=r"was removed or moved by another process meanwhile; 'memstudy runs' lists"):
        read(run)


def test_to_who_watches_it_is_not_begun(store, written):
    observer, run = Observer(), reopened(written)
    assert observer.progress([run])[0].epochs_done == 3
    shutil.rmtree(run.path)
    assert (observer.progress([run])[0].status, observer.progress([run])[0].problem) == ("new", "")


def test_a_row_whose_run_goes_before_its_numbers_are_read_says_so(store, written):
    run = reopened(written)
    board = Board("", [run], Observer().progress([run]))
    shutil.rmtree(run.path)
    columns, problem = board.columns(board.progress[0])
    assert (columns, problem.split(";")[0]) == (
        {},
        f"{run.name} was removed or moved by another process meanwhile",
    )


def test_a_row_has_no_later_numbers_than_its_epochs(store, written):
    run = reopened(written)
    board = Board("", [run], Observer().progress([run]))
    written.append_metrics(3, dict.fromkeys(MEASURED[1:], 0.9))
    assert len(board.columns(board.progress[0])[0]["epoch"]) == board.progress[0].epochs_done == 3


def test_a_row_whose_run_is_begun_again_before_its_numbers_are_read_says_so(store, written):
    board = Board("", [reopened(written)], Observer().progress([reopened(written)]))
    again = RunDirectory(written.path, written.recipe)
    shutil.rmtree(written.path)
    with again.lock():
        again.write_recipe()
        again.update(status=Status.RUNNING, floor=0.0, dynamics=False)
        columns, problem = board.columns(board.progress[0])
    assert columns == {}
    assert problem == f"{written.name} was removed, or gone on with, by another process meanwhile."


def test_labels_that_go_while_they_are_read_are_of_a_run_that_is_gone(store, written):
    (written.path / LABELS).write_bytes(b"some")

    def removed_meanwhile(path):
        shutil.rmtree(written.path)
        raise Unreadable(f"cannot read {path}: No such file or directory.")

    with pytest.raises(Gone, match="was removed or moved by another process meanwhile"):
        reopened(written).read_labels(removed_meanwhile)


def test_a_run_that_shrinks_while_it_is_compared_is_no_traceback(store, written, monkeypatch):
    """Removed and begun anew: it has fewer epochs than a moment ago."""
    columns, looks = RunDirectory.columns, iter(range(100))

    def shorter(self):
        left = 3 - next(looks)
        return {name: values[:left] for name, values in columns(self).items()}

    monkeypatch.setattr(RunDirectory, "columns", shorter)
    assert compared([reopened(written), store.open(OTHER)])["epoch"] == 1


def test_removing_or_moving_what_is_gone_makes_nothing(store, written, tmp_path):
    shutil.rmtree(written.path)
    for act in (written.remove, lambda: moving.move(written, Store(tmp_path / "other"))):
        with pytest.raises(Gone):
            act()
    assert not written.path.exists()


@pytest.mark.parametrize("act", ["remove", "move"])
def test_of_two_that_remove_a_run_one_does(store, written, tmp_path, monkeypatch, act):
    """The second one waits for the first, and then finds nothing, or what is no run."""
    run = reopened(written)
    wait = lease.Lease.acquire

    def late(self, **options):
        shutil.rmtree(run.path)
        run.path.mkdir()  # as a third one that begins, and is not there yet
        return wait(self, **options)

    monkeypatch.setattr(lease.Lease, "acquire", late)
    with pytest.raises(Gone):
        run.remove() if act == "remove" else moving.move(run, Store(tmp_path / "other"))
    assert not run.path.exists()


def test_who_waits_for_a_run_that_is_then_removed_begins_it(store, written, monkeypatch):
    wait, calls = lease.Lease.acquire, iter(range(10))

    def late(self, **options):
        if not next(calls):
            shutil.rmtree(written.path)
        return wait(self, **options)

    monkeypatch.setattr(lease.Lease, "acquire", late)
    run = store.open(RECIPE)
    with run.lock():
        assert not run.exists


def test_a_file_that_goes_while_sizes_are_asked_is_left_out(written, monkeypatch):
    """As one that is written under another name first."""
    written.log("there")
    is_file = Path.is_file

    def gone(self):
        there = is_file(self)
        if self.name == "log.txt":
            self.unlink(missing_ok=True)
        return there

    monkeypatch.setattr(Path, "is_file", gone)
    assert {"recipe.toml", "state.json", "metrics.csv"} == written.sizes().keys()


# Between two files that belong together


def torn(run):
    """The recipe is written, its new check sum not yet: as of a run that is continued with another version."""
    state, path = run.state(), run.path / "recipe.toml"
    later = path.read_text() + "# more\n"
    path.write_text(later)
    return lambda: run.update(checksums=state["checksums"] | {"recipe.toml": files.digest(later.encode())})


def test_what_is_damaged_while_a_process_writes_is_looked_at_again(written, monkeypatch):
    with written.lock():
        written.update(checksums={"recipe.toml": files.digest((written.path / "recipe.toml").read_bytes())})
        done = torn(written)
        timer = threading.Timer(0.2, done)
        timer.start()
        assert run_summary(reopened(written))["status"] == Status.RUNNING
        timer.join()


def test_what_stays_damaged_is_told(written, monkeypatch):
    monkeypatch.setattr(runs, "BETWEEN_LOOKS", 0.001)
    with written.lock():
        written.update(checksums={"recipe.toml": files.digest((written.path / "recipe.toml").read_bytes())})
        torn(written)
        assert "checksum" in Store(written.path.parent).listing().damaged[written.name]
    assert "checksum" in Store(written.path.parent).listing().damaged[written.name]


# Finished meanwhile


@contextmanager
def finished_meanwhile(run, monkeypatch):
    """Another process has the run in its hands, and finishes it when somebody asks whether one has."""
    ask: Callable[[RunDirectory], bool] = RunDirectory.locked.fget  # type: ignore[attr-defined]
    finish = [run.finish]

    def asked(self):
        if finish and armed:
            finish.pop()()
            assert run._writer._lease is not None
            run._writer._lease.release()
        return ask(self)

    armed: list[bool] = []
    monkeypatch.setattr(RunDirectory, "locked", property(asked))
    with run.lock():
        run.update(status=Status.RUNNING)
        yield lambda: armed.append(True)


@pytest.mark.parametrize(
    "status",
    [
        lambda run: run.status,
        lambda run: run_summary(run)["status"],
        lambda run: Snapshot.of(run).status,
        lambda run: Observer().progress([run])[0].status,
        lambda run: Store(run.path.parent).listing().runs[0].summary["status"],
        lambda run: described(run)["status"],
    ],
)
def test_a_run_that_is_finished_between_two_looks_is_not_interrupted(store, monkeypatch, status):
    """Its state says running, and then nobody has it."""
    run = write_run(store.root, RECIPE, EPOCHS)
    with finished_meanwhile(run, monkeypatch) as now:
        now()
        assert status(reopened(run)) == Status.FINISHED


def test_what_the_index_kept_of_a_run_is_not_taken_for_an_interrupted_one(store, monkeypatch):
    run = write_run(store.root, RECIPE, EPOCHS)
    with finished_meanwhile(run, monkeypatch) as now:
        for path in (run.path, *run.path.iterdir()):
            if path.name != ".lease":
                os.utime(path, (time.time() - 100,) * 2)
        assert store.listing().runs[0].summary["status"] == "running"
        now()
        assert store.listing().runs[0].summary["status"] == "finished"


def test_a_pack_has_a_run_as_it_was_at_one_moment(store, written, tmp_path, monkeypatch):
    """Not the state of before and the metrics of after it was finished."""
    read, before = files.read, [True]

    def late(path, *more):
        if path.name == "metrics.csv" and path.parent == written.path and before:
            before.clear()
            written.append_metrics(3, json.loads(json.dumps(written.metrics().iloc[-1].drop("epoch").to_dict())))
            written.finish()
        return read(path, *more)

    monkeypatch.setattr(files, "read", late)
    pack(select([written]), Store(tmp_path / "pack"))
    packed = RunDirectory(tmp_path / "pack" / written.name)
    assert (packed.state()["status"], packed.epochs_done) == (Status.FINISHED, 4)
