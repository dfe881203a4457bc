"""Run directories: whole files or none, checked when read, one writer, selectable by name."""

import errno
import json
import math
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from memstudy import files, processes
from memstudy.errors import MemstudyError, Unreadable
from memstudy.recipe import Recipe, Training
from memstudy.regularizers import parse
from memstudy.store import RunDirectory, Status, Store, moving
from memstudy.store.metrics import MEASURED
from memstudy.store.naming import run_name
from tests.kit.runs import problem, write_run
from tests.reliability.shim import FAULTS, Layer, failing

TRAINING = Training(epochs=3, batch_size=64, learning_rate=0.05, momentum=0.5)
RECIPE = Recipe(training=TRAINING, dataset="mnist5k", regularizers=parse("bn+al2"))
# Tensors, metrics and labels below are no training results: the store looks at none of them.
TENSORS = {"network.a": torch.arange(6.0).reshape(2, 3), "momentum.a": torch.ones(2)}
METRICS = {
    "test_accuracy": 0.1 + 0.2,
    "train_cross_entropy": 1 / 3,
    "memorized": math.nan,
    "recovered": 5e-324,
    **dict.fromkeys(("test_cross_entropy", "clean_accuracy", "other", "train_activation_loss"), 0.5),
    "large": 1.7976931348623157e308,
}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


@pytest.fixture
def run(store):
    return made(store)


def made(store, recipe=RECIPE, epochs=2):
    """A run that was interrupted after some epochs."""
    run = write_run(store.root, recipe, [METRICS] * epochs, status=Status.INTERRUPTED, floor=2.2103)
    for epoch in range(epochs):
        run.save_checkpoint(epoch, TENSORS)
    run.save_resume(epochs, TENSORS)
    return run


def reopened(run):
    return RunDirectory(run.path)


def flip(path, at=-1):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


# What is written is what is read


def test_a_name_says_what_was_run(store):
    assert run_name(RECIPE).startswith("mnist5k-symmetric0.75-")
    assert run_name(RECIPE).endswith(f"-bn+al2-s0-{RECIPE.id[:8]}")
    assert store.open(RECIPE).path == store.root / run_name(RECIPE)


def test_opening_writes_nothing(store):
    run = store.open(RECIPE)
    assert (run.exists, run.locked, run.status, run.epochs_done) == (False, False, Status.NEW, 0)
    assert (run.checkpoints(), len(run.metrics()), run.load_resume()) == ([], 0, None)
    assert (store.directories(), store.runs(), store.studies()) == ([], [], [])
    assert not store.root.exists()


def test_a_directory_tells_its_recipe_and_state_by_itself(run):
    again = reopened(run)
    assert again.recipe == RECIPE
    assert (again.status, again.epochs_done, again.checkpoints()) == (Status.INTERRUPTED, 2, [0, 1])


def test_metrics_keep_every_digit(run):
    table = reopened(run).metrics()
    assert table["epoch"].tolist() == [0, 1]
    for name, value in METRICS.items():
        assert table[name][1] == value or (math.isnan(value) and math.isnan(table[name][1]))


def test_tensors_keep_every_bit(run):
    epochs, resume = reopened(run).load_resume()
    assert epochs == 2
    for found in (resume, reopened(run).load_checkpoint(1)):
        assert found.keys() == TENSORS.keys()
        assert all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)


def test_labels_are_plain_numpy(run):
    arrays = {"clean": np.arange(5), "mask": np.array([True, False])}
    run.save_labels(files.npz(**arrays))
    with np.load(run.path / "labels.npz", allow_pickle=False) as found:
        assert all(np.array_equal(found[name], arrays[name]) for name in arrays)
    assert files.npz(**arrays) == files.npz(**arrays)


def test_a_directory_is_readable_without_this_program(run):
    state = json.loads((run.path / "state.json").read_text())
    assert state["status"] == "interrupted"
    assert (run.path / "metrics.csv").read_text().startswith("epoch,test_accuracy,train_cross_entropy")
    assert (run.path / "recipe.toml").read_text().startswith(f'id = "{RECIPE.id}"')


def test_checkpoints_have_digests_that_follow_their_content(run):
    assert run.checkpoint_digest(0) == run.checkpoint_digest(1)
    run.save_checkpoint(1, {"network.a": torch.zeros(1)})
    assert run.checkpoint_digest(0) != run.checkpoint_digest(1)


def test_a_checkpoint_that_was_not_kept_names_those_that_were(run):
    with pytest.raises(MemstudyError, match=r"no checkpoint of epoch 7; it has: 0, 1\."):
        run.load_checkpoint(7)


def test_the_log_only_grows(run):
    run.log("one")
    run.log("two")
    assert [line.split("  ")[1] for line in (run.path / "log.txt").read_text().splitlines()] == ["one", "two"]


# Metrics after an interruption


@pytest.mark.parametrize("epochs", [1, 2])
def test_rows_that_will_be_trained_again_are_dropped(run, epochs):
    before = (run.path / "metrics.csv").read_text().splitlines(keepends=True)
    run.save_resume(epochs, TENSORS)
    assert run.keep(epochs) == ["epoch 1 had not been saved, and will be trained again"] * (2 - epochs)
    assert (run.path / "metrics.csv").read_text() == "".join(before[: epochs + 1])


def test_a_row_cut_short_is_dropped(run):
    whole = (run.path / "metrics.csv").read_bytes()
    with (run.path / "metrics.csv").open("ab") as file:
        file.write(b"2,0.3")
    assert run.epochs_done == 2
    run.keep(2)
    assert (run.path / "metrics.csv").read_bytes() == whole


def test_without_any_epoch_to_keep_there_are_no_metrics(run):
    (run.path / "resume.safetensors").unlink()
    run.keep(0)
    assert len(run.metrics()) == 0
    assert run.epochs_done == 0
    run.append_metrics(0, METRICS)
    assert run.metrics()["epoch"].tolist() == [0]


@pytest.mark.parametrize("damage", ["all", "a row", "a row's end"])
def test_rows_that_are_missing_are_told(run, damage):
    path = run.path / "metrics.csv"
    if damage == "all":
        path.unlink()
    elif damage == "a row":
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    else:
        path.write_text(path.read_text()[:-3])
    with pytest.raises(MemstudyError, match=r"metrics\.csv is damaged"):
        run.keep(2)


# Damage

NO_FLOOR = '{"status": "interrupted", "checksums": {}}'
DAMAGED = r"is damaged or was changed \(.*\); (restore it, or )?remove .* run .*\.$"


@pytest.mark.parametrize("at", [0, 20, -1])
@pytest.mark.parametrize(
    ("file", "read"),
    [
        ("checkpoints/epoch-0001.safetensors", lambda run: run.load_checkpoint(1)),
        ("resume.safetensors", lambda run: run.load_resume()),
    ],
)
def test_one_bit_flipped_in_tensors_is_noticed(run, file, read, at):
    flip(run.path / file, at)
    with pytest.raises(MemstudyError, match=DAMAGED):
        read(reopened(run))


@pytest.mark.parametrize("size", [0, 5, 50])
@pytest.mark.parametrize(
    ("file", "read"),
    [
        ("checkpoints/epoch-0001.safetensors", lambda run: run.load_checkpoint(1)),
        ("resume.safetensors", lambda run: run.load_resume()),
        ("state.json", lambda run: run.state()),
    ],
)
def test_a_truncated_file_is_noticed(run, file, read, size):
    os.truncate(run.path / file, size)
    with pytest.raises(MemstudyError, match=DAMAGED):
        read(reopened(run))


def test_a_checkpoint_that_disappeared_is_told(run):
    (run.path / "checkpoints" / "epoch-0001.safetensors").unlink()
    with pytest.raises(MemstudyError, match=DAMAGED):
        run.load_checkpoint(1)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", "{}", '{"status": "done"}', '{"status": null}', NO_FLOOR]
)
def test_a_state_that_makes_no_sense_is_told(run, content):
    (run.path / "state.json").write_text(content)
    with pytest.raises(MemstudyError, match=DAMAGED):
        reopened(run).state()


HEADER = ",".join(MEASURED[:5]) + "\n"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "a,b\n1,2\n",
        "epoch,x\n0,1\n",
        HEADER + "0,1\n1,2,3,4,5,6\n",
        HEADER + "zero,1,1,1,1\n",
        HEADER + "1,1,1,1,1\n",
        HEADER + "0,1,1,1,1\n0,1,1,1,1\n",
        "\0",
        "\0\n",
    ],
)
def test_metrics_that_make_no_sense_are_told(run, content):
    (run.path / "metrics.csv").write_text(content)
    with pytest.raises(MemstudyError, match=DAMAGED):
        reopened(run).metrics()


def test_a_row_half_written_is_not_read_yet(run):
    with (run.path / "metrics.csv").open("ab") as file:
        file.write(b"2,0.3")
    assert reopened(run).metrics()["epoch"].tolist() == [0, 1]


def test_finishing_keeps_the_metrics_and_drops_the_rest(run):
    before = run.metrics()
    run.finish()
    assert (run.status, run.load_resume(), run.checkpoints()) == (Status.FINISHED, None, [0, 1])
    assert reopened(run).metrics().equals(before)


@pytest.mark.parametrize("damage", ["deleted", "a row less", "a digit changed", "another run's", "garbage"])
def test_metrics_of_a_finished_run_are_the_ones_it_finished_with(store, run, damage):
    run.finish()
    good = made(store, replace(RECIPE, seed=1))
    path = run.path / "metrics.csv"
    text = path.read_text()
    path.write_text(
        {
            "a row less": "".join(text.splitlines(keepends=True)[:-1]),
            "a digit changed": text.replace("0.3", "0.4", 1),
            "another run's": text + text.splitlines()[-1].replace("1", "2", 1) + "\n",
            "garbage": "\xff garbage",
        }.get(damage, "")
    )
    if damage == "deleted":
        path.unlink()
    with pytest.raises(MemstudyError, match=DAMAGED):
        reopened(run).metrics()
    assert [r.name for r in store.runs()] == [good.name]
    assert "metrics.csv" in str(problem(reopened(run)))


def test_a_finished_run_from_before_checksums_needs_its_metrics_too(run):
    run.update(status=Status.FINISHED)
    assert len(run.metrics()) == 2
    (run.path / "metrics.csv").unlink()
    with pytest.raises(MemstudyError, match=DAMAGED):
        run.metrics()


def test_another_recipe_in_a_directory_is_told(run):
    (run.path / "recipe.toml").write_text(replace(RECIPE, seed=1).to_toml())
    with pytest.raises(MemstudyError, match="is not the recipe this directory was made for"):
        _ = reopened(run).recipe


def test_damaged_runs_are_listed_but_not_trusted(store, run):
    good = made(store, replace(RECIPE, seed=1))
    (run.path / "recipe.toml").write_text("id = ")
    assert {r.name for r in store.directories()} == {run.name, good.name}
    assert [r.name for r in store.runs()] == [good.name]


# Atomic writing


def test_a_write_that_is_interrupted_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    files.write(path, "old")

    def interrupted(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told_in_a_sentence(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MemstudyError, match=r"cannot write .*: No space left on device; choose another place"):
        files.write(tmp_path / "file", "new")
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_killed_writer_are_removed(run):
    leftovers = [run.path / ".tmp-1-state.json", run.path / "checkpoints" / ".tmp-1-epoch-0000.safetensors"]
    for path in leftovers:
        path.write_text("half")
    with run.lock():
        assert not any(path.exists() for path in leftovers)
    assert run.checkpoints() == [0, 1]


def left_by(pid, here=None, start=""):
    """The beginning of a name that a process has for what is temporary."""
    return f".tmp-{here or files._here()}-{pid}-{start or processes.start(pid)}-0-"


def test_what_killed_processes_left_is_removed_and_what_others_write_is_not(tmp_path, monkeypatch):
    """In the directories of studies, of the cache, of the store: no writer but the next one comes by there."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    me, yesterday = os.getpid(), time.time() - files.DAY - 1
    left = [left_by(dead.pid, start="1"), left_by(me, start="1")]
    others = [left_by(me), left_by(dead.pid, "0" * 8, "1"), f".tmp-{dead.pid}-", ".tmp-download", "table.csv"]
    old = [tmp_path / f"{left_by(me, 'f' * 8)}old.csv", tmp_path / f".tmp-{me}-old.csv"]
    for name in (*left, *others):
        (tmp_path / f"{name}table.csv").write_text("half")
        (tmp_path / f"{name}run").mkdir()
        (tmp_path / f"{name}run" / "state.json").write_text("{}")
    for path in old:
        path.write_text("of a machine that is no more, or an earlier version")
        os.utime(path, (yesterday, yesterday))
    files.write(tmp_path / "new.csv", "whole")
    there = {path.name for path in tmp_path.iterdir()}
    assert there == {"new.csv", *(f"{name}{what}" for name in others for what in ("table.csv", "run"))}


def test_two_writers_of_one_number_do_not_share_a_temporary_file(tmp_path, monkeypatch):
    """Containers number their processes alike, and may write to one file system."""
    mine = files.beside(tmp_path / "table.csv")
    monkeypatch.setattr(files, "_here", lambda: "0" * 8)
    theirs = files.beside(tmp_path / "table.csv")
    assert mine.name != theirs.name
    assert files.beside(tmp_path / "table.csv") != theirs
    assert len(files.beside(tmp_path / ("ü" * 120)).name.encode()) <= 255


def test_a_run_that_is_a_link_is_removed_alone(run, tmp_path):
    place = tmp_path / "elsewhere"
    run.path.rename(place)
    run.path.symlink_to(place)
    run.remove()
    assert not run.path.is_symlink()
    assert (place / "recipe.toml").is_file()
    assert list(run.path.parent.iterdir()) == []


def test_a_run_that_is_a_link_is_moved_with_all_that_it_has(run, tmp_path):
    """A link that leads nowhere from its new place would be the run's end."""
    run.path.rename(tmp_path / "elsewhere")
    run.path.symlink_to(Path("..") / "elsewhere")
    moved = moving.move(run, Store(tmp_path / "other" / "store"))
    assert not moved.path.is_symlink()
    assert problem(moved) is None
    assert moved.epochs_done == 2


def test_a_file_in_the_way_of_the_store_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    run = Store(tmp_path / "file").open(RECIPE)
    assert not run.exists
    with pytest.raises(MemstudyError, match=r"cannot write .*--runs-dir"), run.lock():
        pass
    with pytest.raises(MemstudyError, match=r"cannot write .*--runs-dir"):
        run.write_recipe()


# One writer


def test_a_second_writer_is_refused(run):
    with run.lock():
        assert run.locked
        with pytest.raises(MemstudyError, match="is being run by another process"), reopened(run).lock():
            pass
    assert not run.locked


def test_a_lock_is_free_after_an_error(run):
    with pytest.raises(ZeroDivisionError), run.lock():
        raise ZeroDivisionError
    assert not run.locked


def test_a_run_killed_while_running_counts_as_interrupted(run):
    run.update(status=Status.RUNNING)
    assert run.status is Status.INTERRUPTED
    with run.lock():
        assert reopened(run).status is Status.RUNNING


# Selecting


@pytest.fixture
def several(store):
    return [made(store, replace(RECIPE, seed=seed)) for seed in range(3)]


@pytest.mark.parametrize(
    ("pattern", "seeds"),
    [("*-s1-*", [1]), ("mnist5k", [0, 1, 2]), ("mnist5k-*-s[02]-*", [0, 2]), (RECIPE.id[:8], [0])],
)
@pytest.mark.usefixtures("several")
def test_runs_are_chosen_by_patterns(store, pattern, seeds):
    assert [run.recipe.seed for run in store.select([pattern]).runs] == seeds


def test_a_pattern_that_fits_no_run_is_told(store, several):
    with pytest.raises(MemstudyError, match=rf"unknown run .*{re.escape(several[0].name)}"):
        store.select(["*-s0-*", "fashion"])


@pytest.mark.usefixtures("several")
def test_studies_select_their_members_and_the_newest_goes_first(store, several):
    assert store.select().name == "all"
    for name, members in (("one", several[:1]), ("two", several[1:])):
        store.record_study(name, members, {"title": name})
    assert store.studies() == ["two", "one"]
    assert [run.name for run in store.select().runs] == [run.name for run in several[1:]]
    chosen = store.select(study="one")
    assert ([run.name for run in chosen.runs], chosen.settings()) == ([several[0].name], {"title": "one"})
    assert len(store.select(study="all").runs) == 3
    with pytest.raises(MemstudyError, match="did you mean one"):
        store.select(study="oen")


@pytest.mark.parametrize("content", ["", "{", "{}", '{"updated": 1.0, "runs": 5, "report": {}}'])
def test_a_damaged_study_is_in_no_list_and_nothing_is_taken_for_the_newest(store, several, content):
    """It may be the newest itself."""
    for name in ("one", "two"):
        store.record_study(name, several, {})
    (store.root / "studies" / "two" / "study.json").write_text(content)
    assert store.studies() == ["one"]
    assert store.select(study="one").name == "one"
    for study in ("two", None):
        with pytest.raises(
            MemstudyError, match=r"two.study\.json is damaged .*; remove it; the study's command makes it"
        ):
            store.select(study=study)
    with pytest.raises(MemstudyError, match="or choose one with --study"):
        store.asked_for([], None)


def test_a_study_in_which_anything_was_changed_is_damaged(store, several):
    store.record_study("one", several, {"epochs": [0]})
    path = store.root / "studies" / "one" / "study.json"
    whole = path.read_text()
    for old, new in (
        ("[\n      0\n    ]", "[1]"),
        (several[0].name, several[1].name),
        ('"updated": 1', '"updated": 2'),
    ):
        path.write_text(changed := whole.replace(old, new))
        assert changed != whole
        with pytest.raises(MemstudyError, match="its seal does not fit its content"):
            store.members("one")
    record = {key: value for key, value in json.loads(whole).items() if key != "seal"}
    path.write_text(json.dumps(record))  # as of an earlier version
    assert [run.name for run in store.members("one")] == [run.name for run in several]
    store.record_derived("one")
    assert store.is_derived("one")
    assert "seal" in json.loads(path.read_text())


def test_a_store_that_is_no_directory_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for ask in (Store.directories, Store.select):
        with pytest.raises(MemstudyError, match="is no directory; choose one with --runs-dir"):
            ask(Store(tmp_path / "file"))


def test_an_empty_store_says_how_to_fill_it(store):
    with pytest.raises(MemstudyError, match="make one with 'memstudy run'"):
        store.select()


def test_runs_without_an_epoch_are_no_selection(store):
    made(store, epochs=0)
    with pytest.raises(MemstudyError, match="all has no network to look at"):
        store.select()


# What a killed process left


def test_what_a_kill_left_of_a_finished_run_is_tidied_at_the_next_look(store, run):
    """Killed between marking it finished and removing what continues it."""
    run.finish()
    left = [run.path / "resume.safetensors", run.path / ".tmp-1-state.json"]
    for path in left:
        path.write_text("left")
    names = {path.name for path in run.path.rglob("*")} - {path.name for path in left}
    assert [one.name for one in store.runs()] == [run.name]
    assert {path.name for path in run.path.rglob("*")} - {".lock"} == names


def test_nothing_is_tidied_that_is_in_use_or_not_finished(store, run):
    assert store.runs()
    assert (run.path / "resume.safetensors").exists()
    saved = (run.path / "resume.safetensors").read_bytes()
    run.finish()
    (run.path / "resume.safetensors").write_bytes(saved)
    with run.lock():
        assert [one.name for one in store.runs()] == [run.name]
        assert (run.path / "resume.safetensors").exists()


def test_a_store_we_may_only_read_is_read(store, run, monkeypatch):
    run.finish()
    (run.path / "resume.safetensors").write_text("left")

    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setattr(os, "open", refuse)
    assert [one.name for one in store.runs()] == [run.name]
    assert len(reopened(run).metrics()) == 2


def test_a_file_that_cannot_be_removed_is_told(run, monkeypatch):
    (run.path / "resume.safetensors").unlink()

    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(MemstudyError, match=r"cannot remove .*metrics.csv: Permission denied; remove it yourself"):
        run.keep(0)


# Odd places


def test_what_cannot_be_written_is_named_and_not_its_temporary_file(tmp_path, monkeypatch):
    opened = Path.open

    def refuse(self, *more, **options):
        if self.parent == tmp_path:
            raise OSError(errno.EROFS, "Read-only file system", str(self))
        return opened(self, *more, **options)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(MemstudyError, match=f"cannot write {tmp_path}/table.csv: Read-only file system"):
        files.write(tmp_path / "table.csv", "")


def test_a_folder_that_takes_nothing_is_told_before_anything_is_measured(tmp_path, monkeypatch):
    files.check_writable(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []  # it is asked, and not made
    (tmp_path / "file").write_text("")
    with pytest.raises(MemstudyError, match=f"cannot write {tmp_path}/file/studies"):
        files.check_writable(tmp_path / "file" / "studies")


# What the system refuses


ALWAYS = replace(next(fault for fault in FAULTS if fault.name == "I/O error"), lasting=True)


def refused(path, *kinds):
    """Calls of these kinds at a path, or below, fail; all do if none are given."""
    return failing(Layer((str(path),), replace(ALWAYS, kinds=frozenset(kinds)) if kinds else ALWAYS, at=1))


@pytest.mark.parametrize(
    ("name", "look"),
    [
        ("metrics.csv", lambda run: run.metrics()),
        ("recipe.toml", lambda run: run.recipe),
        ("state.json", lambda run: run.state()),
        ("resume.safetensors", lambda run: run.load_resume()),
        ("epoch-0001.safetensors", lambda run: run.load_checkpoint(1)),
    ],
)
def test_what_the_system_does_not_let_us_read_is_not_called_damaged(run, name, look):
    """Nobody removes what is whole, but for a disk that did not answer."""
    kept = reopened(run)
    if name == "epoch-0001.safetensors":
        kept.state()
    (path,) = run.path.rglob(name)
    with (
        refused(path, "open", "read"),
        pytest.raises(Unreadable, match=rf"cannot read .*{name}: Input/output error; .*try again") as caught,
    ):
        look(kept)
    assert "damaged" not in str(caught.value)
    look(reopened(run))


def test_a_run_that_cannot_be_looked_at_is_named_and_not_left_out_silently(store, run):
    with refused(run.path, "look"):
        assert list(store.listing().damaged) == [run.name]
    assert not store.listing().damaged


def test_nothing_is_derived_anew_without_a_run_that_cannot_be_read(store, run):
    """Tables and figures of all runs are not replaced by those of some, as a disk did not answer for a moment."""
    other = made(store, replace(RECIPE, seed=1))
    store.record_study("both", [run, other], {})
    store.record_study("one", [run], {})
    with refused(other.path, "read"):
        for chosen in ({"study": "both"}, {"study": "all"}, {"patterns": [other.name, run.name]}):
            with pytest.raises(Unreadable, match=rf"{re.escape(other.name)}/\S+: Input/output error; .*try again"):
                store.select(**chosen)
        assert [each.name for each in store.select(study="one").runs] == [run.name]
    assert len(store.select(study="both").runs) == 2


def test_a_study_that_cannot_be_read_is_not_passed_over_for_an_older_one(store, run):
    store.record_study("older", [run], {})
    store.record_study("newer", [run], {})
    with refused(store.folder("newer")), pytest.raises(Unreadable, match=r"newer/study\.json"):
        store.studies()
    assert store.studies()[0] == "newer"


def test_a_refusal_to_write_names_the_file_and_not_a_temporary_one(run):
    told = r"cannot write \S+/state\.json: Input/output error; .*try again"
    with refused(run.path, "rename"), pytest.raises(MemstudyError, match=told) as caught:
        run.update(epochs=3)
    assert files.TEMPORARY not in str(caught.value)


def test_a_first_row_that_was_not_written_whole_is_no_damage(store):
    """The disk was full when the first epoch was done; the run begins again."""
    run = write_run(store.root, RECIPE, status=Status.INTERRUPTED)
    for content in ("", "epoch,test_acc"):
        (run.path / "metrics.csv").write_text(content)
        assert problem(reopened(run)) is None
        assert len(reopened(run).metrics()) == 0


def test_what_cannot_be_removed_of_a_run_is_told(run):
    told = r"is removed, but not all that was in it: .*Input/output error; remove \S+ yourself"
    with refused(run.path.parent, "unlink"), pytest.raises(MemstudyError, match=told):
        files.discard(run.path)
    assert not run.exists
