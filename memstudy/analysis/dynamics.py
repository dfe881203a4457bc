"""Per-sample training dynamics: what the records of all epochs say about each training sample.

Records are (E, N): epochs × samples, a run's or your own, as arrays, memory maps or tensors; `analysis.records`
says what is recorded. Labels are (N,).

AUM is Pleiss et al.'s (2020), forgetting events are Toneva et al.'s (2019), the mixture is DivideMix' (Li et al.
2020). Ours: all of them use one record an epoch, in evaluation mode; the first two papers use training batches.
EL2N (Paul et al. 2021) is used as recorded; theirs is the mean over ten networks, ours the value of one.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from memstudy.analysis import memorization
from memstudy.analysis.inputs import Array, array, classes
from memstudy.errors import MemstudyError

Numbers = NDArray[np.float64]
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
"""Scores that may tell corrupted samples from clean ones, with headings. The first four are of one epoch, the
others of all epochs up to it."""


# What becomes of a sample


def first_learned(prediction: Array, labels: Array) -> Counts:
    """The first epoch (from 0) whose prediction is the label, (N,) int64; E where there is none (ours).

    prediction (E, N) and labels (N,) are classes; the noisy labels tell when a sample is memorized, the true ones
    when it is recovered. Toneva et al. (2019) count it on the batches as they pass. O(E·N). Raises a MemstudyError
    for other shapes, predictions that are no whole numbers, and labels that are not whole numbers from 0 on.
    """
    hits = _hits(prediction, labels)
    return np.where(hits.any(axis=0), hits.argmax(axis=0), len(hits))


def learned_for_good(prediction: Array, labels: Array) -> Counts:
    """The first epoch from which on the prediction stays the label, (N,) int64; E if it does not (ours).

    prediction (E, N) and labels (N,) are classes. O(E·N). Raises as `first_learned` does.
    """
    misses = ~_hits(prediction, labels)[::-1]
    return len(misses) - np.where(misses.any(axis=0), misses.argmax(axis=0), len(misses))


def forgetting_events(prediction: Array, labels: Array) -> Counts:
    """How often a prediction that was the label is another in the next epoch, (N,) int64; 0 if never learned.

    prediction (E, N) and labels (N,) are classes. The event is Toneva et al.'s (2019; stated), who
    look at each sample when it is trained on, and count one that is never learned as forgotten infinitely often; 0
    is ours. O(E·N). Raises as `first_learned` does.
    """
    hits = _hits(prediction, labels)
    return (hits[:-1] & ~hits[1:]).sum(axis=0)


def area_under_margin(margin: Array) -> Numbers:
    """AUM: the mean over epochs of margins (E, N), the label's logit minus the largest other one; (N,).

    Low for labels that other samples contradict (Pleiss et al. 2020; stated). O(E·N). Raises a
    MemstudyError for another shape, and margins that are not finite.
    """
    return _finite(_table(margin, "margins"), "margins").mean(axis=0, dtype=np.float64)


def shares(prediction: Array, clean: Array, noisy: Array) -> dict[str, Numbers]:
    """What a network takes its training samples for, after each epoch: fractions (E,) by name.

    `clean_accuracy` is of the samples whose label is intact; `memorized`, `recovered` and `other` are of the
    corrupted ones. prediction (E, N), clean (true) and noisy labels (N,); a sample is corrupted where these
    differ. Memorized: it is predicted as its noisy label; recovered: as its true one. The split is Liu et al.'s
    (2020, ELR, figure 1; stated). A share of no samples at all is NaN. O(E·N). Raises as `first_learned` does.
    """
    predicted = _table(prediction, "predictions", whole=True)
    true, given = (
        torch.from_numpy(_labels(labels, predicted.shape[1], name))
        for labels, name in ((clean, "true labels"), (noisy, "noisy labels"))
    )
    mask = true != given
    split = [memorization.shares(torch.from_numpy(row.astype(np.int64)), true, given, mask) for row in predicted]
    return {name: np.array([float(epoch_split[name]) for epoch_split in split]) for name in split[0]}


# What tells corrupted samples from clean ones


def scores_over_epochs(
    loss: Array, margin: Array, prediction: Array, noisy: Array
) -> Iterator[dict[str, Numbers]]:
    """After each epoch, scores (N,) from the records (E, N) up to it; the higher, the more likely corrupted.

    loss, margin (negated): of that epoch. mean_loss, aum (negated; Pleiss et al. 2020), forgetting (Toneva et al.
    2019), first_learned: over all up to it; that these are taken again after each epoch is ours. No score looks at
    a true label. One pass, O(N) an epoch, so that the records need not fit into memory. Raises a MemstudyError for
    records of unlike shapes, and, at its epoch, for one that is not finite.
    """
    losses, margins = (_table(records, name) for records, name in ((loss, "losses"), (margin, "margins")))
    predictions = _table(prediction, "predictions", whole=True)
    if not losses.shape == margins.shape == predictions.shape:
        raise MemstudyError(
            "losses, margins and predictions must be of the same epochs and samples, not "
            f"{losses.shape}, {margins.shape} and {predictions.shape}."
        )
    return _scores(losses, margins, predictions, _labels(noisy, losses.shape[1]))


def _scores(
    loss: NDArray[Any], margin: NDArray[Any], prediction: NDArray[Any], noisy: Counts
) -> Iterator[dict[str, Numbers]]:
    losses, margins, forgetting = (np.zeros(len(noisy)) for _ in range(3))
    learned = np.full(len(noisy), np.inf)
    before = np.zeros(len(noisy), dtype=bool)
    for epoch, (one_loss, one_margin, predicted) in enumerate(zip(loss, margin, prediction, strict=True)):
        _finite(one_loss, "losses")
        _finite(one_margin, "margins")
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


def auc(score: Array, corrupted: Array) -> float:
    """ROC AUC of a score (N,) at telling corrupted samples, given as a mask (N,), from clean ones.

    It is the chance that a corrupted sample has a higher score than a clean one, where ties count half (Fawcett
    2006; scikit-learn's). Above .5: higher is more likely corrupted. NaN if all samples are corrupted, or none.
    O(N log N). Raises a MemstudyError for other shapes, scores that are not finite, and a mask that is not of
    booleans.
    """
    from sklearn.metrics import roc_auc_score

    values = _samples(score, "scores")
    mask = _mask(corrupted, len(values))
    if mask.all() or not mask.any():
        return float("nan")
    return float(roc_auc_score(mask, values))


# Two components


@dataclass(frozen=True)
class Mixture:
    """Two Gaussians over losses in nats; the first has the smaller mean and stands for clean samples.

    clean: (N,) each sample's posterior of being clean. means, deviations, weights: (2,).
    """

    clean: Numbers
    means: Numbers
    deviations: Numbers
    weights: Numbers

    def densities(self, losses: NDArray[Any]) -> Numbers:
        """The weighted density of each component at losses (M,): (2, M), per nat."""
        from scipy.stats import norm

        columns = (values[:, None] for values in (self.weights, self.means, self.deviations))
        weights, means, deviations = columns
        return weights * norm.pdf(losses, means, deviations)

    def accuracy(self, corrupted: Array) -> float:
        """The share of samples told right if a posterior above .5 means clean; the mask (N,) is the truth."""
        return float(((self.clean > 0.5) != _mask(corrupted, len(self.clean))).mean())


def mixture(loss: Array) -> Mixture | None:
    """Fit two Gaussians to the losses (N,) of an epoch, scaled to [0, 1] as in DivideMix; None if all are equal.

    DivideMix' (Li et al. 2020) numbers (stated): variances at least 5e-4, tolerance 1e-2. Ours: it starts from the
    losses below and above their mean, not from a random k-means, so that equal losses give equal posteriors. At
    most 100 steps, O(N) each. Raises a MemstudyError for another shape, and losses that are not finite.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    values = _samples(loss, "losses").astype(np.float64)
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


# What a user's own arrays must be


def _hits(prediction: Array, labels: Array) -> NDArray[np.bool_]:
    """Where predictions (E, N) are the labels (N,)."""
    predicted = _table(prediction, "predictions", whole=True)
    return np.asarray(predicted == _labels(labels, predicted.shape[1]))


def _table(values: Array, name: str, *, whole: bool = False) -> NDArray[Any]:
    """Records (E, N) of at least one epoch and sample. A memory map is not read yet."""
    records = array(values, name)
    records = records.view(np.uint8) if records.dtype == bool else records
    if records.ndim != 2 or 0 in records.shape:
        raise MemstudyError(
            f"{name} must have shape (E, N), at least one epoch × at least one sample, not {records.shape}."
        )
    if records.dtype.kind not in ("iu" if whole else "iuf"):
        raise MemstudyError(f"{name} must be {'whole ' * whole}numbers, not {records.dtype}.")
    return records


def _samples(values: Array, name: str) -> NDArray[Any]:
    """Numbers (N,), finite."""
    numbers = array(values, name)
    numbers = numbers.view(np.uint8) if numbers.dtype == bool else numbers
    if numbers.ndim != 1 or len(numbers) == 0:
        raise MemstudyError(f"{name} must have shape (N,), at least one sample, not {numbers.shape}.")
    if numbers.dtype.kind not in "iuf":
        raise MemstudyError(f"{name} must be numbers, not {numbers.dtype}.")
    return _finite(numbers, name)


def _finite(values: NDArray[Any], name: str) -> NDArray[Any]:
    if not np.isfinite(values).all():
        raise MemstudyError(f"the {name} hold NaN or infinite values, as a network that diverged gives.")
    return values


def _labels(labels: Array, samples: int, name: str = "labels") -> Counts:
    """Classes (N,), one for each of so many samples."""
    given: Counts = classes(labels, name).cpu().numpy()
    if len(given) != samples:
        raise MemstudyError(f"there must be one label a sample, not {len(given)} labels for {samples} samples.")
    return given


def _mask(corrupted: Array, samples: int) -> NDArray[np.bool_]:
    """Which of so many samples are corrupted, (N,)."""
    mask = array(corrupted, "the mask")
    if mask.shape != (samples,) or mask.dtype != bool:
        raise MemstudyError(
            f"the mask must be one boolean a sample, ({samples},), not {mask.dtype} of shape {mask.shape}."
        )
    return mask
