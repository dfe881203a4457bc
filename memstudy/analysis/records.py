"""What is recorded of every training sample after an epoch: a few bytes, from the network's logits alone.

Ours is when: after each epoch, in evaluation mode, on the images without augmentation, where the papers measure on
the training batches as they pass. So a record says what the network knows, and dropout and crops do not blur it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LARGEST = torch.finfo(torch.float16).max
"""65504: what is larger is recorded as this, so that no record is infinite."""


def record(logits: Tensor, noisy: Tensor) -> dict[str, Tensor]:
    """Logits (N, K) and noisy labels (N,) → tensors (N,) on their device.

    loss: cross-entropy on the noisy label, nats; float16.
    margin: its logit minus the largest other one, the margin of AUM (Pleiss et al. 2020, stated); float16.
    el2n: ‖softmax − one-hot‖₂, from 0 to √2 (Paul et al. 2021, stated); float16.
    prediction: the class of the largest logit; uint8, int16 for more than 256 classes.

    Numbers beyond float16's range are clipped to ±65504, and what is no number counts as the worst.
    """
    classes = logits.shape[1]
    labels = noisy[:, None]
    own = logits.gather(1, labels).squeeze(1)
    others = logits.scatter(1, labels, -torch.inf).amax(dim=1)
    error = logits.softmax(dim=1) - F.one_hot(noisy, classes)
    return {
        "loss": _half(F.cross_entropy(logits, noisy, reduction="none")),
        "margin": -_half(others - own),
        "el2n": _half(error.norm(dim=1)),
        "prediction": logits.argmax(dim=1).to(torch.uint8 if classes <= 256 else torch.int16),
    }


def _half(values: Tensor) -> Tensor:
    """As float16, the higher the worse."""
    return values.nan_to_num(nan=LARGEST).clamp(-LARGEST, LARGEST).half()
