"""What `import memstudy` offers: names, types, labels and penalties for a training loop of one's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import memstudy
from memstudy import presets, regularizers
from memstudy.data import label_files, sources
from memstudy.data.dataset import prepare
from memstudy.data.recognized import KNOWN, recognized
from memstudy.errors import MemstudyError
from memstudy.recipe import RegularizerSpec
from memstudy.training import DeviceData, TrainingState
from memstudy.training import epoch as training
from tests.kit.sentences import refused

ROOT = Path(memstudy.__file__).parents[1]
CPU = torch.device("cpu")


# Names


def test_importing_it_imports_nothing_heavy():
    heavy = ("torch", "numpy", "pandas", "scipy", "click", "rich", "memstudy.api")
    code = f"import sys, memstudy; dir(memstudy); sys.exit(', '.join(set({heavy}) & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_name_is_listed_and_there():
    assert {*memstudy.__all__} == {*memstudy._PLACES} <= {*dir(memstudy)}
    for name in memstudy.__all__:
        assert getattr(memstudy, name).__doc__
    with pytest.raises(AttributeError, match="'memstudy' has no attribute 'Corrupt'"):
        getattr(memstudy, "Corrupt")  # noqa: B009


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["", "memstudy.corrupt([0, 1], 'pair', '0.4')", "memstudy.AL2().penalty = 3"])
def test_a_users_program_passes_mypy_strict_from_outside(tmp_path, wrong):
    """As it stands it does; with a line that is wrong it does not. `make lint` checks the same file otherwise."""
    program = (ROOT / "tests" / "typed_user.py").read_text(encoding="utf-8")
    (tmp_path / "program.py").write_text(f"{program}\n{wrong}\n", encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "program.py"]
    there = os.environ | {"MYPYPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=there, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (not wrong), done.stdout


# Labels


@pytest.mark.parametrize(
    ("rule", "rate"),
    [("symmetric", 0.75), ("symmetric-exact", 0.3), ("asymmetric", 0.4), ("pair", 0.45), ("instance", 0.3),
     ("random-labels", None)],
)  # fmt: skip
@pytest.mark.parametrize("seed", [0, 5])
def test_labels_are_those_that_a_run_draws(mnist5k, rule, rate, seed):
    recipe = presets.build(noise=rule, corrupt=rate, corrupt_seed=seed)
    expected = prepare(mnist5k, recipe)
    images = memstudy.Images(mnist5k) if rule == "instance" else None
    found = memstudy.corrupt(mnist5k.train_labels, rule, rate, seed=seed, images=images)
    assert torch.equal(found.noisy, expected.noisy_labels)
    assert torch.equal(found.mask, expected.mask)
    assert (found.floor, found.rate) == (expected.floor, expected.corrupted_share)
    np.testing.assert_array_equal(found.realized, expected.transition)
    if expected.expected is not None:
        np.testing.assert_array_equal(found.matrix, expected.expected)


def test_labels_are_those_of_a_file_that_memstudy_builds(command, mnist5k, tmp_path):
    options = ["--dataset", "mnist5k", "--noise", "asymmetric", "--corrupt", "0.4", "--seed", "3"]
    done = command("data", "build", *options, "-o", "noisy.npz")
    assert done.exit_code == 0, done.output
    with np.load(tmp_path / "noisy.npz") as written:
        found = memstudy.corrupt(written["clean"], "asymmetric", 0.4, seed=3)
        assert (found.noisy.numpy() == written["noisy"]).all()
        assert (found.mask.numpy() == written["mask"]).all()
        assert found.rate == written["rate_realized"] > 0.1


def test_lists_arrays_and_tensors_give_the_same_and_stay_as_they_are():
    labels = [0, 1, 2, 2, 1, 0] * 50
    array, tensor = np.array(labels), torch.tensor(labels)
    arrays = [labels, array, array.astype(np.uint8), tensor, tuple(labels)]
    found = [memstudy.corrupt(given, "uniform", 0.5).noisy for given in arrays]
    assert all(torch.equal(one, found[0]) for one in found)
    assert not torch.equal(found[0], torch.tensor(labels))
    assert array.tolist() == labels
    assert tensor.tolist() == labels


@pytest.mark.parametrize(
    ("digest", "name"),
    [
        pytest.param(*one, marks=() if one[1] in ("mnist5k", "digits") else pytest.mark.slow)
        for one in KNOWN.items()
    ],
)
def test_the_sets_that_are_recognized_are_these(digest, name):
    try:
        labels = sources.load(name).train_labels
    except MemstudyError as error:
        pytest.skip(str(error))
    assert label_files.digest(labels.numpy()) == digest
    assert recognized(labels.numpy()) == name
    assert recognized(labels.numpy()[::-1]) == ""


def test_a_matrix_and_labels_from_elsewhere():
    clean = [0, 1, 2] * 100
    swapped = memstudy.corrupt(clean, matrix=[[0, 1, 0], [1, 0, 0], [0, 0, 1]])
    assert swapped.noisy.tolist() == [1, 0, 2] * 100
    assert swapped.floor == 0
    given = memstudy.corrupt(clean, noisy=[1, 1, 2] * 100)
    assert given.mask.tolist() == [True, False, False] * 100
    assert given.data.corruption.rule == "file"
    assert given.matrix[0].tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("words", "options", "sentence"),
    [
        (([0, 1], "asymmetric", 0.4), {}, "give dataset="),
        (([0, 1], "symetric", 0.4), {}, "did you mean symmetric"),
        (([0, 1],), {}, "symmetric corruption needs a rate"),
        (([0, 1], "random-labels", 0.4), {}, "random-labels corruption has no rate"),
        (([0, 1], "instance", 0.4), {}, "give images="),
        (([0, 1], "gaussian"), {}, "train on it with memstudy.run"),
        (([0, 1], "soft"), {}, "in a file of their own"),
        (([0, 1], "matrix"), {}, "matrix corruption needs matrix="),
        (([0, 1], "file"), {}, "file corruption needs noisy="),
        (([0, 1], "pair", 0.4), {"noisy": [0, 0]}, "pair corruption does not look at noisy="),
        (([0, 1],), {"noisy": [0, 0], "matrix": [[1, 0], [0, 1]]}, "leave one of the two out"),
        (([0, 1],), {"noisy": [0]}, "noisy has 1 labels for 2 samples"),
        (([0, 1],), {"noisy": [0, 2]}, "there is a noisy label 2"),
        (([0, 1],), {"matrix": [[0.5, 0.5], [1, 1]]}, "matrix is no stochastic matrix"),
        (([0, 1], "pair", 40), {}, "for 40 % write 0.4"),
        (([0, 1.5], "pair", 0.4), {}, "labels must be classes"),
        (([], "pair", 0.4), {}, "there is none"),
        (([0, 3], "pair", 0.4), {"classes": 3}, "there is a label 3"),
        (([0, 1], "pair", 0.4), {"classes": 1}, "at least 2"),
        (([0, 1], "pair", 0.4), {"seed": -1}, "seed must be"),
        (([0, 1], "human-worst"), {"dataset": "mnist"}, "no human labels for 'mnist'"),
        (([0, 1], "pair", 0.4), {"images": "mnist5k"}, "a set that memstudy.images gives"),
    ],
)  # fmt: skip
def test_what_cannot_be_corrupted_is_refused_in_a_sentence(words, options, sentence):
    refused(lambda: memstudy.corrupt(*words, **options), sentence)


def test_labels_of_other_images_are_refused(small):
    refused(
        lambda: memstudy.corrupt([0, 1], "pair", 0.4, images=memstudy.Images(small)),
        "the labels are not those of the 400 training images of 'mnist5k'",
    )


def test_images_are_normalized_as_in_training(small):
    images, data = memstudy.Images(small), prepare(small, presets.build())
    on_device = DeviceData.of(data, CPU)
    assert torch.equal(images.train, on_device.normalize(on_device.train_images))
    assert torch.equal(images.test, on_device.normalize(on_device.test_images))


# Penalties

METHODS = {
    "al2": (memstudy.AL2, {"advance": 5.0}),
    "loco": (memstudy.LOCO, {"eta": 1.8}),
    "normloss": (memstudy.NormLoss, {}),
    "pilcro": (memstudy.PILCRO, {}),
}
EPOCH = 3


@pytest.mark.parametrize("name", METHODS)
def test_gradients_are_the_engines(small, monkeypatch, name):
    """A step of memstudy's own training, and one of a loop that adds the penalty to its loss: the same bits."""
    kind, options = METHODS[name]
    recipe = presets.build(reg=name, options={name: options})
    images, labels = memstudy.Images(small), torch.arange(32) % 10

    engine = TrainingState.initial(recipe, small, CPU)
    strengths = {name: torch.tensor(engine.regularizers[name].strength(EPOCH))}
    training.train_step(engine, training.Batch(images.train[:32].clone(), labels, strengths, torch.Generator()))

    own = TrainingState.initial(recipe, small, CPU).network.train()
    penalty, batch = kind(**options), images.train[:32].clone()
    if name == "pilcro":
        batch.requires_grad_()
    features, logits = own(batch)
    loss = F.cross_entropy(logits, labels)
    objective = loss + penalty(
        features=features, epoch=EPOCH, model=own, images=batch, logits=logits, labels=labels, loss=loss
    )
    assert objective > loss
    objective.backward()
    for mine, theirs in zip(own.parameters(), engine.network.parameters(), strict=True):
        assert mine.grad is not None
        assert theirs.grad is not None
        assert torch.equal(mine.grad, theirs.grad)


def test_a_penalty_needs_no_network_of_ours():
    convolution, linear = torch.nn.Conv2d(1, 4, 3), torch.nn.Linear(4, 3)
    plain = torch.nn.Sequential(convolution, torch.nn.Flatten(), linear)
    flat = torch.cat([convolution.weight.flatten(1).norm(dim=1), linear.weight.norm(dim=1)])
    torch.testing.assert_close(memstudy.NormLoss(weight=0.5)(model=plain), 0.5 * (1 - flat).square().sum())
    assert float(memstudy.LOCO(eta=1, weight=2)(model=plain).detach()) == pytest.approx(
        2 * float((convolution.weight.square().sum() + linear.weight.square().sum()).detach())
    )
    features = torch.tensor([[1.0, 2.0], [3.0, 0.0]])
    assert float(memstudy.AL2()(features=features, epoch=2)) == pytest.approx(0.01 * 1.1**2 * 14 / 4)


def test_a_step_after_the_optimizers():
    """Decoupled Norm Loss adds nothing to the loss, and pulls the weights instead."""
    layer, penalty = torch.nn.Linear(2, 1, bias=False), memstudy.NormLoss(weight=0.5, decoupled=True)
    layer.weight.data = torch.tensor([[0.0, 3.0]])
    assert penalty(model=layer) == 0
    penalty.after_step(layer, learning_rate=0.1)
    torch.testing.assert_close(layer.weight.data, torch.tensor([[0.0, 3 * (1 - 0.1 * (1 - 1 / 3))]]))
    assert penalty.without_decay(layer) == [layer.weight]


def test_options_are_those_of_the_command_line():
    for name, (kind, _) in METHODS.items():
        assert isinstance(regularizers.build([RegularizerSpec(name)])[name], kind)
    refused(lambda: memstudy.AL2(initial=-1), "al2.initial must be a finite number above 0, not -1")


@pytest.mark.parametrize(
    ("penalty", "given", "sentence"),
    [
        (memstudy.AL2(), {"epoch": 0}, "AL2 needs features="),
        (memstudy.AL2(), {"features": torch.ones(2)}, "give epoch=, counted from 0"),
        (memstudy.AL2(), {"features": torch.ones(2), "epoch": -1}, "epoch must be a whole number from 0 on"),
        (memstudy.AL2(), {"features": torch.ones(2), "epoch": 1.0}, "epoch must be a whole number from 0 on"),
        (memstudy.AL2(), {"features": [1.0], "epoch": 0}, "features of AL2 must be"),
        (memstudy.LOCO(), {}, "LocoReg needs model="),
        (memstudy.NormLoss(), {"model": "net"}, "model of NormLoss must be the network"),
        (memstudy.PILCRO(), {"loss": torch.ones(())}, "Pilcro needs images="),
        (memstudy.PILCRO(), {"images": torch.ones(1, 1, 3, 3), "loss": torch.ones(())}, "images.requires_grad_()"),
        (memstudy.PILCRO(), {"images": torch.ones(1, 1, 3, 3, requires_grad=True)}, "Pilcro needs loss="),
        (memstudy.PILCRO(), {"loss": torch.ones(2)}, "one number"),
        (memstudy.PILCRO(), {"images": torch.ones(1, 1, 3, 3, requires_grad=True),
                             "loss": torch.ones((), requires_grad=True) * 2}, "does not depend on them"),
    ],
)  # fmt: skip
def test_what_a_penalty_lacks_is_said_in_a_sentence(penalty, given, sentence):
    refused(lambda: penalty(**given), sentence)
