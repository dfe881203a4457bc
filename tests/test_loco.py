"""LOCO-Reg: its ratios, its penalty in closed form, and the theorem it is built on."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from memstudy.errors import MemstudyError
from memstudy.regularizers.base import weighted_layers
from memstudy.regularizers.loco import LocoReg, corner, ratios, weighted_squares

PUBLISHED = [(1.0, 1.0), (1.4, 1.56), (1.8, 2.13)]


@pytest.mark.parametrize(("eta", "gamma"), PUBLISHED)
def test_gamma_follows_from_eta_as_published(eta, gamma):
    assert corner(eta) == gamma


@pytest.mark.parametrize(("eta", "gamma"), PUBLISHED)
def test_the_3x3_ratios_are_the_paper_s(eta, gamma):
    expected = [[gamma, eta, gamma], [eta, 1, eta], [gamma, eta, gamma]]
    assert ratios((3, 3), eta, gamma).tolist() == expected


@pytest.mark.parametrize("kernel", [(5, 5), (7, 7), (1, 5), (5, 3), (2, 2), (4, 4)])
def test_other_kernels_follow_the_distance(kernel):
    found = ratios(kernel, 1.4, 1.56)
    for row, column in itertools.product(*map(range, kernel)):
        distance = math.dist((row, column), [(size - 1) / 2 for size in kernel])
        assert found[row, column] == pytest.approx(1 + 0.4 * distance)


def test_the_rule_agrees_with_the_published_corner_to_its_two_decimals():
    for eta, gamma in PUBLISHED:
        assert 0 <= 1 + (eta - 1) * math.sqrt(2) - gamma < 0.01


@pytest.mark.parametrize("kernel", [(3, 3), (5, 5), (2, 2)])
@pytest.mark.parametrize(("eta", "gamma"), PUBLISHED)
def test_mean_one_makes_the_mean_one_and_keeps_the_proportions(kernel, eta, gamma):
    plain, scaled = (ratios(kernel, eta, gamma, mean_one) for mean_one in (False, True))
    assert scaled.mean() == pytest.approx(1)
    assert torch.allclose(scaled / scaled[0, 0], plain / plain[0, 0])


def test_the_mean_ratios_that_the_control_removes():
    assert ratios((3, 3), 1.4, 1.56).mean() == pytest.approx(1.43, abs=0.005)
    assert ratios((3, 3), 1.8, 2.13).mean() == pytest.approx(1.86, abs=0.005)


class Mixed(nn.Module):
    """Every kind of layer: 3×3, depthwise, 5×5, 1×1, batch normalization, linear."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 4, 5),
            nn.Conv2d(4, 6, 1), nn.Flatten(), nn.Linear(6, 10),
        ).double()  # fmt: skip


def penalty(network, method):
    weights = [layer.weight for layer in weighted_layers(network)]
    return weighted_squares(weights, [method._factor(weight) for weight in weights])


@pytest.mark.parametrize(("eta", "gamma"), PUBLISHED)
def test_the_penalty_tap_by_tap(eta, gamma):
    network, method = Mixed(), LocoReg(eta=eta, gamma=gamma)
    expected = 0.0
    for weight in (layer.weight for layer in network.layers if isinstance(layer, nn.Conv2d | nn.Linear)):
        array = weight.detach().numpy()
        size = array.shape[2:]
        for index in np.ndindex(*array.shape):
            ratio = 1.0
            if len(size) == 2 and size != (1, 1):
                distance = math.dist(index[2:], [(s - 1) / 2 for s in size])
                ratio = 1 + (eta - 1) * distance
                if size == (3, 3) and distance > 1:
                    ratio = gamma
            expected += ratio * float(array[index]) ** 2
    assert penalty(network, method).item() == pytest.approx(expected, rel=1e-12)


def test_eta_1_is_weight_decay_of_twice_lambda():
    """Gradient 2λw on weights, and nothing on biases and normalizations."""
    network, method = Mixed(), LocoReg(weight=0.002, eta=1)
    (0.002 * penalty(network, method)).backward()
    weights = {id(layer.weight) for layer in weighted_layers(network)}
    for parameter in network.parameters():
        if parameter.grad is None:
            assert id(parameter) not in weights
        else:
            assert id(parameter) in weights
            assert torch.allclose(parameter.grad, 2 * 0.002 * parameter)


def test_the_gradient_of_the_fused_form_is_that_of_the_plain_one():
    network, method = Mixed(), LocoReg(eta=1.8)
    weights = [layer.weight for layer in weighted_layers(network)]
    factors = [method._factor(weight) for weight in weights]
    pairs = zip(factors, weights, strict=True)
    plain = torch.stack([((w if r is None else r * w) * w).sum() for r, w in pairs]).sum()
    expected = torch.autograd.grad(plain, weights)
    found = torch.autograd.grad(weighted_squares(weights, factors), weights)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-14)
    assert torch.autograd.gradcheck(lambda *w: weighted_squares(w, factors), tuple(weights), fast_mode=True)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"eta": 0.5}, "gamma > eta > 1"),
        ({"eta": 1.4, "gamma": 1.2}, "gamma > eta > 1"),
        ({"eta": 1.0, "gamma": 1.5}, "gamma > eta > 1"),
        ({"weight": 0}, "above 0"),
        ({"mean_one": 1}, "true or false"),
        ({"gamma": -1}, "at least 0"),
    ],
)
def test_options_that_make_no_sense(options, says):
    with pytest.raises(MemstudyError, match=says):
        LocoReg(**options)


# Theorem 1: feature cohesion F = Σ_{i<j} m_i m_j / d_ij² over a 3×3 kernel

PLACES = list(itertools.product(range(3), range(3)))
CENTER, NEIGHBOR, CORNER = PLACES.index((1, 1)), PLACES.index((0, 1)), PLACES.index((0, 0))
INVERSE_SQUARES = torch.tensor(
    [[0.0 if p == q else 1 / math.dist(p, q) ** 2 for q in PLACES] for p in PLACES], dtype=torch.float64
)


def cohesion(masses):
    return masses @ INVERSE_SQUARES @ masses / 2


def cohesion_gradient(masses):
    masses = masses.clone().requires_grad_()
    return torch.autograd.grad(cohesion(masses), masses)[0]


@pytest.mark.parametrize(("place", "expected"), [(CENTER, 6), (NEIGHBOR, 4.65), (CORNER, 3.525)])
def test_the_cohesion_s_gradient_at_uniform_mass(place, expected):
    assert cohesion_gradient(torch.ones(9, dtype=torch.float64))[place] == pytest.approx(expected)


BOUND = 3.35 / 2 - 1


def lead(masses):
    """How much more a little mass adds to the cohesion at the center than at any neighbor, at worst."""
    gradient = cohesion_gradient(masses)
    return min(gradient[CENTER] - gradient[PLACES.index(p)] for p in [(0, 1), (1, 0), (1, 2), (2, 1)])


def corners_of_the_cube(epsilon):
    """Masses are in [1, 1 + ε]; the lead is linear in them, so its extremes are at these."""
    for bits in itertools.product((0.0, 1.0), repeat=9):
        yield 1 + epsilon * torch.tensor(bits, dtype=torch.float64)


def test_the_center_always_leads_below_the_bound():
    assert min(lead(masses) for masses in corners_of_the_cube(BOUND - 1e-6)) > 0


def test_above_the_bound_it_need_not():
    assert min(lead(masses) for masses in corners_of_the_cube(BOUND + 1e-6)) < 0
