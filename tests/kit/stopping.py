"""Ctrl-C at a chosen moment of a run."""

from __future__ import annotations

from memstudy.study.watcher import Watcher


class Stop(Watcher):
    """Press it when an epoch is done."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def epoch_done(self, epoch: int, metrics: dict[str, float]) -> None:
        if epoch == self.epoch:
            raise KeyboardInterrupt
