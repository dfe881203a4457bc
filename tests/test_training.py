"""Training, against a plain loop in PyTorch that shares no code with it, and against itself replayed."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from memstudy import regularizers
from memstudy.data import dataset
from memstudy.errors import MemstudyError
from memstudy.randomness import torch_generator
from memstudy.recipe import Corruption, Recipe, Training
from memstudy.regularizers import Regularizer
from memstudy.training import (
    DeviceData,
    NonFiniteLoss,
    TrainingState,
    evaluate,
    numerics,
    predict,
    resolve_device,
    train_epoch,
)
from memstudy.training.evaluation import batch_size

CPU = torch.device("cpu")
BATCH = 39  # 400 images: ten whole batches, and one of ten images
STEPS = 11
STRONG = {"al2": {"initial": 0.5, "growth": 2.0}, "wd": {"decay": 0.05}}  # so that each visibly matters


def recipe_of(reg, seed=0, learning_rate=0.05, epochs=2):
    return Recipe(
        training=Training(epochs=epochs, batch_size=BATCH, learning_rate=learning_rate, momentum=0.5),
        dataset="mnist5k",
        regularizers=regularizers.parse(reg, defaults=STRONG),
        seed=seed,
    )


@pytest.fixture(scope="module")
def data(corrupted):
    return DeviceData.of(corrupted, CPU)


@pytest.fixture(scope="module")
def exact(data):
    """The same, normalized to float64."""
    mean, std = (torch.tensor([v], dtype=torch.float64).reshape(1, 1, 1) for v in (0.1307, 0.3081))
    return replace(data, mean=mean, std=std)


def started(recipe, corrupted, dtype=torch.float32):
    state = TrainingState.initial(recipe, corrupted.images, CPU)
    state.network.to(dtype)
    return state


class PlainLoop:
    """smallNet trained by hand: PyTorch's layers in their usual memory layout, SGD written out."""

    def __init__(self, recipe, dtype=torch.float32):
        self.dtype = dtype
        names = {r.name for r in recipe.regularizers}
        self.recipe, self.al2, self.do = recipe, "al2" in names, "do" in names
        self.decay = STRONG["wd"]["decay"] if "wd" in names else 0.0
        with torch.random.fork_rng():
            torch.manual_seed(torch_generator(recipe.seed, "weights").initial_seed())
            self.front = nn.Sequential(nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5))
            norm = nn.BatchNorm2d(50) if "bn" in names else nn.Identity()
            self.back = nn.Sequential(norm, nn.ReLU(), nn.MaxPool2d(2))
            self.head = nn.Sequential(nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10))
        self.network = nn.Sequential(self.front, self.back, self.head).to(dtype)
        self.momentum = [torch.zeros_like(w) for w in self.network.parameters()]
        self.losses = []

    def forward(self, images, masks=None):
        scaled = (images.float() / 255).to(self.dtype)
        features = self.back(self.front((scaled - 0.1307) / 0.3081))
        if self.do and masks is not None:
            # the same draws as ours: channels last is the order in which they lie in memory there
            drawn = torch.empty(len(images), 4, 4, 50, dtype=self.dtype).uniform_(generator=masks)
            features = torch.where(drawn.permute(0, 3, 1, 2) < 0.5, 0.0, features / 0.5)
        return features, self.head(features)

    def step(self, images, labels, strength, masks):
        features, logits = self.forward(images, masks)
        cross_entropy = -F.log_softmax(logits, 1)[torch.arange(len(labels)), labels].mean()
        activation = (features**2).sum() / features.numel()
        weights = list(self.network.parameters())
        gradients = torch.autograd.grad(cross_entropy + strength * activation, weights)
        with torch.no_grad():
            for weight, gradient, velocity in zip(weights, gradients, self.momentum, strict=True):
                velocity.mul_(0.5).add_(gradient + self.decay * weight)
                weight.sub_(self.recipe.training.learning_rate * velocity)
        self.losses.append((cross_entropy.item(), activation.item(), len(labels)))

    def epoch(self, corrupted, epoch):
        self.network.train()
        order = torch.randperm(400, generator=torch_generator(self.recipe.seed, "order", epoch))
        masks = torch_generator(self.recipe.seed, "dropout", epoch)
        strength = 0.5 * 2.0**epoch if self.al2 else 0.0
        self.losses = []
        for start in range(0, 400, BATCH):
            batch = order[start : start + BATCH]
            self.step(corrupted.images.train_images[batch], corrupted.noisy_labels[batch], strength, masks)

    def mean(self, column):
        return math.fsum(row[column] * row[2] for row in self.losses) / 400


COMBINATIONS = pytest.mark.parametrize("reg", ["bare", "bn", "wd", "al2", "bn+al2", "do", "bn+do+wd+al2"])


def compared(recipe, corrupted, data, dtype, tolerance):
    """Train an epoch both ways, twice, comparing L_c, L_r and the weights."""
    state, plain = started(recipe, corrupted, dtype), PlainLoop(recipe, dtype)
    for epoch in range(recipe.training.epochs):
        metrics = train_epoch(state, data, recipe)
        plain.epoch(corrupted, epoch)
        assert len(plain.losses) == STEPS
        assert metrics["train_cross_entropy"] == pytest.approx(plain.mean(0), abs=tolerance)
        assert metrics["train_activation_loss"] == pytest.approx(plain.mean(1), abs=tolerance)
        pairs = zip(state.network.parameters(), plain.network.parameters(), strict=True)
        assert max((a - b).abs().max().item() for a, b in pairs) < 5 * tolerance


@COMBINATIONS
def test_training_is_what_a_plain_loop_does(corrupted, data, reg):
    """In float32, at the paper's learning rate: memory layouts round differently, and steps amplify it."""
    compared(recipe_of(reg, learning_rate=1e-3, epochs=1), corrupted, data, torch.float32, 1e-6)


@COMBINATIONS
def test_in_float64_training_is_exactly_what_a_plain_loop_does(corrupted, exact, reg):
    compared(recipe_of(reg, seed=1), corrupted, exact, torch.float64, 1e-9)


@pytest.mark.parametrize(("reg", "other"), [("bare", "wd"), ("bare", "al2"), ("bn", "bare"), ("do", "bare")])
def test_the_comparison_with_the_plain_loop_can_fail(corrupted, data, reg, other):
    metrics = train_epoch(started(recipe_of(reg), corrupted), data, recipe_of(reg))
    plain = PlainLoop(recipe_of(other))
    plain.epoch(corrupted, 0)
    assert abs(metrics["train_cross_entropy"] - plain.mean(0)) > 1e-4


def test_ten_single_steps_agree_one_by_one(corrupted, data):
    """An epoch's mean would hide errors that cancel."""
    recipe = recipe_of("bn+al2", learning_rate=1e-3)
    state, plain, seen = started(recipe, corrupted), PlainLoop(recipe), []
    original = state.regularizers["al2"].penalty

    class Spy(Regularizer):
        strength = staticmethod(state.regularizers["al2"].strength)
        needs_image_gradients = staticmethod(lambda: False)

        def penalty(self, step):
            seen.append((step.cross_entropy.item(), original(step).item()))
            return original(step)

    state.regularizers["al2"] = Spy()
    train_epoch(state, data, recipe)
    plain.epoch(corrupted, 0)
    assert len(seen) == STEPS
    for ours, theirs in zip(seen, plain.losses, strict=True):
        assert ours == pytest.approx(theirs[:2], abs=1e-6)


def test_what_al2_reports_is_unscaled_and_named(corrupted, data):
    metrics = train_epoch(started(recipe_of("al2+do"), corrupted), data, recipe_of("al2+do"))
    assert list(metrics) == ["train_cross_entropy", "train_activation_loss", "lambda_al2", "penalty_al2"]
    assert metrics["lambda_al2"] == 0.5
    assert metrics["penalty_al2"] == metrics["train_activation_loss"]


# Evaluation


@pytest.mark.parametrize("reg", ["bare", "bn", "do"])
def test_epoch_metrics_are_what_a_plain_loop_measures(corrupted, data, reg):
    recipe = recipe_of(reg)
    state, plain = started(recipe, corrupted), PlainLoop(recipe)
    train_epoch(state, data, recipe)
    plain.epoch(corrupted, 0)
    plain.network.eval()
    with torch.no_grad():
        test = plain.forward(corrupted.images.test_images)[1]
        train = plain.forward(corrupted.images.train_images)[1].argmax(1).tolist()
    metrics = evaluate(state.network, data)
    right = test.argmax(1) == corrupted.images.test_labels
    assert metrics["test_accuracy"] == pytest.approx(right.sum().item() / 100)
    expected = F.nll_loss(F.log_softmax(test, 1), corrupted.images.test_labels).item()
    assert metrics["test_cross_entropy"] == pytest.approx(expected, abs=1e-6)
    noisy, clean = corrupted.noisy_labels.tolist(), corrupted.images.train_labels.tolist()
    hit = [(a == n) for a, n, c in zip(train, noisy, clean, strict=True) if n != c]
    assert metrics["memorized"] == pytest.approx(sum(hit) / len(hit))


@pytest.mark.parametrize(("rate", "undefined"), [(0.0, "memorized recovered other"), (1.0, "clean_accuracy")])
def test_shares_of_nothing_are_nan_and_all_else_is_a_number(small, rate, undefined):
    data = dataset.corrupt(small, Corruption(rate=rate))
    metrics = evaluate(started(recipe_of("bare"), data).network, DeviceData.of(data, CPU))
    assert [name for name, value in metrics.items() if math.isnan(value)] == undefined.split()


def test_shares_add_up_to_one(corrupted, data):
    metrics = evaluate(started(recipe_of("bare"), corrupted).network, data)
    assert metrics["memorized"] + metrics["recovered"] + metrics["other"] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("size", "device", "count"),
    [(28, "cpu", 250), (32, "cpu", 250), (64, "cpu", 62), (224, "cpu", 25), (28, "meta", 2500), (224, "meta", 51)],
)
def test_large_images_are_evaluated_in_smaller_batches(size, device, count):
    """The meta device stands for one that is no CPU."""
    assert batch_size(torch.empty(1, 3, size, size, device=device)) == count


@pytest.mark.parametrize("training", [True, False])
def test_evaluating_changes_nothing(corrupted, data, training):
    network = started(recipe_of("bn+do"), corrupted).network.train(training)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert evaluate(network, data) == evaluate(network, data)
    assert network.training is training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_the_answer_to_an_image_does_not_depend_on_its_neighbors(corrupted, data):
    network = started(recipe_of("bn"), corrupted).network
    together, alone = predict(network, data, data.test_images), predict(network, data, data.test_images[:3])
    assert torch.allclose(together[:3], alone, atol=1e-6)


def test_images_are_normalized_as_the_paper_does(corrupted, data):
    images = corrupted.images.test_images[:5]
    expected = (images.double() / 255 - 0.1307) / 0.3081
    assert torch.allclose(data.normalize(images).double(), expected, atol=1e-6)
    assert images.dtype == torch.uint8


# Replay


def replayed(reg, corrupted, data, seed=0, epoch=0):
    """One epoch, from the initial weights; later epochs are entered without training the earlier ones."""
    recipe = recipe_of(reg, seed)
    state = started(recipe, corrupted)
    state.epochs_done = epoch
    return train_epoch(state, data, recipe), state.tensors()


@pytest.mark.parametrize("epoch", [0, 5])
@pytest.mark.parametrize("reg", ["bare", "bn+do+wd+al2"])
def test_the_same_epoch_replayed_gives_the_same_bits(corrupted, data, reg, epoch):
    first, one = replayed(reg, corrupted, data, epoch=epoch)
    torch.manual_seed(99)  # nothing depends on the global generator
    again, other = replayed(reg, corrupted, data, epoch=epoch)
    assert first == again
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("change", [{"seed": 1}, {"epoch": 1}], ids=str)
@pytest.mark.parametrize("reg", ["bare", "do"])
def test_another_seed_or_epoch_gives_other_bits(corrupted, data, reg, change):
    _, one = replayed(reg, corrupted, data)
    _, other = replayed(reg, corrupted, data, **change)
    assert not any(torch.equal(one[name], other[name]) for name in one)


def test_training_neither_uses_nor_moves_the_global_generator(corrupted, data):
    before = torch.get_rng_state()
    replayed("do", corrupted, data)
    assert torch.equal(torch.get_rng_state(), before)


def test_progress_is_told_step_by_step(corrupted, data):
    told = []
    train_epoch(started(recipe_of("bare"), corrupted), data, recipe_of("bare"), lambda *at: told.append(at))
    assert told == [(step, STEPS) for step in range(1, STEPS + 1)]


def test_a_state_is_a_copy(corrupted, data):
    """What was saved does not move when training goes on."""
    recipe = recipe_of("bn")
    state = started(recipe, corrupted)
    saved = state.tensors()
    before = {name: value.clone() for name, value in saved.items()}
    train_epoch(state, data, recipe)
    assert all(torch.equal(saved[name], before[name]) for name in saved)


# Non-finite losses


@pytest.mark.parametrize(("epoch", "step"), [(0, 1), (0, 10), (1, 0), (1, 7)])
def test_a_non_finite_loss_is_found_at_its_step(corrupted, data, epoch, step):
    """A weight is poisoned just before that step."""
    recipe = recipe_of("bare")
    state = started(recipe, corrupted)

    def poison(done, steps):
        if (state.epochs_done, done) in {(epoch, step), (epoch - 1, steps + step)}:
            state.network.head[1].bias.data[0] = math.nan

    for _ in range(epoch):
        train_epoch(state, data, recipe, poison)
    with pytest.raises(NonFiniteLoss, match=f"epoch {epoch}, step {step}") as caught:
        train_epoch(state, data, recipe, poison)
    assert (caught.value.epoch, caught.value.step) == (epoch, step)


@pytest.mark.parametrize(("reg", "learning_rate", "step"), [("bare", 1e30, 1), ("bare", 1e38, 1)])
def test_a_huge_learning_rate_breaks_at_the_second_step(corrupted, data, reg, learning_rate, step):
    recipe = recipe_of(reg, learning_rate=learning_rate)
    with pytest.raises(NonFiniteLoss) as caught:
        train_epoch(started(recipe, corrupted), data, recipe)
    assert (caught.value.epoch, caught.value.step) == (0, step)


# Devices


@pytest.mark.parametrize("name", ["tpu", "cpu:0", "cuda:x", "cuda:", "", "CPU", "mps"])
def test_unknown_devices_are_refused(name):
    with pytest.raises(MemstudyError, match=r"choose auto, cpu, cuda"):
        resolve_device(name)


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_a_missing_gpu_is_told(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MemstudyError, match="there is no CUDA device"):
        resolve_device(name)
    assert resolve_device("auto") == CPU


def test_a_gpu_beyond_the_last_is_told(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("cuda:1").index == 1
    with pytest.raises(MemstudyError, match="there is no cuda:2: this machine has 2"):
        resolve_device("cuda:2")


def test_the_number_of_threads_is_put_back():
    with pytest.raises(ZeroDivisionError), numerics(threads=2):
        raise ZeroDivisionError(torch.get_num_threads())
    assert torch.get_num_threads() == 1
