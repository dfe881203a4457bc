"""The split of answers by the corruption mask, against a count by hand."""

import math

import numpy as np
import pytest
import torch

from memstudy.analysis.memorization import shares
from memstudy.data import dataset
from memstudy.recipe import Corruption

NAMES = ["clean_accuracy", "memorized", "recovered", "other"]


def split(answers, data):
    found = shares(answers, data.images.train_labels, data.noisy_labels, data.mask)
    assert list(found) == NAMES
    assert all(value.dtype == torch.float64 and value.ndim == 0 for value in found.values())
    return {name: value.item() for name, value in found.items()}


def by_hand(answers, data):
    rows = list(zip(answers.tolist(), data.images.train_labels.tolist(), data.noisy_labels.tolist(), strict=True))
    intact = [row for row in rows if row[1] == row[2]]
    corrupt = [row for row in rows if row[1] != row[2]]
    return {
        "clean_accuracy": sum(a == c for a, c, _ in intact) / len(intact),
        "memorized": sum(a == n for a, _, n in corrupt) / len(corrupt),
        "recovered": sum(a == c for a, c, _ in corrupt) / len(corrupt),
        "other": sum(a not in (c, n) for a, c, n in corrupt) / len(corrupt),
    }


def random_answers(seed):
    """Answers of no network: the split must hold for any."""
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 10, 400))


@pytest.mark.parametrize("seed", range(5))
def test_the_split_is_what_a_count_by_hand_finds(corrupted, seed):
    answers = random_answers(seed)
    assert split(answers, corrupted) == pytest.approx(by_hand(answers, corrupted))


@pytest.mark.parametrize("seed", range(5))
def test_the_shares_of_corrupted_samples_add_up_to_one(corrupted, seed):
    found = split(random_answers(seed), corrupted)
    assert found["memorized"] + found["recovered"] + found["other"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (lambda data: data.noisy_labels, (1, 1, 0, 0)),
        (lambda data: data.images.train_labels, (1, 0, 1, 0)),
        (lambda data: torch.full((400,), -1), (0, 0, 0, 1)),
    ],
    ids=["memorizes all", "recovers all", "neither"],
)
def test_the_extremes(corrupted, answers, expected):
    assert tuple(split(answers(corrupted), corrupted).values()) == expected


@pytest.mark.parametrize(("rate", "undefined"), [(0, NAMES[1:]), (1, NAMES[:1])])
def test_a_share_of_no_samples_is_undefined(small, rate, undefined):
    found = split(random_answers(0), dataset.corrupt(small, Corruption(rate=rate)))
    assert [name for name in NAMES if math.isnan(found[name])] == undefined
