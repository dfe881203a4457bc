"""What was memorized: predictions on the training samples, split by the corruption mask."""

from __future__ import annotations

import torch
from torch import Tensor


def shares(predicted: Tensor, clean: Tensor, noisy: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """How a network answers on its own training samples; all arguments (N,), all results fractions.

    Returns 0-d float64 tensors on the arguments' device:
        clean_accuracy: of the samples whose label is intact, the share predicted correctly.
        memorized, recovered, other: of the corrupted samples, the share predicted as the noisy label, as the
            true label, and as neither. They add up to 1.
    A share of no samples at all (rate 0 or 1) is NaN. This is the split of Liu et al. 2020 (ELR, figure 1).
    """
    intact = ~mask
    memorized = (predicted == noisy) & mask
    recovered = (predicted == clean) & mask

    def share(hits: Tensor, of: Tensor) -> Tensor:
        return hits.sum(dtype=torch.float64) / of.sum()

    return {
        "clean_accuracy": share((predicted == clean) & intact, intact),
        "memorized": share(memorized, mask),
        "recovered": share(recovered, mask),
        "other": share(mask & ~memorized & ~recovered, mask),
    }
