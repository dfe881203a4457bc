"""Lightning: a callback that records each training sample after each epoch.

`training_step` may return a dictionary with `logits` (B, K), `labels` (B,) and, for AL2's L_r, `features`, beside
`loss`: then L_c and L_r of the batches are recorded, too. The callback's state is in Lightning's checkpoints.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch.nn.functional as F
from lightning.pytorch import Callback

from memstudy.adapters.ending import Recording
from memstudy.api.recorder import Recorder
from memstudy.api.runs import Run


class RecordMemorization(Callback):
    """Evaluates after each training epoch, and at the end writes the run to `store`.

    `told` are the keywords of `Recorder.write`; batch_size and, without `optimizer`, lr and momentum are needed.
    """

    def __init__(
        self, recorder: Recorder, store: str | Path | None = None, *, keep: bool = False, **told: Any
    ) -> None:
        self.recording = Recording(recorder, store, told, "lightning")
        self.keep = keep

    @property
    def run(self) -> Run | None:
        """The run, once it is written."""
        return self.recording.run

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Record L_c of the batch, if the step has told its logits and labels."""
        if isinstance(outputs, dict) and {"logits", "labels"} <= outputs.keys():
            loss = F.cross_entropy(outputs["logits"].detach(), outputs["labels"])
            self.recording.recorder.step(loss, features=outputs.get("features"), size=len(outputs["labels"]))

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Evaluate."""
        self.recording.epoch(pl_module, self.keep)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Write."""
        if trainer.optimizers and "optimizer" not in self.recording.told:
            optimizer = trainer.optimizers[0]
            self.recording.told["optimizer"] = getattr(optimizer, "optimizer", optimizer)
        self.recording.end()

    def state_dict(self) -> dict[str, Any]:
        """The recorder's."""
        return self.recording.recorder.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.recording.recorder.load_state_dict(state_dict)
