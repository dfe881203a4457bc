"""Corruption rules: pure functions from clean to noisy labels, and the entropy floor each implies.

A rule is a function of (labels, classes, rate, generator) and has a nominal transition matrix. "Rate" means
different things to different authors, so every rule says what it means by it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memstudy.registry import Registry

Labels = NDArray[np.int64]

RULES = Registry("corruption rule", symmetric="memstudy.data.corruption:SYMMETRIC")


@dataclass(frozen=True)
class Rule:
    """A corruption rule.

    Attributes:
        corrupt: (labels (N,), classes K, rate, generator) → noisy labels (N,). Pure: `labels` is not changed.
        transition: (classes K, rate) → (K, K) matrix, row = true class, P(noisy label | true class).

    """

    corrupt: Callable[[Labels, int, float, np.random.Generator], Labels]
    transition: Callable[[int, float], NDArray[np.float64]]


def symmetric(labels: Labels, classes: int, rate: float, generator: np.random.Generator) -> Labels:
    """Replace each label, independently with probability `rate`, by a uniformly drawn *wrong* class.

    AL2's rule (stated in its code). The true class is never drawn, so the corrupted share is Bernoulli with
    mean `rate`. Zhang et al. 2017 draw over all classes instead, which corrupts only rate·(K-1)/K.

    Only `generator.random` is used, whose stream numpy keeps: the same seed gives the same labels anywhere.
    """
    hit = generator.random(len(labels)) < rate
    step = 1 + np.floor(generator.random(len(labels)) * (classes - 1)).astype(np.int64)
    return np.where(hit, (labels + step) % classes, labels)


def symmetric_transition(classes: int, rate: float) -> NDArray[np.float64]:
    """1 - rate on the diagonal, rate / (K-1) elsewhere."""
    matrix = np.full((classes, classes), rate / (classes - 1))
    np.fill_diagonal(matrix, 1 - rate)
    return matrix


SYMMETRIC = Rule(symmetric, symmetric_transition)


def realized_transition(clean: Labels, noisy: Labels, classes: int) -> NDArray[np.float64]:
    """The (K, K) matrix of observed frequencies; the row of a class that does not occur is zero."""
    counts = np.zeros((classes, classes))
    np.add.at(counts, (clean, noisy), 1)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def floor(transition: NDArray[np.float64], clean: Labels) -> float:
    """The lowest mean cross-entropy (nats) on noisy labels that needs no memorization.

    It is the conditional entropy H(noisy | true class), reached by a network that knows every true class and
    the transition matrix, and nothing else. Of a rule's nominal matrix it is an expectation over label draws;
    of the realized matrix, an exact bound for these labels. A training loss below it *is* memorization.
    Symmetric, rate .75, K = 10: -.25 ln .25 - .75 ln(.75/9) = 2.2103.
    """
    logarithm = np.log(transition, out=np.zeros_like(transition), where=transition > 0)
    entropy = -(transition * logarithm).sum(axis=1)
    return float(entropy[clean].mean())
