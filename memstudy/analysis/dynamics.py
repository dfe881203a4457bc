"""Per-sample training dynamics: what the records of an epoch after another say of each sample.

Records are arrays (E, N): epochs × samples, from `analysis.records`. Labels are (N,).

AUM is Pleiss et al.'s (2020), forgetting events are Toneva et al.'s (2019), the mixture is DivideMix' (Li et al.
2020). Ours: each sees one record an epoch, in evaluation mode, where the first two see the batches as they pass.
EL2N (Paul et al. 2021) is recorded as it is; theirs is a mean over ten networks, ours that of one.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
SCORES = {
    "loss": "loss",
    "margin": "margin",
    "el2n": "EL2N",
    "mixture": "mixture",
    "mean_loss": "mean loss",
    "aum": "AUM",
    "forgetting": "forgetting",
    "first_learned": "first learned",
}
"""What may tell corrupted samples from clean ones, in words: four are of an epoch, four of all up to it."""


# What becomes of a sample


def first_learned(prediction: NDArray[Any], labels: NDArray[Any]) -> Counts:
    """The first epoch (from 0) whose prediction is the label, (N,); the number of epochs where there is none."""
    hits = prediction == labels
    return np.where(hits.any(axis=0), hits.argmax(axis=0), len(hits))


def learned_for_good(prediction: NDArray[Any], labels: NDArray[Any]) -> Counts:
    """The first epoch from which on the prediction stays the label, (N,); the number of epochs if it does not."""
    misses = (prediction != labels)[::-1]
    return len(misses) - np.where(misses.any(axis=0), misses.argmax(axis=0), len(misses))


def forgetting_events(prediction: NDArray[Any], labels: NDArray[Any]) -> Counts:
    """How often a prediction that was the label is another in the next epoch, (N,); 0 if never learned."""
    hits = prediction == labels
    return (hits[:-1] & ~hits[1:]).sum(axis=0)


def area_under_margin(margin: NDArray[Any]) -> Array:
    """The mean margin over epochs, (N,)."""
    return np.asarray(margin).mean(axis=0, dtype=np.float64)


# What tells corrupted samples from clean ones


def scores_over_epochs(
    loss: NDArray[Any], margin: NDArray[Any], prediction: NDArray[Any], noisy: NDArray[Any]
) -> Iterator[dict[str, Array]]:
    """After each epoch, scores (N,) from the records up to it; the higher, the more likely corrupted.

    loss, margin (negated): of that epoch. mean_loss, aum (negated), forgetting, first_learned: over all up to it.
    No score looks at a true label. One pass, so that the records need not fit into memory.
    """
    losses, margins, forgetting = (np.zeros(len(noisy)) for _ in range(3))
    learned = np.full(len(noisy), np.inf)
    before = np.zeros(len(noisy), dtype=bool)
    for epoch, (one_loss, one_margin, predicted) in enumerate(zip(loss, margin, prediction, strict=True)):
        hits = predicted == noisy
        losses += one_loss
        margins += one_margin
        forgetting += before & ~hits
        learned[hits & np.isinf(learned)] = epoch
        before = hits
        yield {
            "loss": one_loss.astype(np.float64),
            "margin": -one_margin.astype(np.float64),
            "mean_loss": losses / (epoch + 1),
            "aum": -margins / (epoch + 1),
            "forgetting": forgetting.copy(),
            "first_learned": np.minimum(learned, epoch + 1),
        }


def auc(score: NDArray[Any], corrupted: NDArray[np.bool_]) -> float:
    """ROC AUC of a score at telling corrupted samples: the chance that one has a higher score than a clean one.

    Above .5: higher is more likely corrupted. NaN if all samples are corrupted, or none.
    """
    if corrupted.all() or not corrupted.any():
        return float("nan")
    return float(roc_auc_score(corrupted, score))


# Two components


@dataclass(frozen=True)
class Mixture:
    """Two Gaussians over losses in nats; the first has the smaller mean and stands for clean samples.

    clean: (N,) each sample's posterior of being clean. means, deviations, weights: (2,).
    """

    clean: Array
    means: Array
    deviations: Array
    weights: Array

    def densities(self, losses: NDArray[Any]) -> Array:
        """Of each component at some losses (M,), weighted: (2, M), per nat."""
        columns = (values[:, None] for values in (self.weights, self.means, self.deviations))
        weights, means, deviations = columns
        return weights * norm.pdf(losses, means, deviations)

    def accuracy(self, corrupted: NDArray[np.bool_]) -> float:
        """The share of samples that are told right when a posterior above .5 means clean."""
        return float(((self.clean > 0.5) != corrupted).mean())


def mixture(loss: NDArray[Any]) -> Mixture | None:
    """Fit two Gaussians to the losses (N,) of an epoch, scaled to [0, 1] as in DivideMix; None if all are equal.

    DivideMix' numbers (stated): variances at least 5e-4, tolerance 1e-2. Ours: it starts from the losses below and
    above their mean, not from a random k-means, so that equal losses give equal posteriors; it may take 100 steps.
    """
    values = loss.astype(np.float64)
    low, span = values.min(), np.ptp(values)
    if not span:
        return None
    scaled = (values - low) / span
    parts = [scaled[scaled <= scaled.mean()], scaled[scaled > scaled.mean()]]
    variances = np.array([part.var() + 5e-4 for part in parts])
    model = GaussianMixture(
        2, tol=1e-2, reg_covar=5e-4, max_iter=100,
        weights_init=[len(part) / len(scaled) for part in parts],
        means_init=[[part.mean()] for part in parts],
        precisions_init=1 / variances[:, None, None],
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # its last step is as good a description as any
        model.fit(scaled[:, None])
    order = np.argsort(model.means_[:, 0], kind="stable")
    return Mixture(
        clean=model.predict_proba(scaled[:, None])[:, order[0]],
        means=low + span * model.means_[order, 0],
        deviations=span * np.sqrt(model.covariances_[order, 0, 0]),
        weights=model.weights_[order],
    )
