"""A trainer's epochs by replay: several steps a launch, and nothing that waits for the device."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial

import torch

from memstudy.training.epoch import OnStep, Trainer
from memstudy.training.replay import Replay

BLOCK = 16
"""Steps in one launch. More take longer to capture and gain little, as launching is then a small part already."""


def capturable(trainer: Trainer) -> bool:
    """Whether a trainer's steps are one process's on a GPU, with no regularizer that waits for it."""
    waits = any(method.synchronizes() for method in trainer.state.regularizers.values())
    return trainer.data.device.type == "cuda" and trainer.ranks.size == 1 and not waits


class CapturedSteps:
    """Runs the steps of a trainer's epochs, equal to `Trainer.run` bit for bit.

    What Python decides in a step is captured with it: the learning rate, and which penalties there are. When one
    of these changes, steps are captured anew.
    """

    def __init__(self, trainer: Trainer, block: int = BLOCK) -> None:
        self.trainer = trainer
        self.block = block
        self._valid_for: Hashable = None
        self._replays: dict[int, Replay[None]] = {}

    def run(self, on_step: OnStep | None = None) -> None:
        """All steps of the epoch that was begun; `on_step` is told after each launch."""
        trainer, done = self.trainer, 0
        self._renew()
        trainer.index.zero_()
        while done < trainer.whole:
            trainer.reached = done
            size = self.block if trainer.whole - done >= self.block else 1
            self._replays[size]()
            done += size
            if on_step is not None:
                on_step(done, trainer.steps)
        if done < trainer.steps:
            trainer.step(done)
            if on_step is not None:
                on_step(trainer.steps, trainer.steps)

    def _renew(self) -> None:
        """Start anew with capturing if the captured steps are no longer what a step would do."""
        decided = self._decided()
        if decided != self._valid_for:
            device, draws = self.trainer.data.device, self.trainer.draws.values()
            pool = torch.cuda.graph_pool_handle() if device.type == "cuda" else None
            self._replays = {
                size: Replay(partial(_steps, self.trainer, size), device, draws, pool) for size in (self.block, 1)
            }
            self._valid_for = decided

    def _decided(self) -> Hashable:
        """What Python decides in a step: learning rates, and which penalties there are. All else is in tensors."""
        state = self.trainer.state
        rates = tuple(group["lr"] for group in state.optimizer.param_groups)
        return rates, tuple(self.trainer.lambdas)


def _steps(trainer: Trainer, count: int) -> None:
    """So many steps. No method: a replay that refers to its holder would keep the GPU's memory after the run."""
    for _ in range(count):
        trainer.step_at_index()
