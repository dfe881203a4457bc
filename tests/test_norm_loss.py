"""Norm Loss: its gradient in closed form, its fixed point, its two forms, and whom weight decay spares."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from memstudy.data import dataset
from memstudy.errors import MemstudyError
from memstudy.randomness import torch_generator
from memstudy.recipe import Corruption, Recipe, Training
from memstudy.regularizers import parse
from memstudy.regularizers.base import weighted_layers
from memstudy.regularizers.norm_loss import NormLoss, norm_loss, pull
from memstudy.training import DeviceData, TrainingState, train_epoch

CPU = torch.device("cpu")
SHAPES = [(4, 3, 3, 3), (8, 1, 3, 3), (5, 7), (1, 1, 1, 1), (6, 4, 1, 1)]


def weight(shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch_generator(seed, "test"))


def weights_of(network):
    return [layer.weight for layer in weighted_layers(network)]


def norms(value):
    return value.detach().flatten(1).norm(dim=1)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_gradient_is_the_paper_s(shape):
    w = weight(shape).requires_grad_()
    (found,) = torch.autograd.grad(norm_loss([w]), w)
    length = norms(w).reshape(-1, *[1] * (len(shape) - 1))
    assert torch.allclose(found, 2 * w.detach() * (1 - 1 / length), rtol=1e-12)
    assert torch.autograd.gradcheck(lambda value: norm_loss([value]), w)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_loss_one_filter_at_a_time(shape):
    w = weight(shape)
    expected = sum((1 - math.sqrt(sum(v * v for v in row.flatten().tolist()))) ** 2 for row in w)
    assert norm_loss([w]).item() == pytest.approx(expected)


def test_unit_vectors_are_the_fixed_points():
    w = nn.functional.normalize(weight((6, 4, 3, 3)).flatten(1)).reshape(6, 4, 3, 3).requires_grad_()
    (gradient,) = torch.autograd.grad(norm_loss([w]), w)
    assert gradient.abs().max() < 1e-14
    before = w.detach().clone()
    pull(w.detach(), 0.3)
    assert torch.allclose(w, before, rtol=1e-14)


def test_the_zero_vector_has_a_finite_gradient_and_stays():
    w = weight((3, 4))
    w[1] = 0
    w.requires_grad_()
    (gradient,) = torch.autograd.grad(norm_loss([w]), w)
    assert gradient.isfinite().all()
    assert (gradient[1] == 0).all()
    pull(w.detach(), 0.3)
    assert (w[1] == 0).all()
    assert w.isfinite().all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("amount", [1e-4, 0.1, 0.5])
def test_the_decoupled_step_is_plain_gradient_descent_on_the_loss(shape, amount):
    """w - lr·λ·∇L_nl, with lr·2λ = amount."""
    w = weight(shape).requires_grad_()
    (gradient,) = torch.autograd.grad(norm_loss([w]), w)
    expected = w.detach() - amount / 2 * gradient
    pull(w.detach(), amount)
    assert torch.allclose(w, expected, rtol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_pull_moves_lengths_alone_and_towards_one(shape):
    w = weight(shape)
    before, direction = norms(w), nn.functional.normalize(w.flatten(1))
    pull(w, 0.3)
    assert torch.allclose(nn.functional.normalize(w.flatten(1)), direction)
    assert ((norms(w) - 1).abs() < (before - 1).abs()).all()
    assert torch.allclose(norms(w) - 1, 0.7 * (before - 1))


# In training


@pytest.fixture(scope="module")
def data(small):
    return dataset.corrupt(small, Corruption(rate=0.5))


def trained(data, reg, options, epochs=1, lr=0.05):
    training = Training(epochs=epochs, batch_size=64, learning_rate=lr, momentum=0.5)
    recipe = Recipe(training=training, dataset="mnist5k", regularizers=parse(reg, options))
    state = TrainingState.initial(recipe, data.images, CPU)
    for _ in range(epochs):
        train_epoch(state, DeviceData.of(data, CPU), recipe)
    return state


def spread(state):
    """The root mean square distance of the filters' norms from 1."""
    lengths = torch.cat([norms(w) for w in weights_of(state.network)])
    return (lengths - 1).square().mean().sqrt().item()


@pytest.mark.parametrize(("decoupled", "weight"), [(False, 0.5), (True, 1.5)])
def test_it_draws_the_norms_to_one(data, decoupled, weight):
    bare = spread(trained(data, "bare", None, epochs=4))
    drawn = trained(data, "normloss", {"normloss": {"weight": weight, "decoupled": decoupled}}, epochs=4)
    assert spread(drawn) < bare / 5


def test_it_leaves_biases_and_normalization_alone(data):
    network = trained(data, "bn", None).network
    governed = {id(w) for w in weights_of(network)}
    others = [name for name, p in network.named_parameters() if id(p) not in governed]
    assert all(name.endswith("bias") or network.get_parameter(name).ndim == 1 for name in others)


@pytest.mark.parametrize(("keep", "decayed"), [(False, False), (True, True)])
def test_weight_decay_spares_what_it_governs_unless_asked(data, keep, decayed):
    state = trained(data, "wd+bn+normloss", {"wd": {"decay": 0.01}, "normloss": {"keep_decay": keep}})
    decay = {id(p): group["weight_decay"] for group in state.optimizer.param_groups for p in group["params"]}
    governed = {id(w) for w in weights_of(state.network)}
    assert len(decay) == len(list(state.network.parameters()))
    for parameter in state.network.parameters():
        expected = 0.01 if decayed or id(parameter) not in governed else 0.0
        assert decay[id(parameter)] == expected


@pytest.mark.parametrize(
    ("options", "says"), [({"weight": 0}, "above 0"), ({"decoupled": "yes"}, "true or false")]
)
def test_options_that_make_no_sense(options, says):
    with pytest.raises(MemstudyError, match=says):
        NormLoss(**options)
