"""Hugging Face's Trainer: a callback that records each training sample after each epoch.

The model takes images first, and gives an output with `logits`. A TrainerCallback does not see batches: for L_c of
the epochs call `recorder.step` in your `compute_loss`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from memstudy.adapters.ending import Recording
from memstudy.api.recorder import Recorder
from memstudy.api.runs import Run


class RecordMemorization(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """Evaluates after each epoch, and when training ends writes the run to `store`.

    `told` are the keywords of `Recorder.write`; batch_size is the Trainer's, and the optimizer, too, if not given.
    """

    def __init__(
        self, recorder: Recorder, store: str | Path | None = None, *, keep: bool = False, **told: Any
    ) -> None:
        self.recording = Recording(recorder, store, told, "huggingface")
        self.keep = keep

    @property
    def run(self) -> Run | None:
        """The run, once it is written."""
        return self.recording.run

    def on_epoch_end(self, args: Any, state: Any, control: Any, model: Any = None, **rest: Any) -> None:
        """Evaluate."""
        self.recording.epoch(model, self.keep)

    def on_train_end(self, args: Any, state: Any, control: Any, optimizer: Any = None, **rest: Any) -> None:
        """Write."""
        inner = getattr(optimizer, "optimizer", optimizer)
        usual = {"batch_size": args.train_batch_size} | ({} if inner is None else {"optimizer": inner})
        self.recording.told = usual | self.recording.told
        self.recording.end()
