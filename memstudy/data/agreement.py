"""Whether labels agree with the true ones better than the same labels in a random order would.

Labels of other images, or in another order than the images, agree with the truth by chance alone: as often as the
shares of the classes on both sides say. This is a test against that: its null hypothesis is that every order of
the same labels is equally likely (Hoeffding 1951, "A combinatorial central limit theorem"). Mean and variance of
the agreement over all orders are exact, its distribution is taken as normal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, ndtr

from memstudy.data.transitions import Labels, Matrix

LEVEL = 0.01
"""The test's level: with this probability, labels in a random order pass it."""
DEPENDENT = 1e-6
"""Labels depend on the true ones if they would be as far from independent with less than this probability."""


@dataclass(frozen=True)
class Agreement:
    """How far labels agree with the true ones.

    Attributes:
        samples: N.
        agreeing: how many labels agree; for soft labels, the sum of their shares of the true classes.
        by_chance: the mean of `agreeing` over all orders of the same labels.
        probability: that labels in a random order agree as well or better.
        testable: whether the true labels themselves would pass the test; not if there are too few.
        dependent: whether the labels depend on the true ones in any way, for example 0 → 1, 1 → 2, …

    """

    samples: int
    agreeing: float
    by_chance: float
    probability: float
    testable: bool
    dependent: bool

    @property
    def no_better_than_chance(self) -> bool:
        """Whether there is no sign that the labels belong to these samples in this order."""
        return self.testable and self.probability >= LEVEL


def of_labels(labels: Labels, truth: Labels, classes: int) -> Agreement:
    """The agreement of labels (N,) with true ones (N,), both from 0 to `classes` - 1."""
    table = (
        np.bincount(labels * classes + truth, minlength=classes**2).reshape(classes, classes).astype(np.float64)
    )
    return _agreement(np.eye(classes), table.sum(axis=1), float(np.trace(table)), truth, _dependent(table), 0.5)


def of_distribution(distribution: Matrix, truth: Labels) -> Agreement:
    """The agreement of soft labels (N, K), whose rows add up to 1, with true ones (N,)."""
    agreeing = float(distribution[np.arange(len(truth)), truth].sum())
    table = np.stack([distribution[truth == label].sum(axis=0) for label in range(distribution.shape[1])], axis=1)
    return _agreement(distribution, np.ones(len(truth)), agreeing, truth, _dependent(table), 0.0)


def _agreement(
    rows: Matrix, weights: Matrix, agreeing: float, truth: Labels, dependent: bool, continuity: float
) -> Agreement:
    """The agreement of soft labels given by M rows (M, K), each of which occurs `weights` (M,) times.

    `continuity` is the correction for taking whole numbers of agreeing labels as normally distributed: .5, or 0.
    """
    counts = np.bincount(truth, minlength=rows.shape[1]).astype(np.float64)
    mean, deviation = _over_orders(rows, weights, counts)
    perfect, spread = _over_orders(np.eye(len(counts)), counts, counts)
    return Agreement(
        samples=len(truth),
        agreeing=agreeing,
        by_chance=mean,
        probability=_above(agreeing - continuity, mean, deviation),
        testable=_above(len(truth) - 0.5, perfect, spread) < LEVEL,
        dependent=dependent,
    )


def _over_orders(rows: Matrix, weights: Matrix, counts: Matrix) -> tuple[float, float]:
    """Mean and standard deviation of the agreement over all orders of the labels.

    `rows` (M, K) and `weights` (M,) as in `_agreement`, `counts` (K,) samples of each true class. With c[j, i] the
    share that label j gives the true class of sample i, and d[j, i] = c[j, i] - c[j, ·] - c[·, i] + c[·, ·] (a dot
    is a mean over that index): mean N c[·, ·], variance Σ d² / (N - 1).
    """
    total = counts.sum()
    shares = counts / total
    by_row, by_class = rows @ shares, weights @ rows / total
    mean = float(by_class @ shares)
    centered = rows - by_row[:, None] - by_class + mean
    variance = float(weights @ centered**2 @ counts) / max(total - 1, 1)
    return float(total * mean), math.sqrt(max(variance, 0.0))


def _above(value: float, mean: float, deviation: float) -> float:
    """P(X ≥ value) of a normal distribution; 1 if it has no spread."""
    if deviation < 1e-9 * max(1.0, mean):
        return 1.0
    return float(ndtr(-(value - mean) / deviation))


def _dependent(table: Matrix) -> bool:
    """Pearson's χ² test of independence, for a table (K, K) of counts: rows are labels, columns true ones."""
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    return freedom > 0 and float(chdtrc(freedom, ((table - expected) ** 2 / expected).sum())) < DEPENDENT
