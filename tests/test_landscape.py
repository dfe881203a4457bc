"""Importance landscapes: what is measured, what theory predicts of any network, noise on images, the command."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from memstudy import models, presets
from memstudy.analysis import perturbation
from memstudy.analysis.landscape import correlation, max_over_min, measured, predicted, variation
from memstudy.derived import landscape
from memstudy.derived.analysis import Watch
from memstudy.derived.kept import INITIAL
from memstudy.derived.landscape import Landscape, figures, measure, tables
from memstudy.derived.workbench import Workbench
from memstudy.errors import MemstudyError
from memstudy.randomness import torch_generator
from memstudy.regularizers.pilcro import importance
from memstudy.report.frames import Setting
from memstudy.report.marks import GRAY as BARE_GRAY
from memstudy.report.marks import marks
from memstudy.report.methods import method_labels
from memstudy.report.views import EACH, View
from memstudy.store import Store
from memstudy.study.carry_out import Execution, carry_out
from memstudy.training.state import build_network
from tests.kit import stores
from tests.kit.drawing import draw, fit_for_print
from tests.kit.sources import stand_in
from tests.test_pilcro import NETWORKS, convolutions, normal, path_counts

CPU = torch.device("cpu")


def built(name="smallnet", channels=1, size=28, seed=0):
    generator = torch_generator(seed, "weights")
    return models.build(name, channels=channels, size=size, classes=10, generator=generator).eval()


@pytest.fixture(scope="module")
def digits(small):
    """Fifty real test images, normalized, and their labels."""
    pixels = (small.test_images[::2].float() / 255 - small.mean[0]) / small.std[0]
    return pixels, small.test_labels[::2]


# Measured


def test_it_is_the_mean_over_images_one_by_one(digits):
    images, labels = digits
    network, total = built(), torch.zeros(28, 28, dtype=torch.float64)
    for image, label in zip(images, labels, strict=True):
        x = image[None].requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(network(x)[1], label[None]), x)
        total += gradient[0].double().square().sum(dim=0)
    expected = total / total.mean()
    for chunk in (7, 50):  # a remainder, and one chunk
        assert torch.allclose(measured(network, images, labels, chunk), expected, rtol=1e-4, atol=1e-7)


def test_it_is_pilcro_s_landscape_of_the_batch(digits):
    images, labels = digits
    network, x = built(), images.clone().requires_grad_()
    (gradients,) = torch.autograd.grad(F.cross_entropy(network(x)[1], labels), x)
    assert torch.allclose(measured(network, images, labels).float(), importance(gradients), rtol=1e-3, atol=1e-6)


def test_neither_repeated_images_nor_the_scale_of_gradients_matter(digits):
    images, labels = digits
    network = built()
    found = measured(network, images, labels)
    again = measured(network, images.repeat(2, 1, 1, 1), labels.repeat(2))
    rescaled = measured(lambda x: network(4 * x)[1], images / 4, labels)  # and logits alone will do
    assert torch.allclose(again, found)
    assert torch.allclose(rescaled, found)
    assert found.mean() == pytest.approx(1)
    assert not torch.allclose(measured(network, images[:9], labels[:9]), found, rtol=0.1)


def test_a_network_that_does_not_look_has_no_landscape(digits):
    images, labels = digits
    found = measured(lambda x: 0 * x.flatten(1)[:, :10], images, labels)
    assert (found == 0).all()
    assert math.isnan(variation(found))
    assert math.isnan(max_over_min(found))
    assert math.isnan(correlation(found, torch.rand(28, 28)))


@pytest.mark.parametrize(("images", "labels"), [(0, 0), (3, 2)])
def test_one_label_an_image(digits, images, labels):
    with pytest.raises(MemstudyError, match="one label an image"):
        measured(built(), digits[0][:images], digits[1][:labels])


# Numbers of a landscape


def test_flatness_in_closed_form():
    flat, steps = torch.ones(4, 4), torch.tensor([[1.0, 3.0]])
    assert (variation(flat), max_over_min(flat)) == (0, 1)
    assert (variation(steps), max_over_min(steps)) == (0.5, 3)
    assert variation(7 * steps) == variation(steps)
    assert max_over_min(steps - 1) == math.inf


def test_correlation_does_not_see_a_scale():
    one, other = normal(5, 5).square(), normal(5, 5, seed=1).square()
    assert correlation(one, 3 * one + 1) == pytest.approx(1)
    assert correlation(one, other) == pytest.approx(correlation(other, one))
    assert abs(correlation(one, other)) < 0.9
    assert math.isnan(correlation(one, torch.ones(5, 5)))


# Predicted, against other ways to compute it


@pytest.mark.parametrize("name", NETWORKS)
def test_of_convolutions_it_is_the_path_count(name):
    layers = convolutions(*NETWORKS[name])
    assert torch.allclose(predicted(nn.Sequential(*layers), (1, 13, 13)), path_counts(layers, 13))


class Beside(nn.Module):
    """Five columns of x joined with f(x), so that f's scale shows even where it is the same everywhere."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return torch.cat([x[..., :5].flatten(1), self.body(x).flatten(1)], dim=1)


class Plus(Beside):
    """x + f(x)."""

    def forward(self, x):
        return x + self.body(x)


def normalization(channels=2):
    layer = nn.BatchNorm2d(channels)
    layer.register_buffer("running_var", torch.linspace(0.5, 2, channels))
    nn.init.constant_(layer.weight, 1.7)
    return layer


def weight_normalized():
    return parametrize.register_parametrization(nn.Conv2d(2, 3, 3), "weight", nn.Softplus())


def of(function):
    """A function as a module."""
    module = nn.Module()
    module.forward = function
    return module


OPERATIONS = {
    "convolution": lambda: nn.Conv2d(2, 4, 3, 2, 1),
    "depthwise": lambda: nn.Conv2d(2, 4, 3, padding=2, dilation=2, groups=2),
    "circular": lambda: nn.Conv2d(2, 3, 3, 2, 1, padding_mode="circular"),
    "reparametrized": weight_normalized,
    "linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(128, 5)),
    "batch normalization": normalization,
    "overlapping average": lambda: nn.AvgPool2d(3, 2, 1),
    "average of what is there": lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "average, rounded up": lambda: nn.AvgPool2d(3, 2, ceil_mode=True),
    "adaptive average": lambda: nn.AdaptiveAvgPool2d(3),
    "global average": lambda: nn.AdaptiveAvgPool2d(1),
    "mean": lambda: of(lambda x: x.mean([2, 3])),
    "bilinear": lambda: nn.Upsample(size=(13, 13), mode="bilinear", align_corners=False),
    "nearest": lambda: nn.Upsample(scale_factor=2),
    "shortcut A": lambda: of(lambda x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 1))),
    "reflection": lambda: nn.ReflectionPad2d(2),
    "shuffle": lambda: of(lambda x: torch.cat(x.view(-1, 2, 1, 8, 8).transpose(1, 2).chunk(2, dim=2), 1)),
    "repeated": lambda: of(lambda x: x[:, :1].expand(-1, 3, -1, -1)),
}


def squared_jacobian(module):
    """Column sums of the Jacobian's squares, (8, 8), every weight being the root of its layer's mean square."""
    module = module.double().eval()
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            root = layer.weight.detach().square().mean().sqrt().item()
            if parametrize.is_parametrized(layer):
                parametrize.remove_parametrizations(layer, "weight")
            nn.init.constant_(layer.weight, root)
    jacobian = torch.autograd.functional.jacobian(module, torch.zeros(1, 2, 8, 8, dtype=torch.float64))
    return jacobian.square().reshape(-1, 2, 8, 8).sum(dim=(0, 1))


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_linear_operation_is_its_squared_jacobian(name):
    module = Beside(OPERATIONS[name]())
    found, expected = predicted(module, (2, 8, 8)), squared_jacobian(module)
    assert torch.allclose(found, expected / expected.mean())


def test_a_rectifier_passes_half_and_a_maximum_goes_to_one_of_its_window():
    """Beside x itself, 1 + 1/4; 1 + 1/2 where two of a window's four are padding, 1 + 1 where three are."""
    left = of(lambda x: torch.cat([x[..., :2], F.relu(x[..., 2:])], dim=3))
    assert max_over_min(predicted(left, (1, 4, 4))) == pytest.approx(2)
    pooled = predicted(Beside(nn.MaxPool2d(2, padding=1)), (1, 4, 4))
    expected = torch.tensor([[2, 1.5, 1.5, 2], *[[1.5, 1.25, 1.25, 1.5]] * 2, [2, 1.5, 1.5, 2]]).double()
    assert torch.allclose(pooled, expected / expected.mean())


def test_circular_padding_is_flat_zero_padding_dark_at_borders_no_padding_bright_in_the_center():
    flat = predicted(nn.Sequential(*convolutions((3, 1, 1), (5, 1, 2), padding_mode="circular")), (1, 12, 12))
    assert variation(flat) < 1e-12
    strided = predicted(nn.Sequential(*convolutions((4, 2, 1), padding_mode="circular")), (1, 12, 12))
    assert variation(strided) < 1e-12  # 2 divides 4
    grid = predicted(nn.Sequential(*convolutions((3, 2, 1), padding_mode="circular")), (1, 12, 12))
    assert variation(grid) > 0.4  # 2 does not divide 3
    padded = predicted(nn.Sequential(*convolutions((3, 1, 1), (3, 1, 1))), (1, 13, 13))
    assert padded[0].max() < padded[6, 6]
    bare = predicted(nn.Sequential(*convolutions((5, 1, 0), (5, 1, 0))), (1, 13, 13))
    assert bare[0, 0] < bare[6, 6] / 10


# Predicted, against draws

DRAWS = 400


class Linear(nn.Module):
    """A network without ReLUs: stem, residual block with batch normalization, stride 2 under kernels of 3."""

    def __init__(self):
        super().__init__()
        body = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), normalization(6), nn.Conv2d(6, 6, 3, padding=1))
        self.layers = nn.Sequential(nn.Conv2d(1, 6, 3), Plus(body), nn.Conv2d(6, 6, 3, 2), nn.AvgPool2d(2))

    def forward(self, x):
        return self.layers(x)


def drawn(network, size):
    """The mean over draws of weights (seeds 0, 1, …) of a random output's squared gradients."""
    total = torch.zeros(size, size, dtype=torch.float64)
    for seed in range(DRAWS):
        generator = torch_generator(seed, "weights")
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, generator=generator)
        images = torch.zeros(1, 1, size, size, dtype=torch.float64, requires_grad=True)
        output = network(images)
        projection = torch.randn(output.shape, dtype=torch.float64, generator=generator)
        (gradient,) = torch.autograd.grad((output * projection).sum(), images)
        total += gradient[0, 0].square()
    return total / total.mean()


def test_a_linear_network_with_residuals_and_strides_is_as_predicted():
    """Correlation at least .99 over 400 draws (seeds 0 to 399), one random output each."""
    network = Linear().double().eval()
    found = drawn(network, 12)
    assert correlation(found, predicted(network, (1, 12, 12))) > 0.99
    other = predicted(nn.Sequential(*convolutions(*NETWORKS["no padding"])), (1, 12, 12))
    assert correlation(found, other) < 0.95  # it tells networks apart


def test_smallnet_at_initialization_is_nearly_as_predicted_on_real_images(digits):
    """Correlation above .95 of the mean over five networks (seeds 0 to 4) on fifty test images."""
    mean = torch.stack([measured(built(seed=seed), *digits) for seed in range(5)]).mean(dim=0)
    assert correlation(mean, predicted(built(), (1, 28, 28))) > 0.95


# Predicted, of every network


EVERY = [*models.NETWORKS.names(), "torchvision:shufflenet_v2_x0_5"]


@pytest.mark.parametrize("name", EVERY)
def test_every_network_has_a_prediction(name):
    """Weights of one size do: the theory looks at nothing else of them."""
    if ":" in name:
        network = built(name, channels=1, size=64)
    else:
        with torch.device("meta"):
            network = models.NETWORKS.get(name)(3, 32, 10)
        network.to_empty(device="cpu")
        for value in network.state_dict().values():
            value.fill_(1)
    found = predicted(network, (1, 64, 64) if ":" in name else (3, 32, 32))
    assert found.mean() == pytest.approx(1)
    assert (found >= 0).all()
    assert variation(found) > 0.1


@pytest.mark.parametrize("reg", ["wn", "pbwn", "oni", "olm"])
def test_weights_made_from_others_count_as_they_are_made(small, reg):
    network = build_network(presets.build(reg=reg), small, CPU)
    found = predicted(network, (1, 28, 28))
    for layer in network.modules():
        if parametrize.is_parametrized(layer):
            parametrize.remove_parametrizations(layer, "weight")
    assert torch.allclose(predicted(network, (1, 28, 28)), found)


def test_the_mode_and_the_weights_are_left_as_they_are():
    network = built().train()
    before = [value.clone() for value in network.state_dict().values()]
    predicted(network, (1, 28, 28))
    assert network.training
    assert all(torch.equal(a, b) for a, b in zip(before, network.state_dict().values(), strict=True))
    assert all(parameter.grad is None for parameter in network.parameters())


REFUSED = [
    (lambda: nn.SiLU(), "'silu'"),
    (lambda: nn.LayerNorm([8, 8]), "'layer_norm'"),
    (lambda: of(lambda x: x * x), "'mul'"),
    (lambda: of(lambda x: torch.add(x, x, alpha=2)), "'add'"),
    (lambda: nn.MaxPool2d(2, dilation=2), "dilated"),
    (lambda: nn.BatchNorm2d(2, track_running_stats=False), "track_running_stats"),
]


@pytest.mark.parametrize(("make", "says"), REFUSED)
def test_an_operation_without_a_counterpart_is_named(make, says):
    with pytest.raises(MemstudyError, match=says):
        predicted(make(), (2, 8, 8))


# Noise


GRAY = torch.full((40, 3, 16, 16), 0.5)


def test_no_noise_is_no_change(small):
    images = small.test_images.float() / 255
    for kind in perturbation.STRENGTHS:
        assert torch.equal(perturbation.perturbed(images, kind, 0.0), images)


def test_gaussian_noise_has_its_deviation_and_is_clipped():
    noise = perturbation.perturbed(GRAY, "gaussian", 0.1) - GRAY
    n = noise.numel()
    assert abs(noise.mean()) < 4 * 0.1 / n**0.5
    assert noise.std().item() == pytest.approx(0.1, abs=4 * 0.1 / (2 * n) ** 0.5)
    assert not torch.equal(noise[:, 0], noise[:, 1])  # channels on their own
    strong = perturbation.perturbed(GRAY, "gaussian", 2.0)
    assert (strong.min(), strong.max()) == (0, 1)


def test_salt_and_pepper_hit_their_share_of_whole_pixels_and_the_same_ones_at_higher_rates():
    hit = {rate: perturbation.perturbed(GRAY, "salt-and-pepper", rate) for rate in (0.1, 0.3, 1.0)}
    n = 40 * 16 * 16
    for rate, images in hit.items():
        for value in (0.0, 1.0):
            share = (images[:, 0] == value).double().mean().item()
            assert share == pytest.approx(rate / 2, abs=4 * (rate / 2 / n) ** 0.5)
        assert torch.equal(images[:, 0], images[:, 2])
    changed = hit[0.1] != 0.5
    assert torch.equal(hit[0.3][changed], hit[0.1][changed])


@pytest.mark.parametrize("kind", perturbation.STRENGTHS)
def test_draws_are_the_same_each_time_and_others_for_another_seed(kind):
    first = perturbation.perturbed(GRAY, kind, 0.3)
    assert torch.equal(perturbation.perturbed(GRAY, kind, 0.3), first)
    assert not torch.equal(perturbation.perturbed(GRAY, kind, 0.3, seed=1), first)


@pytest.mark.parametrize(("kind", "strength"), [("gauss", 0.1), ("gaussian", -0.1), ("salt-and-pepper", 1.1)])
def test_a_noise_that_is_none(kind, strength):
    with pytest.raises(MemstudyError, match="noise"):
        perturbation.perturbed(GRAY, kind, strength)


# Runs


@pytest.fixture(scope="module")
def looked_at(trained, tmp_path_factory):
    """The store's study after `memstudy landscape`, and what that printed."""
    from click.testing import CliRunner

    from memstudy.cli import main

    store = stores.copy_of(trained, tmp_path_factory.mktemp("looked") / "runs")
    done = CliRunner().invoke(
        main, ["landscape", "--runs-dir", str(store.root), "--images", "40", "--epochs", "0,1,2", "--json"]
    )
    assert done.exit_code == 0, done.output
    return store.select(), json.loads(done.stdout)


@pytest.fixture(scope="module", autouse=True)
def _small_source(small):
    """As the fixture `small_source`, for a whole module."""
    with stand_in(small):
        yield


def test_every_run_before_training_and_at_every_kept_epoch(looked_at):
    """Not only at the study's epochs, 0 and 2: the command asked for more."""
    selection, _ = looked_at
    flat = pd.read_csv(selection.path / landscape.FLATNESS)
    assert len(flat) == len(selection.runs) * 4 * 2
    assert set(flat["epoch"]) == {INITIAL, 0, 1, 2}
    assert set(flat["kind"]) == {landscape.MEASURED, landscape.PREDICTED}
    assert set(flat.loc[flat["epoch"] == INITIAL, "checkpoint"]) == {"initial"}
    assert flat["correlation"].between(0.5, 1).sum() > 0
    pixels = pd.read_csv(selection.path / landscape.MAPS)
    assert len(pixels) == len(flat) * 28 * 28
    by = ["run", "epoch", "kind"]
    assert set(pixels[by].itertuples(index=False)) == set(flat[by].itertuples(index=False))
    assert (pixels.groupby(by)[["row", "column"]].max() == 27).all(axis=None)
    means = pixels.groupby(by)["value"].mean()
    assert means.to_numpy() == pytest.approx(1, abs=1e-5)
    cv = pixels.groupby(by)["value"].std(ddof=0).sort_index()
    assert cv.to_numpy() == pytest.approx(flat.set_index(by)["cv"].sort_index().to_numpy(), abs=1e-4)
    noise = pd.read_csv(selection.path / landscape.NOISE)
    assert len(noise) == len(selection.runs) * sum(map(len, perturbation.STRENGTHS.values()))
    assert set(noise["epoch"]) == {2}
    clean = noise[noise["strength"] == 0].groupby("run")["accuracy"]
    assert (clean.nunique() == 1).all()  # one accuracy, whatever noise there is none of


def test_a_row_is_what_the_network_measures(looked_at, small):
    selection, _ = looked_at
    run = selection.runs[0]
    bench = Workbench(CPU)
    positions = measure._positions(small, 40)
    test = bench.test_set(run)
    assert sorted(test.labels[positions].tolist()) == sorted([*range(10)] * 4)  # stratified
    expected = measured(bench.network(run, 2), test.images[positions], test.labels[positions])
    rows = pd.read_csv(selection.path / landscape.MAPS)
    rows = rows[(rows["run"] == run.name) & (rows["epoch"] == 2) & (rows["kind"] == landscape.MEASURED)]
    assert rows["value"].to_numpy() == pytest.approx(expected.flatten().numpy(), abs=1e-6)
    assert rows[["row", "column"]].to_numpy()[29].tolist() == [1, 1]
    assert bench.image_set(run) is small


def test_figures_fit_every_width(looked_at):
    """Of this study AL2 has twins: a panel for each baseline."""
    drawn = {drawing.name: drawing for drawing in fit_for_print(lambda: figures.figures(looked_at[0]))}
    assert set(drawn) == set(Landscape.draws)
    columns = ["run", "seed", "label"]
    assert list(drawn["landscape_flatness"].data) == [*columns, "epoch", "kind", "cv", "max_over_min"]
    assert list(drawn["landscape_noise"].data) == [*columns, "noise", "strength", "accuracy"]
    assert len(drawn["landscape_noise"].data) == 8 * sum(map(len, perturbation.STRENGTHS.values()))
    scales = {axis.get_ylim() for axis in drawn["landscape_noise"].figure.axes}
    assert len(scales) == 1


def test_everything_is_written_and_said(looked_at):
    selection, summary = looked_at
    names = {path.name for path in (selection.path / "figures").iterdir()}
    assert {
        f"landscape{part}.{end}" for part in ("", "_flatness", "_noise") for end in ("svg", "pdf", "png", "csv")
    } <= names
    written = {path.name for path in (selection.path / "tables").iterdir()}
    assert written == {f"landscape_{part}.{end}" for part in ("flatness", "noise") for end in ("md", "tex", "csv")}
    text = (selection.path / "tables" / "landscape_flatness.md").read_text()
    assert "40 test images" in text
    assert "do+al2" in text
    assert summary["left_out"] == []
    (cv,) = (
        row for row in summary["landscape_flatness"]
        if row["label"] == "bare" and row["panel"] == tables.AFTER and row["quantity"] == "cv"
    )  # fmt: skip
    flat = pd.read_csv(selection.path / landscape.FLATNESS)
    bare = [run.name for run in selection.runs if not run.recipe.regularizers]
    rows = flat[flat["run"].isin(bare) & (flat["epoch"] == 2) & (flat["kind"] == landscape.MEASURED)]
    assert (cv["n"], cv["mean"], cv["sd"]) == (
        2,
        pytest.approx(rows["cv"].mean()),
        pytest.approx(rows["cv"].std()),
    )


def test_a_second_time_computes_nothing_and_changes_nothing(looked_at, monkeypatch):
    selection, _ = looked_at
    before = {
        name: (selection.path / name).read_bytes()
        for name in (landscape.MAPS, landscape.FLATNESS, landscape.NOISE)
    }
    monkeypatch.setattr(measure, "measured", None)  # called, it would raise
    told = []
    measure.landscapes(
        selection,
        Workbench(CPU),
        Landscape(images=40),
        Watch(progress=lambda done, total: told.append((done, total))),
    )
    assert told[-1] == (32, 32)
    assert {name: (selection.path / name).read_bytes() for name in before} == before
    with pytest.raises(TypeError):  # other images are another landscape
        measure.landscapes(
            selection,
            Workbench(CPU),
            Landscape(
                images=50,
                epochs=(
                    0,
                    2,
                ),
            ),
        )
    assert {name: (selection.path / name).read_bytes() for name in before} == before


def test_a_diverged_network_is_left_out_and_named(store_copy, monkeypatch):
    run = store_copy.select().runs[0]
    selection = store_copy.select([run.name])
    told: list[str] = []
    load = type(run).load_checkpoint

    def diverged(self, epoch):
        return {name: value / (0 if epoch == 2 else 1) for name, value in load(self, epoch).items()}

    monkeypatch.setattr(type(run), "load_checkpoint", diverged)
    measure.landscapes(selection, Workbench(CPU), Landscape(images=20), Watch(left_out=told.append))
    assert told == [f"{run.name}, epoch 2: its representation is not finite"]
    flat = pd.read_csv(selection.path / landscape.FLATNESS)
    assert set(flat["epoch"]) == {INITIAL, 0, 1}
    assert not (selection.path / landscape.NOISE).exists()
    assert [sheet.name for sheet in tables.tables(selection)] == ["landscape_flatness"]
    assert "(1, counted from 0)" in tables.tables(selection)[0].markdown()
    assert {path.stem for path in draw(Landscape(), selection)} == {"landscape", "landscape_flatness"}


def test_what_cannot_be_predicted_is_measured_and_named(store_copy, monkeypatch):
    selection = store_copy.select([store_copy.select().runs[0].name])
    told: list[str] = []

    def refuse(network, shape):
        raise MemstudyError("no.")

    monkeypatch.setattr(measure, "predicted", refuse)
    measure.landscapes(selection, Workbench(CPU), Landscape(images=20, epochs=(2,)), Watch(left_out=told.append))
    assert told == [f"{selection.runs[0].name}, epoch {epoch}, its prediction: no" for epoch in (-1, 2)]
    assert set(pd.read_csv(selection.path / landscape.FLATNESS)["kind"]) == {landscape.MEASURED}
    assert tables.tables(selection)[0].cells["cv after training"].item() != "–"
    assert draw(Landscape(), selection)


def test_batch_normalization_starts_with_the_images_own_statistics(small, tmp_path):
    run = Store(tmp_path).open(presets.build(reg="bn+do", epochs=1))
    carry_out(run, Execution(device="cpu"))
    bench = Workbench(CPU)
    network = bench.untrained(run, bench.test_set(run).images)
    layers = list(network.trunk.children())
    (index,) = (i for i, layer in enumerate(layers) if isinstance(layer, nn.BatchNorm2d))
    found = nn.Sequential(*layers[:index])(bench.test_set(run).images).mean(dim=(0, 2, 3))
    assert torch.allclose(layers[index].state_dict()["running_mean"], found, atol=1e-5)
    assert not network.training


def test_the_label_names_the_options_that_differ():
    recipes = [
        presets.build(reg=reg, options={"pilcro": {"share": share}} if "pilcro" in reg else None)
        for reg, share in [("bare", 0), ("pilcro", 0.1), ("pilcro", 0.02), ("do+pilcro", 0.1)]
    ]
    assert method_labels(recipes, ("reg",)) == [
        "bare",
        "pilcro (share 0.1)",
        "pilcro (share 0.02)",
        "do+pilcro (share 0.1)",
    ]
    assert method_labels(recipes[:2], ("reg",))[1] == "pilcro"


def test_some_epochs_are_chosen_and_the_last_is_always_among_them(command, store_copy):
    name = store_copy.select().runs[0].name
    done = command("landscape", name, "--images", "10", "--epochs", "0")
    assert done.exit_code == 0, done.output
    flat = pd.read_csv(store_copy.select([name]).path / landscape.FLATNESS)
    assert set(flat["epoch"]) == {INITIAL, 0, 2}
    done = command("landscape", name, "--epochs", "first")
    assert done.exit_code == 2
    assert "'--epochs': it must be a list of whole numbers of at least 0, not 'first'" in done.stderr


# The figure of flatness over training


def flatness(labels, epochs=(INITIAL, 0, 4), seeds=2):
    """Numbers made up: cv grows with epoch and seed, max/min is 10 to the power of cv, predicted is cv 0.5."""
    rows = itertools.product(enumerate(labels), epochs, range(seeds), [landscape.MEASURED, landscape.PREDICTED])
    cv = [1 + epoch / 10 + seed if kind == landscape.MEASURED else 0.5 for _, epoch, seed, kind in rows]
    rows = itertools.product(enumerate(labels), epochs, range(seeds), [landscape.MEASURED, landscape.PREDICTED])
    table = pd.DataFrame(
        [(f"{label}{seed}", seed, label, epoch, kind) for (_, label), epoch, seed, kind in rows],
        columns=["run", "seed", "label", "epoch", "kind"],
    )
    return table.assign(cv=cv, max_over_min=[10**value for value in cv])


SETTING = Setting(presets.build(), (), 0.0)


def view_of(labels, apart=False):
    """The runs of `flatness`, in one panel or one for each method but bare."""
    runs = pd.DataFrame([(f"{label}{seed}", seed, label) for label in labels for seed in range(2)])
    runs.columns = ["run", "seed", "method"]
    if not apart:
        return View(runs.assign(panel="", line=runs["method"]), (SETTING,), marks(labels), [""])
    parts = [
        runs[runs["method"].isin(["bare", label])].assign(panel=label, line=lambda table: table["method"])
        for label in labels[1:]
    ]
    named = pd.concat(parts).replace({"line": dict.fromkeys(labels[1:], EACH)})
    return View(named, (SETTING,), marks(["bare", EACH]), labels[1:], apart=True)


def over_training(data, labels, apart=False):
    view = view_of(labels, apart)
    return figures._over_training(view.of(data.drop(columns="label")), view)


def drawn_lines(figure, axis):
    """Of each line of a panel its points; and the heights of dotted ones."""
    lines = figure.axes[axis].lines
    points = [line.get_xydata() for line in lines if line.get_linestyle() != ":" or len(line.get_xdata()) > 2]
    return points, {round(float(line.get_ydata()[0]), 6) for line in lines if len(line.get_xdata()) == 2}


def test_lines_are_means_over_seeds_from_before_training_on_and_the_prediction_is_dotted():
    """Of max/min the geometric mean, with bands of the logarithm, as its axis is logarithmic."""
    figure = over_training(flatness(["bare", "al2"]), ["bare", "al2"]).figure
    solid, dotted = drawn_lines(figure, 0)
    assert [line.tolist() for line in solid] == [[[0, pytest.approx(1.4)], [1, 1.5], [5, pytest.approx(1.9)]]] * 2
    assert dotted == {0.5}
    solid, dotted = drawn_lines(figure, 1)
    assert figure.axes[1].get_yscale() == "log"
    assert np.log10(solid[0][:, 1]) == pytest.approx([1.4, 1.5, 1.9])
    assert dotted == {round(10**0.5, 6)}
    spread = np.std([0, 1], ddof=1)
    band = np.log10(figure.axes[1].collections[0].get_paths()[0].vertices[:, 1])
    assert (band.min(), band.max()) == pytest.approx((1.4 - spread, 1.9 + spread))


@pytest.mark.parametrize("value", [math.inf, 1e17])
def test_an_epoch_where_one_seed_has_an_infinite_or_absurd_ratio_has_no_mean(value):
    data = flatness(["bare"])
    data.loc[(data["epoch"] == 0) & (data["seed"] == 1), "max_over_min"] = value
    drawn = over_training(data, ["bare"])
    assert drawn_lines(drawn.figure, 1)[0][0][:, 0].tolist() == [0, 5]
    assert drawn_lines(drawn.figure, 0)[0][0][:, 0].tolist() == [0, 1, 5]
    assert "Left out: epochs at which a network has no finite value, or a ratio above 10¹⁵" in drawn.caption
    assert drawn.data["max_over_min"].max() == value  # the data have it
    assert "Left out" not in over_training(flatness(["bare"]), ["bare"]).caption


def test_ratios_that_are_infinite_everywhere_leave_their_panel_empty():
    data = flatness(["bare"]).assign(max_over_min=math.inf)
    figure = over_training(data[data["kind"] == landscape.MEASURED], ["bare"]).figure
    assert [len(drawn_lines(figure, axis)[0]) for axis in (0, 1)] == [1, 0]


def test_predictions_that_differ_have_a_line_each():
    data = flatness(["bare", "bn"])
    data.loc[(data["label"] == "bn") & (data["kind"] == landscape.PREDICTED), "cv"] = 0.7
    assert drawn_lines(over_training(data, ["bare", "bn"]).figure, 0)[1] == {0.5, 0.7}


def test_many_labels_have_panels_of_their_own_with_bare_in_gray_in_all():
    labels = ["bare", *(f"pilcro (share {share})" for share in range(9))]
    drawn = fit_for_print(lambda: [over_training(flatness(labels), labels, apart=True)], [3.25])[0]
    shown = [axis for axis in drawn.figure.axes if axis.get_visible()]
    assert len(shown) == 2 * 9
    assert len({axis.get_ylim() for axis in shown}) == 2  # one scale a quantity
    for axis in shown:
        assert [line.get_color() for line in axis.lines[:2]] == [BARE_GRAY, marks(["bare", "x"])["x"].color]
    assert len(drawn.data) == len(flatness(labels))  # each run once


# The heat maps


def landscapes(labels, untrained=lambda label: 0):
    """Maps of 3 × 4 made up; before training those of equal numbers are equal."""
    rows = []
    for place, label in enumerate(labels):
        for panel, number in ((tables.BEFORE, untrained(label)), (tables.THEORY, 0), (tables.AFTER, place)):
            for row, column in itertools.product(range(3), range(4)):
                value = 1 + (row * column + number) % 5
                rows.append((f"{label}0", label, panel, row, column, float(value)))
    return pd.DataFrame(rows, columns=["run", "label", "panel", "row", "column", "value"])


def maps(rows):
    """The drawing of some maps: (titles, images) of its panels."""
    (drawn,) = fit_for_print(lambda: [figures._maps(SETTING, rows)], [3.25])
    shown = [axis for axis in drawn.figure.axes if axis.images]
    return drawn, [axis.get_title().replace("\n", " ") for axis in shown], [axis.images[0] for axis in shown]


def test_equal_maps_are_drawn_once_and_all_on_one_scale():
    """The prediction is that of all networks, and bare's before training that of al2."""
    rows = landscapes(["bare", "al2", "bn"], untrained=lambda label: int(label == "bn"))
    drawn, titles, images = maps(rows)
    assert titles == ["bare and 1 more", "bn", "predicted: all", "bare", "al2", "bn"]
    assert len({(image.norm.vmin, image.norm.vmax) for image in images}) == 1
    assert images[0].norm.vmax == rows["value"].max()
    assert "those of bare, al2." in drawn.caption
    assert len(drawn.data) == len(rows)  # the data have all


def test_predictions_that_differ_have_a_map_each():
    rows = landscapes(["bare", "bn"])
    rows.loc[(rows["label"] == "bn") & (rows["panel"] == tables.THEORY), "value"] *= [1, 2] * 6
    assert [title for title in maps(rows)[1] if "predicted" in title] == ["predicted: bare", "predicted: bn"]


def test_a_collapsed_network_has_a_dark_map_and_no_cv():
    rows = landscapes(["bare"])
    rows.loc[rows["panel"] == tables.AFTER, "value"] = 0.0
    drawn, *_ = maps(rows)
    assert [axis.get_xlabel() for axis in drawn.figure.axes if axis.images][-1] == "cv –"


def test_thirty_methods_fit():
    _, titles, _ = maps(landscapes([f"method+{number} (share 0.0{number})" for number in range(30)]))
    assert len(titles) == 2 + 30


def test_few_images_are_a_sentence_and_nothing_is_written(command, store_copy, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    done = command("landscape", "--images", "9")
    assert done.exit_code == 2
    assert "--images must be at least 10" in done.stderr
    assert "Traceback" not in done.output
    assert sorted(tmp_path.rglob("*")) == before


def test_a_store_without_runs_says_so(command):
    done = command("landscape")
    assert done.exit_code == 2
    assert "memstudy run" in done.stderr


def test_a_noise_s_mean_accuracy_in_the_table(looked_at):
    selection, summary = looked_at
    noise = pd.read_csv(selection.path / landscape.NOISE)
    names = {run.name for run in selection.runs if not run.recipe.regularizers}
    rows = noise[noise["run"].isin(names) & (noise["noise"] == "gaussian") & (noise["strength"] == 0.4)]
    (found,) = (
        row for row in summary["landscape_noise"]
        if (row["label"], row["noise"], row["strength"]) == ("bare", "gaussian", 0.4)
    )  # fmt: skip
    assert found["mean"] == pytest.approx(100 * np.mean(rows["accuracy"]))


def test_each_is_held_against_bare(looked_at):
    _, summary = looked_at
    for name, keys in (("landscape_flatness", ("panel", "quantity")), ("landscape_noise", ("noise", "strength"))):
        means = {(row["label"], *(row[key] for key in keys)): row["mean"] for row in summary[name]}
        held = [row for row in summary[name] if row["difference"] is not None]
        assert {row["label"] for row in held} == {"al2", "do", "do+al2"}
        for row in held:
            expected = row["mean"] - means["bare", *(row[key] for key in keys)]
            assert (row["difference"], row["pairs"]) == (pytest.approx(expected, abs=1e-9), 2)
    clean = [row for row in summary["landscape_noise"] if row["strength"] == 0 and row["against"]]
    assert len(clean) == 3  # one accuracy, tested once
