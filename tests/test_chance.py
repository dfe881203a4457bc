"""What a network predicts without having memorized: against simulation, where it is known whether it has."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from memstudy.analysis.chance import at_most_by_errors, by_confusion, by_spread, share, wilson
from memstudy.data import transitions

K, N = 10, 4000
CONFUSED = 0.7 * np.eye(K) + 0.2 * np.roll(np.eye(K), 1, axis=1) + 0.1 / K  # mostly y for y + 1
UNEVEN = transitions.along(transitions.asymmetric_targets("cifar10"), 0.4)
NOISE = {
    "symmetric": transitions.symmetric(K, 0.75),
    "few": transitions.symmetric(K, 0.05),
    "pair": transitions.along(transitions.pair_targets(K), 0.45),  # to the very class it is confused with
    "asymmetric": UNEVEN,
    "both": (UNEVEN + transitions.symmetric(K, 0.3)) / 2,
    "all wrong": transitions.symmetric(K, 1.0),
}


def drawn(rows, classes, generator):
    """A class for each sample, by the row of its own."""
    return (generator.random(len(classes))[:, None] > rows[classes].cumsum(axis=1)).sum(axis=1).clip(max=K - 1)


def simulated(noise, memorized, seed):
    """(predicted, clean, noisy) of a network that confuses classes, and knows a share of labels by heart."""
    generator = np.random.default_rng(seed)
    clean = np.repeat(np.arange(K), N // K)
    noisy, predicted = drawn(noise, clean, generator), drawn(CONFUSED, clean, generator)
    return np.where(generator.random(N) < memorized, noisy, predicted), clean, noisy


def measured(predicted, clean, noisy):
    corrupted = noisy != clean
    return share(int((predicted == noisy)[corrupted].sum()), int(corrupted.sum()))


@pytest.mark.parametrize("name", NOISE)
def test_without_memorization_the_measured_share_is_the_expected_one(name):
    found = [simulated(NOISE[name], 0.0, seed) for seed in range(40)]
    shares = [(measured(*samples), by_confusion(*samples)) for samples in found]
    differences = [m.value - e.value for m, e in shares if e is not None]
    assert len(differences) == 40
    assert abs(np.mean(differences)) < 4 * np.std(differences) / np.sqrt(40) + 1e-12
    assert sum(m.low > e.high for m, e in shares if e is not None) <= 1  # of 40: a false alarm


@pytest.mark.parametrize("name", NOISE)
def test_memorization_is_told_from_confusion(name):
    samples = simulated(NOISE[name], 0.3, 0)
    expected = by_confusion(*samples)
    assert expected is not None
    assert measured(*samples).low > expected.high


def test_it_is_the_mean_over_permutations_of_the_labels_within_each_class():
    predicted, clean, noisy = simulated(NOISE["both"], 0.0, 1)
    wrong = noisy != clean
    expected = by_confusion(predicted[wrong], clean[wrong], noisy[wrong])
    generator, hits = np.random.default_rng(2), []
    for _ in range(400):
        other = noisy.copy()
        for label in range(K):
            mine = np.flatnonzero((clean == label) & wrong)
            other[mine] = other[generator.permutation(mine)]
        hits.append((predicted == other)[wrong].mean())
    assert expected is not None
    # The samples' own labels are among the permuted ones, and are not among those that each is compared with.
    assert np.mean(hits) == pytest.approx(expected.value, abs=0.004)
    assert expected.low < np.mean(hits) < expected.high


def test_a_network_that_memorizes_all_is_expected_to_predict_none():
    predicted, clean, noisy = simulated(NOISE["symmetric"], 1.0, 0)
    expected = by_confusion(predicted, clean, noisy)
    assert expected is not None
    assert (expected.value, expected.low) == (0, 0)
    assert 0 < expected.high < 0.01


def test_by_hand():
    # Class 0 has 40 samples labeled 1 (10 of them predicted 1) and 40 labeled 2, 8 of them predicted 1, none 2.
    clean = np.zeros(80, dtype=int)
    noisy = np.repeat([1, 2], 40)
    predicted = np.array([1] * 10 + [0] * 30 + [1] * 8 + [0] * 32)
    expected = by_confusion(predicted, clean, noisy)
    assert expected is not None
    assert expected.value == pytest.approx((8 / 40 + 0 / 40) / 2)
    (_, high), (_, none) = wilson(8, 40), wilson(0, 40)
    assert expected.high == pytest.approx(0.1 + np.hypot((high - 0.2) / 2, none / 2))


def test_with_one_wrong_label_a_class_the_intact_samples_are_compared():
    clean = np.zeros(100, dtype=int)
    noisy = np.repeat([0, 1], [60, 40])
    predicted = np.array([1] * 6 + [0] * 54 + [1] * 30 + [0] * 10)
    expected = by_confusion(predicted, clean, noisy)
    assert expected is not None
    assert expected.value == pytest.approx(0.1)


def test_where_the_label_follows_from_the_class_nothing_is_told():
    clean = np.repeat([0, 1], 50)
    assert by_confusion(1 - clean, clean, 1 - clean) is None
    assert by_confusion(clean, clean, clean) is None  # nothing is corrupted
    assert at_most_by_errors(float("nan"), clean, 1 - clean) is None
    assert at_most_by_errors(1.0, clean, clean) is None


def test_a_class_that_is_wholly_of_one_wrong_label_counts_as_expected():
    clean, noisy = np.repeat([0, 1], [50, 100]), np.repeat([1, 1, 0], 50)
    predicted = np.repeat([1, 1, 0], [50, 90, 10])  # all of class 0, and 10 of 50 of class 1
    expected = by_confusion(predicted, clean, noisy)
    assert expected is not None
    assert expected.value == pytest.approx(0.5 + 0.5 * 0)


@pytest.mark.parametrize("seed", range(5))
def test_by_spread_is_by_confusion_where_noise_is_even(seed):
    predicted, clean, noisy = simulated(NOISE["symmetric"], 0.2, seed)
    wrong = noisy != clean
    other = ((predicted != noisy) & (predicted != clean))[wrong].mean()
    full = by_confusion(predicted, clean, noisy)
    assert full is not None
    assert by_spread(other, int(wrong.sum()), K).value == pytest.approx(full.value, abs=0.004)


@pytest.mark.parametrize("name", [name for name in NOISE if name != "all wrong"])
def test_errors_bound_what_confusion_gives(name):
    for seed in range(5):
        predicted, clean, noisy = simulated(NOISE[name], 0.0, seed)
        right = noisy == clean
        bound = at_most_by_errors((predicted == clean)[right].mean(), clean, noisy)
        assert bound is not None
        assert bound.high > measured(predicted, clean, noisy).low


def test_of_two_classes_errors_are_all_of_one_kind():
    clean, noisy = np.repeat([0, 1], 100), np.repeat([0, 1, 1, 0], 50)
    bound = at_most_by_errors(0.9, clean, noisy)
    assert bound is not None
    assert bound.value == pytest.approx(0.1)  # ten errors on 100 intact ones, and as many corrupted ones


@pytest.mark.parametrize(("hits", "count"), [(0, 20), (1, 20), (10, 20), (20, 20), (706, 1000), (63, 1000)])
def test_wilson_is_scipys(hits, count):
    theirs = scipy.stats.binomtest(hits, count).proportion_ci(method="wilson")
    assert share(hits, count).low == pytest.approx(theirs.low, abs=1e-12)
    assert share(hits, count).high == pytest.approx(theirs.high, abs=1e-12)
