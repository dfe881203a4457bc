"""Corruption: every rule corrupts as often, and to which classes, as it says; its floor; labels that never move.

Statistical laws are tested at six standard deviations (two-sided p = 2e-9) on seeds that never change, so a test
that passes once always does. Rules that look at labels alone are given labels alone: real classes are ten, and
the laws are for any number. Rules that look at images get real ones.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memstudy.data import RULES, corruption, dataset, label_files, sources, transitions
from memstudy.data.corruption import flip
from memstudy.data.dataset import stratified
from memstudy.data.given import Given
from memstudy.data.images import ImageSet
from memstudy.errors import MemstudyError
from memstudy.randomness import numpy_generator
from memstudy.recipe import Corruption, Recipe, Training
from memstudy.training.state import build_network

SIX_DEVIATIONS = 2e-9
SEEDS = range(5)
COUNT = 5000

HUMAN = tuple(name for name in RULES.names() if name.startswith("human"))
TAKEN = (*HUMAN, "file")
GIVEN = (*TAKEN, "soft")
RATED = ("symmetric", "symmetric-exact", "uniform", "pair", "asymmetric", "instance")
PIXELS = ("shuffled-pixels", "random-pixels", "gaussian")
PERMUTED = PIXELS[:2]
MATRIX = tuple(tuple(row) for row in transitions.uniform(10, 0.4))

some = settings(deadline=None, derandomize=True, max_examples=40)
few = settings(deadline=None, derandomize=True, max_examples=15)

classes_ = st.integers(2, 100)
rates = st.floats(0, 1, allow_subnormal=False)
seeds = st.integers(0, 2**32)


@st.composite
def stochastic(draw, largest=8):
    """A stochastic matrix, some of its entries 0, some rows with all their mass on one class."""
    classes = draw(st.integers(2, largest))
    weight = st.sampled_from([0.0, 0.0, 1.0, 2.0, 5.0])
    rows = []
    for _ in range(classes):
        row = np.array(draw(st.lists(weight, min_size=classes, max_size=classes)))
        row[draw(st.integers(0, classes - 1))] += 1
        rows.append(row / row.sum())
    return transitions.check(rows)


def labels(classes, count=20_000):
    return np.arange(count) % classes


def only_labels(clean, classes, name="labels"):
    """A set for the rules that look at labels alone: its images have one pixel each."""
    pixel = torch.zeros(1, 1, 1, 1, dtype=torch.uint8)
    return ImageSet(
        name=name,
        train_images=pixel.expand(len(clean), 1, 1, 1),
        train_labels=torch.from_numpy(np.asarray(clean)),
        test_images=pixel,
        test_labels=torch.zeros(1, dtype=torch.int64),
        class_names=tuple(map(str, range(classes))),
        mean=(0.5,),
        std=(0.5,),
    )


def drawn(rule, classes, rate=None, seed=0, matrix=(), count=COUNT):
    """True and noisy labels."""
    clean = labels(classes, count)
    data = dataset.corrupt(only_labels(clean, classes), Corruption(rule, rate, seed, matrix))
    return clean, data.noisy_labels.numpy()


def noisy(classes, rate, seed=0):
    return drawn("symmetric", classes, rate, seed, count=20_000)[1]


def likely(hits, trials, probability):
    """Whether a count is within six standard deviations, by the binomial distribution itself."""
    chance = min(max(float(probability), 0.0), 1.0)
    return scipy.stats.binomtest(int(hits), int(trials), chance).pvalue > SIX_DEVIATIONS


def follows(counts, probabilities):
    """Whether counts are drawn from probabilities, by chi-square over those that expect at least 5."""
    expected = np.asarray(probabilities) * np.sum(counts)
    often = expected >= 5
    rest = (np.sum(counts) - counts[often].sum(), np.sum(expected) - expected[often].sum())
    observed, wanted = counts[often], expected[often]
    if rest[1] >= 5:
        observed, wanted = np.append(observed, rest[0]), np.append(wanted, rest[1])
    if len(observed) < 2:
        return True
    wanted = wanted * observed.sum() / wanted.sum()
    return scipy.stats.chisquare(observed, wanted).pvalue > SIX_DEVIATIONS


def corruption_of(rule, seed=0, rate=0.3):
    return Corruption(
        rule,
        rate if rule in RATED else None,
        seed,
        matrix=MATRIX if rule == "matrix" else (),
        labels="0" * 64 if rule in ("file", "soft") else "",
    )


def corrupt(images, rule, seed=0, rate=0.3):
    """Any rule on a set of ten classes; one that takes labels gets the next class of each, half of soft ones."""
    return dataset.corrupt(images, corruption_of(rule, seed, rate), next_class(images) if rule in GIVEN else None)


def next_class(images):
    clean = images.train_labels.numpy()
    return Given((clean + 1) % 10, (np.eye(10)[clean] + np.eye(10)[(clean + 1) % 10]) / 2)


def content(images):
    """`content_hash`, of the tensors as they are now and not as they were when it was asked for first."""
    return replace(images).content_hash()


@pytest.fixture(scope="module")
def cifar10():
    """A thousand training and a hundred test images of the real CIFAR-10."""
    whole = full_cifar10()
    return replace(
        whole,
        train_images=whole.train_images[:1000],
        train_labels=whole.train_labels[:1000],
        test_images=whole.test_images[:100],
        test_labels=whole.test_labels[:100],
    )


def full_cifar10():
    try:
        return sources.load("cifar10")
    except MemstudyError as error:
        pytest.skip(f"the real CIFAR-10 is not here: {error}")


# The checks themselves


def test_the_check_of_a_count_can_fail():
    assert likely(3000, 4000, 0.75)
    assert not likely(3200, 4000, 0.75)
    assert not likely(1, 4000, 0.0)
    assert not likely(3999, 4000, 1.0)


def test_the_check_of_counts_can_fail():
    assert follows(np.array([100, 110, 90]), [1 / 3] * 3)
    assert not follows(np.array([100, 200, 90]), [1 / 3] * 3)


def test_the_hash_of_a_set_sees_a_change_in_place(small):
    images = replace(small, train_labels=small.train_labels.clone())
    before = content(images)
    images.train_labels[0] += 1
    assert content(images) != before


# AL2's rule


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("rate", [0.15, 0.25, 0.5, 0.75, 0.85])
def test_the_share_is_the_rate_within_three_standard_deviations(mnist5k, rate, seed):
    share = dataset.corrupt(mnist5k, Corruption(rate=rate, seed=seed)).corrupted_share
    assert abs(share - rate) < 3 * math.sqrt(rate * (1 - rate) / 4000)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("classes", [2, 3, 9, 10, 17, 100])
def test_a_corrupted_label_is_never_the_true_one(classes, seed):
    result = noisy(classes, 1.0, seed)
    assert (result != labels(classes)).all()
    assert set(result) == set(range(classes))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("classes", [3, 10])
def test_wrong_classes_are_drawn_uniformly(classes, seed):
    clean, result = labels(classes), noisy(classes, 0.75, seed)
    wrong = result != clean
    for true in range(classes):
        counts = np.delete(np.bincount(result[wrong & (clean == true)], minlength=classes), true)
        assert scipy.stats.chisquare(counts).pvalue > 1e-4


def test_the_uniformity_check_can_fail():
    biased = np.where(noisy(10, 0.75) == 3, 4, noisy(10, 0.75))
    counts = np.delete(np.bincount(biased[labels(10) == 0], minlength=10), 0)
    assert scipy.stats.chisquare(counts).pvalue < 1e-4


@pytest.mark.parametrize("seed", SEEDS)
def test_labels_are_hit_independently(seed):
    """Neighbors know nothing of each other: exact counts or blocks would be another rule."""
    hit = noisy(10, 0.5, seed) != labels(10)
    both = np.mean(hit[1:] & hit[:-1])
    assert abs(both - 0.25) < 4 * math.sqrt(0.25 * 0.75 / len(hit))


def test_the_labels_of_seed_0_keep_their_bytes(mnist5k):
    content = dataset.corrupt(mnist5k, Corruption()).noisy_labels.numpy().astype("<i8").tobytes()
    golden = "f2191b348f2cb8c67bcb158305e4531717cda2a910081defca709e7ea1af21ae"
    assert hashlib.sha256(content).hexdigest() == golden


# Every rule that has a matrix, for any number of classes, rate and seed


@some
@given(classes=classes_, rate=rates, seed=seeds)
def test_symmetric_corrupts_at_its_rate_to_every_wrong_class_alike(classes, rate, seed):
    clean, result = drawn("symmetric", classes, rate, seed)
    shifts = np.bincount((result - clean) % classes, minlength=classes)
    assert likely(shifts[1:].sum(), COUNT, rate)
    assert follows(shifts[1:], np.full(classes - 1, 1 / (classes - 1)))


@some
@given(classes=classes_, rate=rates, seed=seeds, count=st.integers(1, COUNT))
def test_exact_corrupts_an_exact_count(classes, rate, seed, count):
    clean, result = drawn("symmetric-exact", classes, rate, seed, count=count)
    wrong = (result != clean).sum()
    assert wrong == math.floor(rate * count + 0.5)
    shifts = np.bincount((result - clean) % classes, minlength=classes)[1:]
    assert follows(shifts, np.full(classes - 1, 1 / (classes - 1)))


@few
@given(rate=st.floats(0.1, 0.9), seed=seeds)
def test_exact_chooses_its_samples_anywhere(rate, seed):
    """Both halves of the set, and each class, have their share."""
    clean, result = drawn("symmetric-exact", 10, rate, seed)
    for mine in (np.arange(COUNT) < COUNT // 2, clean == 0, clean == 9):
        assert likely((result != clean)[mine].sum(), mine.sum(), rate)


@some
@given(classes=classes_, rate=rates, seed=seeds)
def test_uniform_corrupts_less_than_its_rate_as_the_true_class_may_be_drawn(classes, rate, seed):
    clean, result = drawn("uniform", classes, rate, seed)
    shifts = np.bincount((result - clean) % classes, minlength=classes)
    assert likely(shifts[1:].sum(), COUNT, rate * (classes - 1) / classes)
    assert follows(shifts[1:], np.full(classes - 1, 1 / (classes - 1)))


def test_uniform_is_not_symmetric():
    """75 % of DivideMix's noise are 67.5 % of AL2's."""
    clean, result = drawn("uniform", 10, 0.75, count=20_000)
    assert likely((result != clean).sum(), 20_000, 0.675)
    assert not likely((result != clean).sum(), 20_000, 0.75)


@some
@given(classes=classes_, rate=rates, seed=seeds)
def test_pair_corrupts_at_its_rate_to_the_next_class_alone(classes, rate, seed):
    clean, result = drawn("pair", classes, rate, seed)
    wrong = result != clean
    assert likely(wrong.sum(), COUNT, rate)
    assert (result[wrong] == (clean[wrong] + 1) % classes).all()


@some
@given(matrix=stochastic(), seed=seeds)
def test_a_matrix_is_drawn_row_by_row(matrix, seed):
    classes = len(matrix)
    clean, result = drawn("matrix", classes, None, seed, tuple(map(tuple, matrix)))
    for true, row in enumerate(matrix):
        counts = np.bincount(result[clean == true], minlength=classes)
        assert follows(counts, row)
        assert not counts[row == 0].any()


def test_the_check_of_rows_notices_a_transposed_matrix():
    matrix = np.array([[0.5, 0.5, 0.0], [0.2, 0.8, 0.0], [0.3, 0.0, 0.7]])
    clean, result = drawn("matrix", 3, None, 0, tuple(map(tuple, matrix)))
    counts = np.bincount(result[clean == 1], minlength=3)
    assert follows(counts, matrix[1])
    assert not follows(counts, matrix[:, 1] / matrix[:, 1].sum())


@some
@given(classes=classes_, seed=seeds)
def test_random_labels_are_any_class_and_know_nothing_of_the_true_one(classes, seed):
    clean, result = drawn("random-labels", classes, None, seed)
    assert likely((result != clean).sum(), COUNT, (classes - 1) / classes)
    assert follows(np.bincount(result, minlength=classes), np.full(classes, 1 / classes))
    assert follows(np.bincount((result - clean) % classes, minlength=classes), np.full(classes, 1 / classes))


@pytest.mark.parametrize("name", sorted(transitions.MAPS))
@pytest.mark.parametrize("rate", [0.0, 0.4, 1.0])
def test_asymmetric_moves_the_mapped_classes_alone_each_to_its_image(name, rate):
    targets = np.array(transitions.asymmetric_targets(name))
    clean = labels(len(targets))
    result = dataset.corrupt(only_labels(clean, len(targets), name), Corruption("asymmetric", rate))
    wrong = result.mask.numpy()
    assert (result.noisy_labels.numpy()[wrong] == targets[clean][wrong]).all()
    for label, target in enumerate(targets):
        expected = rate if target != label else 0.0
        assert likely(wrong[clean == label].sum(), (clean == label).sum(), expected)


@pytest.mark.parametrize("name", ["mnist", "mnist5k", "digits", "fashion", "cifar10"])
def test_asymmetric_corrupts_half_of_its_rate_on_sets_of_ten(name):
    clean = labels(10)
    result = dataset.corrupt(only_labels(clean, 10, name), Corruption("asymmetric", 0.4))
    assert likely(result.mask.sum(), len(clean), 0.2)


def test_asymmetric_noise_on_the_real_cifar10():
    images = full_cifar10()
    found = dataset.corrupt(images, Corruption("asymmetric", 0.4)).transition
    names = images.class_names
    pairs = {(names[i], names[j]) for i, j in np.argwhere(found > 0) if i != j}
    assert pairs == {
        ("truck", "automobile"), ("bird", "airplane"), ("deer", "horse"), ("cat", "dog"), ("dog", "cat"),
    }  # fmt: skip
    for true, wrong in pairs:
        assert likely(round(found[names.index(true), names.index(wrong)] * 5000), 5000, 0.4)


def test_asymmetric_noise_is_refused_for_a_set_without_a_map():
    with pytest.raises(MemstudyError, match=r"needs to know which classes of 'labels'.*--noise matrix"):
        drawn("asymmetric", 10, 0.4)


@pytest.mark.parametrize("rule", RATED)
def test_a_rule_with_a_rate_asks_for_it(mnist5k, rule):
    with pytest.raises(MemstudyError, match="needs a rate"):
        dataset.corrupt(mnist5k, Corruption(rule, None))


@pytest.mark.parametrize("matrix", [(), ((0.5, 0.5), (0.5, 0.5))])
def test_the_matrix_must_fit_the_set(small, matrix):
    with pytest.raises(MemstudyError, match="the transition matrix"):
        dataset.corrupt(small, Corruption("matrix", None, matrix=matrix))


# Drawing from a matrix


class Constant:
    """A generator that draws one number again and again, and the largest one below 1 if it is 1."""

    def __init__(self, value):
        self.value = min(value, 1 - 2**-53)

    def random(self, size):
        return np.full(size, self.value)


class Leaving:
    """Every label leaves its class if it can, and goes where the largest random number points."""

    def __init__(self):
        self.values = iter([0.0, 1 - 2**-53])

    def random(self, size):
        return np.full(size, next(self.values))


@some
@given(matrix=stochastic(12), extreme=st.sampled_from([Constant(0.0), Constant(0.5), Constant(1.0), None]))
def test_a_class_of_probability_0_is_never_drawn_however_numbers_are_rounded(matrix, extreme):
    clean = labels(len(matrix), 200)
    generator: Any = extreme or Leaving()
    result = flip(clean, matrix, generator)
    assert (matrix[clean, result] > 0).all()


@pytest.mark.parametrize("classes", [3, 7, 10, 49, 100])
def test_a_row_that_adds_up_to_less_than_1_by_rounding_loses_nothing(classes):
    """Ten times .1 is not 1: the missing part must not become a class of probability 0."""
    matrix = np.zeros((classes, classes))
    matrix[:, : classes - 1] = 1 / (classes - 1)
    clean = labels(classes)
    generators: tuple[Any, ...] = (Leaving(), numpy_generator(0, "corruption"))
    for generator in generators:
        result = flip(clean, matrix, generator)
        assert result.max() < classes - 1


@given(st.permutations(range(6)))
@few
def test_a_row_with_all_its_mass_on_one_class_gives_that_class(targets):
    matrix = np.eye(6)[list(targets)]
    clean = labels(6, 600)
    assert np.array_equal(flip(clean, matrix, numpy_generator(0, "corruption")), np.array(targets)[clean])


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("rule", ["symmetric", "pair"])
def test_two_classes_swap(rule, rate):
    clean, result = drawn(rule, 2, rate)
    wrong = result != clean
    assert likely(wrong.sum(), COUNT, rate)
    assert (result[wrong] == 1 - clean[wrong]).all()


@few
@given(matrix=stochastic(6), seed=seeds, data=st.data())
def test_renaming_the_classes_renames_the_noise(matrix, seed, data):
    """In distribution: no class is treated in a way of its own."""
    classes = len(matrix)
    names = np.array(data.draw(st.permutations(range(classes))))
    renamed = np.empty_like(matrix)
    renamed[np.ix_(names, names)] = matrix
    clean = labels(classes)
    result = flip(names[clean], renamed, numpy_generator(seed, "corruption"))
    for true in range(classes):
        counts = np.bincount(result[clean == true], minlength=classes)
        assert follows(counts[names], matrix[true])


@pytest.mark.parametrize("seed", SEEDS)
def test_samples_are_drawn_independently(seed):
    """A label's neighbor of the same class says nothing of where the label goes."""
    matrix = np.array([[0.4, 0.3, 0.3], [0.1, 0.5, 0.4], [0.2, 0.2, 0.6]])
    result = flip(np.zeros(20_000, dtype=np.int64), matrix, numpy_generator(seed, "corruption"))
    table = np.zeros((3, 3))
    np.add.at(table, (result[:-1:2], result[1::2]), 1)
    assert scipy.stats.chi2_contingency(table).pvalue > SIX_DEVIATIONS


@pytest.mark.parametrize("rule", RATED)
@few
@given(pair=st.tuples(rates, rates).map(sorted), seed=st.integers(0, 5))
def test_a_higher_rate_corrupts_more_of_the_same_to_the_same_classes(mnist5k, rule, pair, seed):
    """One seed's draws are compared with the rate, so masks are nested and curves over rates are smooth."""
    small = replace(mnist5k, train_images=mnist5k.train_images[::20], train_labels=mnist5k.train_labels[::20])
    low, high = (corrupt(small, rule, seed, rate) for rate in pair)
    assert (high.mask | ~low.mask).all()
    assert torch.equal(high.noisy_labels[low.mask], low.noisy_labels[low.mask])


# Noise that depends on the image


def by_sample(images, rate, seed=0, generator=None):
    """The labels of the rule `instance` and P(noisy | image, true class) of each sample."""
    noise = corruption.instance(
        images, Corruption("instance", rate, seed), generator or numpy_generator(seed, "corruption")
    )
    return noise.labels, noise.by_sample


def true_ones(images):
    return np.arange(len(images.train_labels)), images.train_labels.numpy()


def truncated(rate):
    return scipy.stats.truncnorm(-rate / 0.1, (1 - rate) / 0.1, loc=rate, scale=0.1)


@few
@given(rate=st.floats(0.001, 1), seed=seeds)
def test_the_flip_rates_of_images_are_a_truncated_normal(mnist5k, rate, seed):
    """Mean in closed form, and the whole distribution."""
    flip_rates = corruption._flip_rates(rate, numpy_generator(seed, "test").random(4000))
    law = truncated(rate)
    assert abs(flip_rates.mean() - law.mean()) < 6 * law.std() / math.sqrt(4000)
    assert scipy.stats.kstest(flip_rates, law.cdf).pvalue > SIX_DEVIATIONS


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_instance_corrupts_at_the_mean_of_the_truncated_normal(mnist5k, rate, seed):
    result, expected = by_sample(mnist5k, rate, seed)
    flips, law = 1 - expected[true_ones(mnist5k)], truncated(rate)
    assert abs(flips.mean() - law.mean()) < 6 * law.std() / math.sqrt(4000)
    wrong = (result != mnist5k.train_labels.numpy()).sum()
    assert abs(wrong - flips.sum()) <= 6 * math.sqrt((flips * (1 - flips)).sum())  # one that leaves never stays
    assert likely(wrong, 4000, law.mean())


def test_the_check_of_the_mean_notices_what_truncation_does():
    """At rate .05 the mean is above .09: the untruncated one would be refused."""
    law = truncated(0.05)
    assert law.mean() > 0.09
    assert not likely(round(law.mean() * 4000), 4000, 0.05)


def test_instance_gives_each_sample_a_distribution(small):
    _, expected = by_sample(small, 0.4)
    assert expected.min() >= 0
    assert expected.sum(axis=1) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_instance_at_rate_0_corrupts_nothing(small, seed):
    result, expected = by_sample(small, 0.0, seed)
    assert np.array_equal(result, small.train_labels.numpy())
    assert (expected[true_ones(small)] == 1).all()


@few
@given(classes=st.integers(2, 100), rate=st.floats(0, 1), seed=seeds)
def test_instance_knows_any_number_of_classes(mnist5k, classes, rate, seed):
    """Real images, with labels of their places: the law is for any K. A class may have no image."""
    images = replace(
        mnist5k,
        train_images=mnist5k.train_images[::40],
        train_labels=torch.arange(100) % classes // 2 * 2,
        class_names=tuple(map(str, range(classes))),
    )
    result, expected = by_sample(images, rate, seed)
    assert expected.shape == (100, classes)
    assert (expected[np.arange(100), result] > 0).all()


def odds(images, rate=0.5, seed=0):
    """The likelihood of each wrong class, without the image's own flip rate."""
    _, expected = by_sample(images, rate, seed)
    expected[true_ones(images)] = 0
    return expected / expected.sum(axis=1, keepdims=True)


def test_the_same_image_of_the_same_class_has_the_same_odds(small):
    twice = replace(
        small,
        train_images=torch.cat([small.train_images, small.train_images.flip(0)]),
        train_labels=torch.cat([small.train_labels, small.train_labels.flip(0)]),
    )
    found = odds(twice)
    np.testing.assert_allclose(found[:400], found[400:][::-1], rtol=1e-9, atol=1e-15)


def test_another_image_of_the_class_has_other_odds(small):
    found = odds(small)
    first = found[small.train_labels.numpy() == 0]
    assert len(np.unique(first.argmax(axis=1))) > 1


def test_the_same_image_of_another_class_has_other_odds(small):
    images = small.train_images[:1].expand(200, -1, -1, -1)
    found = odds(replace(small, train_images=images, train_labels=torch.arange(200) % 10))
    assert len({tuple(row.round(6)) for row in found}) == 10


def pale(images, contrast):
    """Less contrast, so that the softmax over classes is not almost all on one."""
    return replace(images, train_images=(images.train_images.float() * contrast).to(torch.uint8))


@pytest.mark.parametrize("seed", range(3))
def test_a_class_of_a_larger_softmax_is_drawn_more_often(mnist5k, seed):
    """By rank: the most likely wrong class is drawn as often as the sum of its probabilities says, and so on."""
    result, expected = by_sample(mnist5k, 0.9, seed)
    rows, true = true_ones(mnist5k)
    expected[rows, true] = 0
    flips = np.flatnonzero(result != true)
    ranks = np.argsort(-expected[flips], axis=1)
    place = (ranks == result[flips, None]).argmax(axis=1)
    chance = np.take_along_axis(expected[flips], ranks, axis=1)
    chance /= chance.sum(axis=1, keepdims=True)
    counts = np.bincount(place, minlength=10)
    assert counts[0] > counts[1] > counts[3]
    for rank in range(4):
        spread = math.sqrt((chance[:, rank] * (1 - chance[:, rank])).sum())
        assert abs(counts[rank] - chance[:, rank].sum()) < 6 * spread + 1


def test_instance_draws_are_finite_for_every_random_number(small):
    """Also for the largest one below 1, whose quantile must not become infinite."""
    for value in (0.0, 0.5, 1.0):
        _, expected = by_sample(small, 0.3, generator=Constant(value))
        assert np.isfinite(expected).all()


def test_instance_takes_images_of_one_color(small):
    """Their standard deviation is 0, and they say nothing; the labels are corrupted all the same."""
    black = replace(small, train_images=torch.zeros_like(small.train_images))
    result, expected = by_sample(black, 0.5)
    assert np.isfinite(expected).all()
    assert likely((result != small.train_labels.numpy()).sum(), 400, 0.5)


def test_instance_on_images_in_color(cifar10):
    result, _ = by_sample(cifar10, 0.4)
    assert likely((result != cifar10.train_labels.numpy()).sum(), 1000, truncated(0.4).mean())
    assert len(np.unique(odds(cifar10).argmax(axis=1))) == 10


def test_every_channel_of_an_image_counts(cifar10):
    for channel in range(3):
        changed = cifar10.train_images.clone()
        changed[:, channel] = changed[:, channel].flip(0)
        other = odds(replace(cifar10, train_images=changed))
        assert not np.allclose(other, odds(cifar10))


# Labels from elsewhere


@pytest.mark.parametrize("rule", TAKEN)
def test_given_labels_are_taken_as_they_are(small, rule):
    theirs = numpy_generator(0, "test").permutation(small.train_labels.numpy())
    data = dataset.corrupt(small, corruption_of(rule), Given(theirs))
    assert np.array_equal(data.noisy_labels.numpy(), theirs)
    assert data.expected is None


PUBLISHED = {"aggregate": 0.0903, "random1": 0.1723, "random2": 0.1812, "random3": 0.1764, "worst": 0.4021}


@pytest.mark.parametrize("column", PUBLISHED)
def test_human_labels_are_as_wrong_as_published(column):
    images = full_cifar10()
    training = Training(epochs=1, batch_size=64, learning_rate=0.1, momentum=0)
    recipe = Recipe(training, "cifar10", corruption=Corruption(f"human-{column}", None))
    try:
        data = dataset.prepare(images, recipe)
    except MemstudyError as error:
        pytest.skip(f"CIFAR-10N is not here: {error}")
    assert data.corrupted_share == pytest.approx(PUBLISHED[column], abs=0.0003)  # the file's aggregate has .0901


# Zhang et al.'s controls: true labels, other images


def probe(images, count=400):
    """Images whose pixels say where they are, (row, column) in two channels: what a permutation did to them."""
    size = images.size
    row, column = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    places = torch.stack([row, column]).to(torch.uint8).expand(count, -1, -1, -1)
    return replace(images, train_images=places, test_images=places[:100], train_labels=torch.arange(count) % 10)


def orders(images):
    """(N, H·W): at each position, where its pixel came from. Of the training and of the test images."""
    size = images.size
    return tuple(
        (part[:, 0].long() * size + part[:, 1].long()).flatten(1).numpy()
        for part in (images.train_images, images.test_images)
    )


@pytest.fixture(scope="module", params=["mnist5k", "cifar10"])
def real(request):
    return request.getfixturevalue({"mnist5k": "small"}.get(request.param, request.param))


@pytest.mark.parametrize("rule", PIXELS)
def test_controls_keep_labels_shapes_and_names(real, rule):
    data = corrupt(real, rule)
    assert not data.mask.any()
    assert torch.equal(data.noisy_labels, real.train_labels)
    for part in ("train_images", "test_images"):
        found, before = getattr(data.images, part), getattr(real, part)
        assert found.shape == before.shape
        assert found.dtype == torch.uint8
        assert not torch.equal(found, before)
    assert torch.equal(data.images.test_labels, real.test_labels)
    assert (data.images.name, data.images.mean, data.images.std) == (real.name, real.mean, real.std)


def test_shuffled_pixels_are_one_permutation_of_the_positions(small):
    train, test = orders(corrupt(probe(small), "shuffled-pixels").images)
    assert (train == train[0]).all()
    assert (test == train[0]).all()
    assert sorted(train[0]) == list(range(28 * 28))
    assert (train[0] != np.arange(28 * 28)).mean() > 0.95


def test_the_inverse_permutation_recovers_the_images(real):
    order = orders(corrupt(probe(real), "shuffled-pixels").images)[0][0]
    found = corrupt(real, "shuffled-pixels").images
    back = torch.from_numpy(np.argsort(order))
    for part in ("train_images", "test_images"):
        before, after = getattr(real, part), getattr(found, part)
        assert torch.equal(after.flatten(2)[:, :, back].reshape(before.shape), before)


def test_random_pixels_are_another_permutation_for_each_image(small):
    parts = orders(corrupt(probe(small), "random-pixels").images)
    every = np.concatenate(parts)
    assert len({row.tobytes() for row in every}) == len(every) == 500
    assert (np.sort(every, axis=1) == np.arange(28 * 28)).all()


def test_random_permutations_send_a_pixel_anywhere(small):
    """Which quarter of the image the first position's pixel came from, over many images."""
    train, _ = orders(corrupt(probe(small, 4000), "random-pixels").images)
    for position in (0, 400, 783):
        assert follows(np.bincount(train[:, position] // 196, minlength=4), [0.25] * 4)


def test_random_pixels_keep_each_image_s_pixels_with_their_channels_together(real):
    """Whole colors are counted, so a channel that went elsewhere would be noticed."""
    found = corrupt(real, "random-pixels").images
    weights = 256 ** torch.arange(real.channels)
    for part in ("train_images", "test_images"):
        before, after = (
            (getattr(images, part).flatten(2).long() * weights[:, None]).sum(dim=1).sort(dim=1).values
            for images in (real, found)
        )
        assert torch.equal(before, after)


@pytest.mark.parametrize("rule", PERMUTED)
def test_the_check_of_colors_can_fail(cifar10, rule):
    """Channels permuted apart keep each channel's pixels, but make other colors."""
    found = corrupt(cifar10, rule).images.train_images
    apart = torch.stack([found[:, 0].flip(1), found[:, 1], found[:, 2]], dim=1)
    colors = [Counter(map(tuple, images[0].flatten(1).T.tolist())) for images in (found, apart)]
    assert colors[0] == Counter(map(tuple, cifar10.train_images[0].flatten(1).T.tolist()))
    assert colors[1] != colors[0]


def cut_normal(mean, std):
    """Mean and standard deviation of a normal variable cut to [0, 1], in closed form."""
    law = scipy.stats.norm
    low, high = -mean / std, (1 - mean) / std
    inside, above = law.cdf(high) - law.cdf(low), law.sf(high)
    slope = law.pdf(low) - law.pdf(high)
    first = mean * inside + std * slope + above
    second = (mean**2 + std**2) * inside + 2 * mean * std * slope
    second += std**2 * (low * law.pdf(low) - high * law.pdf(high)) + above
    return first, math.sqrt(second - first**2)


def test_the_closed_form_of_a_cut_normal_is_right():
    sample = np.clip(scipy.stats.norm(0.13, 0.31).ppf((np.arange(100_000) + 0.5) / 100_000), 0, 1)
    assert cut_normal(0.13, 0.31) == pytest.approx((sample.mean(), sample.std()), abs=1e-4)


@pytest.mark.parametrize("part", ["train_images", "test_images"])
def test_gaussian_pixels_have_the_set_s_mean_and_deviation_after_the_cut(real, part):
    found = getattr(corrupt(real, "gaussian").images, part).double() / 255
    for channel, (mean, std) in enumerate(zip(*real.statistics, strict=True)):
        values, (middle, width) = found[:, channel], cut_normal(mean, std)
        tolerance = 6 / math.sqrt(values.numel()) + 0.5 / 255  # of the sample, and of rounding
        assert values.mean().item() == pytest.approx(middle, abs=width * tolerance)
        assert values.std().item() == pytest.approx(width, abs=width * tolerance)


def test_gaussian_pixels_are_rounded_and_cut_normal_ones(small):
    found = corrupt(small, "gaussian").images.train_images
    (mean,), (std,) = small.statistics
    edges = np.concatenate([[-np.inf], np.arange(255) + 0.5, [np.inf]]) / 255
    probabilities = np.diff(scipy.stats.norm(mean, std).cdf(edges))
    assert follows(np.bincount(found.flatten().numpy(), minlength=256), probabilities)


def test_gaussian_pixels_are_independent(cifar10):
    """Neither the pixel beside, nor another channel, nor the same pixel of another image tells anything."""
    found = corrupt(cifar10, "gaussian").images.train_images.double()
    found -= found.mean(dim=(0, 2, 3), keepdim=True)
    pairs = {
        "beside": (found[..., 1:], found[..., :-1]),
        "channel": (found[:, 0], found[:, 1]),
        "image": (found[1:], found[:-1]),
    }
    for name, (one, other) in pairs.items():
        correlation = np.corrcoef(one.flatten(), other.flatten())[0, 1]
        assert abs(correlation) < 6 / math.sqrt(one.numel()), name


def nearest_mean_accuracy(images):
    train, test = (part.flatten(1).double() for part in (images.train_images, images.test_images))
    means = torch.stack([train[images.train_labels == label].mean(0) for label in range(images.classes)])
    return int((torch.cdist(test, means).argmin(1) == images.test_labels).sum())


def test_gaussian_images_say_nothing_of_their_labels(small):
    count = len(small.test_labels)
    assert likely(nearest_mean_accuracy(corrupt(small, "gaussian").images), count, 0.1)
    assert not likely(nearest_mean_accuracy(small), count, 0.1)  # as real images do
    assert not likely(nearest_mean_accuracy(corrupt(small, "shuffled-pixels").images), count, 0.1)


def test_a_set_of_one_color_has_controls_too(small):
    """A mean without a deviation: every Gaussian pixel is the mean, and nothing is divided by 0."""
    gray = replace(small, train_images=torch.full_like(small.train_images, 77))
    for rule in PIXELS:
        assert (corrupt(gray, rule).images.train_images == 77).all()


# Purity


@pytest.mark.parametrize("rule", RULES.names())
def test_nothing_that_is_passed_in_is_changed(small, rule):
    before, theirs, copy = content(small), next_class(small), next_class(small)
    dataset.corrupt(small, corruption_of(rule), theirs if rule in GIVEN else None)
    assert content(small) == before
    assert np.array_equal(theirs.labels, copy.labels)
    assert np.array_equal(theirs.distribution, copy.distribution)


def global_states():
    """Of numpy, of torch and of Python."""
    return str(np.random.get_state()), torch.get_rng_state().tolist(), random.getstate()  # noqa: NPY002


@pytest.mark.parametrize("rule", RULES.names())
def test_no_global_generator_is_touched(small, rule):
    before = global_states()
    corrupt(small, rule)
    assert global_states() == before


def test_the_check_of_global_generators_can_fail():
    before = global_states()
    torch.rand(1)
    assert global_states() != before


@pytest.mark.parametrize("rule", RULES.names())
def test_the_same_corruption_again_is_the_same(small, rule):
    one, other = corrupt(small, rule, seed=3), corrupt(small, rule, seed=3)
    assert torch.equal(one.noisy_labels, other.noisy_labels)
    assert content(one.images) == content(other.images)
    assert (one.expected_floor, one.floor) == (other.expected_floor, other.floor)


@pytest.mark.parametrize("rule", [name for name in RULES.names() if name not in GIVEN])
def test_another_seed_is_another_corruption(small, rule):
    one, other = corrupt(small, rule, seed=3), corrupt(small, rule, seed=4)
    same = torch.equal(one.noisy_labels, other.noisy_labels) and content(one.images) == content(other.images)
    assert not same


@pytest.mark.parametrize("rule", RULES.names())
def test_every_rule_gives_whole_labels_of_the_set_s_classes(small, rule):
    data = corrupt(small, rule)
    assert data.noisy_labels.dtype == torch.int64
    assert data.noisy_labels.shape == small.train_labels.shape
    assert 0 <= data.noisy_labels.min() <= data.noisy_labels.max() < 10
    assert torch.equal(data.mask, data.noisy_labels != small.train_labels)


@pytest.mark.parametrize("rule", RULES.names())
def test_every_rule_says_what_it_does_and_what_its_rate_is(rule):
    found = RULES.get(rule)
    assert found.about
    assert bool(found.rate) == (rule in RATED)
    assert (found.given is not None) == (rule in GIVEN)
    assert found.replaces_images == (rule in PIXELS)


@pytest.mark.parametrize("rule", [name for name in RATED if name != "instance"])
def test_rate_0_changes_nothing_and_the_images_stay(small, rule):
    data = corrupt(small, rule, rate=0.0)
    assert torch.equal(data.noisy_labels, small.train_labels)
    assert data.images is small


def test_rate_0_changes_nothing_and_rate_1_everything(small):
    intact, broken = (dataset.corrupt(small, Corruption(rate=rate)) for rate in (0, 1))
    assert torch.equal(intact.noisy_labels, small.train_labels)
    assert broken.mask.all()
    assert (intact.corrupted_share, broken.corrupted_share) == (0.0, 1.0)


def test_true_and_test_labels_stay_as_they_were(small):
    before = content(small)
    result = dataset.corrupt(small, Corruption(rate=1))
    assert content(result.images) == before
    assert result.noisy_labels.dtype == torch.int64


def test_the_mask_is_where_labels_differ(corrupted):
    assert torch.equal(corrupted.mask, corrupted.noisy_labels != corrupted.images.train_labels)
    assert corrupted.corrupted_share == corrupted.mask.sum().item() / 400


def test_an_unknown_rule_is_answered_with_the_nearest(small):
    with pytest.raises(MemstudyError, match="did you mean symmetric"):
        dataset.corrupt(small, Corruption(rule="symetric"))


# Floors


def binary(rate):
    return scipy.stats.entropy([rate, 1 - rate])


CLOSED_FORMS = {
    "symmetric": lambda r: binary(r) + r * math.log(9),
    "symmetric-exact": lambda r: binary(r) + r * math.log(9),
    "uniform": lambda r: binary(0.9 * r) + 0.9 * r * math.log(9),
    "pair": binary,
    "asymmetric": lambda r: binary(r) / 2,
    "random-labels": lambda r: math.log(10),
    "matrix": lambda r: binary(0.36) + 0.36 * math.log(9),
    "shuffled-pixels": lambda r: 0.0,
    "random-pixels": lambda r: 0.0,
    "gaussian": lambda r: math.log(10),
}


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (0.75, -0.25 * math.log(0.25) - 0.75 * math.log(0.75 / 9)),
        (0.5, math.log(2) + 0.5 * math.log(9)),
        (0.0, 0.0),
        (1.0, math.log(9)),
        (0.9, math.log(10)),
    ],
)
def test_the_floor_in_closed_form(mnist5k, rate, expected):
    assert dataset.corrupt(mnist5k, Corruption(rate=rate)).expected_floor == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("rule", CLOSED_FORMS)
@pytest.mark.parametrize("rate", [0.0, 0.3, 0.75, 1.0])
def test_the_floor_of_every_rule_in_closed_form(mnist5k, rule, rate):
    """Ten classes of the same size."""
    assert corrupt(mnist5k, rule, rate=rate).expected_floor == pytest.approx(CLOSED_FORMS[rule](rate), abs=1e-12)


def test_the_floor_of_the_paper_s_setting(corrupted):
    assert round(corrupted.expected_floor, 4) == 2.2103


@pytest.mark.parametrize("rate", [0.0, 0.25, 0.75, 1.0])
def test_the_floor_is_what_the_best_answer_without_memorization_reaches(rate):
    """The cross-entropy of the transition matrix itself, measured on noisy labels."""
    clean, matrix = labels(10), transitions.symmetric(10, rate)
    data = dataset.corrupt(only_labels(clean, 10), Corruption(rate=rate))
    answers = matrix[clean, data.noisy_labels.numpy()]
    assert -np.log(answers).mean() == pytest.approx(data.expected_floor, abs=0.03 if 0 < rate < 1 else 1e-9)


def cross_entropy(matrix, data):
    return -np.log(matrix[data.images.train_labels.numpy(), data.noisy_labels.numpy()]).mean()


@pytest.mark.parametrize(
    "rule", ["symmetric", "symmetric-exact", "uniform", "pair", "asymmetric", "random-labels"]
)
@pytest.mark.parametrize("seed", range(3))
def test_no_matrix_goes_below_the_floor_and_the_realized_one_reaches_it(mnist5k, rule, seed):
    data = corrupt(mnist5k, rule, seed)
    assert data.expected is not None
    assert cross_entropy(data.transition, data) == pytest.approx(data.floor, abs=1e-12)
    assert cross_entropy(data.expected, data) >= data.floor
    assert abs(data.floor - data.expected_floor) < 0.06


@few
@given(matrix=stochastic(), shares=st.lists(st.integers(1, 400), min_size=8, max_size=8), seed=seeds)
def test_the_floor_weighs_each_class_by_its_share(matrix, shares, seed):
    classes = len(matrix)
    clean = np.repeat(np.arange(classes), shares[:classes])
    data = dataset.corrupt(
        only_labels(clean, classes), Corruption("matrix", None, seed, tuple(map(tuple, matrix)))
    )
    weights = np.bincount(clean, minlength=classes) / len(clean)
    entropies = [scipy.stats.entropy(row) for row in matrix]
    assert data.expected_floor == pytest.approx(weights @ entropies, abs=1e-12)
    assert data.floor == pytest.approx(cross_entropy(data.transition, data), abs=1e-12)


def test_the_floor_weighs_classes_by_how_often_they_occur():
    images = only_labels(np.array([0, 0, 0, 1]), 2)
    data = dataset.corrupt(images, Corruption("matrix", None, matrix=((1.0, 0.0), (0.5, 0.5))))
    assert data.expected_floor == pytest.approx(math.log(2) / 4)


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_floor_of_instance_noise_is_the_mean_entropy_of_its_samples(mnist5k, rate, seed):
    data = corrupt(mnist5k, "instance", seed, rate)
    result, expected = by_sample(mnist5k, rate, seed)
    assert data.expected_floor == pytest.approx(scipy.stats.entropy(expected, axis=1).mean(), abs=1e-12)
    surprise = -np.log(expected[np.arange(4000), result])
    assert data.floor == pytest.approx(surprise.mean(), abs=1e-12)
    second = np.square(np.log(expected, where=expected > 0, out=np.zeros_like(expected)))
    spread = ((expected * second).sum(axis=1) - scipy.stats.entropy(expected, axis=1) ** 2).clip(0).sum()
    assert abs(data.floor - data.expected_floor) <= 6 * math.sqrt(spread) / 4000 + 1e-12


def test_who_knows_the_image_goes_lower_than_who_knows_its_class(mnist5k):
    data = corrupt(mnist5k, "instance")
    assert data.expected_floor < transitions.entropy(data.transition)[mnist5k.train_labels.numpy()].mean()


@pytest.mark.parametrize("shares", [(1, 1), (3, 1), (400, 0, 20)])
def test_the_floor_of_gaussian_images_is_the_entropy_of_the_labels(small, shares):
    clean = np.repeat(np.arange(len(shares)), shares)
    images = replace(
        small,
        train_images=small.train_images[:1].expand(len(clean), -1, -1, -1),
        train_labels=torch.from_numpy(clean),
        class_names=tuple("abcdefghij"[: len(shares)]),
    )
    data = dataset.corrupt(images, Corruption("gaussian", None))
    assert data.expected_floor == data.floor == pytest.approx(scipy.stats.entropy(shares), abs=1e-12)


@pytest.mark.parametrize("rule", TAKEN)
def test_of_given_labels_the_floor_of_those_drawn_is_all_that_is_known(small, rule):
    data = corrupt(small, rule)
    assert data.expected_floor == data.floor == pytest.approx(cross_entropy(data.transition, data), abs=1e-12)


@pytest.mark.parametrize("rule", PIXELS)
def test_the_controls_realize_what_they_expect(small, rule):
    data = corrupt(small, rule)
    assert data.expected_floor == data.floor
    assert np.array_equal(data.transition, np.eye(10))


def test_the_realized_transition_is_counted(corrupted):
    clean, noise = corrupted.images.train_labels.tolist(), corrupted.noisy_labels.tolist()
    pairs = list(zip(clean, noise, strict=True))
    for true in range(10):
        for wrong in range(10):
            share = pairs.count((true, wrong)) / clean.count(true)
            assert corrupted.transition[true, wrong] == pytest.approx(share)


# A part of the samples


counts_ = st.lists(st.integers(0, 60), min_size=1, max_size=12).filter(lambda counts: sum(counts) > 0)


def mixed(counts):
    """Labels with these counts by class, in no order."""
    return numpy_generator(0, "test").permutation(np.repeat(np.arange(len(counts)), counts))


@st.composite
def parts(draw):
    """Counts of samples by class, and how many to choose: from one a class to all of them."""
    counts = draw(counts_)
    return counts, draw(st.integers(sum(count > 0 for count in counts), sum(counts)))


@settings(some, max_examples=200)
@given(part=parts(), seed=seeds)
def test_a_part_has_exactly_its_size_and_each_class_at_least_one(part, seed):
    counts, size = part
    clean = mixed(counts)
    chosen = stratified(clean, size, seed)
    assert len(chosen) == size
    assert (np.diff(chosen) > 0).all()
    assert 0 <= chosen[0] <= chosen[-1] < len(clean)
    assert set(clean[chosen]) == set(clean)


@settings(some, max_examples=200)
@given(part=parts(), seed=seeds)
def test_a_part_keeps_each_class_s_share_as_nearly_as_whole_numbers_allow(part, seed):
    """Within one sample; where a class must be given its one sample, others have to give way."""
    counts, size = part
    shares = np.array(counts) * size / sum(counts)
    found = np.bincount(mixed(counts)[stratified(mixed(counts), size, seed)], minlength=len(counts))
    lifted = (shares < 1) & (np.array(counts) > 0)
    given_away = (1 - shares)[lifted].sum()
    assert (found[lifted] == 1).all() or given_away == 0 or (found[lifted] <= 1 + (shares[lifted] > 0)).all()
    assert (np.abs(found - shares)[~lifted] < 1 + given_away + 1e-9).all()
    if not lifted.any():
        assert (np.abs(found - shares) < 1).all()


@settings(some, max_examples=100)
@given(classes=st.integers(1, 12), each=st.integers(1, 40), seed=seeds, data=st.data())
def test_of_classes_of_the_same_size_a_smaller_part_is_in_every_larger_one(classes, each, seed, data):
    clean = mixed([each] * classes)
    sizes = st.integers(classes, classes * each)
    low, high = sorted((data.draw(sizes), data.draw(sizes)))
    assert set(stratified(clean, low, seed)) <= set(stratified(clean, high, seed))


@settings(some, max_examples=100)
@given(part=parts(), seed=seeds, data=st.data())
def test_of_any_classes_a_part_takes_each_one_s_samples_in_one_order(part, seed, data):
    """So two parts differ by the rounding of shares alone: of each class, one holds all that the other has."""
    counts, size = part
    clean = mixed(counts)
    other = data.draw(st.integers(size, len(clean)))
    small, large = (set(stratified(clean, wanted, seed)) for wanted in (size, other))
    for label in range(len(counts)):
        mine = {position for position in small if clean[position] == label}
        theirs = {position for position in large if clean[position] == label}
        assert mine <= theirs or theirs <= mine


@pytest.mark.parametrize(("size", "seed"), [(None, 0), (400, 0), (400, 7)])
def test_all_samples_are_all_of_them_in_their_order(small, size, seed):
    assert stratified(small.train_labels.numpy(), size, seed).tolist() == list(range(400))


def test_a_part_moves_with_its_seed_alone(small):
    clean = small.train_labels.numpy()
    assert stratified(clean, 100, 1).tolist() == stratified(clean, 100, 1).tolist()
    assert stratified(clean, 100, 1).tolist() != stratified(clean, 100, 2).tolist()


@pytest.mark.parametrize("seed", range(3))
def test_a_part_is_drawn_from_everywhere(mnist5k, seed):
    chosen = stratified(mnist5k.train_labels.numpy(), 2000, seed)
    assert follows(np.bincount(chosen % 400 // 100, minlength=4), [0.25] * 4)


@pytest.mark.parametrize("size", [0, 9, 401])
def test_a_part_too_small_or_too_large_is_refused(small, size):
    with pytest.raises(MemstudyError, match=r"between 10 \(one sample a class\) and 400") as caught:
        stratified(small.train_labels.numpy(), size, 0)
    assert str(caught.value).endswith(f"not {size}.")


# Preparing what a recipe trains on


def recipe(rule="symmetric", rate=0.3, seed=0, **more):
    training = Training(epochs=1, batch_size=64, learning_rate=0.1, momentum=0)
    return Recipe(training, "mnist5k", corruption=Corruption(rule, rate, seed), **more)


@pytest.mark.parametrize("rule", ["symmetric", "instance", "symmetric-exact"])
def test_a_part_is_chosen_first_and_corrupted_then(small, rule):
    data = dataset.prepare(small, recipe(rule, train_size=100))
    assert len(data.positions) == len(data.noisy_labels) == len(data.mask) == 100
    assert torch.equal(data.images.train_images, small.train_images[data.positions])
    assert torch.equal(data.images.train_labels, small.train_labels[data.positions])
    assert torch.equal(data.mask, data.noisy_labels != small.train_labels[data.positions])
    assert torch.equal(data.images.test_images, small.test_images)
    assert data.source is small
    alone = dataset.corrupt(small.part(torch.from_numpy(data.positions)), data.corruption)
    assert torch.equal(data.noisy_labels, alone.noisy_labels)


def test_a_file_for_the_whole_set_serves_its_parts(small, tmp_path):
    labels_ = small.train_labels.numpy().copy()
    labels_[::3] = (labels_[::3] + 1) % 10
    np.save(tmp_path / "labels.npy", labels_)
    wanted = replace(recipe(), corruption=Corruption("file", None, labels=label_files.digest(labels_)))
    for size in (None, 100):
        data = dataset.prepare(small, replace(wanted, train_size=size), label_files=[tmp_path / "labels.npy"])
        assert np.array_equal(data.noisy_labels.numpy(), labels_[data.positions])


def test_the_whole_set_is_not_copied(small):
    data = dataset.prepare(small, recipe())
    assert data.images.train_images is small.train_images
    assert np.array_equal(data.positions, np.arange(400))


@pytest.mark.parametrize("size", [None, 100])
def test_the_labels_move_with_the_corruption_s_seed_alone(small, size):
    found = {}
    for seed in (0, 1):
        wanted = replace(recipe(train_size=size), seed=seed)
        build_network(wanted, small, torch.device("cpu"))  # draws with the model's seed
        found[seed] = dataset.prepare(small, wanted)
    assert torch.equal(found[0].noisy_labels, found[1].noisy_labels)
    assert np.array_equal(found[0].positions, found[1].positions)
    other = dataset.prepare(small, recipe(seed=1, train_size=size))
    assert not torch.equal(found[0].noisy_labels, other.noisy_labels)


@pytest.mark.parametrize("rule", ["symmetric", "gaussian", "random-pixels", "instance"])
def test_normalization_changes_neither_labels_nor_pixels(small, rule):
    rate = 0.3 if rule in RATED else None
    one, other = (dataset.prepare(small, recipe(rule, rate, normalization=name)) for name in ("al2", "own"))
    assert torch.equal(one.noisy_labels, other.noisy_labels)
    assert content(one.images) == content(other.images)
    assert other.images.mean == small.statistics[0] != one.images.mean


@pytest.mark.parametrize("rule", [*PIXELS, "symmetric"])
def test_a_network_is_tested_on_what_its_rule_makes_of_the_test_images(small, rule):
    wanted = recipe(rule, 0.3 if rule in RATED else None, train_size=100)
    found = dataset.tested_on(small, wanted)
    assert torch.equal(found.test_images, dataset.prepare(small, wanted).images.test_images)
    assert (
        dataset.replaces_images(wanted)
        == (rule in PIXELS)
        == (not torch.equal(found.test_images, small.test_images))
    )
