"""The index of a store saves time and nothing else: with it, without it, whatever it is, a list says the same."""

import json
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import pytest
import torch

from memstudy import files, presets, trust
from memstudy import recipe as recipes
from memstudy.errors import MemstudyError
from memstudy.recipe import Corruption, Training
from memstudy.store import RunDirectory, Status, Store, index, naming, stamps, summary
from memstudy.store.index import Index
from memstudy.store.layout import METRICS, RECIPE, STATE
from tests.kit.runs import write_run

RECIPE_0 = presets.build(epochs=4)


@pytest.fixture(autouse=True)
def _own_index(tmp_path, monkeypatch):
    """An index of its own, and files that count as settled at once."""
    monkeypatch.setenv("MEMSTUDY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(stamps, "SETTLED", -(10**12))


@pytest.fixture
def store(tmp_path):
    for seed, reg in enumerate(("bare", "al2", "do")):
        recipe = presets.build(reg=reg, seed=seed, epochs=4)
        write_run(tmp_path / "runs", recipe, [{"test_accuracy": 0.25}] * 2, status=Status.FINISHED)
    return Store(tmp_path / "runs")


@pytest.fixture
def read(monkeypatch):
    """The names of the runs that were read, and not looked up."""
    names = []
    recorded = summary._recorded

    def noted(run):
        names.append(run.name)
        return recorded(run)

    monkeypatch.setattr(summary, "_recorded", noted)
    return names


def said(store):
    found = store.listing()
    return [one.summary for one in found.runs], found.damaged


def anew(store):
    """What is said without an index."""
    files.tidy([Index(store.root, 0).path])
    return said(store)


def test_a_second_list_reads_no_run_and_says_the_same(store, read):
    first = said(store)
    assert read == store.names()
    read.clear()
    assert said(store) == first
    assert read == []
    alone = [summary.run_summary(RunDirectory(store.root / name)) for name in store.names()]
    assert first[0] == json.loads(json.dumps(alone))


@pytest.mark.parametrize("name", [RECIPE, STATE, METRICS, "log.txt"])
def test_a_run_whose_files_changed_is_read_again_alone(store, read, name):
    said(store)
    read.clear()
    path = store.root / store.names()[1] / name
    path.write_bytes(path.read_bytes() if path.exists() else b"")
    os.utime(path, ns=(1, 1))
    found = said(store)
    assert read == [store.names()[1]]
    assert found == anew(store)


def test_damage_after_a_list_is_seen_by_the_next(store):
    said(store)
    path = store.root / store.names()[0] / METRICS
    path.write_bytes(path.read_bytes().replace(b"0.25", b"0.75"))
    listed, damaged = said(store)
    assert len(listed) == 2
    assert METRICS in damaged[store.names()[0]]
    with pytest.raises(MemstudyError, match=METRICS):
        store.select([store.names()[0]])


def test_whether_a_run_is_running_is_asked_of_the_run(tmp_path, read):
    run = write_run(tmp_path / "runs", RECIPE_0, [{}])
    store = Store(tmp_path / "runs")
    with run.lock():
        (one,), _ = said(store)
        assert one["status"] == "running"
    (one,), _ = said(store)
    assert one["status"] == "interrupted"
    with run.lock():
        said(store)
    read.clear()
    (one,), _ = said(store)
    (kept,), _ = said(store)
    assert one["status"] == kept["status"] == "interrupted"


def test_what_was_changed_just_now_is_not_kept(store, read, monkeypatch):
    monkeypatch.setattr(stamps, "SETTLED", 2 * 10**9)
    said(store)
    read.clear()
    said(store)
    assert read == store.names()


def test_a_run_that_is_gone_is_forgotten(store):
    said(store)
    gone = store.root / store.names()[0]
    for path in sorted(gone.rglob("*"), reverse=True):
        path.unlink()
    gone.rmdir()
    said(store)
    assert Index(store.root, summary.FORMAT).entries().names == set(store.names())


@pytest.mark.parametrize("content", [b"", b"no base", b"SQLite format 3\x00" + bytes(4080)])
def test_a_damaged_index_is_as_none_and_made_anew(store, read, content):
    expected = said(store)
    path = Index(store.root, summary.FORMAT).path
    path.write_bytes(content)
    assert said(store) == expected
    assert said(store) == expected
    read.clear()
    assert said(store) == expected
    assert read == []


def test_an_index_of_another_format_is_as_none(store, read, monkeypatch):
    expected = said(store)
    monkeypatch.setattr(summary, "FORMAT", summary.FORMAT - 1)
    read.clear()
    assert said(store) == expected
    assert read == store.names()


def test_entries_that_make_no_sense_are_as_none(store):
    expected = said(store)
    for content in ("[]", "{", '{"name": "another"}'):
        with sqlite3.connect(Index(store.root, summary.FORMAT).path) as base:
            base.execute("UPDATE runs SET content = ?", [content])
        base.close()
        assert said(store) == expected


def test_an_entry_in_which_anything_changed_is_as_none(store):
    """SQLite itself has no check sums of what it holds; an entry that is whole is one, the control."""
    expected = said(store)
    path = Index(store.root, summary.FORMAT).path
    for old, new in (("0.25", "0.75"), ('"date"', '"dste"'), ("finished", "finishef")):
        with sqlite3.connect(path) as base:
            base.execute("UPDATE runs SET content = replace(content, ?, ?)", [old, new])
            (changed,) = base.execute("SELECT count(*) FROM runs WHERE instr(content, ?)", [new]).fetchone()
        base.close()
        assert changed == 3
        assert said(store) == expected
    with sqlite3.connect(path) as base:
        rows = base.execute("SELECT name, replace(content, '0.25', '0.75'), common FROM runs").fetchall()
        base.executemany(
            "UPDATE runs SET content = ?, checksum = ? WHERE name = ?",
            [(text, index._checksum(text, common), name) for name, text, common in rows],
        )
    base.close()
    assert said(store) != expected


def test_an_index_in_use_or_not_writable_is_as_none(store, tmp_path, monkeypatch):
    monkeypatch.setattr(index, "PATIENCE", 0.0)
    expected = said(store)
    base = sqlite3.connect(Index(store.root, summary.FORMAT).path, isolation_level=None)
    base.execute("BEGIN EXCLUSIVE")
    assert said(store) == expected
    base.close()
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MEMSTUDY_CACHE", str(tmp_path / "file"))
    assert said(store) == expected


def test_several_at_once_say_the_same(store):
    expected = anew(store)
    files.tidy([Index(store.root, 0).path])
    with ThreadPoolExecutor(8) as pool:
        assert all(found == expected for found in pool.map(lambda _: said(store), range(24)))


def test_a_store_that_was_moved_has_another_index(store, tmp_path):
    said(store)
    moved = Store(store.root.rename(tmp_path / "moved"))
    (first, *_), _ = said(moved)
    assert first["path"].startswith(str(tmp_path / "moved"))


def test_nothing_is_written_to_the_store(store):
    before = {path: path.stat().st_mtime_ns for path in store.root.rglob("*")}
    said(store)
    said(store)
    assert {path: path.stat().st_mtime_ns for path in store.root.rglob("*")} == before


VARIED = (
    presets.build(reg="bn+al2+do", seed=2**70, epochs=4),
    presets.build(reg="pilcro", corrupt=0.0, corrupt_seed=3, epochs=4),
    replace(RECIPE_0, corruption=Corruption("matrix", None, 1, matrix=((0.9, 0.1), (1 / 3, 2 / 3)))),
    replace(
        RECIPE_0, corruption=Corruption("file", None, 0, labels="ab" * 32), normalization="own", train_size=100
    ),
    replace(RECIPE_0, trainer="a.trainer", network="nets:wide", dataset="own"),
    replace(
        RECIPE_0,
        training=Training(
            20, 7, 0.1, 0.9, (3, 5), "sgd", True, "multistep", (8, 12), 0.2, 2, 0.1, 0.5, "flip-crop", "bf16", 1.5
        ),
    ),
)


def test_recipes_of_a_selection_are_those_of_the_files_and_these_are_not_read(tmp_path, monkeypatch):
    for recipe in VARIED:
        made = write_run(tmp_path / "runs", recipe, [{"test_accuracy": 0.25}], status=Status.FINISHED)
        made.save_checkpoint(0, {"weight": torch.zeros(1)})
    store = Store(tmp_path / "runs")
    said(store)
    monkeypatch.setattr(trust, "_named", {})
    with monkeypatch.context() as patch:
        patch.setattr(recipes, "read", None)  # not callable
        runs = store.select().runs
        found = {run.name: asdict(run.recipe) for run in runs}
        assert found == {naming.run_name(recipe): asdict(recipe) for recipe in VARIED}
    assert ("network", "nets:wide") in trust._named
    assert [asdict(RunDirectory(run.path).recipe) for run in runs] == [asdict(run.recipe) for run in runs]


@pytest.mark.parametrize(
    "change", [{"lr": 0.7}, {"lr": "0.1"}, {"lr": None}, {"al2.strange": 1}, {"trainer": 5}, {"seed": 9}]
)
def test_settings_that_are_not_those_of_the_run_s_identity_are_not_taken(store, change):
    """An index is in the user's cache, but a number must not follow from what is only there."""
    for one in store.listing().runs:
        run = RunDirectory(one.run.path)
        (made,) = summary.ready([summary.Listed(run, one.summary, one.alike)])
        assert made.__dict__["recipe"] == one.run.recipe
        (made,) = summary.ready(
            [summary.Listed(run, one.summary | {"settings": one.settings | change}, one.alike)]
        )
        if change == {"al2.strange": 1} and not one.uses("al2.strange"):
            assert made.knows_recipe
        else:
            assert made is run
            assert not run.knows_recipe


def test_what_differs_is_what_differs_among_recipes(store):
    from memstudy.distinctions import differing, names

    write_run(store.root, presets.build(reg="do", options={"do": {"p": 0.25}}, epochs=7))
    found = store.listing().runs
    recipes = [one.run.recipe for one in found]
    assert summary.differing(found) == differing(recipes)
    assert summary.names(found) == names(recipes)
    kept = store.listing().runs
    assert summary.differing(kept) == differing(recipes)


# Opening many


def test_many_are_opened_as_one_is(tmp_path):
    store = Store(tmp_path / "runs")
    recipes = [replace(RECIPE_0, seed=seed) for seed in range(6)]
    for recipe in recipes[:4]:
        write_run(store.root, recipe)
    renamed = store.open(recipes[2])
    renamed.path.rename(renamed.path.with_name(f"older-{naming.identity(renamed.name)}"))
    (store.open(recipes[3]).path / RECIPE).write_text("damaged")
    expected = [store.open(recipe).path for recipe in recipes]
    assert [run.path for run in store.open_all(recipes)] == expected
    assert expected[2].name.startswith("older-")
    assert [run.path for run in Store(tmp_path / "none").open_all(recipes[:1])] == [
        Store(tmp_path / "none").open(recipes[0]).path
    ]


def test_many_are_opened_by_one_look_at_the_store(tmp_path, monkeypatch):
    store = Store(tmp_path)
    looks = []
    listdir = os.listdir

    def noted(path):
        looks.append(path)
        return listdir(path)

    monkeypatch.setattr(os, "listdir", noted)
    store.open_all([replace(RECIPE_0, seed=seed) for seed in range(20)])
    assert len(looks) == 1
