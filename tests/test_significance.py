"""Tests and intervals: against scipy and definitions, by simulation, and where there is nothing to test.

The data are simulated, because laws of p-values and intervals are about known distributions.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from memstudy.analysis import significance
from memstudy.analysis.significance import (
    LEAST_VALUES,
    PAIRED,
    WELCH,
    bootstrap_interval,
    compare,
    holm,
    seeds_needed,
    stars,
)
from memstudy.randomness import numpy_generator


def normal(*shape, seed=0):
    return numpy_generator(seed, "test").normal(size=shape)


# The t-tests


def test_it_is_scipys_paired_test_where_seeds_are_shared():
    a, b = normal(2, 6)
    found = compare(a, b, seeds_a=range(6), seeds_b=range(6))
    expected = stats.ttest_rel(a, b)
    assert (found.test, found.n_a, found.n_b, found.pairs) == (PAIRED, 6, 6, 6)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.difference == pytest.approx((a - b).mean())
    half = stats.t.ppf(0.975, 5) * (a - b).std(ddof=1) / math.sqrt(6)
    assert (found.low, found.high) == pytest.approx((found.difference - half, found.difference + half))


def test_pairs_go_by_seed_not_by_position():
    a, b = normal(2, 5)
    straight = compare(a, b, seeds_a=[0, 1, 2, 3, 4], seeds_b=[0, 1, 2, 3, 4])
    mixed = compare(a[[3, 1, 0, 4, 2]], b, seeds_a=[3, 1, 0, 4, 2], seeds_b=[0, 1, 2, 3, 4])
    assert mixed.p == pytest.approx(straight.p, rel=1e-12)
    assert compare(a, b, seeds_a=[1, 2, 3, 4, 0], seeds_b=[0, 1, 2, 3, 4]).p != pytest.approx(straight.p)


def test_it_is_welchs_test_without_seeds_in_common():
    a, b = normal(4), 3 * normal(7, seed=1)
    expected = stats.ttest_ind(a, b, equal_var=False)
    apart = compare(a, b, seeds_a=range(4), seeds_b=range(10, 17))
    for found in (apart, compare(a, b), compare(a, b, seeds_a=range(4))):
        assert (found.test, found.n_a, found.n_b, found.pairs) == (WELCH, 4, 7, 0)
        assert found.p == pytest.approx(expected.pvalue)
        assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()))


@pytest.mark.parametrize(
    ("seeds_a", "seeds_b", "test", "n"),
    [
        ([0, 1, 2, 3], [1, 2, 3, 4], PAIRED, 3),
        ([0, 1, 2, 3, 4, 5], [3, 4, 5, 6, 7, 8], PAIRED, 3),
        ([0, 1, 2, 3], [2, 3, 4, 5], WELCH, 4),  # two pairs are not tested, and four values are
        ([0, 1, 2, 3, 4, 5, 6], [0, 1, 2], WELCH, 7),  # three of seven: pairs would leave out more than half
        ([0, 1, 2], [2, 3, 4], WELCH, 3),  # one pair has no spread
    ],
)
def test_when_it_is_paired(seeds_a, seeds_b, test, n):
    found = compare(normal(len(seeds_a)), normal(len(seeds_b), seed=1), seeds_a=seeds_a, seeds_b=seeds_b)
    assert (found.test, found.n_a) == (test, n)


def test_values_of_one_seed_are_one_observation():
    a, b = normal(2, 3)
    twice = compare([*a, *a], b, seeds_a=[0, 1, 2, 0, 1, 2], seeds_b=[0, 1, 2])
    once = compare(a, b, seeds_a=[0, 1, 2], seeds_b=[0, 1, 2])
    assert (twice.p, twice.n_a) == (once.p, 3)


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 6), st.integers(0, 99), st.floats(-50, 50), st.floats(0.01, 100))
def test_exchange_shift_and_scale(n, seed, shift, scale):
    a, b = normal(2, n, seed=seed)
    seeds: dict[str, Any] = {"seeds_a": range(n), "seeds_b": range(n)}
    found, exchanged = compare(a, b, **seeds), compare(b, a, **seeds)
    moved = compare(scale * (a + shift), scale * (b + shift), **seeds)
    assert exchanged.p == pytest.approx(found.p)
    assert exchanged.effect == pytest.approx(found.effect)
    assert moved.effect == pytest.approx(found.effect, rel=1e-6)
    assert (exchanged.low, exchanged.high) == pytest.approx((-found.high, -found.low))
    assert moved.p == pytest.approx(found.p, rel=1e-6)
    assert (found.p < 0.05) == (not found.low <= 0 <= found.high)


@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        ([], [1.0, 2.0], "fewer than two values"),
        ([1.0], [1.0, 2.0], "fewer than two values"),
        ([1.0, math.nan], [1.0, 2.0], "not finite"),
        ([1.0, math.inf], [1.0, 2.0], "not finite"),
        ([math.inf, math.inf], [math.inf, 2.0], "not finite"),
        ([1.0, 1.0], [2.0, 2.0], "no spread"),
    ],
)
def test_no_test_says_why(a, b, reason):
    found = compare(a, b)
    assert reason in found.reason
    assert np.isnan([found.p, found.low, found.high, found.effect]).all()
    assert found.test == ""


@pytest.mark.parametrize(
    ("seeds", "reason", "expected"),
    [
        ({"seeds_a": [0, 1], "seeds_b": [0, 1]}, "fewer than three pairs", stats.ttest_rel),
        ({"seeds_a": [0, 1], "seeds_b": [0, 1, 2]}, "fewer than three pairs", stats.ttest_rel),
        ({}, "fewer than three values", lambda a, b: stats.ttest_ind(a, b, equal_var=False)),
    ],
)
def test_two_values_have_an_interval_and_no_test(seeds, reason, expected):
    """However clear the difference: here p would be .0003."""
    a, b = np.array([90.0, 91.0]), np.array([10.0, 11.05, 12.0])[: len(seeds.get("seeds_b", [0, 1]))]
    found = compare(a, b, **seeds)
    assert (found.test, found.reason) == ("", reason)
    assert math.isnan(found.p)
    reference = expected(a, b[:2])
    assert reference.pvalue < 0.001
    assert (found.low, found.high) == pytest.approx(tuple(reference.confidence_interval()))


def test_differences_that_are_equal_up_to_rounding_have_no_spread():
    a, b = np.array([0.90, 0.91, 0.92]), np.array([0.80, 0.81, 0.82])
    assert np.ptp(a - b) > 0
    found = compare(a, b, seeds_a=range(3), seeds_b=range(3))
    assert (found.reason, found.difference, found.pairs) == ("no spread", pytest.approx(0.1), 3)
    assert compare(a, b).p < 0.001  # as independent samples they have one


def test_as_many_seeds_as_values():
    with pytest.raises(ValueError, match="argument 2"):
        compare([1.0, 2.0], [1.0, 2.0], seeds_a=[0], seeds_b=[0, 1])


def test_pairing_finds_what_luck_of_the_seeds_hides():
    """Luck shared by a seed, ten times that of a run; the control has none, and pairing gains nothing."""
    seeds: dict[str, Any] = {"seeds_a": range(5), "seeds_b": range(5)}
    found = np.zeros((2, 2))
    for draw in range(200):
        luck, a, b = normal(3, 5, seed=draw)
        for row, shared in enumerate((10.0, 0.0)):
            ours, theirs = 2 + a + shared * luck, b + shared * luck
            found[row] += compare(ours, theirs, **seeds).p < 0.05, compare(ours, theirs).p < 0.05
    assert found[0, 0] > 100 > 20 > found[0, 1]
    assert found[1, 0] < found[1, 1]


def test_t_intervals_cover_and_the_null_is_kept():
    """400 draws at 95 %: between 91.5 and 98 % (three standard deviations), for pairs and for two samples."""
    seeds: dict[str, Any] = {"seeds_a": range(3), "seeds_b": range(3)}
    for choice in (seeds, {}):
        found = [compare(*normal(2, 3, seed=draw), **choice) for draw in range(400)]
        covered = np.mean([each.low <= 0 <= each.high for each in found])
        assert 0.915 < covered < 0.985
        assert np.mean([each.p < 0.05 for each in found]) == pytest.approx(1 - covered)


# How many seeds it would take


def found_share(effect, n, tests, draws=4000):
    """How often the test finds a difference of that many standard deviations."""
    values = effect + numpy_generator(n, "test").normal(size=(draws, n))
    return np.mean(stats.ttest_1samp(values, 0, axis=1).pvalue < 0.05 / tests)


@pytest.mark.parametrize(("effect", "tests"), [(4.5, 1), (2.0, 1), (1.0, 1), (0.7, 6), (3.0, 48), (12.0, 48)])
def test_so_many_seeds_find_it_and_one_fewer_does_not(effect, tests):
    """By simulation; 4,000 draws, three standard deviations."""
    n = int(seeds_needed(effect, tests))
    luck = 3 * math.sqrt(0.8 * 0.2 / 4000)
    assert found_share(effect, n, tests) > 0.8 - luck
    assert n == 3 or found_share(effect, n - 1, tests) < 0.8 + luck


def test_the_power_is_that_of_the_noncentral_t():
    """scipy's, where that gives a number; it gives none at the critical values of many tests of few seeds."""
    for effect, n, tests in ((1.0, 5, 1), (3.0, 4, 1), (2.0, 6, 48), (0.05, 900, 3)):
        critical = stats.t.isf(0.025 / tests, n - 1)
        shift = effect * math.sqrt(n)
        expected = stats.nct.sf(critical, n - 1, shift) + stats.nct.cdf(-critical, n - 1, shift)
        assert significance._power(effect, n, tests) == pytest.approx(expected, abs=2e-3)


def test_seeds_needed_fall_with_the_effect_and_rise_with_the_tests():
    by_effect = [seeds_needed(effect) for effect in (0.1, 0.3, 1, 3, 30, math.inf)]
    assert by_effect == sorted(by_effect, reverse=True)
    assert by_effect[-1] == LEAST_VALUES
    by_tests = [seeds_needed(2.0, tests) for tests in (1, 2, 10, 100)]
    assert by_tests == sorted(set(by_tests))
    assert np.isnan([seeds_needed(0.0), seeds_needed(1e-3), seeds_needed(math.nan)]).all()


@pytest.mark.parametrize("n", [2, 3, 6])
def test_effects_are_too_small_as_often_as_too_large(n):
    """The spread is median-unbiased: with the difference known, half of the effects are above the true one; 1,000
    draws, three standard deviations. A plain standard deviation of two values is too small two times of three."""
    above = plain = 0
    for draw in range(1000):
        luck, a = normal(2, n, seed=draw)
        spread = (a - luck).std(ddof=1)
        found = compare(a, luck, seeds_a=range(n), seeds_b=range(n))
        above += found.effect / abs(found.difference) > 1 / math.sqrt(2)
        plain += spread < math.sqrt(2)
    assert abs(above / 1000 - 0.5) < 3 * math.sqrt(0.25 / 1000)
    if n == 2:
        assert plain > 640


# Holm


def by_definition(p):
    """The closed testing procedure with Bonferroni tests: the largest p of all subsets that hold a hypothesis."""
    known = [index for index, value in enumerate(p) if not math.isnan(value)]
    subsets = [s for size in range(1, len(known) + 1) for s in itertools.combinations(known, size)]
    return [
        max(min(1, len(s) * min(p[j] for j in s)) for s in subsets if index in s) if index in known else math.nan
        for index in range(len(p))
    ]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.floats(0, 1), st.just(math.nan), st.just(0.02)), max_size=7))
def test_holm_is_the_closed_bonferroni_test(p):
    assert holm(p) == pytest.approx(by_definition(p), nan_ok=True)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.01, math.nan, 0.04]) == pytest.approx([0.02, math.nan, 0.04], nan_ok=True)
    assert len(holm([])) == 0


def test_holm_keeps_the_family_wise_error_where_plain_p_values_do_not():
    p = stats.norm.sf(np.abs(normal(300, 20))) * 2
    plain, adjusted = ((values < 0.05).any(axis=1).mean() for values in (p, np.apply_along_axis(holm, 1, p)))
    assert plain > 0.5
    assert adjusted < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)


# The bootstrap


def test_three_values_give_their_range():
    assert bootstrap_interval([4.0, 1.0, 2.0]) == (1.0, 4.0)
    assert bootstrap_interval([3.0, 3.0]) == (3.0, 3.0)


def test_more_values_give_the_quantiles_of_all_resamples():
    values = [1.0, 2.0, 4.0, 8.0]
    means = [np.mean(each) for each in itertools.product(values, repeat=4)]
    assert bootstrap_interval(values) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.26)


def test_it_covers_as_often_as_is_said():
    """50 % at n = 2 and 75 % at n = 3, not 95 %; 300 draws, three standard deviations."""
    for n, expected in ((2, 0.5), (3, 0.75), (30, 0.93)):
        found = [bootstrap_interval(normal(n, seed=draw), draws=400) for draw in range(300)]
        covered = np.mean([low <= 0 <= high for low, high in found])
        assert abs(covered - expected) < 3 * math.sqrt(expected * (1 - expected) / 300)


def test_any_statistic_and_always_the_same_draws():
    values = normal(9)
    low, high = bootstrap_interval(values, statistic=np.median)
    assert low < np.median(values) < high
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval(values) != bootstrap_interval(values, seed=1)
    inner = bootstrap_interval(values, confidence=0.5)
    assert bootstrap_interval(values)[0] < inner[0] < inner[1] < bootstrap_interval(values)[1]


@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.nan], [1.0, math.inf]])
def test_too_few_or_no_numbers_have_no_interval(values):
    assert np.isnan(bootstrap_interval(values)).all()


# Stars


@pytest.mark.parametrize(("p", "expected"), [(0.2, ""), (0.05, ""), (0.049, "*"), (0.009, "**"), (0.0009, "***")])
def test_stars(p, expected):
    assert stars(p) == expected


def test_no_test_no_star():
    assert stars(math.nan) == ""


@pytest.mark.parametrize("scale", [2.0**-1000, 2.0**-300, 2.0**300, 2.0**1000])
@pytest.mark.parametrize("seeds", [None, [0, 1, 2, 3]])
def test_a_test_does_not_depend_on_the_unit_of_measurement(scale, seeds):
    """Squares of such values are 0 or infinite, and would make p 0 or nothing."""
    a, b = np.array([3.0, 4.5, 5.25, 4.0]), np.array([2.5, 4.25, 4.75, 3.0])
    plain = compare(a, b, seeds_a=seeds, seeds_b=seeds)
    found = compare(scale * a, scale * b, seeds_a=seeds, seeds_b=seeds)
    assert 0 < plain.p < 1
    assert (found.p, found.test, found.effect) == (plain.p, plain.test, plain.effect)
    assert [value / scale for value in (found.difference, found.low, found.high)] == [
        plain.difference, plain.low, plain.high
    ]  # fmt: skip
