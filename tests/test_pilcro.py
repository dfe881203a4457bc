"""PILCRO (our reconstruction): landscape and curvature in closed form, and what theory says of a landscape."""

from __future__ import annotations

import math
from dataclasses import fields

import pytest
import torch
from torch import nn

from memstudy.data import dataset
from memstudy.errors import MemstudyError
from memstudy.randomness import torch_generator
from memstudy.recipe import Corruption, Recipe, Training
from memstudy.regularizers import REGULARIZERS, parse, pilcro
from memstudy.regularizers.pilcro import CURVATURE, IMPORTANCE, OF, Pilcro, curvature, importance
from memstudy.training import DeviceData, TrainingState, train_epoch

CPU = torch.device("cpu")


def normal(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch_generator(seed, "test"))


# The landscape


@pytest.mark.parametrize("kind", IMPORTANCE)
def test_the_landscape_s_mean_is_one_and_no_scale_is_left(kind):
    gradients = normal(5, 3, 6, 6)
    landscape = importance(gradients, kind)
    assert landscape.shape == (6, 6)
    assert landscape.mean() == pytest.approx(1)
    assert torch.allclose(importance(1e-3 * gradients, kind), landscape)


@pytest.mark.parametrize(("kind", "power"), [("squared", 2), ("absolute", 1)])
def test_the_landscape_by_its_definition(kind, power):
    gradients = normal(4, 2, 3, 3)
    raw = torch.zeros(3, 3, dtype=torch.float64)
    for u in range(3):
        for v in range(3):
            raw[u, v] = sum(abs(gradients[b, c, u, v]) ** power for b in range(4) for c in range(2)) / 4
    assert torch.allclose(importance(gradients, kind), raw / raw.mean())


@pytest.mark.parametrize("kind", IMPORTANCE)
def test_no_gradient_is_no_landscape_and_no_nan(kind):
    assert (importance(torch.zeros(2, 1, 4, 4), kind) == 0).all()


# Its curvature


@pytest.mark.parametrize("kind", CURVATURE)
def test_a_flat_landscape_has_no_curvature(kind):
    assert curvature(torch.full((6, 7), 1.0), kind) == 0


def test_the_hessian_of_a_plane_is_zero_but_its_edges_are_bent_for_the_laplacian():
    plane = torch.arange(8.0)[:, None] + 2 * torch.arange(9.0)
    assert curvature(plane, "hessian") == 0
    assert curvature(plane, "laplacian") > 0  # replicated edges are part of the definition


def test_a_paraboloid_in_closed_form():
    """u² + 3v² + 2uv: I_uu = 2, I_vv = 6, I_uv = 2, so I_uu² + 2 I_uv² + I_vv² = 48; Δ = 8 inside."""
    u, v = torch.meshgrid(torch.arange(7.0), torch.arange(7.0), indexing="ij")
    surface = u**2 + 3 * v**2 + 2 * u * v
    assert curvature(surface, "hessian") == pytest.approx(48)


def test_the_laplacian_by_its_definition():
    surface = normal(5, 6)
    total = 0.0
    for u in range(5):
        for v in range(6):
            near = [(min(max(u + i, 0), 4), min(max(v + j, 0), 5)) for i, j in ((1, 0), (-1, 0), (0, 1), (0, -1))]
            total += float(sum(surface[p] for p in near) - 4 * surface[u, v]) ** 2
    assert curvature(surface).item() == pytest.approx(total / 30)


@pytest.mark.parametrize("kind", CURVATURE)
def test_curvature_is_quadratic_and_does_not_see_symmetries(kind):
    surface = normal(6, 6)
    assert curvature(3 * surface, kind) == pytest.approx(9 * curvature(surface, kind).item())
    for image in (surface.T, surface.flip(0), surface.flip(1)):
        assert curvature(image, kind) == pytest.approx(curvature(surface, kind).item())


# Theory, at initialization: E[(∂y/∂x)²] is proportional to the number of paths from a location to the output


def measured(layers, size, draws):
    """The landscape of random linear networks: the mean over weights of squared gradients of random outputs."""
    total = torch.zeros(size, size, dtype=torch.float64)
    for seed in range(draws):
        generator = torch_generator(seed, "weights")
        for layer in layers:
            nn.init.normal_(layer.weight, generator=generator)
        images = torch.zeros(1, 1, size, size, dtype=torch.float64, requires_grad=True)
        output = nn.Sequential(*layers)(images)
        projection = torch.randn(output.shape, dtype=torch.float64, generator=generator)
        (gradient,) = torch.autograd.grad((output * projection).sum(), images)
        total += gradient[0, 0].square()
    return total / total.mean()


def path_counts(layers, size):
    """The adjoint of the same layers with every weight 1, of a constant: how many paths leave each location."""
    counted = [
        nn.Conv2d(
            1, 1, layer.kernel_size, layer.stride, layer.padding, bias=False, padding_mode=layer.padding_mode
        )
        for layer in layers
    ]
    for layer in counted:
        nn.init.ones_(layer.weight)
    images = torch.zeros(1, 1, size, size, dtype=torch.float64, requires_grad=True)
    (paths,) = torch.autograd.grad(nn.Sequential(*counted).double()(images).sum(), images)
    return paths[0, 0] / paths.mean()


def convolutions(*settings, padding_mode="zeros"):
    channels = [1, *[8] * len(settings)]
    return [
        nn.Conv2d(a, b, kernel, stride, padding, bias=False, padding_mode=padding_mode).double()
        for a, b, (kernel, stride, padding) in zip(channels, channels[1:], settings, strict=False)
    ]


DRAWS = 1500
NETWORKS = {
    "no padding": [(5, 1, 0), (5, 1, 0)],
    "zero padding": [(3, 1, 1), (3, 1, 1), (3, 1, 1)],
    "strided": [(3, 2, 0), (3, 1, 0)],
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_linear_network_s_landscape_is_its_path_count(name):
    """Correlation at least .99 over 1,500 draws of normal weights (seeds 0 to 1,499), one random output each."""
    layers = convolutions(*NETWORKS[name])
    found, predicted = measured(layers, 13, DRAWS), path_counts(layers, 13)
    assert torch.corrcoef(torch.stack([found.flatten(), predicted.flatten()]))[0, 1] > 0.99


def test_the_theory_tells_networks_apart():
    found = measured(convolutions(*NETWORKS["no padding"]), 13, DRAWS)
    predicted = path_counts(convolutions(*NETWORKS["strided"]), 13)
    assert torch.corrcoef(torch.stack([found.flatten(), predicted.flatten()]))[0, 1] < 0.95


def test_circular_padding_has_a_flat_landscape():
    """With strides that divide the kernel: every location has as many paths."""
    layers = convolutions((3, 1, 1), (5, 1, 2), padding_mode="circular")
    predicted = path_counts(layers, 12)
    assert torch.allclose(predicted, torch.ones_like(predicted))
    assert measured(layers, 12, DRAWS).std() < 0.15  # of a mean of 1; sampling alone
    assert measured(convolutions(*NETWORKS["no padding"]), 13, DRAWS).std() > 0.5


def test_zero_padding_has_dark_borders_and_none_at_all_a_bright_center():
    padded = path_counts(convolutions(*NETWORKS["zero padding"]), 13)
    assert padded[0].max() < padded[6, 6]
    bare = path_counts(convolutions(*NETWORKS["no padding"]), 13)
    assert bare[0, 0] < bare[6, 6] / 10


# In training


@pytest.fixture(scope="module")
def data(small):
    return dataset.corrupt(small, Corruption(rate=0.5))


def landscape_after(data, options, epochs=3):
    """Curvature of the loss's landscape on the training images after some epochs."""
    reg = "bare" if options is None else "pilcro"
    training = Training(epochs=epochs, batch_size=64, learning_rate=0.05, momentum=0.5)
    recipe = Recipe(
        training=training,
        dataset="mnist5k",
        regularizers=parse(reg, None if options is None else {"pilcro": options}),
    )
    state = TrainingState.initial(recipe, data.images, CPU)
    on_device = DeviceData.of(data, CPU)
    for _ in range(epochs):
        train_epoch(state, on_device, recipe)
    state.network.eval()
    images = on_device.normalize(on_device.train_images).requires_grad_()
    loss = nn.functional.cross_entropy(state.network(images)[1], on_device.noisy)
    (gradients,) = torch.autograd.grad(loss, images)
    return curvature(importance(gradients)).item()


def test_training_with_it_flattens_the_landscape(data):
    assert landscape_after(data, {"share": 0.2}, epochs=8) < landscape_after(data, None, epochs=8) / 2


@pytest.mark.parametrize("of", OF)
def test_both_targets_train(data, of):
    assert math.isfinite(landscape_after(data, {"of": of}, epochs=1))


def test_relative_scales_the_penalty_to_the_cross_entropy():
    class Step:
        cross_entropy = torch.tensor(2.0, requires_grad=True)

    penalty = torch.tensor(0.125, requires_grad=True)
    scaled = Pilcro().scale(Step, penalty) * penalty  # type: ignore[arg-type]
    assert scaled.item() == 2.0
    assert not torch.as_tensor(Pilcro().scale(Step, penalty)).requires_grad  # type: ignore[arg-type]
    assert Pilcro(relative=False).scale(Step, penalty) == 1.0  # type: ignore[arg-type]
    flat = Pilcro().scale(Step, torch.tensor(0.0))  # type: ignore[arg-type]
    assert flat == 0  # nothing to flatten


def test_it_is_called_a_reconstruction_wherever_it_is_described():
    assert "RECONSTRUCTION" in (pilcro.__doc__ or "")
    assert "reconstruction" in (REGULARIZERS.get("pilcro").__doc__ or "")


@pytest.mark.parametrize("option", [f.name for f in fields(Pilcro) if isinstance(f.default, str)])
def test_a_word_it_does_not_know(option):
    with pytest.raises(MemstudyError, match=f"pilcro.{option} must be one of "):
        Pilcro(**{option: "sideways"})  # type: ignore[arg-type]
