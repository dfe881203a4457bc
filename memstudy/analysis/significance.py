"""Is a difference more than luck? Tests and intervals for a few values a method, one value a seed.

The choice of methods is ours, their formulas are the field's: Student's paired and Welch's t-test, Holm's
step-down adjustment (Holm 1979), the percentile bootstrap (Efron 1979).

Differences of means get the intervals of their t-tests, which have their nominal coverage if values are about
normal. A bootstrap of n values cannot have it: there are C(2n - 1, n) distinct resamples, 3, 10, 35 and 126 for n
= 2 to 5, and at n ≤ 3 the 95 % percentile interval is the range from the least to the largest value, which holds
the center of a symmetric distribution with probability 1 - 2^(1 - n): 50 % at n = 2, 75 % at n = 3 (about 83 % at
n = 5). It is used for numbers such as mean ranks, which have no better interval, and says how much the seeds
disagree.

Nothing is tested below LEAST_VALUES values: with two differences the t-test has one degree of freedom. Its result
then depends on how close the two happen to lie, and among many tests some pair always lies close. Two values have
an interval all the same; it is very wide.
"""

from __future__ import annotations

import bisect
import functools
import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from memstudy.randomness import numpy_generator

PAIRED, WELCH = "paired", "Welch"
LEVELS = (0.05, 0.01, 0.001)
CONFIDENCE = 0.95
LEAST_VALUES = 3  # values on either side, or pairs, below which nothing is tested
POWER = 0.8  # that `seeds_needed` is for
MOST_SEEDS = 1000  # up to which `seeds_needed` looks
BY_ROUNDING = 1e-12  # relative: values that differ by less differ by rounding alone

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """Two samples compared by a two-sided t-test.

    `difference` of the means, a minus b, with its confidence interval `low` to `high`; `n_a` and `n_b` values were
    used, in `pairs` pairs, 0 if they are not paired. If there is no test, p is NaN, `test` is empty and `reason`
    says why. There is an interval from two values on, if they differ. For values that are not finite there is no
    difference either.

    `effect`: the size of the difference over the standard deviation that it has from one pair of runs to another,
    both sides' together if they are not paired. That deviation is estimated median-unbiased, under normality: as
    often too large as too small. NaN where the interval is.
    """

    p: float
    test: str
    n_a: int
    n_b: int
    pairs: int
    difference: float
    low: float
    high: float
    effect: float = math.nan
    reason: str = ""


def compare(
    a: ArrayLike,
    b: ArrayLike,
    *,
    seeds_a: Sequence[Hashable] | None = None,
    seeds_b: Sequence[Hashable] | None = None,
    confidence: float = CONFIDENCE,
) -> Comparison:
    """Two-sided t-test of the means of a (n,) and b (m,): paired over the seeds that both have, else Welch's.

    It is paired if the sides share enough seeds: at least LEAST_VALUES (or all of a side with fewer, but two), and
    at least half of the seeds of either side. Runs of one seed start from the same weights and see the same
    batches, so a paired difference is free of that luck. With fewer shared seeds, pairing would discard more than
    it gains. The rule depends on seeds alone, never on values. Values of equal seeds are replaced by their mean. A
    ValueError if there are not as many seeds as values.
    """
    left, right = _by_seed(a, seeds_a), _by_seed(b, seeds_b)
    common = paired_by(list(left), list(right)) if seeds_a is not None and seeds_b is not None else []
    paired = bool(common)
    ours = np.array([left[seed] for seed in (common or left)])
    theirs = np.array([right[seed] for seed in (common or right)])
    unit = _unit(np.r_[ours, theirs])
    ours, theirs = ours / unit, theirs / unit
    counts = len(ours), len(theirs), len(common)
    finite = len(ours) and len(theirs) and np.isfinite(np.r_[ours, theirs]).all()
    difference = unit * float(ours.mean() - theirs.mean()) if finite else math.nan
    if reason := _no_interval(ours, theirs, paired):
        return Comparison(math.nan, "", *counts, difference, math.nan, math.nan, reason=reason)
    test = stats.ttest_rel(ours, theirs) if paired else stats.ttest_ind(ours, theirs, equal_var=False)
    low, high = test.confidence_interval(confidence)
    measured = (
        *counts,
        difference,
        unit * float(low),
        unit * float(high),
        _effect(ours, theirs, float(test.df), paired),
    )
    if min(len(ours), len(theirs)) < LEAST_VALUES:
        return Comparison(math.nan, "", *measured, reason=f"fewer than three {'pairs' if paired else 'values'}")
    return Comparison(float(test.pvalue), PAIRED if paired else WELCH, *measured)


def paired_by(seeds_a: Sequence[Hashable], seeds_b: Sequence[Hashable]) -> list[Hashable]:
    """The seeds over which `compare` pairs two sides that have these, each once; none if they are not paired."""
    theirs = set(seeds_b)
    common = [seed for seed in seeds_a if seed in theirs]
    enough = max(2, min(LEAST_VALUES, len(seeds_a), len(seeds_b)))
    return common if len(common) >= enough and 2 * len(common) >= max(len(seeds_a), len(seeds_b)) else []


def _unit(values: Values) -> float:
    """A power of two: divided by it, values have squares within float64's range; 1 for ordinary ones."""
    exponent = math.frexp(np.abs(values).max(initial=0.0))[1] if np.isfinite(values).all() else 0
    return math.ldexp(1.0, min(exponent, 1023)) if abs(exponent) > 64 else 1.0


def _by_seed(values: ArrayLike, seeds: Sequence[Hashable] | None) -> dict[Hashable, float]:
    array = np.asarray(values, dtype=float)
    by_seed: dict[Hashable, list[float]] = {}
    for seed, value in zip(range(len(array)) if seeds is None else seeds, array.tolist(), strict=True):
        by_seed.setdefault(seed, []).append(value)
    return {seed: float(np.mean(many)) if len(many) > 1 else many[0] for seed, many in by_seed.items()}


def _no_interval(a: Values, b: Values, paired: bool) -> str:
    """Why there is neither interval nor test, in a few words; empty if there is an interval."""
    if min(len(a), len(b)) < 2:
        return "fewer than two values"
    both = np.r_[a, b]
    if not np.isfinite(both).all():
        return "a value that is not finite"
    spread = np.ptp(a - b) if paired else max(np.ptp(a), np.ptp(b))
    return "" if spread > BY_ROUNDING * np.abs(both).max() else "no spread"


def _effect(a: Values, b: Values, df: float, paired: bool) -> float:
    variance = np.var(a - b, ddof=1) if paired else np.var(a, ddof=1) + np.var(b, ddof=1)
    return float(abs(a.mean() - b.mean()) / np.sqrt(variance * df / stats.chi2.median(df)))


def seeds_needed(effect: float, tests: int = 1) -> float:
    """The least number of pairs of runs, LEAST_VALUES or more, with which a difference would probably be found.

    Found: a two-sided paired t-test has p < .05 / tests, which is Holm's strictest step, with probability POWER or
    more, if the differences of pairs are normal and their mean is `effect` standard deviations. NaN if MOST_SEEDS
    are too few, or there is no effect. With an `effect` that was measured on few runs it is a rough estimate.
    Ours.
    """
    if not effect > 0 or _power(effect, MOST_SEEDS, tests) < POWER:
        return math.nan
    return float(
        bisect.bisect_left(range(MOST_SEEDS), POWER, lo=LEAST_VALUES, key=lambda n: _power(effect, n, tests))
    )


def _power(effect: float, n: int, tests: int) -> float:
    """The power of the test of `seeds_needed`, by quadrature over the variance.

    Scipy's noncentral t distribution fails at critical values as large as these.
    """
    reach = stats.t.isf(LEVELS[0] / (2 * tests), n - 1) * _spreads(n - 1)
    shift = effect * math.sqrt(n)
    return float(np.mean(stats.norm.sf(reach - shift) + stats.norm.sf(reach + shift)))


@functools.cache
def _spreads(df: int) -> Values:
    """400 quantiles of s / σ, a standard deviation over its true value, at equally spaced probabilities."""
    spreads: Values = np.sqrt(stats.chi2.ppf((np.arange(400) + 0.5) / 400, df) / df)
    return spreads


def holm(p_values: ArrayLike) -> Values:
    """Holm–Bonferroni adjusted p-values (n,): below α, they reject with a family-wise error of at most α.

    The i-th smallest of m becomes max over j ≤ i of min(1, (m - j + 1) p_(j)). NaN, no test, stays NaN and
    does not count in m.
    """
    p = np.asarray(p_values, dtype=float)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted = np.full(p.shape, math.nan)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * factors))
    return adjusted


def bootstrap_interval(
    values: ArrayLike,
    confidence: float = CONFIDENCE,
    draws: int = 9999,
    seed: int = 0,
    statistic: Callable[..., Any] = np.mean,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a statistic of values (n,), its draws keyed by `seed`.

    NaN for n < 2 or values that are not finite. Not BCa, whose correction is itself estimated from the n values,
    and does not exist where they are few or tied. What it can tell at n = 2 to 5 is said above.
    """
    array = np.asarray(values, dtype=float)
    if len(array) < 2 or not np.isfinite(array).all():
        return math.nan, math.nan
    return _bootstrap(tuple(array.tolist()), confidence, draws, seed, statistic)


@functools.lru_cache(maxsize=256)  # a ranking is made for its table, its figure and its chart
def _bootstrap(
    values: tuple[float, ...], confidence: float, draws: int, seed: int, statistic: Callable[..., Any]
) -> tuple[float, float]:
    resampled = stats.bootstrap(
        (values,), statistic, n_resamples=draws, confidence_level=confidence, method="percentile",
        random_state=numpy_generator(seed, "bootstrap"),
    )  # fmt: skip
    low, high = resampled.confidence_interval
    return float(low), float(high)


def stars(p: float) -> str:
    """`*`, `**`, `***` for p below .05, .01, .001; none where there is no test."""
    return "*" * sum(p < level for level in LEVELS)
