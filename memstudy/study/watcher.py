"""What is told of a run while it is carried out. No torch here: a command can print before that is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from memstudy.data.dataset import CorruptedDataset
    from memstudy.store import RunDirectory


class Watcher:
    """Told what happens, in this order; the default tells nobody."""

    def started(self, run: RunDirectory, data: CorruptedDataset, device: torch.device) -> None:
        """Training is about to begin or to continue."""

    def made_again(self, sentence: str) -> None:
        """A sentence on what a continued run makes again, because it was lost, damaged or not saved."""

    def stepped(self, step: int, steps: int) -> None:
        """A training step of the current epoch is done."""

    def epoch_done(self, epoch: int, metrics: dict[str, float]) -> None:
        """An epoch is trained, evaluated and written."""
