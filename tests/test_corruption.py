"""Corruption: AL2's rule, its share, its floor, and labels that never move by themselves."""

import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import torch

from memstudy.data import dataset
from memstudy.data.corruption import SYMMETRIC, floor, realized_transition, symmetric, symmetric_transition
from memstudy.errors import MemstudyError
from memstudy.randomness import numpy_generator
from memstudy.recipe import Corruption, Recipe, Training
from memstudy.training.state import build_network

SEEDS = range(5)


def labels(classes, count=20_000):
    """True labels only: a rule looks at nothing else, so no images are needed."""
    return np.arange(count) % classes


def noisy(classes, rate, seed=0):
    return symmetric(labels(classes), classes, rate, numpy_generator(seed, "corruption"))


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
    assert dataset.corrupt(mnist5k, Corruption(rate=rate)).floor == pytest.approx(expected, abs=1e-12)


def test_the_floor_of_the_paper_s_setting(corrupted):
    assert round(corrupted.floor, 4) == 2.2103


@pytest.mark.parametrize("rate", [0.0, 0.25, 0.75, 1.0])
def test_the_floor_is_what_the_best_answer_without_memorization_reaches(rate):
    """The cross-entropy of the transition matrix itself, measured on noisy labels."""
    clean, result = labels(10), noisy(10, rate)
    answers = symmetric_transition(10, rate)[clean, result]
    tolerance = 0.03 if 0 < rate < 1 else 1e-9
    assert -np.log(answers).mean() == pytest.approx(floor(symmetric_transition(10, rate), clean), abs=tolerance)


def test_the_floor_weighs_classes_by_how_often_they_occur():
    transition = np.array([[1.0, 0.0], [0.5, 0.5]])
    assert floor(transition, np.array([0, 0, 0, 1])) == pytest.approx(math.log(2) / 4)


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_the_rows_of_a_transition_matrix_add_up_to_one(rate):
    matrix = SYMMETRIC.transition(10, rate)
    assert matrix.sum(axis=1) == pytest.approx(1)
    assert np.diag(matrix) == pytest.approx(1 - rate)


def test_the_realized_transition_is_counted(corrupted):
    clean, noise = corrupted.images.train_labels.tolist(), corrupted.noisy_labels.tolist()
    pairs = list(zip(clean, noise, strict=True))
    for true in range(10):
        for given in range(10):
            share = pairs.count((true, given)) / clean.count(true)
            assert corrupted.transition[true, given] == pytest.approx(share)


def test_a_class_that_does_not_occur_has_a_row_of_zeros():
    assert realized_transition(np.array([0, 0]), np.array([0, 1]), 3).tolist() == [[0.5, 0.5, 0], [0] * 3, [0] * 3]


@pytest.mark.parametrize("rate", [0.75, 0.3])
def test_the_realized_transition_nears_the_nominal_one(rate):
    realized = realized_transition(labels(10), noisy(10, rate), 10)
    assert np.abs(realized - symmetric_transition(10, rate)).max() < 5 * math.sqrt(0.25 / 2000)


def test_the_mask_is_where_labels_differ(corrupted):
    assert torch.equal(corrupted.mask, corrupted.noisy_labels != corrupted.images.train_labels)
    assert corrupted.corrupted_share == corrupted.mask.sum().item() / 400


def test_rate_0_changes_nothing_and_rate_1_everything(small):
    intact, broken = (dataset.corrupt(small, Corruption(rate=rate)) for rate in (0, 1))
    assert torch.equal(intact.noisy_labels, small.train_labels)
    assert broken.mask.all()
    assert (intact.corrupted_share, broken.corrupted_share) == (0.0, 1.0)


def test_true_and_test_labels_stay_as_they_were(small):
    before = small.content_hash()
    result = dataset.corrupt(small, Corruption(rate=1))
    assert result.images.content_hash() == before
    assert result.noisy_labels.dtype == torch.int64


def test_the_labels_of_seed_0_keep_their_bytes(mnist5k):
    content = dataset.corrupt(mnist5k, Corruption()).noisy_labels.numpy().astype("<i8").tobytes()
    golden = "f2191b348f2cb8c67bcb158305e4531717cda2a910081defca709e7ea1af21ae"
    assert hashlib.sha256(content).hexdigest() == golden


def test_the_labels_move_with_the_corruption_s_seed_alone(small):
    training = Training(epochs=1, batch_size=64, learning_rate=0.1, momentum=0)
    recipe = Recipe(training=training, dataset="mnist5k")
    found = {}
    for seed in (0, 1):
        build_network(replace(recipe, seed=seed), small, torch.device("cpu"))  # draws with the model's seed
        found[seed] = dataset.corrupt(small, replace(recipe, seed=seed).corruption).noisy_labels
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], dataset.corrupt(small, Corruption(seed=1)).noisy_labels)


def test_a_higher_rate_corrupts_more_of_the_same(small):
    """One seed's draws are compared with the rate, so masks are nested and curves over rates are smooth."""
    low, high = (dataset.corrupt(small, Corruption(rate=rate)) for rate in (0.25, 0.5))
    assert (high.mask | ~low.mask).all()
    assert torch.equal(high.noisy_labels[low.mask], low.noisy_labels[low.mask])


def test_an_unknown_rule_is_answered_with_the_nearest(small):
    with pytest.raises(MemstudyError, match="did you mean symmetric"):
        dataset.corrupt(small, Corruption(rule="symetric"))
