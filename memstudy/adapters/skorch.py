"""skorch: a callback that records each training sample after each epoch.

The module gives logits (B, K), or a tuple of features and logits; L_c of the batches is recorded from them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch.nn.functional as F
from skorch.callbacks import Callback

from memstudy.adapters.ending import Recording
from memstudy.api.recorder import Recorder
from memstudy.api.runs import Run


class RecordMemorization(Callback):
    """Evaluates after each epoch, and when training ends writes the run to `store`.

    `told` are the keywords of `Recorder.write`; batch_size is the net's, and the optimizer, too, if not given.
    """

    def __init__(
        self, recorder: Recorder, store: str | Path | None = None, *, keep: bool = False, **told: Any
    ) -> None:
        self.recording = Recording(recorder, store, told, "skorch")
        self.keep = keep

    @property
    def run(self) -> Run | None:
        """The run, once it is written."""
        return self.recording.run

    def on_batch_end(self, net: Any, batch: Any = None, training: bool = False, **rest: Any) -> None:
        """Record L_c of a training batch."""
        if training and "y_pred" in rest:
            answer, labels = rest["y_pred"], batch[1].to(net.device)
            features, logits = answer if isinstance(answer, tuple) else (None, answer)
            loss = F.cross_entropy(logits.detach(), labels)
            self.recording.recorder.step(loss, features=features, size=len(labels))

    def on_epoch_end(self, net: Any, **rest: Any) -> None:
        """Evaluate."""
        self.recording.epoch(net.module_, self.keep)

    def on_train_end(self, net: Any, **rest: Any) -> None:
        """Write."""
        self.recording.told = {"batch_size": net.batch_size, "optimizer": net.optimizer_} | self.recording.told
        self.recording.end()
