"""Corruption as the field knows it: cleanlab's own counts and draws, and rules written again from the papers.

Nothing here calls memstudy to say what is right. Statistics are compared at six standard deviations (two-sided
p = 2e-9), on seeds that never change.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import torch
import torch.nn.functional as F
from cleanlab.benchmarking.noise_generation import (  # type: ignore[import-untyped]
    generate_noisy_labels,
    noise_matrix_is_valid,
)
from cleanlab.count import (  # type: ignore[import-untyped]
    compute_confident_joint,
    estimate_latent,
)
from cleanlab.internal.latent_algebra import (  # type: ignore[import-untyped]
    compute_inv_noise_matrix,
    compute_ps_py_inv_noise_matrix,
)

from memstudy.data import corruption, dataset, transitions
from memstudy.data.images import ImageSet
from memstudy.randomness import numpy_generator, torch_generator
from memstudy.recipe import Corruption

SIX_DEVIATIONS = 2e-9

CASES = {
    "symmetric": Corruption("symmetric", 0.6, 1),
    "exact": Corruption("symmetric-exact", 0.3, 2),
    "uniform": Corruption("uniform", 0.5, 3),
    "pair": Corruption("pair", 0.4, 4),
    "asymmetric": Corruption("asymmetric", 0.4, 5),
    "matrix": Corruption(
        "matrix",
        None,
        6,
        matrix=tuple(map(tuple, (0.7 * np.eye(10) + 0.3 * np.roll(np.eye(10), 3, axis=1)).tolist())),
    ),
}


@pytest.fixture(params=CASES)
def data(request, mnist5k):
    return dataset.corrupt(mnist5k, CASES[request.param])


def both(data):
    return data.images.train_labels.numpy(), data.noisy_labels.numpy()


def counts(clean, noisy, classes=10):
    """(K, K), how often each true class (row) has each label."""
    table = np.zeros((classes, classes))
    np.add.at(table, (clean, noisy), 1)
    return table


def differ(one, other):
    """Whether two tables of counts are of other distributions: chi-square of their rows, one below the other."""
    smallest = 1.0
    for rows in zip(one, other, strict=True):
        table = np.array(rows)
        table = table[:, table.sum(axis=0) > 0]
        if table.shape[1] > 1:
            smallest = min(smallest, scipy.stats.chi2_contingency(table).pvalue)
    return smallest < SIX_DEVIATIONS


# Counted by cleanlab


def test_cleanlab_counts_the_same_matrix(data):
    """Its confident joint, if the predicted probabilities are an oracle's: (noisy, true) counts."""
    clean, noisy = both(data)
    joint = compute_confident_joint(noisy, np.eye(10)[clean], calibrate=False)
    np.testing.assert_array_equal(joint.T, counts(clean, noisy))
    np.testing.assert_allclose(joint.T / joint.sum(axis=0)[:, None], data.transition, rtol=1e-12)


def test_cleanlab_estimates_the_same_matrix_from_its_joint(data):
    clean, noisy = both(data)
    joint = compute_confident_joint(noisy, np.eye(10)[clean], calibrate=True)
    shares, columns, _ = estimate_latent(joint, noisy)
    np.testing.assert_allclose(columns.T, data.transition, atol=1e-4)  # it keeps probabilities from being 0
    np.testing.assert_allclose(shares, 0.1, atol=1e-6)


def test_our_matrix_leads_cleanlab_back_to_the_true_shares(data):
    """Its latent algebra solves for the true classes' shares from noisy labels and the matrix, columns true."""
    clean, noisy = both(data)
    ps, py, inverse = compute_ps_py_inv_noise_matrix(noisy, data.transition.T)
    np.testing.assert_allclose(ps, np.bincount(noisy, minlength=10) / len(noisy), rtol=1e-12)
    np.testing.assert_allclose(py, np.bincount(clean, minlength=10) / len(clean), atol=1e-5)
    table = counts(clean, noisy)
    np.testing.assert_allclose(inverse, table / table.sum(axis=0), atol=1e-4)
    np.testing.assert_allclose(compute_inv_noise_matrix(py, data.transition.T), inverse, atol=1e-4)


def test_the_check_of_directions_can_fail(mnist5k):
    """The matrix with true classes in its columns, taken for ours, is another one where noise is asymmetric."""
    data = dataset.corrupt(mnist5k, CASES["asymmetric"])
    clean, noisy = both(data)
    joint = compute_confident_joint(noisy, np.eye(10)[clean], calibrate=False)
    wrong = joint / joint.sum(axis=1, keepdims=True)
    assert not np.allclose(wrong, data.transition, atol=0.05)


# Valid in cleanlab's sense


@pytest.mark.parametrize("name", CASES)
def test_our_matrices_are_valid_to_cleanlab(mnist5k, name):
    """Columns are true classes there. It calls a matrix valid if learning with its noise is possible."""
    found = dataset.corrupt(mnist5k, CASES[name])
    assert found.expected is not None
    shares = np.full(10, 0.1)
    assert noise_matrix_is_valid(found.expected.T, shares)
    assert noise_matrix_is_valid(found.transition.T, shares)


@pytest.mark.parametrize("name", sorted(transitions.MAPS))
def test_the_asymmetric_matrix_of_every_set_is_valid_to_cleanlab(name):
    targets = transitions.asymmetric_targets(name)
    shares = np.full(len(targets), 1 / len(targets))
    assert noise_matrix_is_valid(transitions.along(targets, 0.4).T, shares)


@pytest.mark.parametrize("rate", [0.9, 1.0])
def test_cleanlab_and_we_agree_when_nothing_can_be_learned(rate):
    """From rate (K-1)/K on, a label is no likelier to be true than any other."""
    matrix = transitions.symmetric(10, rate)
    assert not noise_matrix_is_valid(matrix.T, np.full(10, 0.1))
    assert transitions.entropy(matrix)[0] >= math.log(9) - 1e-12


def test_a_matrix_the_wrong_way_round_is_not_valid_to_cleanlab():
    matrix = np.array([[0.9, 0.1, 0.0], [0.5, 0.5, 0.0], [0.3, 0.0, 0.7]])
    shares = np.array([0.7, 0.2, 0.1])
    assert noise_matrix_is_valid(matrix.T, shares)
    assert not noise_matrix_is_valid(matrix, shares)


# Drawn by cleanlab


def theirs(clean, matrix, seed):
    """Cleanlab's draw from one of our matrices. It draws with numpy's global generator."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        return generate_noisy_labels(clean, matrix.T)
    finally:
        np.random.set_state(before)  # noqa: NPY002


@pytest.mark.parametrize("seed", range(3))
def test_cleanlab_s_draws_and_ours_are_of_one_distribution(data, seed):
    clean, noisy = both(data)
    other = theirs(clean, data.expected, seed)
    assert not differ(counts(clean, noisy), counts(clean, other))


def test_cleanlab_s_draws_have_our_matrix_to_one_label(data):
    """It draws exact counts, rounded down, so its realized matrix is the expected one, and ours is near both."""
    clean, _ = both(data)
    other = counts(clean, theirs(clean, data.expected, 0))
    off = ~np.eye(10, dtype=bool)
    assert (np.abs(other - 400 * data.expected)[off] <= 1 + 1e-9).all()
    spread = np.sqrt(data.expected * (1 - data.expected) / 400)
    assert (np.abs(data.transition - data.expected) <= 6 * spread + 1e-12).all() or data.corruption.rule.endswith(
        "exact"
    )


def test_the_comparison_of_draws_can_fail(mnist5k):
    clean, noisy = both(dataset.corrupt(mnist5k, CASES["asymmetric"]))
    other = theirs(clean, dataset.corrupt(mnist5k, CASES["pair"]).expected, 0)
    assert differ(counts(clean, noisy), counts(clean, other))
    swapped = theirs(clean, transitions.symmetric(10, 0.2), 0)
    assert differ(counts(clean, noisy), counts(clean, swapped))


# Written again from the papers


def patrini_mnist(labels, rate, generator):
    """Patrini et al. 2017: 7 → 1, 2 → 7, 5 ↔ 6, 3 → 8."""
    return by_map(labels, rate, generator, {7: 1, 2: 7, 5: 6, 6: 5, 3: 8})


def patrini_cifar10(labels, rate, generator):
    """Patrini et al. 2017: truck → automobile, bird → airplane, cat ↔ dog, deer → horse."""
    return by_map(labels, rate, generator, {9: 1, 2: 0, 3: 5, 5: 3, 4: 7})


def by_map(labels, rate, generator, becomes):
    return np.array(
        [becomes[label] if label in becomes and generator.random() < rate else label for label in labels.tolist()]
    )


def divide_mix_symmetric(labels, rate, generator):
    """DivideMix's loader: an exact share of the samples gets a label drawn from all classes."""
    chosen = generator.permutation(len(labels))[: int(rate * len(labels))]
    noisy = labels.copy()
    noisy[chosen] = generator.integers(0, 10, len(chosen))
    return noisy


def co_teaching_pair(labels, rate, generator):
    """Han et al. 2018: P[i, i] = 1 - rate, P[i, i + 1] = rate, P[K - 1, 0] = rate; multinomial draws."""
    matrix = np.eye(10) * (1 - rate)
    for i in range(9):
        matrix[i, i + 1] = rate
    matrix[9, 0] = rate
    return np.array([generator.multinomial(1, matrix[label]).argmax() for label in labels])


def wrong_class_symmetric(labels, rate, generator):
    """AL2: with the given probability, one of the other nine."""
    others = [[other for other in range(10) if other != label] for label in range(10)]
    return np.array(
        [generator.choice(others[label]) if generator.random() < rate else label for label in labels.tolist()]
    )


PAPERS = {
    ("asymmetric", "mnist5k"): patrini_mnist,
    ("asymmetric", "cifar10"): patrini_cifar10,
    ("uniform", "mnist5k"): divide_mix_symmetric,
    ("pair", "mnist5k"): co_teaching_pair,
    ("symmetric", "mnist5k"): wrong_class_symmetric,
}


def named(images, name):
    """The set under another name: rules with a map choose it by the name, and look at nothing else of a set."""
    return replace(images, name=name)


def ours(images, rule, rate, seed=0):
    return dataset.corrupt(images, Corruption(rule, rate, seed)).noisy_labels.numpy()


@pytest.mark.parametrize(("rule", "name"), PAPERS)
@pytest.mark.parametrize("rate", [0.2, 0.45, 0.8])
def test_our_rules_are_the_papers(mnist5k, rule, name, rate):
    clean = mnist5k.train_labels.numpy()
    written = PAPERS[rule, name](clean, rate, np.random.default_rng(7))
    assert not differ(counts(clean, ours(named(mnist5k, name), rule, rate)), counts(clean, written))


def test_the_comparison_with_the_papers_can_fail(mnist5k):
    """MNIST's map is not CIFAR-10's, and DivideMix's symmetric noise is not AL2's."""
    clean, generator = mnist5k.train_labels.numpy(), np.random.default_rng(7)
    asymmetric = counts(clean, ours(mnist5k, "asymmetric", 0.45))
    assert differ(asymmetric, counts(clean, patrini_cifar10(clean, 0.45, generator)))
    symmetric = counts(clean, ours(mnist5k, "symmetric", 1.0))
    assert differ(symmetric, counts(clean, divide_mix_symmetric(clean, 1.0, generator)))


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.8])
def test_divide_mix_s_rate_is_ours_times_ten_ninths(mnist5k, rate):
    """What it calls 50 % corrupts 45 %; AL2's rule at that rate draws from the same distribution."""
    clean = mnist5k.train_labels.numpy()
    written = divide_mix_symmetric(clean, rate, np.random.default_rng(3))
    assert not differ(counts(clean, ours(mnist5k, "symmetric", 0.9 * rate)), counts(clean, written))


# Instance-dependent noise, Xia et al. 2020, algorithm 2


def xia(images: ImageSet, rate: float, seed: int, spread: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """The authors' `get_instance_noisy_label` on standardized pixels: labels, and P(noisy | image, true class)."""
    generator = torch_generator(seed, "test/xia")
    pixels = images.train_images.flatten(1).float() / 255
    pixels = (pixels - pixels.mean()) / pixels.std()
    law = scipy.stats.truncnorm(-rate / spread, (1 - rate) / spread, loc=rate, scale=spread)
    flip_rates = torch.from_numpy(law.rvs(len(pixels), random_state=np.random.default_rng(seed)))
    weights = torch.randn(images.classes, pixels.shape[1], images.classes, generator=generator)
    rows = []
    for x, y, q in zip(pixels, images.train_labels, flip_rates, strict=True):
        scores = x @ weights[y]
        scores[y] = -torch.inf
        row = q * F.softmax(scores, dim=0).double()
        row[y] += 1 - q
        rows.append(row)
    expected = torch.stack(rows)
    labels = torch.multinomial(expected, 1, generator=generator).flatten()
    return labels.numpy(), expected.numpy()


def ours_by_sample(images: ImageSet, rate: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    noise = corruption.instance(images, Corruption("instance", rate, seed), numpy_generator(seed, "corruption"))
    assert noise.by_sample is not None
    return noise.labels, noise.by_sample


def flip_rates(images, expected):
    return 1 - expected[np.arange(len(expected)), images.train_labels.numpy()]


def concentration(images, expected):
    """Of what is flipped, how much goes to each image's likeliest wrong class."""
    others = expected.copy()
    others[np.arange(len(expected)), images.train_labels.numpy()] = 0
    return others.max(axis=1) / others.sum(axis=1)


@pytest.fixture(scope="module", params=[1.0, 0.1], ids=["full contrast", "pale"])
def pictures(request, mnist5k):
    """Real images. Standardizing undoes contrast, so in the pale ones little but rounding is left."""
    pixels = (mnist5k.train_images[::4].float() * request.param).to(torch.uint8)
    return replace(mnist5k, train_images=pixels, train_labels=mnist5k.train_labels[::4])


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.6])
def test_the_flip_rates_of_images_are_xia_s(pictures, rate):
    one, other = (flip_rates(pictures, draw(pictures, rate, 0)[1]) for draw in (ours_by_sample, xia))
    assert scipy.stats.ks_2samp(one, other).pvalue > SIX_DEVIATIONS
    assert abs(one.mean() - other.mean()) < 6 * math.hypot(one.std(), other.std()) / math.sqrt(len(one))


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.6])
def test_as_many_labels_are_flipped_as_by_xia(pictures, rate):
    clean = pictures.train_labels.numpy()
    wrong = [(draw(pictures, rate, 1)[0] != clean).sum() for draw in (ours_by_sample, xia)]
    table = [[count, len(clean) - count] for count in wrong]
    assert scipy.stats.chi2_contingency(table).pvalue > SIX_DEVIATIONS


def test_flips_are_as_concentrated_as_xia_s(pictures):
    """How peaked each image's odds are, over six drawings of the projection, as images of one share it."""
    found = [
        [concentration(pictures, draw(pictures, 0.5, seed)[1]).mean() for seed in range(6)]
        for draw in (ours_by_sample, xia)
    ]
    means, spreads = np.mean(found, axis=1), np.std(found, axis=1, ddof=1)
    assert abs(means[0] - means[1]) < 6 * math.hypot(*spreads) / math.sqrt(6)


def test_the_comparison_with_xia_can_fail(pictures):
    """Symmetric noise has one flip rate, and its flips go everywhere alike."""
    clean = pictures.train_labels.numpy()
    symmetric = transitions.symmetric(10, 0.3)[clean]
    expected = xia(pictures, 0.3, 0)[1]
    assert scipy.stats.ks_2samp(flip_rates(pictures, symmetric), flip_rates(pictures, expected)).pvalue < 1e-9
    assert concentration(pictures, symmetric).max() < 0.12 < concentration(pictures, expected).mean()


def test_flips_of_a_class_go_to_several_classes_as_xia_s_do(pictures):
    """The likeliest wrong class is the image's own, not its class's: pair noise would have one."""
    for draw in (ours_by_sample, xia):
        expected = draw(pictures, 0.5, 0)[1]
        of_class_0 = expected[pictures.train_labels.numpy() == 0][:, 1:]
        assert len(np.unique(of_class_0.argmax(axis=1))) > 2
