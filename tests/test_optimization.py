"""Optimizers, schedules, augmentation, mixup, smoothing, precision: against torch's own, and resumed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from memstudy import presets
from memstudy.data import dataset
from memstudy.errors import MemstudyError
from memstudy.randomness import torch_generator
from memstudy.recipe import Corruption, Recipe, Training
from memstudy.regularizers import parse
from memstudy.training import DeviceData, TrainingState, evaluate, train_epoch
from memstudy.training.augmentation import PADDING, cross_entropy, flip_crop, mixed, mixup_shares
from memstudy.training.batches import DeviceData as Data
from memstudy.training.optimization import learning_rate

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(small):
    return dataset.corrupt(small, Corruption(rate=0.5))


def training(**changes):
    usual = {"epochs": 4, "batch_size": 64, "learning_rate": 0.05, "momentum": 0.9}
    return Training(**(usual | changes))


def recipe_of(reg="bare", **changes):
    return Recipe(training=training(**changes), dataset="mnist5k", regularizers=parse(reg))


def trained(data, recipe, epochs):
    state = TrainingState.initial(recipe, data.images, CPU)
    metrics = [train_epoch(state, Data.of(data, CPU), recipe) for _ in range(epochs)]
    return state, metrics


# The learning rate

RATES: dict[str, tuple[dict[str, Any], Callable[[Any], Any]]] = {
    "constant": ({}, lambda o: torch.optim.lr_scheduler.ConstantLR(o, factor=1)),
    "step": ({"milestones": (7,)}, lambda o: torch.optim.lr_scheduler.StepLR(o, 7, 0.2)),
    "multistep": ({"milestones": (12, 5)}, lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [5, 12], 0.2)),
    "cosine": ({}, lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 20)),
}


@pytest.mark.parametrize("schedule", RATES)
def test_a_schedule_is_torch_s_own(schedule):
    options, scheduler_of = RATES[schedule]
    found = training(schedule=schedule, epochs=20, factor=0.2, **options)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.05)
    scheduler = scheduler_of(optimizer)
    for epoch in range(20):
        assert learning_rate(found, epoch) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_the_warm_up_rises_in_equal_steps_to_the_schedule(schedule):
    plain, warm = training(schedule=schedule, epochs=20), training(schedule=schedule, epochs=20, warmup=4)
    shares = [learning_rate(warm, epoch) / learning_rate(plain, epoch) for epoch in range(20)]
    assert shares == pytest.approx([0.2, 0.4, 0.6, 0.8] + 16 * [1.0])


def test_the_optimizer_is_told_each_epoch(data):
    recipe = recipe_of(schedule="multistep", milestones=(1,), factor=0.1)
    state, _ = trained(data, recipe, 1)
    assert state.optimizer.param_groups[0]["lr"] == 0.05
    train_epoch(state, Data.of(data, CPU), recipe)
    assert state.optimizer.param_groups[0]["lr"] == pytest.approx(0.005)


# The optimizer

OPTIMIZERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "sgd": (torch.optim.SGD, {"momentum": 0.9}),
    "nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "adam": (torch.optim.Adam, {"betas": (0.9, 0.999)}),
    "adamw": (torch.optim.AdamW, {"betas": (0.9, 0.999), "weight_decay": 0.0}),
}


def options_of(name):
    return {"nesterov": True} if name == "nesterov" else {"optimizer": name}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_epoch_is_a_plain_loop_with_torch_s_optimizer(data, name):
    recipe = recipe_of(learning_rate=1e-3, **options_of(name))
    state, _ = trained(data, recipe, 1)
    plain = TrainingState.initial(recipe, data.images, CPU)
    kind, options = OPTIMIZERS[name]
    optimizer = kind(plain.network.parameters(), lr=1e-3, **options)
    order = torch.randperm(400, generator=torch_generator(0, "order", 0))
    on_device = Data.of(data, CPU)
    for part in order.split(64):
        logits = plain.network(on_device.normalize(on_device.train_images[part]))[1]
        optimizer.zero_grad()
        F.cross_entropy(logits, data.noisy_labels[part]).backward()
        optimizer.step()
    for one, other in zip(state.network.parameters(), plain.network.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_weight_decay_reaches_every_optimizer(data, name):
    bare, decayed = (
        trained(data, recipe_of(reg, optimizer=name, learning_rate=1e-3), 2)[0] for reg in ("bare", "wd")
    )
    assert not torch.equal(bare.network.trunk[0].weight, decayed.network.trunk[0].weight)
    assert {group["weight_decay"] for group in decayed.optimizer.param_groups} == {5e-4}


EVERYTHING = [
    *(options_of(name) for name in OPTIMIZERS),
    {"optimizer": "adamw", "schedule": "cosine", "warmup": 2, "clip": 0.5},
    {"schedule": "step", "milestones": (2,)},
    {"augment": "flip-crop"},
    {"mixup": 0.4, "label_smoothing": 0.1},
    {"precision": "bf16"},
]


@pytest.mark.parametrize("options", EVERYTHING, ids=str)
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(data, options):
    recipe = recipe_of("bn+do+al2", **options)
    whole, metrics = trained(data, recipe, 3)
    first, _ = trained(data, recipe, 1)
    second = TrainingState.initial(recipe, data.images, CPU)
    second.restore(first.tensors(), 1)
    later = [train_epoch(second, Data.of(data, CPU), recipe) for _ in range(2)]
    assert later == metrics[1:]
    found, expected = second.tensors(), whole.tensors()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)


@pytest.mark.parametrize("options", EVERYTHING, ids=str)
def test_every_option_trains_and_changes_something(data, options):
    (state, metrics), (plain, _) = trained(data, recipe_of(**options), 2), trained(data, recipe_of(), 2)
    assert all(math.isfinite(value) for epoch in metrics for value in epoch.values())
    if options and options != {"optimizer": "sgd"} and "milestones" not in options:
        assert not torch.equal(state.network.trunk[0].weight, plain.network.trunk[0].weight)


def test_clipping_bounds_the_gradient(data):
    state, _ = trained(data, recipe_of(clip=0.01), 1)
    norms = [p.grad.norm() for p in state.network.parameters() if p.grad is not None]
    assert torch.stack(norms).norm() <= 0.01 + 1e-6
    free, _ = trained(data, recipe_of(), 1)
    assert torch.stack([p.grad.norm() for p in free.network.parameters() if p.grad is not None]).norm() > 0.01


def test_bf16_is_near_fp32_and_keeps_float32_weights(data):
    (state, half), (_, full) = trained(data, recipe_of(precision="bf16"), 2), trained(data, recipe_of(), 2)
    assert half[0]["train_cross_entropy"] == pytest.approx(full[0]["train_cross_entropy"], abs=0.02)
    assert half != full
    assert {p.dtype for p in state.network.parameters()} == {torch.float32}
    assert math.isfinite(evaluate(state.network, Data.of(data, CPU))["test_cross_entropy"])


# Augmentation


def images(count=64, channels=3, size=12):
    """Every pixel of a batch has a value of its own where uint8 allows: only positions matter here."""
    generator = torch_generator(0, "test")
    return torch.randint(0, 256, (count, channels, size, size), generator=generator, dtype=torch.uint8)


def candidates(image):
    """Every result that flip-crop can have, by torch's own reflection padding."""
    padded = F.pad(image[None].float(), (PADDING,) * 4, mode="reflect")[0].byte()
    size = image.shape[1]
    for top, left in itertools.product(range(2 * PADDING + 1), repeat=2):
        crop = padded[:, top : top + size, left : left + size]
        yield (top, left, False), crop
        yield (top, left, True), crop.flip(2)


def test_flip_crop_is_a_flip_and_a_crop_of_the_reflected_image():
    batch = images()
    found = flip_crop(batch, torch_generator(0, "augmentation"))
    assert (found.dtype, found.shape) == (batch.dtype, batch.shape)
    kinds = []
    for image, result in zip(batch, found, strict=True):
        matches = [kind for kind, candidate in candidates(image) if torch.equal(candidate, result)]
        assert len(matches) == 1
        kinds.append(matches[0])
    assert len({kind[0] for kind in kinds}) > 6  # rows, columns and mirrors all vary
    assert len({kind[1] for kind in kinds}) > 6
    assert 15 < sum(kind[2] for kind in kinds) < 49


def test_flips_are_fair_and_shifts_uniform():
    batch = torch.arange(8, dtype=torch.uint8).expand(20_000, 1, 8, 8)
    found = flip_crop(batch, torch_generator(1, "augmentation"))
    rising = (found[:, 0, 0, 1].int() - found[:, 0, 0, 0].int()).sign() + (
        found[:, 0, 0, 7].int() - found[:, 0, 0, 6].int()
    ).sign()
    assert abs(float((rising > 0).float().mean()) - float((rising < 0).float().mean())) < 0.02


def test_augmentation_is_replayed_by_seed_and_epoch_and_is_off_by_default(data):
    batch = images()
    once, again = (flip_crop(batch, torch_generator(0, "augmentation", 3)) for _ in range(2))
    assert torch.equal(once, again)
    assert not torch.equal(once, flip_crop(batch, torch_generator(0, "augmentation", 4)))
    assert presets.build().training.augment == presets.build("al2").training.augment == "none"


def test_the_data_set_itself_is_not_augmented(data):
    on_device = DeviceData.of(data, CPU)
    before = on_device.train_images.clone()
    recipe = recipe_of(augment="flip-crop")
    train_epoch(TrainingState.initial(recipe, data.images, CPU), on_device, recipe)
    assert torch.equal(on_device.train_images, before)


# Mixup and label smoothing


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_mixup_s_shares_are_beta(alpha):
    shares = mixup_shares(alpha, 20_000, 0, 0)
    assert shares is not None
    assert shares.mean().item() == pytest.approx(0.5, abs=0.01)
    assert shares.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)


def test_mixup_mixes_images_and_losses_alike():
    x = torch.rand(6, 1, 3, 3, dtype=torch.float64, generator=torch_generator(0, "test"))
    share = torch.tensor(0.3, dtype=torch.float64)
    assert torch.allclose(mixed(x, share), 0.3 * x + 0.7 * x.flip(0))
    logits, labels = torch.rand(6, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 0, 1])
    soft = 0.3 * F.one_hot(labels, 4) + 0.7 * F.one_hot(labels.flip(0), 4)
    assert torch.allclose(cross_entropy(logits, labels, share), F.cross_entropy(logits, soft.double()))
    whole = torch.tensor(1.0, dtype=torch.float64)
    assert torch.allclose(cross_entropy(logits, labels, whole), F.cross_entropy(logits, labels))


def test_what_is_reported_of_a_smoothed_loss_is_the_plain_cross_entropy(data):
    """One batch, no step before it: the plain loss of the initial network."""
    recipe = recipe_of(label_smoothing=0.3, batch_size=400)
    state = TrainingState.initial(recipe, data.images, CPU)
    on_device = Data.of(data, CPU)
    logits = state.network(on_device.normalize(on_device.train_images))[1]
    expected = F.cross_entropy(logits, data.noisy_labels).item()
    metrics = train_epoch(state, on_device, recipe)
    assert metrics["train_cross_entropy"] == pytest.approx(expected, abs=1e-5)


# Names


def test_every_option_of_training_can_be_given_to_build():
    made = presets.build(epochs=20, schedule="multistep", milestones=(5, 10), optimizer="adam", warmup=2, clip=1.0)
    assert (made.training.milestones, made.training.optimizer) == ((5, 10), "adam")
    with pytest.raises(MemstudyError, match="did you mean optimizer"):
        presets.build(optimiser="adam")


def test_the_identity_of_a_recipe_that_uses_none_of_them_has_none_of_them():
    assert set(presets.build().as_dict()["training"]) == {
        "epochs", "batch_size", "learning_rate", "momentum", "checkpoints",
    }  # fmt: skip
    assert np.isclose(presets.build().training.learning_rate, 0.03)
