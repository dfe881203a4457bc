"""What a training step keeps in memory for its backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable

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
