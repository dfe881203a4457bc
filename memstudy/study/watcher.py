"""Who looks on while a run is carried out. It needs no torch, so that a command can speak before that is there."""

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

    def made_again(self, what: str) -> None:
        """A sentence on what was there before, is not whole, and is made again by the run that continues."""

    def stepped(self, step: int, steps: int) -> None:
        """A training step of the current epoch is done."""

    def epoch_done(self, epoch: int, metrics: dict[str, float]) -> None:
        """An epoch is trained, evaluated and written."""
