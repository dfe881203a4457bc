"""The verdict on a run: what it memorized, first by its predictions, then by its training loss and the floor.

Predictions come first. A loss below the floor proves that some labels are memorized, but not how many. A loss
above it proves nothing: it is measured during training, with dropout, batch statistics and changing weights.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from memstudy.analysis.chance import Share, at_most_by_errors, by_confusion, by_spread, share
from memstudy.data import RULES, artifact
from memstudy.data.artifact import Artifact
from memstudy.errors import MemstudyError
from memstudy.store import RunDirectory, Status
from memstudy.store.metrics import last_evaluated

CALLED_MOST, CALLED_SOME = 0.5, 0.1
"""The excess of the memorized share over the expected one from which on it is called "most" or "some"."""


@dataclass(frozen=True)
class Verdict:
    """Attributes.

    memorized: the share of corrupted labels that are predicted after the last evaluated epoch; None if none is
        corrupted.
    expected: the share that would be, had the network memorized none; None if there is nothing to tell it by.
    by: where `expected` comes from: `confusion` (records of each sample), `spread` (noise that is even over
        classes), or `errors`, which give no more than an upper bound. See `analysis.chance`.
    memorizes: whether more are predicted than expected, interval against interval; None if that cannot be told.
    train_cross_entropy: L_c of the last epoch, nats.
    floor: the lowest that it can be on these labels without memorization, nats.
    first_below_floor: the first epoch, counted from 0, whose L_c was below it; None if there was none.
    """

    memorized: Share | None
    expected: Share | None
    by: str | None
    memorizes: bool | None
    train_cross_entropy: float
    floor: float
    first_below_floor: int | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


def verdict(run: RunDirectory) -> Verdict:
    """The verdict on what a run has done so far. A MemstudyError if it has done nothing, or a file is damaged."""
    return _judged(run, *_evidence(run))


def verdict_text(run: RunDirectory) -> str:
    """The verdict in a few lines: accuracy, what was memorized, and the loss beside its floor."""
    metrics, labels, predicted = _evidence(run)
    judgment, state, rule = (
        _judged(run, metrics, labels, predicted),
        run.state(),
        RULES.get(run.recipe.corruption.rule),
    )
    lines = [_accuracy(metrics, labels, run.recipe.training.epochs)]
    if note := state.get("data_note"):
        lines.insert(0, f"{run.recipe.dataset} was {note}.")
    if run.status is Status.FAILED:
        lines.append(f"it failed: {state['failure']}.")
    if predicted is not None and np.ptp(predicted) == 0:
        lines.append(
            f"it has learned nothing: it takes every training image for {labels.class_names[predicted[0]]}."
        )
    if judgment.memorized is None:
        words = _without_corruption(judgment, metrics.iloc[last_evaluated(metrics)], rule.replaces_images)
    else:
        words = f"{_by_predictions(judgment, labels)} {_by_loss(judgment, given=not rule.is_known)}"
    return "\n".join([*lines, f"verdict: {words}", str(run.path)])


Predictions = NDArray[np.integer]


def _evidence(run: RunDirectory) -> tuple[pd.DataFrame, Artifact, Predictions | None]:
    """The metrics, the labels, and, if each sample was recorded, the last epoch's predictions (N,)."""
    metrics = run.metrics()
    if not len(metrics):
        raise MemstudyError(f"{run.name} has no finished epoch to judge; run it again.")
    labels = run.read_labels(artifact.read)
    if not run.has_records:
        return metrics, labels, None
    return metrics, labels, np.asarray(run.dynamics(len(labels.noisy)).prediction[len(metrics) - 1])


def _judged(run: RunDirectory, metrics: pd.DataFrame, labels: Artifact, predicted: Predictions | None) -> Verdict:
    last, losses = metrics.iloc[last_evaluated(metrics)], metrics["train_cross_entropy"]
    corrupted = int(labels.mask.sum())
    memorized = share(round(last["memorized"] * corrupted), corrupted) if corrupted else None
    expected, by = _expected(last, labels, predicted) if corrupted else (None, None)
    memorizes = None
    if memorized is not None and expected is not None:
        memorizes = memorized.low > expected.high
        if by == "errors" and not memorizes:
            memorizes = None
    below = metrics.loc[losses < run.floor, "epoch"]
    first = int(below.iloc[0]) if len(below) else None
    return Verdict(memorized, expected, by, memorizes, float(losses.iloc[-1]), run.floor, first)


def _expected(
    last: pd.Series[float], labels: Artifact, predicted: Predictions | None
) -> tuple[Share | None, str | None]:
    """The share to expect without memorization, by the best evidence there is, and its kind (see `Verdict.by`)."""
    classes = len(labels.class_names)
    if predicted is not None:
        return by_confusion(predicted, labels.clean, labels.noisy), "confusion"
    if classes > 2 and _even(labels.transition_asked):
        return by_spread(last["other"], int(labels.mask.sum()), classes), "spread"
    return at_most_by_errors(last["clean_accuracy"], labels.clean, labels.noisy), "errors"


def _even(transition: NDArray[np.float64]) -> bool:
    """Whether a rule's matrix gives each wrong class of a true one the same probability."""
    if not len(transition):
        return False
    wrong = transition[~np.eye(len(transition), dtype=bool)].reshape(len(transition), -1)
    return np.allclose(wrong, wrong[:, :1])


# In words

RECORDS = "Records of each sample would tell: they are made in training, with --dynamics."


def _percent(measured: Share, interval: str = "") -> str:
    return f"{100 * measured.value:.1f} % ({interval}{100 * measured.low:.1f} to {100 * measured.high:.1f} %)"


def _accuracy(metrics: pd.DataFrame, labels: Artifact, epochs: int) -> str:
    last = metrics.iloc[last_evaluated(metrics)]
    done = f"{len(metrics)} of {epochs}" if len(metrics) < epochs else f"{epochs}"
    when = f", evaluated last after epoch {int(last['epoch'])}" if last["epoch"] < len(metrics) - 1 else ""
    text = f"after {done} epoch{'s' if epochs > 1 else ''}{when}: "
    if np.isnan(last["test_accuracy"]):
        text += "no test accuracy was recorded"
    else:
        best = metrics.iloc[int(metrics["test_accuracy"].argmax())]
        text += (
            f"test accuracy {100 * last['test_accuracy']:.1f} % "
            f"(best: {100 * best['test_accuracy']:.1f} %, epoch {int(best['epoch'])}, counted from 0)"
        )
    if corrupted := int(labels.mask.sum()):
        text += (
            f"; of {corrupted:,} corrupted samples {100 * last['memorized']:.1f} % are taken for the wrong label "
            f"(memorized), {100 * last['recovered']:.1f} % for the true class (recovered)"
        )
    return f"{text}."


def _by_predictions(judgment: Verdict, labels: Artifact) -> str:
    """What the predictions of corrupted samples say, in words."""
    assert judgment.memorized is not None
    if _one_label_each(labels.transition):
        return (
            "all samples of a class carry the same label, so predicting it needs no more than the class: nothing "
            "tells whether any is memorized."
        )
    measured = f"{_percent(judgment.memorized, '95 % interval ')} of them are predicted"
    if judgment.by == "errors" or judgment.expected is None:
        bound = (
            ""
            if judgment.expected is None
            else f"; confusing classes gives at most {100 * judgment.expected.high:.1f} %"
        )
        if not judgment.memorizes:
            return f"these numbers do not tell whether it memorizes corrupted labels: {measured}{bound}. {RECORDS}"
    else:
        bound = f"; confusing classes alone gives {_percent(judgment.expected)}"
    if not judgment.memorizes:
        return f"it shows no memorization of corrupted labels: {measured}{bound}."
    assert judgment.expected is not None
    excess = judgment.memorized.value - judgment.expected.value
    many = "most" if excess >= CALLED_MOST else "some" if excess >= CALLED_SOME else "few"
    return f"it memorizes {many} of the corrupted labels: {measured}{bound}.{_caveat(labels)}"


def _one_label_each(transition: NDArray[np.float64]) -> bool:
    """Whether the noisy label follows from the true class."""
    return bool(np.isin(transition, (0.0, 1.0)).all())


def _caveat(labels: Artifact) -> str:
    """A caveat for labels that may depend on the image: predicting them need not be memorization."""
    return (
        "" if len(labels.transition_asked) else " (Some may be seen in the image: these labels may depend on it.)"
    )


def _by_loss(judgment: Verdict, given: bool) -> str:
    """What the training loss adds, in words.

    given: whether the labels were given, by people for example: they may be wrong for reasons that the image
    shows.
    """
    floor = f"the floor, {judgment.floor:.4f}, the lowest on these labels without memorization"
    if given:
        floor += " if they do not depend on the images"
    if np.isnan(judgment.train_cross_entropy):
        return "The training loss was not recorded."
    text, first = f"L_c is {judgment.train_cross_entropy:.4f},", judgment.first_below_floor
    if first is None:
        text = f"{text} above {floor}."
        return (
            f"The training loss alone does not show it: {text}"
            if judgment.memorizes
            else f"The training loss: {text}"
        )
    if judgment.train_cross_entropy < judgment.floor:
        text = f"{text} below {floor}; it first was at epoch {first}."
    else:
        text = f"{text} but at epoch {first} it was below {floor}."
    if judgment.memorizes:
        return f"The training loss says so, too: {text}"
    return f"The training loss says that it knows some labels beyond their classes: {text}"


def _without_corruption(judgment: Verdict, last: pd.Series[float], replaced: bool) -> str:
    """The verdict if every label is true. With replaced images, such a run is a control."""
    known = (
        f"of the training labels {100 * last['clean_accuracy']:.1f} % are predicted, of the test labels "
        f"{100 * last['test_accuracy']:.1f} %"
    )
    if not replaced:
        return f"no label is corrupted, so there is no wrong one to memorize; {known}."
    text = f"no label is corrupted, but the images are replaced: {known}; the difference is memorized."
    return f"{text} {_by_loss(judgment, given=False)}" if judgment.floor else text
