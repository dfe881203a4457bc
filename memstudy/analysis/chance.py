"""The share of corrupted labels that a network would predict without memorization, to compare a measured share
with.

A network that mistakes 4 for 9 predicts the label 9 of some corrupted 4s that it never learned by heart. All of
this is ours; that memorization is what a label's presence in training adds to its prediction is Feldman 2020.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Z = 1.959963984540054
"""The normal distribution's .975 quantile, for 95 % intervals."""


@dataclass(frozen=True)
class Share:
    """A share of samples, from 0 to 1, between the limits of its 95 % interval."""

    value: float
    low: float
    high: float


def share(hits: float, count: float) -> Share:
    """`hits` of `count` samples, within Wilson's score interval (Wilson 1927)."""
    low, high = wilson(hits, count)
    return Share(float(hits) / float(count), float(low), float(high))


def wilson(hits: ArrayLike, count: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The limits of Wilson's 95 % interval for hits / count; `count` above 0. Arrays of one shape, or numbers."""
    hits, count = np.asarray(hits, dtype=np.float64), np.asarray(count, dtype=np.float64)
    rate, width = hits / count, Z**2 / count
    middle = (rate + width / 2) / (1 + width)
    spread = np.sqrt(rate * (1 - rate) * width + width**2 / 4) / (1 + width)
    return np.clip(middle - spread, 0.0, rate), np.clip(middle + spread, rate, 1.0)


ENOUGH = 30
"""If a class has fewer corrupted samples with other labels, its intact samples are used as well."""


def by_confusion(
    predicted: NDArray[np.integer], clean: NDArray[np.integer], noisy: NDArray[np.integer]
) -> Share | None:
    """The share of corrupted labels that would be predicted if predictions depended on the true class alone
    (ours).

    Arguments are classes, (N,). Without memorization, a sample of class y with the wrong label k is predicted as k
    as often as samples of y with another wrong label are. If there are fewer than `ENOUGH` of these, as with noise
    that turns each class into one other, samples of y with the true label are counted, too; if the network has
    memorized true labels, the result is then too low. If all samples of a class have the label k, there is nothing
    to compare with, and the measured share is taken as the expected one. None if that holds for all classes, or if
    no label is corrupted.

    The interval adds Wilson's intervals of all (y, k) in quadrature, weighted by their samples (Zou & Donner
    2008). It covers the chance of which sample got which label, not that of other seeds.
    """
    classes = 1 + max(int(column.max(initial=0)) for column in (predicted, clean, noisy))
    labeled, guessed = _table(clean, noisy, classes), _table(clean, predicted, classes)
    both = _table(clean[predicted == noisy], noisy[predicted == noisy], classes)
    intact = labeled.diagonal()[:, None]
    right = clean == noisy
    guessed_intact = _table(clean[right], predicted[right], classes)
    # Of class y, the samples that do not carry k, and those of them predicted as k.
    others, hits = labeled.sum(axis=1, keepdims=True) - labeled - intact, guessed - both - guessed_intact
    few = others < ENOUGH
    others, hits = others + few * intact, hits + few * guessed_intact
    corrupted = (labeled > 0) & ~np.eye(classes, dtype=bool)
    told = corrupted & (others > 0)
    if not told.any():
        return None
    total = labeled[corrupted].sum()
    weights, rates, limits = (
        labeled[told] / total,
        (hits / np.maximum(others, 1))[told],
        wilson(hits[told], others[told]),
    )
    value = float(weights @ rates + both[corrupted & ~told].sum() / total)
    below, above = (float(np.linalg.norm(weights * (limit - rates))) for limit in limits)
    return Share(value, max(0.0, value - below), min(1.0, value + above))


def _table(rows: NDArray[np.integer], columns: NDArray[np.integer], classes: int) -> NDArray[np.int64]:
    """The number of samples with each pair of classes, (K, K)."""
    pairs = rows.astype(np.int64) * classes + columns
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def by_spread(other: float, corrupted: int, classes: int) -> Share:
    """The same from the share `other` alone, for noise that turns a class into each other one equally often
    (ours).

    `other` is the share of `corrupted` samples that are predicted as neither the true class nor the label. Without
    memorization, a wrong prediction is the label with probability 1 / (K-1). So of K-1 wrong predictions K-2 are
    among `other`, and a share other / (K-2) of the samples is predicted as the label. `classes` (K) must be above
    2.
    """
    errors, parts = share(round(other * corrupted), corrupted), classes - 2
    return Share(errors.value / parts, errors.low / parts, errors.high / parts)


def at_most_by_errors(
    clean_accuracy: float, clean: NDArray[np.integer], noisy: NDArray[np.integer]
) -> Share | None:
    """An upper bound on the same from the accuracy on intact samples, for any noise (ours); labels are classes,
    (N,).

    The network is wrong on a share 1 - `clean_accuracy` of the intact samples. At worst all these errors take some
    class y for the class k for which the ratio of corrupted samples (y, k) to intact samples of y is largest. None
    if a class with corrupted samples has no intact one, or if no label is corrupted.
    """
    classes = 1 + max(int(column.max(initial=0)) for column in (clean, noisy))
    labeled = _table(clean, noisy, classes)
    intact = labeled.diagonal().copy()
    np.fill_diagonal(labeled, 0)
    corrupted = labeled.sum()
    if not corrupted or (intact[labeled.any(axis=1)] == 0).any():
        return None
    weight = (labeled / np.maximum(intact, 1)[:, None]).max() * intact.sum() / corrupted
    errors = share(round((1 - clean_accuracy) * intact.sum()), int(intact.sum()))
    return Share(*(float(min(1.0, weight * limit)) for limit in (errors.value, errors.low, errors.high)))
