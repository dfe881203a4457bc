"""Networks: smallNet's shapes and order of layers, and initial weights that are PyTorch's own, bit for bit."""

import itertools

import pytest
import torch
from torch import nn

from memstudy import models
from memstudy.errors import MemstudyError
from memstudy.models import Dropout, Network
from memstudy.models.initialization import pytorch_default
from memstudy.randomness import torch_generator

VARIANTS = [
    {**norm, **dropout} for norm, dropout in itertools.product([{}, {"batch_norm": True}], [{}, {"dropout": 0.5}])
]
MNIST = {"channels": 1, "size": 28, "classes": 10}
CIFAR = {"channels": 3, "size": 32, "classes": 10}


def smallnet(shape=MNIST, seed=0, **options):
    return models.build("smallnet", **shape, generator=torch_generator(seed, "weights"), **options)


def by_hand(shape, features, batch_norm):
    """The number of parameters, from the layers' shapes."""
    convolutions = (shape["channels"] * 25 + 1) * 20 + (20 * 25 + 1) * 50
    linear = (features + 1) * 500 + (500 + 1) * shape["classes"]
    return convolutions + linear + (2 * 50 if batch_norm else 0)


@pytest.mark.parametrize("options", VARIANTS, ids=str)
@pytest.mark.parametrize(
    ("shape", "features", "count"),
    [(MNIST, 800, 431_080), (CIFAR, 1250, 657_080), ({**CIFAR, "classes": 100}, 1250, 702_170)],
    ids=["mnist", "cifar10", "cifar100"],
)
def test_the_number_of_parameters_and_features(small, shape, features, count, options):
    network = smallnet(shape, **options).eval()
    found = sum(parameter.numel() for parameter in network.parameters())
    assert found == by_hand(shape, features, "batch_norm" in options) == count + 100 * ("batch_norm" in options)
    # zeros, not images: only shapes are looked at
    seen, logits = network(torch.zeros(2, shape["channels"], shape["size"], shape["size"]))
    assert seen.shape[:2] == (2, 50)
    assert seen[0].numel() == features
    assert logits.shape == (2, shape["classes"])


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_the_order_of_layers_is_the_paper_s_but_for_relu_and_pooling(options):
    network = smallnet(**options)
    trunk = ["Conv2d", "MaxPool2d", "ReLU", "Conv2d", "BatchNorm2d", "MaxPool2d", "ReLU", "Dropout"]
    absent = {"BatchNorm2d": "batch_norm" not in options, "Dropout": "dropout" not in options}
    expected = [name for name in trunk if not absent.get(name)]
    assert [type(layer).__name__ for layer in network.trunk.children()] == expected
    assert [type(layer).__name__ for layer in network.head.children()] == ["Flatten", "Linear", "ReLU", "Linear"]


def test_relu_and_pooling_may_change_places_bit_for_bit(corrupted):
    """Real images; values, and gradients of weights and of images."""
    network = smallnet(batch_norm=True)
    first, pool, relu, second, norm, *_ = network.trunk
    paper = nn.Sequential(first, relu, pool, second, norm, relu, pool)
    images = (corrupted.images.train_images[:64].float() / 255 - 0.1307) / 0.3081
    found = []
    for trunk in (network.trunk, paper):
        pixels = images.clone().requires_grad_()
        features = trunk(pixels)
        gradients = torch.autograd.grad(features.square().sum(), [pixels, *first.parameters(), *norm.parameters()])
        found.append([features, *gradients])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def default_layers(seed, batch_norm=False):
    """The same layers, made by PyTorch in the same order from its global generator."""
    with torch.random.fork_rng():
        torch.manual_seed(torch_generator(seed, "weights").initial_seed())
        layers: list[nn.Module] = [nn.Conv2d(1, 20, 5), nn.Conv2d(20, 50, 5)]
        layers += [nn.BatchNorm2d(50)] if batch_norm else []
        return [*layers, nn.Linear(800, 500), nn.Linear(500, 10)]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_initial_weights_are_pytorch_s_bit_for_bit(seed, batch_norm):
    ours = smallnet(seed=seed, **({"batch_norm": True} if batch_norm else {})).state_dict()
    theirs = [value for layer in default_layers(seed, batch_norm) for value in layer.state_dict().values()]
    assert len(ours) == len(theirs)
    assert all(torch.equal(a, b) for a, b in zip(ours.values(), theirs, strict=True))


def test_another_seed_gives_other_weights():
    one, other = smallnet(seed=0).state_dict(), smallnet(seed=1).state_dict()
    assert not any(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_a_regularizer_s_layers_do_not_move_the_weights(options):
    bare, other = smallnet(), smallnet(**options)
    shared = (nn.Conv2d, nn.Linear)
    pairs = zip(*([m for m in n.modules() if isinstance(m, shared)] for n in (bare, other)), strict=True)
    assert all(torch.equal(a.weight, b.weight) and torch.equal(a.bias, b.bias) for a, b in pairs)


def test_building_does_not_move_the_global_generator():
    before = torch.get_rng_state()
    smallnet(batch_norm=True, dropout=0.5)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_layer_without_a_known_initialization_is_refused():
    with pytest.raises(NotImplementedError, match="LayerNorm"):
        pytorch_default(Network(nn.LayerNorm(3), nn.Flatten()), torch.Generator())


def test_a_layer_with_unknown_buffers_is_refused():
    """They would hold what happened to be in memory."""
    with pytest.raises(NotImplementedError, match="BatchNorm1d"):
        pytorch_default(nn.BatchNorm1d(3, affine=False), torch.Generator())


def test_an_option_that_a_network_does_not_know_is_refused():
    with pytest.raises(MemstudyError, match="'smallnet' has no place for 'color': its options are batch_norm"):
        smallnet(color=True)


# Dropout


def dropout(p, seed=0):
    layer = Dropout(p)
    layer.generator = torch_generator(seed, "dropout")
    return layer.train()


ONES = torch.ones(200, 100)  # not images: what survives of a one is the mask itself


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_drops_its_share_and_rescales_the_rest(p):
    kept = dropout(p)(ONES)
    assert set(kept.unique().tolist()) == {0.0, torch.tensor(1.0).div(1 - p).item()}
    share = (kept == 0).double().mean().item()
    assert abs(share - p) < 4 * (p * (1 - p) / ONES.numel()) ** 0.5


def test_whole_samples_are_dropped_together():
    layer = Dropout(0.5, whole=True)
    layer.generator = torch_generator(0, "dropout")
    dropped = layer(ONES)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(dropped, dropped[:, :1].expand_as(ONES))


def test_dropout_draws_from_its_own_generator_alone():
    before = torch.get_rng_state()
    first = dropout(0.5)(ONES)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    assert torch.equal(dropout(0.5)(ONES), first)
    assert not torch.equal(dropout(0.5, seed=1)(ONES), first)


def test_dropout_is_the_identity_in_evaluation():
    assert Dropout(0.5).eval()(ONES) is ONES


def test_dropout_without_a_generator_is_a_mistake_of_ours():
    with pytest.raises(RuntimeError, match="seed_dropout"):
        Dropout(0.5)(ONES)


def test_a_network_hands_its_generator_to_every_dropout():
    network = Network(Dropout(0.5), nn.Sequential(nn.Identity(), Dropout(0.2)))
    generator = torch.Generator()
    network.seed_dropout(generator)
    assert [m.generator is generator for m in network.modules() if isinstance(m, Dropout)] == [True, True]
