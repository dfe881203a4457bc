"""A CUDA graph without CUDA: operations are recorded once, and done again on the very same tensors.

As in a graph, a replay knows nothing of Python: a number that was an operand when it was recorded is one for good,
memory is what it was, and only generators go on. So what a captured step gets wrong on a GPU, because it follows
something that is not on the device, it gets wrong here. What waits for a value is an error here, as it is there.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from memstudy.training.replay import Replay

WAITS = {
    # the CUDA kernels of these tell the host something: a size, or whether they converged
    "nonzero", "masked_select", "_unique2", "unique_dim", "bincount", "equal", "repeat_interleave.Tensor",
    "_local_scalar_dense", "_linalg_eigh", "_linalg_svd", "linalg_eig", "linalg_inv_ex", "linalg_cholesky_ex",
}  # fmt: skip


class Recorder(TorchDispatchMode):
    """Records all that is done while it is active, and can do it again."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function.overloadpacket.__name__ in WAITS:
            raise RuntimeError("operation not permitted when stream is capturing")
        result = function(*args, **(kwargs or {}))
        self.done.append((function, args, kwargs or {}, result))
        return result

    @torch.no_grad()
    def replay(self) -> None:
        """Every operation again, its results where they were."""
        for function, args, kwargs, before in self.done:
            again = function(*args, **kwargs)
            for old, new in zip(tree_leaves(before), tree_leaves(again), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():  # else a view, or in place
                    old.copy_(new)


class RecordedReplay(Replay):
    """A `Replay` that records on a CPU where the real one captures on a GPU: from its second call on."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._captures = True

    def _captured(self) -> Any:
        recorder = Recorder()
        with recorder:
            self._result = self._work()
        return Graph(recorder)


class Graph:
    """Has been done once when it is made, unlike a captured graph, whose first replay is its first work."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder, self.fresh = recorder, True

    def replay(self) -> None:
        if not self.fresh:
            self.recorder.replay()
        self.fresh = False
