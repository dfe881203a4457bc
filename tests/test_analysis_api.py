"""What `memstudy.analysis` names: each works on a user's own arrays, without a run, and refuses what is bad.

The arrays are real: MNIST images, and the activations, gradients and logits of smallNets that are not trained; the
networks of three seeds stand for three epochs.
"""

from __future__ import annotations

import ast
import inspect
import math
import re
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from memstudy import analysis, models
from memstudy.analysis.records import LARGEST
from memstudy.randomness import torch_generator
from tests.kit.sentences import refused
from tests.test_imports import PACKAGE

FUNCTIONS = [name for name in analysis.__all__ if not inspect.isclass(getattr(analysis, name))]
ABLATED = (0, 0.5, 1)


@pytest.fixture(scope="module")
def tensors(small):
    """A user's data, without gradients: (N, …) of 100 test images, (E, N) of three epochs; and two networks."""
    networks = [
        models.build(
            "smallnet", channels=1, size=28, classes=10, generator=torch_generator(seed, "weights")
        ).eval()
        for seed in range(3)
    ]
    images, labels = (small.test_images.float() / 255 - 0.1307) / 0.3081, small.test_labels.long()
    pixels = images.clone().requires_grad_()
    loss = F.cross_entropy(networks[0](pixels)[1], labels, reduction="sum")
    with torch.no_grad():
        features = [network.trunk(images) for network in networks]
        logits = torch.stack([network(images)[1] for network in networks])
    noisy = torch.where(torch.arange(100) % 3 == 0, (labels + 1) % 10, labels)
    return SimpleNamespace(
        network=networks[0], head=networks[0].head, images=images, intensities=small.test_images.float() / 255,
        clean=labels, noisy=noisy, corrupted=noisy != labels, gradients=torch.autograd.grad(loss, pixels)[0],
        features=features[0], others=features[1], logits=logits[0], probabilities=logits[0].softmax(dim=1),
        prediction=logits.argmax(dim=2),
        margins=torch.stack([analysis.logit_margin(each, noisy) for each in logits]),
        losses=torch.stack([F.cross_entropy(each, noisy, reduction="none") for each in logits]),
        curves=torch.tensor([[0.9, 0.6, 0.1], [0.8, 0.5, 0.1]], dtype=torch.float64),
        first=features[0].movedim(1, -1).flatten(0, 2), second=features[1].movedim(1, -1).flatten(0, 2),
    )  # fmt: skip


@pytest.fixture(scope="module")
def arrays(tensors):
    """The same as numpy arrays, which nothing may write to."""
    found = {name: own.numpy().copy() if isinstance(own, Tensor) else own for name, own in vars(tensors).items()}
    for own in found.values():
        if isinstance(own, np.ndarray):
            own.flags.writeable = False
    return SimpleNamespace(**found)


def landscape(data):
    return analysis.landscape_of_gradients(data.gradients)


def own(values):
    """A copy that may be written to."""
    return values.copy() if isinstance(values, np.ndarray) else values


USES = {
    "ablation_area": (lambda d: (d.curves, ABLATED), (2,)),
    "ablation_curve": (lambda d: (d.head, d.features, d.clean, "units", 2, 0, ABLATED), (2, 3)),
    "area_under_margin": (lambda d: d.margins, (100,)),
    "as_samples": (lambda d: torch.as_tensor(own(d.features)), (1600, 50)),
    "cca": (lambda d: (own(d.first), own(d.second)), (50,)),
    "cka": (lambda d: (own(d.first), own(d.second)), ()),
    "corruption_auc": (lambda d: (d.losses[0], d.corrupted), ()),
    "el2n": (lambda d: (d.probabilities, d.noisy), (100,)),
    "first_learned": (lambda d: (d.prediction, d.noisy), (100,)),
    "forgetting_events": (lambda d: (d.prediction, d.noisy), (100,)),
    "landscape_correlation": (lambda d: (landscape(d), landscape(d) ** 2), ()),
    "landscape_max_over_min": (lambda d: landscape(d), ()),
    "landscape_measured": (lambda d: (d.network, d.images, d.clean), (28, 28)),
    "landscape_of_gradients": (lambda d: d.gradients, (28, 28)),
    "landscape_predicted": (lambda d: (d.network, d.images.shape[1:]), (28, 28)),
    "landscape_variation": (lambda d: landscape(d), ()),
    "learned_for_good": (lambda d: (d.prediction, d.noisy), (100,)),
    "linear_probe": (lambda d: (d.features[::2], d.clean[::2], d.features[1::2], d.clean[1::2]), ()),
    "logit_margin": (lambda d: (d.logits, d.noisy), (100,)),
    "loss_mixture": (lambda d: d.losses[0], (100,)),
    "memorization_shares": (lambda d: (d.prediction, d.clean, d.noisy), (3,)),
    "perturbed": (lambda d: (d.intensities, "gaussian", 0.2), (100, 1, 28, 28)),
    "procrustes": (lambda d: (own(d.first), own(d.second)), ()),
    "pwcca": (lambda d: (own(d.first), own(d.second)), ()),
    "sample_records": (lambda d: (d.logits, d.noisy), (100,)),
    "scores_over_epochs": (lambda d: (d.losses, d.margins, d.prediction, d.noisy), (100,)),
    "svcca": (lambda d: (own(d.first), own(d.second)), ()),
}
"""What is exported, with what a user would give it, and the shape of the numbers that it answers."""


def numbers(name, arguments):
    """What a function answers to its arguments, or its only one, as arrays."""
    found = getattr(analysis, name)(*(arguments if isinstance(arguments, tuple) else (arguments,)))
    if isinstance(found, Iterator):
        *_, found = found  # the last epoch's
    parts = {"cca": lambda: [found.coefficients], "loss_mixture": lambda: [found.clean]}
    each = parts.get(name, lambda: found.values() if isinstance(found, dict) else [found])()
    return [np.asarray(part, dtype=np.float64) for part in each]


def test_every_exported_function_is_called_here():
    assert set(USES) == set(FUNCTIONS) == {name for name, *_ in REFUSED}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_its_docstring_says_shapes_source_and_cost(name):
    """Ours, or a paper with its year; the cost at the function, or at its file for all that are there."""
    function = getattr(analysis, name)
    text, file = inspect.getdoc(function) or "", inspect.getdoc(inspect.getmodule(function)) or ""
    assert re.search(r"\((N|M|E|H|C|n|p|\.\.\.|orders|min)\b[^)]*\)|\(\.\.\.", text), "no shape"
    assert re.search(r"\bours\b|AL2|scikit-learn|\b(19|20)\d\d\b", text), "no source"
    assert re.search(r"O\(|Cost", text + file), "no cost"


@pytest.mark.parametrize("name", USES)
def test_arrays_in_numbers_out_as_with_tensors(name, arrays, tensors):
    give, shape = USES[name]
    found, again = numbers(name, give(arrays)), numbers(name, give(tensors))
    for one, other in zip(found, again, strict=True):
        assert one.shape == shape
        assert np.isfinite(one).all()
        assert np.array_equal(one, other)


def spoiled(values, value=math.nan):
    """A copy with one number replaced."""
    found = np.array(values)
    found.flat[7] = value
    return found


DIVERGED = "NaN or infinite values"
REFUSED = [
    ("ablation_area", lambda d: (d.curves), "not shape (2, 3) for 21 fractions"),
    ("ablation_area", lambda d: (100 * d.curves, ABLATED), "from 0 to 1"),
    ("ablation_area", lambda d: (d.curves, ABLATED[::-1]), "must ascend"),
    ("ablation_curve", lambda d: (d.head, d.features, d.clean[:9]), "100 images and 9 labels"),
    ("ablation_curve", lambda d: (d.head, d.features, d.clean - 1), "whole numbers from 0 on"),
    ("ablation_curve", lambda d: (d.head, d.features, d.clean + 1), "from 0 to 9", "not 10"),
    ("ablation_curve", lambda d: (d.head, d.features[:, :9], d.clean), "(100, 9, 4, 4)"),
    ("ablation_curve", lambda d: (d.head, spoiled(d.features), d.clean), DIVERGED),
    ("ablation_curve", lambda d: (d.head, d.features[0, 0, 0], d.clean[:4]), "(N, C, H, W), not (4,)"),
    ("area_under_margin", lambda d: (d.margins[0]), "(E, N)", "not (100,)"),
    ("area_under_margin", lambda d: (spoiled(d.margins)), DIVERGED),
    ("as_samples", lambda d: (torch.zeros(3, 4, 5)), "(N, C, H, W)", "(3, 4, 5)"),
    ("cca", lambda d: (spoiled(d.first), own(d.second)), "infinite"),
    ("cka", lambda d: (own(d.first[:9]), own(d.second)), "9", "1600"),
    ("corruption_auc", lambda d: (d.losses[0], d.corrupted[:9]), "(100,)", "(9,)"),
    ("corruption_auc", lambda d: (d.losses[0], d.noisy), "boolean", "int64"),
    ("corruption_auc", lambda d: (spoiled(d.losses[0]), d.corrupted), DIVERGED),
    ("el2n", lambda d: (d.logits, d.noisy), "softmax"),
    ("el2n", lambda d: (d.probabilities, d.noisy - 1), "from 0 on"),
    ("first_learned", lambda d: (d.prediction[0], d.noisy), "(E, N)"),
    ("first_learned", lambda d: (d.prediction[:0], d.noisy), "at least one epoch"),
    ("forgetting_events", lambda d: (d.losses, d.noisy), "whole numbers, not float32"),
    ("forgetting_events", lambda d: (d.prediction, d.noisy[1:]), "99 labels for 100"),
    ("landscape_correlation", lambda d: (np.ones((2, 3)), np.ones((3, 2))), "one shape"),
    ("landscape_max_over_min", lambda d: (-np.ones((2, 3))), "nowhere negative"),
    ("landscape_measured", lambda d: (d.network, d.images[0], d.clean[:1]), "(1, 28, 28)"),
    ("landscape_measured", lambda d: (d.network, spoiled(d.images), d.clean), DIVERGED),
    ("landscape_measured", lambda d: (d.network, d.images, d.clean * 9), "not 81"),
    ("landscape_measured", lambda d: (d.network, d.images[..., :9], d.clean), "28, 9"),
    ("landscape_of_gradients", lambda d: (spoiled(d.gradients)), DIVERGED),
    ("landscape_of_gradients", lambda d: (d.gradients[0]), "(N, C, H, W)"),
    ("landscape_predicted", lambda d: (d.network, (28, 28)), "(C, H, W), not (28, 28)"),
    ("landscape_variation", lambda d: (np.ones(4)), "(H, W)", "(4,)"),
    ("landscape_variation", lambda d: (spoiled(np.ones((3, 3)))), "finite"),
    ("learned_for_good", lambda d: (d.prediction, d.noisy / 2), "whole numbers"),
    ("linear_probe", lambda d: (d.features, d.clean, spoiled(d.features), d.clean), DIVERGED),
    ("linear_probe", lambda d: (d.features, d.clean / 2, d.features, d.clean), "whole numbers"),
    ("logit_margin", lambda d: (d.logits[:, :1], d.noisy), "K > 1 classes, not (100, 1)"),
    ("logit_margin", lambda d: (spoiled(d.logits), d.noisy), DIVERGED),
    ("logit_margin", lambda d: (d.logits, d.noisy[:, None]), "shape (N,)", "(100, 1)"),
    ("loss_mixture", lambda d: (d.losses), "shape (N,)", "(3, 100)"),
    ("loss_mixture", lambda d: (spoiled(d.losses[0], math.inf)), DIVERGED),
    ("memorization_shares", lambda d: (d.prediction, d.clean[1:], d.noisy), "99 labels"),
    ("perturbed", lambda d: (d.images, "gaussian", 0.2), "from 0 to 1"),
    ("perturbed", lambda d: (d.intensities[0], "gaussian", 0.2), "(N, C, H, W)"),
    ("procrustes", lambda d: (own(d.first), spoiled(d.second)), "infinite"),
    ("pwcca", lambda d: (own(d.first[:9]), own(d.second[:9])), "9"),
    ("sample_records", lambda d: (d.logits, d.noisy + 1), "from 0 to 9", "not 10"),
    ("sample_records", lambda d: ([["a", "b"]], d.noisy[:1]), "array of numbers"),
    (
        "scores_over_epochs",
        lambda d: (d.losses, d.margins[1:], d.prediction, d.noisy),
        "(3, 100), (2, 100) and (3, 100)",
    ),
    (
        "scores_over_epochs",
        lambda d: (d.losses, spoiled(d.margins), d.prediction, d.noisy),
        DIVERGED,
    ),
    ("svcca", lambda d: (own(d.first), own(d.second[1:])), "1600", "1599"),
]  # fmt: skip


@pytest.mark.parametrize("place", range(len(REFUSED)), ids=[f"{name}-{words[0]}" for name, _, *words in REFUSED])
def test_bad_input_is_one_sentence(place, arrays):
    name, give, *words = REFUSED[place]
    refused(lambda: numbers(name, give(arrays)), *words)


HEAVY = {"sklearn", "scipy", "pandas", "matplotlib", "seaborn", "torchvision"}


def imported(file):
    """The modules, or what is in them, that a file imports as soon as it is imported itself."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reached(name, found):
    """Add to `found` all that importing memstudy's module of this name imports, packages around it included."""
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        place = PACKAGE.parent.joinpath(*parts[:depth])
        file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if file.is_file() and file not in found:
            found.add(file)
            for other in imported(file):
                found.add(other.split(".")[0])
                if other.startswith("memstudy"):
                    reached(other, found)
    return found


def test_importing_it_needs_no_scikit_learn():
    """Which takes as long to import as PyTorch does. Read from the files, as PyTorch is imported here already."""
    found = reached("memstudy.analysis", set())
    assert "torch" not in found
    for place in analysis._PLACES.values():
        reached(place.partition(":")[0], found)
    assert not HEAVY & found
    assert {"torch", PACKAGE / "analysis" / "dynamics.py", PACKAGE / "regularizers" / "pilcro.py"} <= found
    assert HEAVY & reached("memstudy.analysis.significance", set())  # it can fail


# Closed forms


@pytest.mark.parametrize("classes", [2, 10])
def test_el2n_of_what_is_sure_and_of_what_is_not(classes):
    labels = np.arange(classes)
    sure = np.eye(classes)
    assert analysis.el2n(sure, labels).tolist() == [0] * classes
    assert analysis.el2n(sure, (labels + 1) % classes).numpy() == pytest.approx(math.sqrt(2))
    even = analysis.el2n(np.full((classes, classes), 1 / classes), labels)
    assert even.numpy() == pytest.approx(math.sqrt(1 - 1 / classes))


def test_a_shift_of_a_sample_s_logits_changes_no_margin_and_classes_have_no_order(tensors):
    logits, labels = tensors.logits.double(), tensors.noisy
    found = analysis.logit_margin(logits, labels)
    assert torch.allclose(analysis.logit_margin(logits + torch.arange(100)[:, None], labels), found)
    order = torch.randperm(10, generator=torch_generator(0, "test/classes"))
    assert torch.equal(analysis.logit_margin(logits[:, order], order.argsort()[labels]), found)
    assert torch.equal(found > 0, logits.argmax(dim=1) == labels)
    assert not torch.allclose(analysis.logit_margin(2 * logits, labels), found)


def test_the_aum_of_a_constant_margin_is_that_margin(tensors):
    margin = tensors.margins[0]
    assert np.array_equal(analysis.area_under_margin(margin.repeat(7, 1).double()), margin.double().numpy())


def test_records_are_margin_and_el2n_in_half_precision(tensors):
    found = analysis.sample_records(tensors.logits, tensors.noisy)
    assert torch.equal(found["margin"], analysis.logit_margin(tensors.logits, tensors.noisy).half())
    assert torch.equal(found["el2n"], analysis.el2n(tensors.probabilities, tensors.noisy).half())
    diverged = tensors.logits.clone().fill_(math.nan)
    assert (analysis.sample_records(diverged, tensors.noisy)["loss"] == LARGEST).all()  # recorded, not refused


def test_shares_by_hand():
    """Two intact samples and two corrupted ones: all right, then all as labeled, then nothing right."""
    clean, noisy = np.array([0, 1, 2, 2]), np.array([0, 1, 0, 1])
    found = analysis.memorization_shares(np.stack([clean, noisy, np.full(4, 9)]), clean, noisy)
    assert {name: values.tolist() for name, values in found.items()} == {
        "clean_accuracy": [1, 1, 0], "memorized": [0, 1, 0], "recovered": [1, 0, 0], "other": [0, 0, 1],
    }  # fmt: skip
    assert np.isnan(analysis.memorization_shares(clean[None], clean, clean)["memorized"]).all()


def test_a_landscape_is_that_of_its_gradients(tensors):
    found = analysis.landscape_measured(tensors.network, tensors.images, tensors.clean)
    assert torch.allclose(found, landscape(tensors), rtol=1e-4, atol=1e-6)
    assert torch.allclose(analysis.landscape_of_gradients(7 * tensors.gradients), landscape(tensors), rtol=1e-5)
    flat = analysis.landscape_of_gradients(torch.full((5, 3, 4, 6), -0.3))
    assert torch.equal(flat, torch.ones(4, 6, dtype=torch.float64))
    assert analysis.landscape_variation(landscape(tensors)) > 0.5


def test_a_probe_of_shuffled_labels_finds_nothing(arrays):
    """Of true labels it finds much: the probe of arrays can fail."""
    order = np.random.default_rng(0).permutation(50)
    sides = arrays.features[::2], arrays.clean[::2], arrays.features[1::2], arrays.clean[1::2]
    assert analysis.linear_probe(*sides) > 0.6
    assert analysis.linear_probe(sides[0], sides[1][order], *sides[2:]) < 0.35
