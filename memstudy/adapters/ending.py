"""What all callbacks do besides listening: evaluate after an epoch, and write at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from memstudy.api.recorder import Recorder
from memstudy.api.runs import Run
from memstudy.errors import MemstudyError


class Recording:
    """A recorder, and where and as what its run is written; `run` is that once it is."""

    def __init__(self, recorder: Recorder, store: str | Path | None, told: dict[str, Any], loop: str) -> None:
        if not isinstance(recorder, Recorder) or recorder.images is None:
            raise MemstudyError("the callback needs a memstudy.Recorder that has images=, to evaluate on.")
        self.recorder, self.store, self.told = recorder, store, {"name": loop} | told
        self.run: Run | None = None

    def epoch(self, network: nn.Module, keep: bool) -> None:
        """After an epoch: evaluate, and keep the network if that is wanted."""
        self.recorder.evaluate(network)
        self.recorder.end_epoch()
        if keep:
            self.recorder.keep(network)

    def end(self) -> None:
        """After the last epoch: write, if there is a store to write to."""
        if self.store is not None and self.recorder.epochs:
            self.run = self.recorder.write(self.store, **self.told)
