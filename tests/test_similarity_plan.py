"""Pairs of runs are told apart by how they began: equal seeds share initial weights, and are averaged apart."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import torch

from memstudy import presets
from memstudy.data import sources
from memstudy.derived.reading import read
from memstudy.derived.similarity import Similarity, digest, figures
from memstudy.derived.similarity.plan import began, is_twin, kind, plan, relation, start
from memstudy.report.frames import comparable_runs
from memstudy.training.state import build_network
from tests.kit import stores

RESULTS = Path(__file__).parents[1] / "studies" / "results"


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """The committed quick study, of whose networks the comparisons are kept; a copy of its own."""
    store = stores.copy_of(RESULTS / "store", tmp_path_factory.mktemp("relations") / "store")
    return store.select(study="quick")


# What the words mean


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"reg": "do"}, "pair: same seed"),
        ({"reg": "bn+al2", "lr": 0.1, "epochs": 3}, "pair: same seed"),
        ({"seed": 1}, "pair: other seed"),
        ({"reg": "do", "seed": 1}, "pair: other seed"),
        ({"corrupt_seed": 1}, "pair: same seed and other labels"),
        ({"corrupt": 0.5, "seed": 1}, "pair: other seed and other labels"),
        ({"network": "vgg16"}, "pair: other network"),
        ({"network": "vgg16", "seed": 1}, "pair: other network"),
        ({"network": "resnet18", "reg": "nobn"}, "pair: other network"),
    ],
)
def test_pairs_are_told_apart_by_how_they_began(changes, expected):
    one = presets.build()
    other = presets.build(**changes)
    assert relation("pair", one, other) == relation("pair", other, one) == expected
    assert (kind(expected), began(expected)) == ("pair", expected[6:])
    assert digest.relation_words(expected).startswith("two runs of")
    assert ("; their noisy labels differ" in digest.relation_words(expected)) == ("labels" in expected)


@pytest.mark.parametrize("network", ["smallnet", "mobilenet", pytest.param("resnet18", marks=pytest.mark.slow)])
@pytest.mark.parametrize("reg", ["bn", "nobn", "do", "wd", "al2", "loco", "normloss", "pilcro", "wn", "oni"])
def test_the_same_seed_is_the_same_initial_weights(network, reg):
    """Every weight that both have, whatever the methods add; with another seed, none of those that are drawn."""
    if reg == ("nobn" if network == "smallnet" else "bn"):
        pytest.skip("it is as it was born")
    images = sources.load("mnist5k")
    recipes = [presets.build(network=network, reg=names, seed=s) for names, s in (("bare", 0), (reg, 0), (reg, 1))]
    bare, same, other = (weights(recipe, images) for recipe in recipes)
    common = bare.keys() & same.keys()
    drawn = [name for name in common if bare[name].unique().numel() > 1]
    assert len(drawn) >= 4
    equal = all(torch.equal(bare[name], same[name]) for name in common)
    assert start(*recipes[:2]) == ("same seed" if equal else "other network")
    assert equal == (reg != "nobn")
    assert not any(torch.equal(bare[name], other[name]) for name in drawn)


def weights(recipe, images):
    """A network's parameters before training; those that weights are made of have these' names."""
    found = build_network(recipe, images, torch.device("cpu")).named_parameters()
    return {re.sub(r"parametrizations\.weight\.original1?$", "weight", name): value for name, value in found}


# Plans and what is made of them


def test_a_plan_never_pools_them(quick):
    for all_pairs in (False, True):
        for each in plan(quick.runs, all_pairs):
            (a, _), (b, _) = each.a, each.b
            if a is not None and b is not None and a != b:
                seeds = {"twin": "same seed", "seed": "other seed"}.get(each.relation, began(each.relation))
                assert seeds == start(a.recipe, b.recipe)


def test_the_digest_holds_like_against_like(quick):
    """A baseline and its twin of the same seed are above two seeds of the baseline, of other seeds below."""
    rows = read(quick.path / "svcca.csv")
    ((_, part, _),) = [found for found in digest.by_setting(rows, comparable_runs(quick)) if len(found[1])]
    means: Any = digest.digest(part, quick.runs).set_index(["relation", "a", "b"]).sort_index()
    seeds = {run.name: run.recipe.seed for run in quick.runs}
    same = rows["run_a"].map(seeds) == rows["run_b"].map(seeds)
    for a, b in (("bare", "al2"), ("bn", "bn+al2"), ("wd", "wd+al2")):
        grid = rows[rows["relation"].map(kind) == "grid"]
        sides = zip(grid["run_a"].map(regularizers), grid["run_b"].map(regularizers), strict=True)
        grid = grid[[set(names) == {a, b} for names in sides]]
        for name, words, chosen in (("twin", "same", same), ("twin: other seed", "other", ~same)):
            (found,) = means.loc[[(name, a, b)]].to_dict("records")
            assert found["n"] == 2, words
            assert found["svcca"] == pytest.approx(grid.loc[chosen[grid.index], "svcca"].mean())
            assert found["cka"] == pytest.approx(grid.loc[chosen[grid.index], "cka"].mean())
        pairs = (("seed", a, a), ("twin", a, b), ("twin: other seed", a, b))
        equals, twin, apart = (float(means["svcca"][pair].item()) for pair in pairs)
        assert twin > equals > apart
        assert twin > 1.4 * apart


def regularizers(name):
    """Of a run's name."""
    return name.split("-")[-3]


def test_twins_of_other_seeds_have_the_baseline_as_their_first_side(quick):
    rows = read(quick.path / "svcca.csv")
    ((_, part, _),) = [found for found in digest.by_setting(rows, comparable_runs(quick)) if len(found[1])]
    found = digest.twins_apart(part, quick.runs)
    recipes = {run.name: run.recipe for run in quick.runs}
    assert len(found) == 4 * 2
    for row in found.to_dict("records"):
        a, b = recipes[row["run_a"]], recipes[row["run_b"]]
        assert is_twin(replace(a, seed=b.seed), b)
        assert a.seed != b.seed
        both = rows[["run_a", "run_b"]].isin([row["run_a"], row["run_b"]]).all(axis=1)
        (own,) = rows[both & (rows["relation"] == "grid: other seed")].to_dict("records")
        turned = own["run_a"] != row["run_a"]
        assert row["pwcca"] == own["pwcca_back" if turned else "pwcca"]
        assert row["checkpoint_b"] == own["checkpoint_a" if turned else "checkpoint_b"]


def test_the_map_of_runs_has_a_panel_for_each(quick):
    """The committed figure's data: equal seeds look up to twice as alike."""
    ((_, part, _),) = [
        each for each in digest.by_setting(read(quick.path / "svcca.csv"), comparable_runs(quick)) if len(each[1])
    ]
    made = figures._runs(part, Similarity(), "", "")
    assert made is not None
    data, titles = made.data, [axis.get_title() for axis in made.figure.axes if axis.get_title()]
    assert titles == ["other seed", "same seed"]
    assert "Hatched: not measured, as there are no two such runs." in made.caption
    plt.close(made.figure)
    assert data.groupby("began")["n"].sum().to_dict() == {"other seed": 8 * 8, "same seed": 2 * 8 * 7 // 2}
    cells = {(row["began"], frozenset((row["a"], row["b"]))): row["svcca"] for row in data.to_dict("records")}
    pair = frozenset(("bare", "do"))
    assert cells["same seed", pair] > 1.4 * cells["other seed", pair]
    committed = pd.read_csv(quick.path / "svcca.csv")
    assert set(committed["relation"]) == {
        "twin", "seed", "past", "control", "grid: same seed", "grid: other seed"
    }  # fmt: skip


def test_rows_of_an_earlier_version_are_pooled_no_more(quick):
    """They did not say how two runs began: no map of them, and no line."""
    rows = read(quick.path / "svcca.csv")
    rows["relation"] = rows["relation"].map(kind)
    ((_, part, _),) = [found for found in digest.by_setting(rows, comparable_runs(quick)) if len(found[1])]
    assert figures._runs(part, Similarity(), "", "") is None
    assert set(digest.digest(part, quick.runs)["relation"]) == {"twin", "seed", "past", "control"}


def test_named_runs_of_equal_and_other_seeds_are_two_blocks(command, store_copy, small_source):
    """The issue's own case, `memstudy svcca` of bare and dropout at two seeds: nothing is pooled anywhere."""
    words = ("svcca", "*-bare-s*", "*-do-s*", "--epochs", "2")
    done = command(*words, "--json")
    assert done.exit_code == 0, done.output
    means: Any = pd.DataFrame(json.loads(done.stdout)["svcca"]).set_index(["relation", "a", "b"]).sort_index()
    (folder,) = (store_copy.root / "studies").glob("selection-*")
    rows = pd.read_csv(folder / "svcca.csv")
    seeds = [rows[side].str.extract(r"-s(\d+)-")[0] for side in ("run_a", "run_b")]
    between = rows[rows["relation"].map(kind) == "pair"]
    assert len(between) == 4 * 3 // 2
    for name, alike in (("same seed", seeds[0] == seeds[1]), ("other seed", seeds[0] != seeds[1])):
        own = between[alike[between.index]]
        assert set(own["relation"]) == {f"pair: {name}"}
        mixed = own[own["run_a"].map(regularizers) != own["run_b"].map(regularizers)]
        block = means.loc[f"pair: {name}"]
        both = block[block.index.get_level_values("a") != block.index.get_level_values("b")]
        assert (both["svcca"] * both["n"]).sum() / both["n"].sum() == pytest.approx(mixed["svcca"].mean())
    assert "two runs of the same seed, which began with the same weights" in done.stderr
    assert "two runs of other seeds, which began with other weights" in done.stderr
    lines = pd.read_csv(folder / "figures" / "cca_between.csv")
    assert {"bare ~ do, same seed", "bare ~ do, other seed", "bare ~ bare, other seed"} <= set(lines["panel"])
