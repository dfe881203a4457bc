"""What recipes differ in: by the names that users know, in one order, and nothing that follows from another."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from memstudy import presets
from memstudy.distinctions import NONE, differing, names, text, value
from memstudy.recipe import OPTIONS

OTHER: dict[str, Any] = {
    "dataset": "digits", "network": "mobilenet", "seed": 1, "normalization": "own", "train_size": 1000,
    "noise": "pair", "corrupt": 0.5, "corrupt_seed": 1, "epochs": 30, "batch_size": 32, "lr": 0.1, "momentum": 0.9,
    "checkpoints": (1,), "optimizer": "adam", "warmup": 2, "label_smoothing": 0.1, "mixup": 0.2,
    "augment": "flip-crop", "precision": "bf16", "clip": 1.0,
}  # fmt: skip
"""An option of a recipe, and a value that is not the preset's."""


@pytest.mark.parametrize("key", OTHER)
def test_one_option_is_one_difference(key):
    pair = [presets.build(), presets.build(**{key: OTHER[key]})]
    assert differing(pair) == differing(pair[::-1]) == [key]
    assert text(key, value(pair[0], key)) != text(key, value(pair[1], key))
    assert differing(pair, besides=[key]) == []


def test_every_option_of_a_recipe_is_compared():
    """Those that cannot be changed alone are in the next test."""
    together = {"matrix", "labels", "nesterov", "schedule", "milestones", "factor"}
    assert OTHER.keys() | together == OPTIONS.keys()
    assert set(names([presets.build()])) == {*OPTIONS, "reg"}


@pytest.mark.parametrize(
    ("given", "differences"),
    [
        ({"optimizer": "sgd", "nesterov": True}, ["nesterov"]),
        ({"schedule": "step", "milestones": (10,), "factor": 0.5}, ["schedule", "milestones", "factor"]),
        ({"noise": "human-worst"}, ["noise", "corrupt"]),
        ({"noise": "file", "labels": "a" * 64}, ["noise", "corrupt", "labels"]),
        ({"matrix": ((0.5, 0.5), (0.0, 1.0))}, ["noise", "corrupt", "matrix"]),
        ({"reg": "do"}, ["reg"]),
        ({"seed": 1, "lr": 0.1, "network": "mobilenet"}, ["network", "lr", "seed"]),
        ({}, []),
    ],
    ids=str,
)
def test_differences_from_the_preset_in_their_order(given, differences):
    assert differing([presets.build(), presets.build(**given)]) == differences


def test_options_of_a_regularizer_are_compared_among_those_that_use_it():
    rates = [presets.build(reg="do", options={"do": {"p": p}}) for p in (0.2, 0.5)]
    assert differing([presets.build(), rates[0]]) == ["reg"]
    assert differing([presets.build(), *rates]) == ["reg", "do.p"]
    assert [text("do.p", value(recipe, "do.p")) for recipe in (presets.build(), *rates)] == [NONE, "0.2", "0.5"]


def test_an_option_that_a_recipe_leaves_out_has_its_default():
    """bn.gamma came later: recipes do not have it while it is what it always was."""
    old, new = presets.build(reg="bn"), presets.build(reg="bn", options={"bn": {"gamma": "uniform"}})
    assert differing([old, new]) == ["bn.gamma"]
    assert [value(recipe, "bn.gamma") for recipe in (old, new)] == ["one", "uniform"]


def test_kept_epochs_follow_from_their_number():
    assert differing([presets.build(), presets.build(epochs=30)]) == ["epochs"]
    longer = presets.build(epochs=30, checkpoints=(3,))
    assert differing([presets.build(), presets.build(epochs=30), longer]) == ["epochs", "checkpoints"]


@pytest.mark.parametrize(
    ("name", "values", "texts"),
    [
        ("lr", (0.1, 0.1 + 1e-9, 1e-5, 3.0), ["0.1", "0.100000001", "1e-05", "3"]),
        ("labels", ("1a2b3c4d" * 8, ""), ["1a2b3c4d", NONE]),
        ("corrupt", (None, 0.0), [NONE, "0"]),
        ("milestones", ((80, 120), ()), ["80,120", NONE]),
        ("checkpoints", (tuple(range(0, 701, 100)),), ["0,100,…,700"]),
        ("nesterov", (True, False), ["yes", "no"]),
        ("reg", ("bn+al2", "bare"), ["bn+al2", "bare"]),
    ],
)
def test_text_of_a_value(name, values, texts):
    assert [text(name, one) for one in values] == texts


def test_two_matrices_have_two_texts():
    one, other = (((a, 1 - a), (0.0, 1.0)) for a in (0.5, 0.25))
    assert len({text("matrix", one), text("matrix", other)}) == 2
    assert len(text("matrix", one)) == 8


def test_comparing_needs_no_torch():
    """So a store is listed at once, whatever its runs are regularized with."""
    code = """
import sys
from dataclasses import replace
from memstudy.distinctions import differing
from memstudy.presets import PRESETS
from memstudy.recipe import RegularizerSpec
methods = [RegularizerSpec("do", (("p", p),)) for p in (0.2, 0.5)]
recipes = [replace(PRESETS["quick"].recipe, regularizers=(method,)) for method in methods]
assert differing(recipes) == ["do.p"]
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
