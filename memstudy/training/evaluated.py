"""Which of a run's epochs are evaluated: every one, or every so many and those that something is read from."""

from __future__ import annotations

from dataclasses import dataclass

from memstudy.recipe import Training


@dataclass(frozen=True)
class EvaluatedEpochs:
    """Every N-th epoch (N - 1, 2N - 1, …, counted from 0), those in `at`, the kept ones, and the last one.

    It is no part of a recipe, as evaluating changes nothing in training.
    """

    training: Training
    every: int = 1
    at: tuple[int, ...] = ()

    def __contains__(self, epoch: int) -> bool:
        return (epoch + 1) % self.every == 0 or epoch in self.at or epoch in self.training.checkpoints

    def count(self, first: int = 0) -> int:
        """How many there are from the epoch `first` on."""
        return sum(epoch in self for epoch in range(first, self.training.epochs))
