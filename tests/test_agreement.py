"""Agreement by chance: exact moments against all orders, the level by simulation, and what must not be refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from memstudy.data import agreement
from memstudy.data.agreement import LEVEL, of_distribution, of_labels
from memstudy.data.transitions import symmetric
from memstudy.randomness import numpy_generator


def drawn(truth, rate, classes, seed=0):
    """Symmetric noise: with this probability one of the other classes."""
    generator = numpy_generator(seed, "test")
    leaves = generator.random(len(truth)) < rate
    step = 1 + np.floor(generator.random(len(truth)) * (classes - 1)).astype(np.int64)
    return np.where(leaves, (truth + step) % classes, truth)


def balanced(samples, classes):
    return numpy_generator(1, "test").permutation(np.arange(samples) % classes)


@pytest.mark.parametrize(
    ("labels", "truth"),
    [
        ([0, 1, 1, 0, 2, 2, 1], [0, 0, 1, 1, 1, 2, 0]),
        ([0, 0, 0, 0, 1], [0, 1, 0, 1, 0]),
        ([0, 1, 2, 3, 0, 1], [3, 3, 3, 0, 0, 0]),
        ([1, 1, 1, 1], [0, 1, 1, 0]),
    ],
)
def test_mean_and_deviation_are_those_over_all_orders(labels, truth):
    labels, truth = np.array(labels), np.array(truth)
    counted = [(np.array(order) == truth).sum() for order in itertools.permutations(labels)]
    counts = [np.bincount(side, minlength=4).astype(float) for side in (labels, truth)]
    mean, deviation = agreement._over_orders(np.eye(4), *counts)
    assert mean == pytest.approx(np.mean(counted), abs=1e-12)
    assert deviation == pytest.approx(np.std(counted), abs=1e-12)
    assert of_labels(labels, truth, 4).by_chance == pytest.approx(mean)


def test_mean_and_deviation_of_soft_labels_are_those_over_all_orders():
    soft = numpy_generator(0, "test").random((6, 3))
    soft /= soft.sum(axis=1, keepdims=True)
    truth = np.array([0, 1, 1, 2, 0, 0])
    summed = [soft[list(order), truth].sum() for order in itertools.permutations(range(6))]
    mean, deviation = agreement._over_orders(soft, np.ones(6), np.bincount(truth).astype(float))
    assert mean == pytest.approx(np.mean(summed), abs=1e-12)
    assert deviation == pytest.approx(np.std(summed), abs=1e-12)


def test_hard_labels_are_soft_ones_without_doubt():
    truth = balanced(300, 5)
    labels = drawn(truth, 0.6, 5)
    hard, soft = of_labels(labels, truth, 5), of_distribution(np.eye(5)[labels], truth)
    assert (hard.agreeing, hard.by_chance) == (soft.agreeing, pytest.approx(soft.by_chance))
    assert hard.probability == pytest.approx(
        soft.probability, abs=0.05
    )  # but for the correction for whole numbers


@pytest.mark.parametrize(("samples", "classes"), [(200, 2), (400, 10), (2000, 10), (500, 100)])
def test_another_order_passes_no_more_often_than_the_level_says(samples, classes):
    truth = balanced(samples, classes)
    labels = drawn(truth, 0.4, classes)
    generator = numpy_generator(2, "test")
    passed = sum(
        not of_labels(labels[np.argsort(generator.random(samples))], truth, classes).no_better_than_chance
        for _ in range(2000)
    )
    assert passed <= 2000 * LEVEL + 3 * np.sqrt(2000 * LEVEL)


@pytest.mark.parametrize(
    ("samples", "classes", "rate"),
    [
        (60_000, 10, 0.88), (50_000, 100, 0.97), (4000, 10, 0.85), (400, 10, 0.75), (100, 2, 0.2), (60, 10, 0.5),
        (1000, 2, 0.4), (40, 2, 0.1), (20, 10, 0.4),
    ],
)  # fmt: skip
def test_labels_that_are_right_more_often_than_by_chance_pass(samples, classes, rate):
    truth = balanced(samples, classes)
    for seed in range(20):
        assert not of_labels(drawn(truth, rate, classes, seed), truth, classes).no_better_than_chance


def test_classes_in_unequal_shares_are_allowed_for():
    """Where nine tenths are of one class, 82 % agree by chance."""
    truth = (np.arange(1000) % 10 == 0).astype(np.int64)
    labels = np.roll(truth, 3)
    found = of_labels(labels, truth, 2)
    assert found.by_chance == pytest.approx(820)
    assert found.no_better_than_chance
    assert of_labels(np.roll(truth, 10), truth, 2).agreeing == 1000
    assert not of_labels(np.roll(truth, 10), truth, 2).no_better_than_chance


def test_labels_worse_than_chance_are_asked_about_and_known_to_depend():
    truth = balanced(1000, 10)
    found = of_labels((truth + 1) % 10, truth, 10)
    assert found.no_better_than_chance
    assert found.dependent
    shuffled = of_labels(np.roll(truth, 7), truth, 10)
    assert shuffled.no_better_than_chance
    assert not shuffled.dependent


def test_labels_of_one_class_agree_by_chance_alone():
    found = of_labels(np.zeros(100, np.int64), balanced(100, 10), 10)
    assert found.probability == 1
    assert found.no_better_than_chance
    assert not found.dependent


@pytest.mark.parametrize(("samples", "classes"), [(1, 2), (2, 2), (3, 3)])
def test_of_so_few_samples_nothing_is_asked(samples, classes):
    truth = np.arange(samples) % classes
    for labels in (truth, (truth + 1) % classes, np.zeros(samples, np.int64)):
        assert not of_labels(labels, truth, classes).no_better_than_chance


def test_a_uniform_distribution_says_nothing_and_a_leaning_one_does():
    truth = balanced(500, 10)
    uniform = np.full((500, 10), 0.1)
    assert of_distribution(uniform, truth).no_better_than_chance
    leaning = symmetric(10, 0.85)[truth]
    assert not of_distribution(leaning, truth).no_better_than_chance
    assert of_distribution(np.roll(leaning, 7, axis=0), truth).no_better_than_chance
