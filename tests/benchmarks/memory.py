"""What a training step keeps in memory for its backward pass; by how much work lets a process grow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def kept(work: Callable[[], object], apart: Iterable[Tensor] = ()) -> int:
    """Bytes of the tensors that autograd saves while `work` runs, each storage once; those of `apart` not at all.

    With a double backward these are the tensors of both passes: the first one's graph lives until the second has
    gone through it, so all of them are there at once. What operations need only while they run is not counted.
    """
    storages: dict[int, torch.UntypedStorage] = {}  # held, so that no address is given to another

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        work()
    for tensor in apart:
        storages.pop(tensor.untyped_storage().data_ptr(), None)
    return sum(storage.nbytes() for storage in storages.values())


def grown(work: Callable[[], object]) -> int:
    """Bytes by which this process' largest resident size while `work` runs exceeds its size before (Linux).

    To be asked in a fresh process: what was freed before would be used again unseen. Of /proc, not of getrusage:
    a child's ru_maxrss starts with its parent's.
    """
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the largest size is the present one
    before = _status("VmRSS")
    work()
    return _status("VmHWM") - before


def in_fresh_process(function: Callable[..., Any], *arguments: object) -> Any:
    """What a function of a module answers in a process of its own, started anew, on one thread."""
    with ProcessPoolExecutor(1, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        return pool.submit(function, *arguments).result()


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))
