"""Batch normalization's initial scale: 1, or U(0, 1) as PyTorch drew it until version 1.1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import torch
from torch import nn

from memstudy import presets, recipe, regularizers
from memstudy.errors import MemstudyError
from memstudy.models import Network
from memstudy.report.frames import Setting, differences_from_paper
from memstudy.report.methods import method_labels
from memstudy.store import Store
from memstudy.training.state import build_network

CPU = torch.device("cpu")
UNIFORM = {"bn": {"gamma": "uniform"}}


def scales(network: Network) -> list[torch.Tensor]:
    return [layer.weight.detach() for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]


def network(small, reg="bn", **changes) -> Network:
    return build_network(presets.build(reg=reg, **changes), small, CPU)


def test_scales_are_one_unless_asked(small):
    (scale,) = scales(network(small))
    assert torch.equal(scale, torch.ones(50))


def test_uniform_scales_are_drawn_from_0_to_1(small):
    """Over 40 seeds, 2,000 draws: Kolmogorov and Smirnov's test, and every shift is 0."""
    built = [network(small, options=UNIFORM, seed=seed) for seed in range(40)]
    drawn = np.concatenate([scale.numpy() for one in built for scale in scales(one)])
    assert len(drawn) == 2000
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert scipy.stats.kstest(drawn, "uniform").pvalue > 0.01
    assert len(np.unique(drawn)) > 1990
    assert all(not one.get_parameter("trunk.4.bias").any() for one in built)


def test_they_follow_from_the_seed_and_move_nothing_else(small):
    one, again, other = (network(small, options=UNIFORM, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(scales(one)[0], scales(again)[0])
    assert not torch.equal(scales(one)[0], scales(other)[0])
    usual = dict(network(small, seed=3).named_parameters())
    differing = [name for name, value in one.named_parameters() if not torch.equal(value, usual[name])]
    assert differing == ["trunk.4.weight"]


def test_they_do_not_depend_on_other_methods(small):
    alone, together = (network(small, reg, options=UNIFORM) for reg in ("bn", "bn+al2+do+wd"))
    assert torch.equal(scales(alone)[0], scales(together)[0])


def test_every_layer_of_a_network_is_drawn(small):
    found = scales(
        network(replace(small, train_images=torch.zeros(4, 3, 32, 32)), network="vgg16", options=UNIFORM)
    )
    assert len(found) == 13
    assert all(0 < scale.std() < 1 for scale in found)
    assert not torch.equal(found[0], found[1])


@pytest.mark.parametrize("value", ["ones", 1, True, 0.5])
def test_there_are_two_ways(value):
    with pytest.raises(MemstudyError, match=r"bn\.gamma"):
        presets.build(reg="bn", options={"bn": {"gamma": value}})


# Identities


def test_recipes_from_before_keep_their_identity():
    """Counted before the option came."""
    assert presets.build(reg="bn").id == "01bcea4e2c5b"
    assert presets.build(reg="bn", options={"bn": {"gamma": "one"}}) == presets.build(reg="bn")
    assert presets.build(reg="bn").as_dict()["regularizers"] == {"bn": {}}
    assert presets.build("al2", reg="bn", options={"bn": {"gamma": "one"}}).id == "e61c457f0321"


def test_the_paper_s_preset_takes_the_authors_versions():
    ours = presets.build("al2", reg="bn+al2")
    assert ours.options("bn") == {"gamma": "uniform"}
    assert recipe.from_dict(ours.as_dict()) == ours
    assert presets.build("al2", reg="al2").id == "8e6b4f0e471d"


def test_options_left_out_of_a_recipe_are_told():
    (usual,), (uniform,) = (regularizers.parse("bn", options) for options in (None, UNIFORM))
    assert usual.options == ()
    assert regularizers.options(usual) == {"gamma": "one"}
    assert regularizers.options(uniform) == {"gamma": "uniform"}
    assert regularizers.options(recipe.RegularizerSpec("not-here", (("x", 1),))) == {"x": 1}


def test_published_rows_are_of_uniform_scales(tmp_path):
    recipes = [presets.build("al2", reg="bn", options=options) for options in (None, {"bn": {"gamma": "one"}})]
    uniform, one = (Store(tmp_path).open(r) for r in recipes)
    said = [differences_from_paper(Setting(run.recipe, (run,), 0.0)) for run in (uniform, one)]
    assert said == [[], ["bn.gamma one instead of uniform"]]
    assert method_labels(recipes, ("reg",)) == ["bn (gamma uniform)", "bn (gamma one)"]
