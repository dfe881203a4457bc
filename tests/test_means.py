"""A mean is over runs that differ in nothing but their seeds, and finished ones: of any field of a recipe."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memstudy import distinctions, presets
from memstudy.derived.deriving import tables_of
from memstudy.derived.methods import Methods, TrainingTable
from memstudy.recipe import Corruption, Recipe, RegularizerSpec, Training
from memstudy.report.frames import comparable_runs
from memstudy.report.origin import Cell
from memstudy.store import Status
from memstudy.study.tables import every_table
from tests.kit.runs import first_epochs, select, write_run

PLAIN = presets.build(epochs=3, reg="do")
OTHERS: dict[type, dict[str, Any]] = {
    Recipe: {
        "dataset": "digits", "network": "vgg16", "regularizers": (RegularizerSpec("do", (("p", 0.25),)),),
        "normalization": "own", "train_size": 500, "trainer": "keras", "seed": 1,
    },
    Corruption: {
        "rule": "pair", "rate": 0.7500001, "matrix": ((0.9, 0.1), (0.1, 0.9)), "labels": "ab" * 32, "seed": 1,
    },
    Training: {
        "epochs": 4, "batch_size": 32, "learning_rate": 0.0300000001, "momentum": 0.25, "checkpoints": (),
        "optimizer": "adam", "nesterov": True, "schedule": "cosine", "milestones": (1, 2), "factor": 0.25,
        "warmup": 1, "label_smoothing": 0.1, "mixup": 0.5, "augment": "flip-crop", "precision": "tf32",
        "clip": 1.0,
    },
}  # fmt: skip
"""Another value for each field of a recipe."""
STEPS = {"milestones": ({"schedule": "multistep", "milestones": (1,)}, {"milestones": (2,)})}
"""Fields that another one must go with, in both recipes."""


def changed(recipe: Recipe, kind: type, name: str) -> tuple[Recipe, Recipe]:
    """Two recipes that differ in one field alone."""
    if kind is Recipe:
        return recipe, replace(recipe, **{name: OTHERS[Recipe][name]})
    part = "training" if kind is Training else "corruption"
    both, one = STEPS.get(name, ({}, {name: OTHERS[kind][name]}))
    before = replace(getattr(recipe, part), **both)
    return replace(recipe, **{part: before}), replace(recipe, **{part: replace(before, **one)})


CHANGES = [(kind, name) for kind, names in OTHERS.items() for name in names]


def test_every_field_is_changed_here():
    known = {(kind, field.name) for kind in OTHERS for field in fields(kind)}
    assert known == {*CHANGES, (Recipe, "training"), (Recipe, "corruption")}


def check(selection):
    """The law, over the groups that every table's means are taken of."""
    recipes = {run.name: run.recipe for run in selection.runs}
    there = 0
    for setting, members in comparable_runs(selection):
        for _, part in members.groupby("label"):
            of_mean = [recipes[name] for name in part["run"]]
            assert {*distinctions.differing(of_mean)} <= {*distinctions.SEEDS, "checkpoints"}
            assert part["seeds"].is_unique
        there += len(members) + len(setting.left_out)
    assert there == len(selection.runs)


@pytest.mark.parametrize("named", [False, True], ids=["study", "two runs by name"])
@pytest.mark.parametrize(("kind", "name"), CHANGES)
def test_another_value_of_a_field_is_another_row_or_left_out(tmp_path, kind, name, named):
    pair = changed(PLAIN, kind, name)
    runs = [
        write_run(tmp_path, recipe, [{"test_accuracy": value}] * recipe.training.epochs, status=Status.FINISHED)
        for recipe, value in zip(pair, (0.25, 0.75), strict=True)
    ]
    selection = replace(select(runs), by_name=named)
    check(selection)
    means = {
        mean
        for maker in (Methods(), TrainingTable())
        for table in tables_of(maker, selection)
        for mean in table.values.query("metric == 'test accuracy, %'")["mean"]
    }
    assert (50.0 in means) == (name == "seed" and not named), means  # two that were named are laid over each other


@settings(deadline=None, derandomize=True, max_examples=20)
@given(
    st.lists(
        st.tuples(st.sets(st.sampled_from(CHANGES), max_size=2), st.integers(0, 2), st.booleans()),
        min_size=2, max_size=6, unique_by=lambda one: (frozenset(one[0]), one[1]),
    )
)  # fmt: skip
def test_no_mix_of_recipes_makes_one_mean(tmp_path_factory, drawn):
    runs = {}
    root = tmp_path_factory.mktemp("mixed")
    for changes, seed, done in drawn:
        recipe = replace(PLAIN, seed=seed)
        for kind, name in sorted(changes, key=str):
            if name not in ("nesterov", "milestones", "epochs", "checkpoints"):
                recipe = changed(recipe, kind, name)[1]
        if recipe.id not in runs:
            rows = [{"test_accuracy": 0.5}] * (3 if done else 2)
            runs[recipe.id] = write_run(root, recipe, rows, status=Status.FINISHED if done else Status.FAILED)
    check(select(runs.values()))


@pytest.fixture
def three(tmp_path):
    """Three seeds, with what each is recorded to have been trained on."""

    def make(*states):
        return [
            write_run(tmp_path, replace(PLAIN, seed=seed), [{"test_accuracy": 0.25 + 0.25 * seed}] * 3,
                      status=Status.FINISHED, **state)
            for seed, state in enumerate(states)
        ]  # fmt: skip

    return make


def test_other_images_of_one_name_are_another_setting(three):
    selection = select(three({"data_sha256": "a" * 64}, {"data_sha256": "b" * 64}, {"data_sha256": "a" * 64}))
    groups = comparable_runs(selection)
    assert [len(members) for _, members in groups] == [2, 1]
    assert [setting.words for setting, _ in groups] == ["images aaaaaaaa", "images bbbbbbbb"]


def test_a_run_that_does_not_say_which_images_is_taken_at_its_word(three):
    ((_, members),) = comparable_runs(select(three({"data_sha256": "a" * 64}, {}, {})))
    assert len(members) == 3


def test_edited_code_of_a_regularizer_is_another_method(three):
    edited = [{"code": {"regularizer 'mine'": {"sha256": digit * 64, "modules": {}}}} for digit in "aba"]
    ((_, members),) = comparable_runs(select(three(*edited)))
    assert members["label"].tolist() == ["do", "do (2)", "do"]


def test_edited_code_of_a_network_is_another_setting(three):
    edited = [{"code": {"network 'nets:wide'": {"sha256": digit * 64, "modules": {}}}} for digit in "aba"]
    groups = comparable_runs(select(three(*edited)))
    assert [len(members) for _, members in groups] == [2, 1]


@pytest.mark.parametrize(
    ("status", "words"), [(Status.FAILED, "failed after"), (Status.INTERRUPTED, "not finished,")]
)
def test_what_is_not_finished_is_left_out_and_counted(three, status, words):
    runs = three({}, {}, {})
    first_epochs(runs[2], 1)
    checksums = {name: digest for name, digest in runs[2].checksums().items() if name != "metrics.csv"}
    runs[2].update(status=status, checksums=checksums)
    (table,) = tables_of(TrainingTable(), select(runs))
    last = table.values.query("metric == 'test accuracy, %'")
    assert set(last["mean"]) == {37.5}
    assert set(last["n"]) == {2}
    assert f"Not counted: 1 of 3 runs: {runs[2].name} ({words} 1 of 3 epochs)." in table.notes


def test_where_none_is_finished_a_mean_is_over_one_epoch(tmp_path):
    """Two methods, neither at its end: each is shown at the last epoch that all of its seeds have."""
    runs = [
        write_run(
            tmp_path, replace(recipe, seed=seed), [{"test_accuracy": 0.1 * (1 + epoch)} for epoch in range(done)]
        )
        for recipe in (PLAIN, presets.build(epochs=3))
        for seed, done in enumerate((2, 1))
    ]
    (table,) = tables_of(Methods(), select(runs))
    assert set(table.values.query("metric == 'test accuracy, %'")["mean"].round(9)) == {10.0}
    assert all(run.name in " ".join(table.notes) for run in runs)


@pytest.mark.parametrize("reg", ["normloss", "al2", "loco"])
def test_edited_code_of_a_regularizer_is_averaged_in_no_table(tmp_path, reg):
    """LOCO-Reg's, Norm Loss' and the ranking's means were over three runs of two codes."""
    weights = (0.001, 0.002) if reg == "loco" else (None,)
    runs = []
    for each, weight in [("bare", None), ("do", None), *((reg, weight) for weight in weights)]:
        for (seed, digit), rate in itertools.product(enumerate("aba"), (0.25, 0.5)):
            options = {"loco": {"weight": weight}} if weight else None
            recipe = presets.build(reg=each, options=options, seed=seed, epochs=1, noise="symmetric", corrupt=rate)
            code = {"regularizer 'mine'": {"sha256": digit * 64, "modules": {}}} if each == reg else {}
            rows = [{"test_accuracy": 0.5 + 0.1 * seed}]
            runs.append(write_run(tmp_path, recipe, rows, status=Status.FINISHED, code=code))
    codes = {run.name: str(run.state()["code"]) for run in runs}
    made = [table for table in every_table(select(runs)) if table.name.startswith(("loco", "norm", "ranking"))]
    assert made
    cells = [cell for table in made for row in table.rows for cell in row if isinstance(cell, Cell)]
    means = [cell for cell in cells if "mean" in cell.origin.numbers]
    assert means
    for cell in means:
        assert len({codes[member.run] for member in cell.origin.members()}) == 1, cell
