"""Every random draw comes from a generator keyed by (seed, purpose, epoch); nothing uses a global seed.

So any epoch can be replayed alone, and one purpose's draws never move another's: the corrupted labels stay
where they are when the model seed changes, and dropout does not disturb the order of the samples.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def key(seed: int, purpose: str, epoch: int = 0) -> int:
    """A 63-bit key that depends on all three; equal arguments give equal keys on every machine."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{epoch}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def numpy_generator(seed: int, purpose: str, epoch: int = 0) -> np.random.Generator:
    """A Philox generator. Use only `.random()` where bytes must not change between numpy versions."""
    return np.random.Generator(np.random.Philox(key=key(seed, purpose, epoch)))


def torch_generator(
    seed: int, purpose: str, epoch: int = 0, device: str | torch.device = "cpu"
) -> torch.Generator:
    """A generator on `device`. CPU and CUDA generators of the same key draw different numbers."""
    import torch

    return torch.Generator(device).manual_seed(key(seed, purpose, epoch))
