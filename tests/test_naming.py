"""Names of runs: what they say, that they are safe; a recipe's run is found whatever its directory says."""

from __future__ import annotations

import re
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from memstudy import presets
from memstudy.errors import Busy, MemstudyError
from memstudy.recipe import LARGEST_SEED
from memstudy.store import RunDirectory, Status, Store
from memstudy.store.naming import LONGEST, identity, run_name
from memstudy.store.pack import pack
from memstudy.store.run import holds
from tests.kit.runs import select, write_run

RECIPE = presets.build(reg="do", epochs=2)


def readable(recipe) -> str:
    """A name without the identity."""
    return run_name(recipe).rpartition("-")[0]


# What a name says


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "mnist5k-symmetric0.75-bare-s0"),
        ({"reg": "bn+al2", "seed": 3}, "mnist5k-symmetric0.75-bn+al2-s3"),
        ({"lr": 0.1}, "mnist5k-symmetric0.75-lr0.1-bare-s0"),
        ({"lr": 0.1, "optimizer": "adam", "network": "resnet18"},
         "mnist5k-symmetric0.75-resnet18-adam-lr0.1-bare-s0"),
        ({"network": "my_nets:wide"}, "mnist5k-symmetric0.75-my_nets.wide-bare-s0"),
        ({"label_smoothing": 0.1, "batch_size": 9}, "mnist5k-symmetric0.75-batch9-smoothing0.1-bare-s0"),
        ({"train_size": 1000, "corrupt_seed": 2}, "mnist5k-symmetric0.75-train-size1000-corrupt-seed2-bare-s0"),
        ({"schedule": "multistep", "milestones": (8, 9)}, "mnist5k-symmetric0.75-multistep-milestones8+9-bare-s0"),
        ({"nesterov": True, "normalization": "own"}, "mnist5k-symmetric0.75-nesterov-normalization=own-bare-s0"),
        ({"reg": "do", "options": {"do": {"p": 0.25}}}, "mnist5k-symmetric0.75-do.p0.25-do-s0"),
        ({"reg": "al2"}, "mnist5k-symmetric0.75-al2-s0"),  # its advance is the preset's
        ({"reg": "al2", "options": {"al2": {"advance": 1}}}, "mnist5k-symmetric0.75-al2.advance1-al2-s0"),
        ({"reg": "bn", "options": {"bn": {"gamma": "uniform"}}}, "mnist5k-symmetric0.75-bn.gamma=uniform-bn-s0"),
        ({"epochs": 9, "checkpoints": (4,)}, "mnist5k-symmetric0.75-epochs9-checkpoints0+4+8-bare-s0"),
        ({"preset": "al2", "reg": "bn+al2"}, "mnist-symmetric0.75-preset.al2-bn+al2-s0"),
        ({"preset": "al2", "epochs": 101, "lr": 0.01}, "mnist-symmetric0.75-preset.al2-lr0.01-epochs101-bare-s0"),
        ({"preset": "al2", "reg": "bn", "options": {"bn": {"gamma": "one"}}},
         "mnist-symmetric0.75-preset.al2-bn.gamma=one-bn-s0"),
        ({"preset": "al2", "dataset": "cifar10"}, "cifar10-symmetric0.75-preset.al2-bare-s0"),
        ({"dataset": "mnist"}, "mnist-symmetric0.75-bare-s0"),
    ],
    ids=str,
)  # fmt: skip
def test_a_name_says_what_differs_from_the_preset(given, name, monkeypatch):
    monkeypatch.setattr("memstudy.models.check", lambda network: None)  # the user's own is not there
    assert readable(presets.build(**given)) == name


def test_two_learning_rates_never_have_one_readable_part():
    rates = (0.03, 0.1, 0.1 + 1e-12, 1e-3, 1e-5, 1.2345678901234567e-05)
    others: list[dict] = [
        {}, {"optimizer": "adam"}, {"preset": "al2"}, {"epochs": 701}, {"dataset": "mnist"},
        {"preset": "al2", "dataset": "mnist5k", "epochs": 25},
        {"dataset": "d" * 90, "seed": LARGEST_SEED, "mixup": 0.1, "clip": 1.0, "warmup": 1, "factor": 0.2},
    ]  # fmt: skip
    for other in others:
        names = [readable(presets.build(**other, lr=lr)) for lr in rates]
        assert len(set(names)) == len(rates), names


def test_a_run_of_one_preset_is_not_called_as_one_of_another():
    """Each is the other's in all that its name says, but for the preset."""
    quick, al2 = presets.build(dataset="mnist"), presets.build("al2")
    assert readable(quick) != readable(al2)


def test_patterns_by_method_and_seed_fit_whatever_the_setting_is():
    """They stand side by side, as in the patterns of the pages."""
    assert "-bare-s0-" in run_name(presets.build(lr=0.1, epochs=3, network="mobilenet"))


@pytest.mark.parametrize(
    "given",
    [
        {"dataset": "d" * 200},
        {"dataset": "lr" * 100, "lr": 1.2345678901234567e-05, "seed": LARGEST_SEED},
        {"reg": "bn+do+wd+al2+loco+normloss+pilcro+wn+oni+olm", "seed": LARGEST_SEED},
        {"network": "a." * 60 + "b:c", "lr": 1.2345678901234567e-05, "optimizer": "adamw", "dataset": "e" * 99,
         "seed": LARGEST_SEED, "reg": "bn+do+wd+al2+loco+normloss+pilcro", "preset": "al2"},
        {"lr": 0.1, "optimizer": "adamw", "mixup": 0.1, "clip": 1.0, "warmup": 1, "label_smoothing": 0.1,
         "augment": "flip-crop", "precision": "bf16", "momentum": 0.9, "batch_size": 99, "epochs": 99,
         "normalization": "own", "corrupt_seed": 1},
    ],
)  # fmt: skip
def test_names_are_short_and_safe_whatever_the_recipe_is_called(given, monkeypatch):
    monkeypatch.setattr("memstudy.models.check", lambda network: None)
    recipe = presets.build(**given)
    name = run_name(recipe)
    assert len(name) <= LONGEST
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._=+~-]*", name), name
    assert identity(name) == recipe.id[:8]
    assert "lr" not in given or f"lr{given['lr']!r}" in name


def test_what_does_not_fit_is_counted():
    recipe = presets.build(
        lr=0.1, optimizer="adamw", mixup=0.1, clip=1.0, warmup=1, label_smoothing=0.1, augment="flip-crop",
        precision="bf16", momentum=0.9, batch_size=99, train_size=500, normalization="own",
    )  # fmt: skip
    assert re.search(r"-adamw-lr0\.1-train-size500-batch99-.*-[2-9]more-bare-s0-", run_name(recipe))


# One recipe, one directory


def renamed(run: RunDirectory, start: str = "mnist5k-symmetric0.75-do-s0") -> RunDirectory:
    """The run under the name that an earlier version, or somebody, gave it."""
    return RunDirectory(run.path.rename(run.path.with_name(f"{start}-{identity(run.name)}")))


def test_a_run_is_found_under_the_name_that_it_has(tmp_path):
    old = renamed(write_run(tmp_path, RECIPE, [{}], status=Status.INTERRUPTED))
    found = Store(tmp_path).open(RECIPE)
    assert found.path == old.path
    assert old.name != run_name(RECIPE)
    assert (found.status, found.epochs_done, found.recipe) == (Status.INTERRUPTED, 1, RECIPE)
    assert [run.name for run in Store(tmp_path).runs()] == [old.name]
    assert Store(tmp_path).open(presets.build(reg="do", epochs=3)).name != old.name


@pytest.mark.parametrize("start", ["mnist5k-symmetric0.75-do-s0", "my-best"])
def test_a_run_is_continued_under_the_name_that_it_has(command, small_source, tmp_path, start):
    words = ("run", "--reg", "do", "--epochs", "2")
    assert command(*words).exit_code == 0
    (run,) = Store(tmp_path / "runs").runs()
    old = renamed(run, start)
    again = command(*words, "--json")
    assert again.exit_code == 0, again.output
    assert f'"name": "{old.name}"' in again.stdout
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [old.name]
    assert "to train for" not in again.stderr  # nothing was trained


def test_the_committed_runs_are_found_under_the_names_that_they_have():
    """They were made when a name had no differences; a study that is carried out again there trains nothing."""
    store = Store(Path(__file__).parents[1] / "studies" / "results" / "store")
    runs = [RunDirectory(store.root / name) for name in store.names()[::7]]
    assert sum(run.name != run_name(run.recipe) for run in runs) > 10
    assert [store.open(run.recipe).path for run in runs] == [run.path for run in runs]


def test_a_damaged_run_under_an_old_name_is_not_begun_a_second_time(tmp_path):
    old = renamed(write_run(tmp_path, RECIPE, [{}]))
    (old.path / "recipe.toml").write_text("id = ")
    assert Store(tmp_path).open(RECIPE).path == old.path
    (old.path / "recipe.toml").unlink()
    assert Store(tmp_path).open(RECIPE).path == old.path


def test_a_directory_with_nothing_in_it_is_no_run(tmp_path):
    empty = tmp_path / f"something-{RECIPE.id[:8]}"
    empty.mkdir()
    assert Store(tmp_path).open(RECIPE).name == run_name(RECIPE)


def test_another_recipe_with_the_same_first_digits_is_another_run(tmp_path, monkeypatch):
    other = write_run(tmp_path, presets.build(reg="do", epochs=3))
    path = other.path.rename(tmp_path / f"other-{RECIPE.id[:8]}")
    assert holds(path, RECIPE)  # not what its name says: it is damaged, and no reason to begin again
    monkeypatch.setattr("memstudy.store.naming.belongs", lambda name, recipe: True)
    assert not holds(path, RECIPE)


def test_a_study_finds_its_members_under_new_names(tmp_path):
    run = write_run(tmp_path, RECIPE, [{}])
    run.save_checkpoint(0, {})
    Store(tmp_path).record_study("one", [run], {})
    old = renamed(run)
    selection = Store(tmp_path).select()
    assert ([member.name for member in selection.runs], selection.missing) == ([old.name], ())


def test_a_run_is_chosen_by_its_identity(tmp_path):
    run = write_run(tmp_path, RECIPE, [{}])
    run.save_checkpoint(0, {})
    for pattern in (RECIPE.id, RECIPE.id[:8]):
        assert [found.name for found in Store(tmp_path).select([pattern]).runs] == [run.name]
    with pytest.raises(MemstudyError, match="unknown run"):
        Store(tmp_path).select(["0" * 12])


def begin(run: RunDirectory, together: threading.Barrier) -> str:
    """Begin a run at the same moment as others; whether it could be."""
    together.wait()
    try:
        with run.lock():
            run.write_recipe()
            run.update(status=Status.RUNNING, floor=0.0)
    except Busy:
        return "refused"
    return "begun"


@pytest.mark.parametrize("attempt", range(10))
def test_two_versions_never_begin_one_recipe_twice(tmp_path, attempt):
    """They call it otherwise. One is refused, or, in a rare case, both; what was refused leaves nothing."""
    runs = [RunDirectory(tmp_path / f"{start}-{RECIPE.id[:8]}", RECIPE) for start in ("older", "newer")]
    together = threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(begin, runs, [together] * 2))
    assert "refused" in found
    assert len(Store(tmp_path).names()) == len(list(tmp_path.iterdir())) == found.count("begun")


def test_a_run_that_was_begun_elsewhere_meanwhile_is_not_begun_here(tmp_path):
    late = Store(tmp_path).open(RECIPE)
    renamed(write_run(tmp_path, RECIPE, [{}]), "older")
    with pytest.raises(Busy, match="the same command again finds it"), late.lock():
        pytest.fail("it was begun twice")
    assert [path.name for path in tmp_path.iterdir()] == [f"older-{RECIPE.id[:8]}"]
    with Store(tmp_path).open(RECIPE).lock():
        pass


def test_packing_updates_a_run_that_has_another_name_there(tmp_path):
    """As a store that an earlier version has packed; what was derived speaks of the name that is there."""
    run = write_run(tmp_path / "runs", RECIPE, [{}], status=Status.FINISHED)
    there = renamed(write_run(tmp_path / "packed", RECIPE, [{}]))
    chosen = select([run])
    chosen.path.mkdir(parents=True)
    (chosen.path / "derived.csv").write_text(f"run,x\n{run.name},1\n")
    pack(chosen, Store(tmp_path / "packed"))
    (found,) = Store(tmp_path / "packed").runs()
    assert (found.name, found.status) == (there.name, Status.FINISHED)
    assert (tmp_path / "packed" / "studies" / "some" / "derived.csv").read_text() == f"run,x\n{there.name},1\n"
    shutil.rmtree(there.path)
    pack(chosen, Store(tmp_path / "packed"))
    assert [packed.name for packed in Store(tmp_path / "packed").runs()] == [run.name]
