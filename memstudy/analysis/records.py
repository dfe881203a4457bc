"""What is recorded of every training sample after an epoch: a few bytes, from the network's logits alone.

When it is recorded is ours: after each epoch, in evaluation mode, on images without augmentation. The papers
measure on training batches. So a record says what the network knows, without the noise of dropout and crops.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from memstudy.analysis.inputs import Array, at_least_single, labeled, within
from memstudy.errors import MemstudyError

LARGEST = torch.finfo(torch.float16).max
"""65504: larger values are recorded as this, so that no record is infinite."""


def record(logits: Array, noisy: Array) -> dict[str, Tensor]:
    """Logits (N, K) and noisy labels (N,), arrays or tensors → tensors (N,) on their device. O(N·K).

    loss: cross-entropy on the noisy label, nats; float16.
    margin: `margin`, of AUM (Pleiss et al. 2020, stated); float16.
    el2n: `el2n` of the softmax, from 0 to √2 (Paul et al. 2021, stated); float16.
    prediction: the class of the largest logit; uint8, int16 for more than 256 classes.

    Values beyond float16's range are clipped to ±65504, and NaN becomes the worst value (ours). Raises
    a MemstudyError for other shapes, and labels that are not whole numbers from 0 to K - 1.
    """
    logits, noisy = _classified(logits, noisy, "logits", finite=False)
    return {
        "loss": _half(F.cross_entropy(logits, noisy, reduction="none")),
        "margin": -_half(-_margin(logits, noisy)),
        "el2n": _half(_el2n(logits.softmax(dim=1), noisy)),
        "prediction": logits.argmax(dim=1).to(torch.uint8 if logits.shape[1] <= 256 else torch.int16),
    }


def margin(logits: Array, labels: Array) -> Tensor:
    """The label's logit minus the largest other one, (N,): the margin of AUM (Pleiss et al. 2020, stated).

    logits (N, K) and labels (N,) are arrays or tensors. Negative where another class is predicted; its mean over
    epochs is `area_under_margin`. O(N·K). Raises a MemstudyError for other shapes, logits that are not finite, and
    labels that are not whole numbers from 0 to K - 1.
    """
    return _margin(*_classified(logits, labels, "logits"))


def el2n(probabilities: Array, labels: Array) -> Tensor:
    """‖probabilities − one-hot label‖₂ of each sample, (N,), from 0 to √2 (EL2N; Paul et al. 2021, stated).

    probabilities (N, K), the softmax of logits, and labels (N,) are arrays or tensors. Theirs is the mean over ten
    networks early in training; this is the value of one. O(N·K). Raises a MemstudyError for other shapes, rows
    that are no probabilities, and labels that are not whole numbers from 0 to K - 1.
    """
    shares, labels = _classified(probabilities, labels, "probabilities")
    if shares.min() < 0 or (shares.sum(dim=1) - 1).abs().max() > 1e-2:
        raise MemstudyError(
            "probabilities must be from 0 to 1 and add up to 1 in each row; take the softmax of logits."
        )
    return _el2n(shares, labels)


def _classified(values: Array, labels: Array, name: str, *, finite: bool = True) -> tuple[Tensor, Tensor]:
    """Numbers (N, K) for each of K > 1 classes, and labels (N,) of these."""
    numbers, targets = labeled(values, labels, name, finite=finite)
    numbers = at_least_single(numbers)
    if numbers.ndim != 2 or numbers.shape[1] < 2:
        raise MemstudyError(f"{name} must have shape (N, K) for K > 1 classes, not {tuple(numbers.shape)}.")
    within(targets, numbers.shape[1])
    return numbers, targets


def _margin(logits: Tensor, labels: Tensor) -> Tensor:
    of_label = logits.gather(1, labels[:, None]).squeeze(1)
    others = logits.scatter(1, labels[:, None], -torch.inf).amax(dim=1)
    return of_label - others


def _el2n(probabilities: Tensor, labels: Tensor) -> Tensor:
    return (probabilities - F.one_hot(labels, probabilities.shape[1])).norm(dim=1)


def _half(values: Tensor) -> Tensor:
    """As float16, where higher is worse, so that NaN becomes the highest."""
    return values.nan_to_num(nan=LARGEST).clamp(-LARGEST, LARGEST).half()
