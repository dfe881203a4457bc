"""Choosing, removing, moving, packing, exporting runs: what is asked for, nothing else, and never half of it."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from memstudy import files, presets
from memstudy.errors import MemstudyError
from memstudy.store import RunDirectory, Status, Store, moving, query, tidy
from memstudy.store.unpack import MANIFEST, unpack
from tests.kit.runs import write_run
from tests.kit.sentences import refused
from tests.reliability.shim import FAULTS, Layer, failing

ACCURACY = {"bare": 0.25, "al2": 0.75, "do": 0.5, "bn+al2": 0.625}


@pytest.fixture
def store(tmp_path):
    """Four methods at two rates; the runs of bare are unfinished."""
    for reg, accuracy in ACCURACY.items():
        for rate in (0.25, 0.75):
            recipe = presets.build(reg=reg, corrupt=rate, epochs=2)
            status = Status.RUNNING if reg == "bare" else Status.FINISHED
            epochs = [{"test_accuracy": accuracy}] * (1 if reg == "bare" else 2)
            run = write_run(tmp_path / "runs", recipe, epochs, status=status)
            if reg != "bare":
                run.save_checkpoint(1, {})
    return Store(tmp_path / "runs")


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def ran(result):
    assert result.exit_code == 0, result.output
    return result


def named(store: Store, *words: str) -> list[str]:
    return [name for name in store.names() if all(word in name for word in words)]


# Queries


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("reg=al2 and corrupt>=0.5", {("al2", 0.75)}),
        ("reg = 'al2' AND corrupt == .75", {("al2", 0.75)}),
        ("reg=*al2 and corrupt<0.5", {("al2", 0.25), ("bn+al2", 0.25)}),
        ("reg in (do, bare) and not corrupt=0.25", {("do", 0.75), ("bare", 0.75)}),
        ("(reg=do or reg=al2) and corrupt<=0.25", {("do", 0.25), ("al2", 0.25)}),
        ("reg=do or reg=al2 and corrupt<=0.25", {("do", 0.25), ("do", 0.75), ("al2", 0.25)}),
        ("test_accuracy>0.5 and test-accuracy<0.7", {("bn+al2", 0.25), ("bn+al2", 0.75)}),
        ("status=interrupted and corrupt!=0.25", {("bare", 0.75)}),
        ("do.p>0 and corrupt=0.25", {("do", 0.25)}),
        ("do.p!=0.5 and corrupt=0.25 and reg!=bare", {("al2", 0.25), ("bn+al2", 0.25)}),
        ("train-size=none and nesterov=no and epochs_done<2", {("bare", 0.25), ("bare", 0.75)}),
        ("name=*-do-* and seed=0 and batch-size in (32, 64) and corrupt > 0.5", {("do", 0.75)}),
    ],
)
def test_a_query_chooses_what_it_says(store, text, found):
    chosen = query.chosen(store.listing().runs, text)
    assert {(one.value("reg"), one.value("corrupt")) for one in chosen} == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a name is missing before the end"),
        ("reg=al2 and", "a name is missing before the end"),
        ("reg=al2 corrupt=1", "'corrupt' follows a whole test"),
        ("(reg=al2", "')' is missing before the end"),
        ("reg", "there is no ="),
        ("reg in al2", "'(' is missing before 'al2'"),
        ("reg='al2", 'is not understood at "\'al2"'),
        ("corrupt>high", "corrupt is a number, and 'high' is none"),
        ("reg>3", "reg has no order"),
        ("rge=al2", "did you mean reg"),
        ("__import__('os').system('true')", "'__import__'"),
        ("not " * 5000 + "reg=al2", "nested too deeply"),
    ],
)
def test_a_query_that_makes_no_sense_is_one_sentence(store, text, words):
    refused(lambda: query.chosen(store.listing().runs, text), words)


def test_runs_are_listed_as_asked(command, store):
    words = ("runs", "--where", "corrupt=0.75", "--sort", "test_accuracy", "--limit", "3", "--json")
    for more, expected in (([], ["bare", "do", "bn+al2"]), (["--descending"], ["al2", "bn+al2", "do"])):
        found = json.loads(ran(command(*words, *more)).stdout)["runs"]
        assert [one["reg"] for one in found] == expected
    by_p = json.loads(ran(command("runs", "--sort", "do.p", "--json")).stdout)["runs"]
    assert [one["reg"] for one in by_p[:2]] == ["do", "do"]  # others have none, and are last
    assert "no run is as" in ran(command("runs", "--where", "seed=7")).stdout
    assert "did you mean test_accuracy" in command("runs", "--sort", "test_acuracy").output


# Removing


def test_rm_removes_what_is_named_and_nothing_else(command, store):
    gone = named(store, "-do-")
    rest = {name: content for name, content in contents(store.root).items() if not name.startswith(tuple(gone))}
    told = json.loads(ran(command("rm", "--where", "reg=do", "--yes", "--json")).stdout)
    assert told["removed"] == gone
    assert contents(store.root) == rest


def test_rm_asks_and_says_how_much_and_which_studies(command, store):
    store.record_study("mine", [store.choose(["*-do-*"])[0]], {})
    before = contents(store.root)
    result = command("rm", "*-do-*")  # nobody answers
    assert result.exit_code != 0
    assert "2 runs, 0.0 MB" in result.output
    assert "belonging to mine" in result.output
    assert contents(store.root) == before


@pytest.mark.parametrize(
    "words", [("rm", "*", "--yes"), ("move", "*", "there"), ("pack", "*", "there", "--whole")]
)
def test_a_run_that_is_being_run_stays_and_so_does_all(command, store, words):
    with store.choose(["*-do-*"])[0].lock():
        before = contents(store.root)
        result = command(*words)
        assert result.exit_code == 2
        assert "being run by another process (process" in result.output
        assert contents(store.root) == before


def test_nothing_named_is_not_all(command, store):
    before = contents(store.root)
    for words in (("rm", "--yes"), ("move", "there")):
        assert "say which runs" in command(*words).output
    assert "no run is as" in command("rm", "--where", "seed=7", "--yes").output
    assert contents(store.root) == before


def test_a_damaged_run_can_be_removed_by_name(command, store):
    name = store.names()[0]
    (store.root / name / "state.json").write_text("{")
    ran(command("rm", name, "--yes"))
    assert name not in store.names()


# Moving


@pytest.fixture(params=["one file system", "two"])
def file_systems(request, monkeypatch):
    """Where a rename does, and where only a copy does."""
    if request.param == "two":
        rename = Path.rename

        def across(self, target):
            if self.parent != Path(target).parent:
                raise OSError(errno.EXDEV, "Invalid cross-device link")
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", across)


@pytest.mark.usefixtures("file_systems")
def test_moved_runs_are_there_as_they_were_and_here_no_more(command, store, tmp_path):
    moved = named(store, "-al2-")
    before = {name: content for name, content in contents(store.root).items() if name.startswith(tuple(moved))}
    told = json.loads(ran(command("move", *moved, "there", "--json")).stdout)
    assert [Path(path).name for path in told["moved"]] == moved
    assert contents(tmp_path / "there") == before
    assert not set(moved) & set(store.names())
    again = json.loads(ran(command("move", *moved, "there", "--json")).stdout)
    assert (again["moved"], again["there_already"]) == ([], moved)


CHANGING = ((Path, "rename"), (files, "sync"), (shutil, "copytree"), (Path, "unlink"), (shutil, "rmtree"))


@pytest.mark.usefixtures("file_systems")
def test_a_move_stopped_at_any_moment_is_gone_on_with(tmp_path):
    """At each call that changes files: the run is here or there, whole, and the same call completes it."""
    first = write_run(tmp_path / "first", presets.build(epochs=1), [{}], status=Status.FINISHED)
    before, stopped = moving.digests(first.path), 0
    for call in range(1, 100):
        here, there = Store(tmp_path / f"here{call}"), Store(tmp_path / f"there{call}")
        shutil.copytree(first.path, here.root / first.name)
        if not _stopped_at(call, here, there):
            break
        stopped += 1
        places = [store.root / first.name for store in (here, there) if (store.root / first.name).is_dir()]
        assert any(moving.digests(path) == before for path in places)
        for run in here.find(["*"]) if here.names() else []:
            moving.move(run, there)
        assert here.names() == []
        assert there.names() == [first.name]
        assert moving.digests(there.root / first.name) == before
    assert 3 < stopped < 99


def _stopped_at(call, here, there):
    """Move a store's run, and press Ctrl-C at a call that changes the file system; whether there were so many."""
    calls = []

    def stopping(function):
        def stop(*given, **named):
            calls.append(1)
            if len(calls) == call:
                raise KeyboardInterrupt
            return function(*given, **named)

        return stop

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in CHANGING:
            patch.setattr(owner, name, stopping(getattr(owner, name)))
        try:
            moving.move(here.find(["*"])[0], there)
        except KeyboardInterrupt:
            return True
    return False


def test_a_run_that_is_there_with_other_content_is_not_moved(command, store, tmp_path):
    run = store.choose(["*-do-*"])[0]
    write_run(tmp_path / "there", run.recipe, [{"test_accuracy": 0.125}])
    before = contents(tmp_path)
    result = command("move", run.name, "there")
    assert result.exit_code == 2
    assert "with other content" in result.output
    assert contents(tmp_path) == before
    assert "choose another directory" in command("move", run.name, "runs").output


# Packing


def test_whole_packs_of_several_stores_are_merged(command, store, tmp_path):
    everything = contents(store.root)
    for reg in ("do", "al2"):
        ran(command("pack", f"pack-{reg}", "--where", f"reg={reg}", "--whole"))
    told = json.loads(ran(command("unpack", "pack-do", "pack-al2", "--runs-dir", "merged", "--json")).stdout)
    assert [len(one["new"]) for one in told.values()] == [2, 2]
    merged = contents(tmp_path / "merged")
    for name in Store(tmp_path / "merged").names():
        of_run = {path: content for path, content in everything.items() if path.startswith(name)}
        assert {path: content for path, content in merged.items() if path.startswith(name)} == of_run
    again = json.loads(ran(command("unpack", "pack-do", "--runs-dir", "merged", "--json")).stdout)
    assert [len(one["there_already"]) for one in again.values()] == [2]


def _changed(pack):
    path = next(pack.glob("*/metrics.csv"))
    path.write_bytes(path.read_bytes() + b"\n")


def _lost(pack):
    next(pack.glob("*/checkpoints/*")).unlink()


def _more(pack):
    (next(pack.glob("*/metrics.csv")).parent / "more.txt").write_text("more")


def _linked(pack):
    path = next(pack.glob("*/metrics.csv"))
    path.rename(pack.parent / "outside")
    path.symlink_to(pack.parent / "outside")


def _leaving(pack):
    record = json.loads((pack / MANIFEST).read_text())
    record["files"]["../outside"] = "0" * 64
    (pack / MANIFEST).write_text(json.dumps(record))


def _foreign(pack):
    (pack / MANIFEST).unlink()


def _senseless(pack):
    (pack / MANIFEST).write_text('{"files": [1]}')


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (_changed, "its checksum is not the one in pack.json"),
        (_lost, "is gone"),
        (_more, "is not named there"),
        (_linked, "it is a link"),
        (_leaving, "leaves it"),
        (_foreign, "it is no pack"),
        (_senseless, "no check sums"),
    ],
)
def test_a_pack_that_cannot_be_trusted_gives_nothing(command, store, tmp_path, harm, words):
    ran(command("pack", "pack", "--where", "reg=do", "--whole"))
    harm(tmp_path / "pack")
    refused(lambda: unpack(tmp_path / "pack", Store(tmp_path / "into")), words)
    assert not (tmp_path / "into").exists()


def test_a_pack_of_what_is_here_with_other_content_gives_nothing(command, store, tmp_path):
    ran(command("pack", "pack", "--where", "reg=do", "--whole"))
    run = store.choose(["*-do-*"])[1]
    write_run(tmp_path / "into", run.recipe, [{"test_accuracy": 0.125}])
    before = contents(tmp_path / "into")
    refused(lambda: unpack(tmp_path / "pack", Store(tmp_path / "into")), "with other content")
    assert contents(tmp_path / "into") == before


# Exporting


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_exported_metrics_are_those_of_the_runs(command, store, tmp_path, suffix):
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    told = ran(command("export", "--where", "reg in (al2, bare)", "-o", f"metrics.{suffix}", "--json"))
    path = tmp_path / f"metrics.{suffix}"
    table = pd.read_csv(path) if suffix == "csv" else pd.read_parquet(path)
    assert len(table) == json.loads(told.stdout)["rows"] == 2 * 2 + 2 * 1
    assert set(table["reg"]) == {"al2", "bare"}
    assert table.groupby("reg")["al2.advance"].count().to_dict() == {"al2": 4, "bare": 0}
    for run in store.choose([], "reg in (al2, bare)"):
        rows = table[table["run"] == run.name]
        for name, values in run.columns().items():
            assert rows[name].tolist() == values.tolist()
        assert set(rows["corrupt"]) == {run.recipe.corruption.rate}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_that_is_written_some_runs_at_a_time_is_the_whole_one(tmp_path, monkeypatch, suffix):
    """Runs of other methods have other options, columns and types; one has no epoch."""
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    options: list[dict[str, Any]] = [
        {"reg": "bare"},
        {"reg": "al2"},
        {"train_size": 500},
        {"reg": "do+al2"},
        {"reg": "loco"},
    ]
    runs = [
        write_run(
            tmp_path, presets.build(epochs=3, seed=seed, **one), [{"extra": 2.0 / 3} if seed == 3 else {}] * 3
        )
        for seed, one in enumerate(options)
    ]
    runs.insert(2, write_run(tmp_path, presets.build(epochs=3, seed=9, reg="wd"), [], status=Status.INTERRUPTED))
    whole, parts = tmp_path / f"whole.{suffix}", tmp_path / f"parts.{suffix}"
    assert tidy.write(runs, whole)[0] == 15
    monkeypatch.setattr(tidy, "ROWS", 2)
    assert tidy.write(runs, parts) == (15, list(map(str, tidy.metrics_of(runs))))
    if suffix == "csv":
        assert parts.read_bytes() == whole.read_bytes()
        assert {*pd.read_csv(whole, dtype=str)["epoch"]} == {"0", "1", "2"}
    one, other = (pd.read_csv(path) if suffix == "csv" else pd.read_parquet(path) for path in (parts, whole))
    pd.testing.assert_frame_equal(one, other)


def test_of_a_table_of_which_a_run_is_damaged_nothing_is_written(tmp_path):
    runs = [
        write_run(tmp_path / "runs", presets.build(epochs=1, seed=seed), [{}], status=Status.FINISHED)
        for seed in range(2)
    ]
    path = runs[1].path / "metrics.csv"
    path.write_bytes(path.read_bytes().replace(b"0.5", b"0.6", 1))
    refused(
        lambda: tidy.write([RunDirectory(run.path, run.recipe) for run in runs], tmp_path / "m.csv"), "damaged"
    )
    assert not [*tmp_path.glob("*m.csv*")]


def test_what_cannot_be_exported_is_told(command, store, tmp_path, monkeypatch):
    assert "ends in .csv or .parquet" in command("export", "-o", "metrics.xlsx").output
    assert "give one file to write" in command("export").output
    assert "give one file to write" in command("export", "*", "-o", "a.csv", "--cleanlab", "b.npz").output
    assert "takes one RUN" in command("export", "--cleanlab", "b.npz").output
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'memstudy[parquet]'" in command("export", "-o", "metrics.parquet").output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs"]


def test_a_choice_by_name_and_query_is_of_both(store):
    assert [run.name for run in store.choose(["*-do-*", "*-bn+al2-*"], "corrupt>0.5")] == [
        *named(store, "0.75", "-do-"), *named(store, "0.75", "-bn+al2-")
    ]  # fmt: skip
    with pytest.raises(MemstudyError, match="unknown run"):
        store.choose(["nothing"], "corrupt>0.5")


@pytest.mark.parametrize("words", [("rm", "*-do-s1-*", "--yes"), ("move", "*-do-s1-*", "archive")])
def test_what_a_killed_removal_left_goes_with_the_same_command(command, store_copy, words):
    """Also where there is nothing else left to do."""
    (path,) = store_copy.root.glob("*-bare-s0-*")
    left = path.with_name(f".tmp-00000000-1-2-3-{path.name}")
    path.rename(left)
    os.utime(left, (0, 0))  # by another machine, a day ago
    assert (
        Store(store_copy.root).open(presets.build(reg="bare", seed=0, epochs=3)).path == path
    )  # not the one left
    command(*words)
    assert not left.exists()


def test_a_file_that_the_system_refuses_is_told_in_a_sentence_by_every_command(command, store_copy):
    """Whatever looks at it, and wherever: nothing of it is a traceback."""
    run = store_copy.runs()[0]
    refusing = next(fault for fault in FAULTS if fault.name == "permission")
    for words in (("show", run.name), ("rm", "--yes", run.name), ("export", run.name, "-o", "out.csv")):
        with failing(Layer((str(run.path),), replace(refusing, kinds=frozenset({"look"}), lasting=True), at=1)):
            result = command(*words)
        assert result.exit_code == 2, result.output
        assert re.search(rf"^Error: .*{re.escape(run.name)}.*(allow|choose|remove)", result.stderr, re.MULTILINE)
    assert run.path.is_dir()
