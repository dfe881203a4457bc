"""Work on tensors that stay where they are, captured once as a CUDA graph and replayed from then on.

A replay launches all kernels at once, at a fraction of what it costs to launch them one by one, which is what a
small network's step consists of. They are the same kernels with the same operands in the same order, so the
numbers are the same, bit for bit. On a CPU, where there is nothing to capture, the work is simply done again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import torch

from memstudy.errors import MemstudyError

Result = TypeVar("Result")


class Replay(Generic[Result]):
    """Calling it does the work and returns its result; on a GPU always in the same tensors after the first call.

    The first call does the work as it is: that loads kernels, and lets an optimizer make its buffers, neither of
    which can be captured. The second one captures it. All of it must be on the current stream, without a
    synchronization; generators that it draws from must be named. Replays of one `pool` share what memory they need
    while they work; the result of one is gone when another has worked.
    """

    def __init__(
        self,
        work: Callable[[], Result],
        device: torch.device,
        generators: Iterable[torch.Generator] = (),
        pool: Any = None,  # what torch.cuda.graph_pool_handle() gives; its type is private
    ) -> None:
        self._work = work
        self._captures = device.type == "cuda"
        self._generators = list(generators)
        self._pool = pool
        self._called = False
        self._graph: torch.cuda.CUDAGraph | None = None
        self._result: Result

    def __call__(self) -> Result:
        """Do the work. Raises a MemstudyError if it cannot be captured."""
        if not (self._captures and self._called):
            self._called = True
            return self._work()
        if self._graph is None:
            self._graph = self._captured()
        self._graph.replay()
        return self._result

    def _captured(self) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        for generator in self._generators:
            graph.register_generator_state(generator)
        try:
            with torch.cuda.graph(graph, self._pool, torch.cuda.current_stream()):
                self._result = self._work()
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            raise MemstudyError(
                f"this cannot be captured as a CUDA graph ({str(error).splitlines()[0]}): a regularizer or "
                "network of your own may wait for the GPU, by .item() say; --no-capture does without, and so do "
                "regularizers whose synchronizes() is true."
            ) from error
        return graph
