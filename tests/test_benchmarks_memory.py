"""The benchmarks' measure of memory, on steps whose saved tensors can be counted by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.benchmarks.memory import kept

BATCH, INPUTS, HIDDEN = 64, 30, 20
FLOAT = 4  # bytes


@pytest.fixture
def layers():
    return nn.Sequential(nn.Linear(INPUTS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10))


def test_a_perceptron_keeps_its_inputs_and_its_hidden_units(layers):
    """For the gradients by both weights; the ReLU's gradient follows from its output, which is there already."""
    images = torch.ones(BATCH, INPUTS)
    found = kept(lambda: layers(images).sum().backward(), layers.parameters())
    assert found == FLOAT * BATCH * (INPUTS + HIDDEN)


def test_the_parameters_are_left_out_only_if_told(layers):
    images = torch.ones(BATCH, INPUTS)
    both = [kept(lambda: layers(images).sum().backward(), apart) for apart in ((), layers.parameters())]
    assert both[0] - both[1] == FLOAT * HIDDEN * 10  # the first layer's are not needed: no gradient by the images


def test_a_double_backward_keeps_more():
    """y = x³, then the square of its derivative: x, x² of the first pass and the second one's own."""
    x = torch.rand(1000, requires_grad=True)

    def once():
        return (x * x * x).sum()

    def twice():
        (gradient,) = torch.autograd.grad(once(), x, create_graph=True)
        gradient.square().sum().backward()

    assert kept(lambda: once().backward()) == 2 * FLOAT * 1000  # x and x²
    assert kept(twice) > 2 * FLOAT * 1000
    assert kept(lambda: None) == 0
