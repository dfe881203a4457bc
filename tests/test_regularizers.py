"""AL2 in closed form, options and names of regularizers, and two methods that a user might write.

What every regularizer keeps on every network: `test_regularizers_contract.py`.
"""

import math
from dataclasses import dataclass, replace

import pytest
import torch

from memstudy import presets, regularizers
from memstudy.data import dataset
from memstudy.errors import MemstudyError
from memstudy.randomness import torch_generator
from memstudy.recipe import Corruption, Recipe, Training
from memstudy.regularizers import REGULARIZERS, Regularizer, label, parse
from memstudy.regularizers.al2 import AL2, activation_loss
from memstudy.training import DeviceData, TrainingState
from memstudy.training.state import build_network

CPU = torch.device("cpu")


# Two methods of a user's own; test_regularizers_contract.py puts them to the proof


@dataclass(frozen=True)
class FilterNorms(Regularizer):
    """A penalty on weights: the sum over output filters of (1 - ‖w‖)²."""

    weight: float = 0.01

    def strength(self, epoch):
        return self.weight

    def penalty(self, step):
        kernels = [p.flatten(1) for p in step.network.parameters() if p.ndim == 4]
        return sum((1 - kernel.norm(dim=1)).square().sum() for kernel in kernels)


@dataclass(frozen=True)
class ImageGradients(Regularizer):
    """A penalty on the gradient of the loss by the images: it is differentiated twice."""

    weight: float = 0.1

    def needs_image_gradients(self):
        return True

    def strength(self, epoch):
        return self.weight * (1 + epoch)

    def penalty(self, step):
        (gradient,) = torch.autograd.grad(step.cross_entropy, step.images, create_graph=True)
        return gradient.square().sum() * len(step.labels)


OWN = {"norms": FilterNorms, "images": ImageGradients}


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    for name, method in OWN.items():
        monkeypatch.setitem(REGULARIZERS._ours, name, f"{__name__}:{method.__name__}")


@pytest.fixture(scope="module")
def some(small):
    """Every fifth image again, 80 for training."""
    part = replace(small, train_images=small.train_images[::5], train_labels=small.train_labels[::5])
    return dataset.corrupt(part, Corruption())


def recipe_of(reg):
    return Recipe(
        training=Training(epochs=3, batch_size=32, learning_rate=0.05, momentum=0.5),
        dataset="mnist5k",
        regularizers=parse(reg, defaults={"al2": {"initial": 0.5}}),
    )


def started(reg, some):
    return TrainingState.initial(recipe_of(reg), some.images, CPU)


# AL2


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shape", [(64, 50, 4, 4), (3, 1250), (1, 1)])
def test_al2_s_penalty_is_the_mean_square(shape, seed):
    """Random numbers: the formula must hold for any features."""
    features = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    by_hand = math.fsum(v * v for v in features.flatten().tolist()) / math.prod(shape)
    assert activation_loss(features).item() == pytest.approx(by_hand, rel=1e-12)


def test_al2_s_penalty_has_its_closed_forms():
    assert activation_loss(torch.full((2, 3), 4.0)).item() == 16
    features = torch.randn(4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert activation_loss(3 * features).item() == pytest.approx(9 * activation_loss(features).item())
    tall = torch.cat([features, features])
    assert activation_loss(tall).item() == pytest.approx(activation_loss(features).item())


def test_al2_s_gradient_is_2_over_n_times_the_features():
    features = torch.randn(4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    features.requires_grad_()
    assert torch.autograd.gradcheck(activation_loss, features)
    activation_loss(features).backward()
    assert features.grad is not None
    assert torch.allclose(features.grad, 2 * features.detach() / 20, rtol=1e-12)


@pytest.mark.parametrize("epoch", [0, 1, 64, 65])
def test_al2_s_schedule_starts_as_a_power(epoch):
    assert AL2().strength(epoch) == pytest.approx(0.01 * 1.1**epoch, rel=1e-12)


@pytest.mark.parametrize(
    ("epoch", "printed"),
    [(0, "0.01"), (65, "4.904"), (66, "5.394"), (100, "7.566"), (200, "20.46"), (300, "55.35"), (700, "2963")],
)
def test_al2_s_schedule_is_the_paper_s(epoch, printed):
    assert f"{AL2().strength(epoch):.4g}" == printed


@pytest.mark.parametrize("advance", [1.0, 3.0, 5.0, 8.0, 0.5])
def test_al2_advances_so_many_paper_epochs_an_epoch(advance):
    """× 1.1^k while λ is below 5 at an epoch's start, × 1.01^k from there on."""
    method = AL2(advance=advance)
    for epoch in range(150):
        growth = 1.1 if method.strength(epoch) < 5 else 1.01
        assert method.strength(epoch + 1) == pytest.approx(method.strength(epoch) * growth**advance, rel=1e-12)


@pytest.mark.parametrize("epoch", [1, 5, 13])
def test_an_advanced_schedule_is_the_paper_s_seen_at_intervals(epoch):
    assert AL2(advance=5).strength(epoch) == pytest.approx(AL2().strength(5 * epoch), rel=1e-12)


def test_a_schedule_beyond_all_numbers_is_infinite():
    assert AL2(advance=1e6).strength(3) == math.inf


def test_al2_sees_dropped_and_rescaled_features(some):
    recipe = recipe_of("al2+do")
    network = build_network(recipe, some.images, CPU).train()
    network.seed_dropout(torch_generator(0, "dropout"))
    features, _ = network(DeviceData.of(some, CPU).normalize(some.images.train_images[:8]))
    bare = build_network(recipe_of("al2"), some.images, CPU)
    whole, _ = bare(DeviceData.of(some, CPU).normalize(some.images.train_images[:8]))
    kept = features != 0
    assert 0.4 < kept.sum().item() / (whole != 0).sum().item() < 0.6
    assert torch.allclose(features[kept], 2 * whole[kept])


# Options


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("al2", "initial"),
        ("al2", "growth"),
        ("al2", "threshold"),
        ("al2", "late_growth"),
        ("al2", "advance"),
        ("wd", "decay"),
        ("do", "p"),
    ],
)
@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf, 10**400, True, "much"])
def test_options_must_be_positive_numbers(name, option, value):
    with pytest.raises(MemstudyError, match=rf"{name}\.{option} must be"):
        parse(name, {name: {option: value}})


@pytest.mark.parametrize("value", [1, 1.5])
def test_dropout_leaves_something(value):
    with pytest.raises(MemstudyError, match=r"do\.p must be below 1"):
        parse("do", {"do": {"p": value}})


def test_a_whole_number_beyond_every_float_is_told_shortly():
    with pytest.raises(MemstudyError, match=r"^al2\.initial must be a finite number, not 1") as caught:
        parse("al2", {"al2": {"initial": 10**400}})
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize(
    ("hook", "one", "other", "both"),
    [
        ("optimizer_options", "wd", "norms", "weight_decay"),
        ("network_options", "bn", "norms", "batch_norm"),
        ("optimizer_options", "the recipe", "norms", "lr"),
        ("network_options", "the recipe", "norms", "channels"),
    ],
)
def test_two_that_set_the_same_cannot_be_combined(some, monkeypatch, hook, one, other, both):
    monkeypatch.setattr(FilterNorms, hook, lambda self: {both: 1})
    reg = other if one == "the recipe" else f"{one}+{other}"
    with pytest.raises(MemstudyError, match=rf"^{one} and {other} cannot be combined, because both set '{both}'"):
        started(reg, some)


def test_options_given_go_before_defaults_and_these_before_a_method_s_own():
    given, default = {"al2": {"advance": 2.0}}, {"al2": {"advance": 5.0, "initial": 0.1}, "wd": {"decay": 1.0}}
    (found,) = parse("al2", given, default)
    expected = {"initial": 0.1, "growth": 1.1, "threshold": 5.0, "late_growth": 1.01, "advance": 2.0}
    assert dict(found.options) == expected


def test_labels_are_written_in_the_usual_order():
    assert label(parse("al2+bn")) == "bn+al2"
    assert label(()) == "bare"
    assert parse("bare") == ()


def test_names_are_read_as_they_are_usually_written():
    assert regularizers.names(" BN +al2") == ["bn", "al2"]
    assert regularizers.names("Bare") == []


@pytest.mark.parametrize(
    ("written", "short"),
    [
        ("dropout", "do"), ("Drop-Out", "do"), ("batchnorm", "bn"), ("batch_norm", "bn"), ("weight-decay", "wd"),
        ("Weight Decay+AL2", "wd+al2"), ("norm-loss", "normloss"), ("weight_norm", "wn"), ("loco-reg", "loco"),
        ("none", "bare"),
    ],
)  # fmt: skip
def test_another_usual_name_is_the_same_recipe(written, short):
    one, other = presets.build(reg=written, seed=3), presets.build(reg=short, seed=3)
    assert one == other
    assert one.id == other.id


def test_every_alias_leads_to_a_name_and_hides_none():
    known = {*REGULARIZERS.names(), regularizers.BARE}
    assert set(regularizers.ALIASES.values()) <= known
    assert not set(regularizers.ALIASES) & known


def test_options_under_another_usual_name_are_the_regularizer_s():
    assert parse("do", {"dropout": {"p": 0.25}}) == parse("do", {"do": {"p": 0.25}})
    with pytest.raises(MemstudyError, match=r"'do' is given twice in 'dropout[+]do'"):
        parse("dropout+do")
    with pytest.raises(MemstudyError, match=r"set for 'dropout', which 'al2' does not use; add it \(al2[+]do\)"):
        parse("al2", {"dropout": {"p": 0.25}})
