"""Batches in the order of memstudy's own training."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler

from memstudy.errors import MemstudyError, quoted
from memstudy.randomness import torch_generator


class Batches(Sampler[list[int]]):
    """Places of samples, batch by batch, as `memstudy run` with this seed draws them.

    Each loop over it is the next epoch, from 0; `set_epoch` chooses one. For a loop of one's own, or as the
    `batch_sampler` of a DataLoader. The last batch may be smaller. A MemstudyError for numbers that make no sense.
    """

    def __init__(self, samples: int, batch_size: int, seed: int = 0) -> None:
        for name, value, least in (("samples", samples, 1), ("batch_size", batch_size, 1), ("seed", seed, 0)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise MemstudyError(f"{name} must be a whole number of at least {least}, not {quoted(value)}.")
        self.samples, self.batch_size, self.seed = samples, batch_size, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Let the next loop be that of this epoch (from 0)."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.randperm(self.samples, generator=torch_generator(self.seed, "order", self.epoch))
        self.epoch += 1
        return iter([part.tolist() for part in order.split(self.batch_size)])

    def __len__(self) -> int:
        return -(-self.samples // self.batch_size)
