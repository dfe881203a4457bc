"""Randomness: a draw depends on its seed, purpose and epoch, and on nothing else."""

import numpy as np
import pytest
import torch

from memstudy.randomness import key, numpy_generator, torch_generator

ARGUMENTS = [(0, "order", 0), (1, "order", 0), (0, "weights", 0), (0, "order", 1), (10, "order", 0)]


def draws(seed, purpose, epoch):
    return torch.rand(5, generator=torch_generator(seed, purpose, epoch)).tolist()


def test_keys_are_the_same_on_every_machine():
    assert key(0, "corruption") == 8964161434386944162
    assert key(7, "order", 3) == 929583480629082613


def test_keys_are_what_every_generator_takes():
    assert all(0 <= key(seed, "x", epoch) < 2**63 for seed in (0, 2**70) for epoch in (0, 10**6))


@pytest.mark.parametrize("one", ARGUMENTS)
@pytest.mark.parametrize("other", ARGUMENTS)
def test_equal_arguments_and_only_they_give_equal_draws(one, other):
    assert (draws(*one) == draws(*other)) == (one == other)
    same = np.array_equal(numpy_generator(*one).random(5), numpy_generator(*other).random(5))
    assert same == (one == other)


def test_purposes_with_digits_do_not_run_into_epochs():
    keys = {key(s, p, e) for s in (1, 11, 111) for p in ("a", "1a", "a1") for e in (1, 11, 111)}
    assert len(keys) == 27


def test_numpy_s_stream_is_the_one_that_golden_labels_rest_on():
    assert numpy_generator(0, "corruption").random(3).tolist() == [
        0.34993858311489245,
        0.5221379957766272,
        0.6130322925786134,
    ]


def test_the_global_generators_are_neither_used_nor_moved():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = draws(0, "order", 0)
    torch_generator(0, "order").manual_seed(5)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert draws(0, "order", 0) == first
