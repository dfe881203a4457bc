"""WN, PBWN, ONI, OLM: what each makes of a weight, in closed form, and that one network can have but one."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from memstudy.errors import MemstudyError
from memstudy.randomness import torch_generator
from memstudy.recipe import Recipe, Training
from memstudy.regularizers import parse
from memstudy.regularizers.olm import orthogonal
from memstudy.regularizers.oni import newton
from memstudy.regularizers.reparametrization import centered, unit_rows
from memstudy.training.state import build_network

CPU = torch.device("cpu")
SHAPES = [(4, 9), (6, 20), (20, 6), (3, 2), (30, 31)]


def matrix(shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch_generator(seed, "test"))


def gram(rows):
    return rows @ rows.T


@pytest.mark.parametrize("shape", SHAPES)
def test_unit_rows_are_of_length_1_and_keep_their_direction(shape):
    z = matrix(shape)
    w = unit_rows(z)
    assert torch.allclose(w.norm(dim=1), torch.ones(shape[0], dtype=torch.float64))
    assert torch.allclose(w * z.norm(dim=1, keepdim=True), z)


def test_a_zero_row_stays_and_its_gradient_is_finite():
    z = matrix((3, 4))
    z[1] = 0
    z.requires_grad_()
    unit_rows(z).sum().backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()
    assert (unit_rows(z)[1] == 0).all()


@pytest.mark.parametrize("shape", [(4, 9), (6, 20), (3, 12)])
def test_newton_s_iteration_comes_to_orthogonal_rows(shape):
    z = matrix(shape)
    identity = torch.eye(shape[0], dtype=torch.float64)
    errors = [(gram(newton(z, t, 1.0)) - identity).norm().item() for t in (1, 3, 5, 8, 30)]
    assert errors[:4] == sorted(errors[:4], reverse=True)
    assert errors[-1] < 1e-10  # and stays there
    assert torch.allclose(newton(z, 5, 3.0), 3 * newton(z, 5, 1.0))


def test_newton_s_iteration_is_the_authors():
    iterations = 5
    z = centered(matrix((4, 9)))
    v = z / torch.linalg.matrix_norm(gram(z)).sqrt()
    b = torch.eye(4, dtype=torch.float64)
    for _ in range(iterations):
        b = (3 * b - b @ b @ b @ gram(v)) / 2
    assert torch.allclose(newton(z, iterations, 1.0), b @ v, atol=1e-12)


def test_newton_s_limit_is_the_nearest_orthogonal_matrix():
    """The polar factor U Vᵀ of the centered matrix."""
    z = centered(matrix((5, 12)))
    u, _, v = torch.linalg.svd(z, full_matrices=False)
    assert torch.allclose(newton(z, 25, 1.0), u @ v, atol=1e-10)


def test_with_more_rows_than_columns_newton_orthogonalizes_columns():
    w = newton(matrix((20, 6)), 40, 1.0)
    # centered rows have one dimension less: the Gram matrix of the columns is a projection
    columns = w.T @ w
    assert torch.allclose(columns @ columns, columns, atol=1e-6)
    assert torch.trace(columns).item() == pytest.approx(5, abs=1e-6)


@pytest.mark.parametrize(("shape", "group"), [((4, 9), 64), ((6, 20), 3), ((20, 7), 3), ((9, 4), 2)])
def test_olm_s_rows_are_orthonormal_in_groups(shape, group):
    w = orthogonal(matrix(shape), group)
    size = min(group, shape[1] - 1)
    for part in w.split(size):
        assert torch.allclose(gram(part), torch.eye(len(part), dtype=torch.float64), atol=2e-3)
    assert w.sum(dim=1).abs().max() < 1e-9  # centered


def test_olm_is_the_polar_factor_too():
    z = centered(matrix((5, 12)))
    u, _, v = torch.linalg.svd(z, full_matrices=False)
    assert torch.allclose(orthogonal(z, 64), u @ v, atol=2e-3)


@pytest.mark.parametrize("function", [unit_rows, lambda z: newton(z, 5, 1.4), lambda z: orthogonal(z, 64)])
def test_gradients_go_through(function):
    assert torch.autograd.gradcheck(function, matrix((4, 9)).requires_grad_())


def built(reg, small):
    training = Training(epochs=1, batch_size=64, learning_rate=0.05, momentum=0.5)
    return build_network(Recipe(training=training, dataset="mnist5k", regularizers=parse(reg)), small, CPU)


def test_weight_normalization_changes_nothing_at_first(small):
    images = torch.rand(5, 1, 28, 28, generator=torch_generator(0, "test"))
    plain, normalized = (built(reg, small)(images)[1] for reg in ("bare", "wn"))
    assert torch.allclose(plain, normalized, atol=1e-6)


@pytest.mark.parametrize("reg", ["pbwn", "oni", "olm"])
def test_every_layer_but_the_last_is_remade(small, reg):
    plain, other = (built(name, small) for name in ("bare", reg))
    layers = [
        [m.weight for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)] for network in (plain, other)
    ]
    same = [torch.equal(a, b) for a, b in zip(*layers, strict=True)]
    assert same == [False, False, False, True]


@pytest.mark.parametrize("pair", list(itertools.combinations(["wn", "pbwn", "oni", "olm"], 2)), ids="+".join)
def test_a_network_has_one_of_them_at_most(small, pair):
    with pytest.raises(MemstudyError, match="only one method"):
        built("+".join(pair), small)
