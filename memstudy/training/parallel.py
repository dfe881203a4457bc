"""One run on several devices: each process has the network, takes its part of every batch, and shares gradients.

The mean over a batch is that of its parts' means, weighted by their sizes, so a step is that of one device up to
the order of sums, with three exceptions that all data-parallel training has: batch normalization sees its own
part, a penalty that is no mean over samples (PILCRO) is that of the parts, and dropout draws for each part apart.

`torchrun --nproc-per-node 4 -m memstudy run …` starts the processes. The first one evaluates and writes; the
others follow it.
"""

from __future__ import annotations

import atexit
import gc
import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from memstudy.errors import MemstudyError


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this one is. With one process, nothing here does anything."""

    rank: int = 0
    size: int = 1
    local: int = 0  # among those of this machine: which GPU is its own

    @classmethod
    def from_environment(cls) -> Ranks:
        """What torchrun says; one process, if it says nothing."""
        names = {"rank": "RANK", "size": "WORLD_SIZE", "local": "LOCAL_RANK"}
        return cls(**{field: int(os.environ[name]) for field, name in names.items() if name in os.environ})

    @property
    def leads(self) -> bool:
        """Whether this process is the one that evaluates and writes."""
        return self.rank == 0

    def join(self, device: torch.device) -> torch.device:
        """Connect to the other processes; returns the device of this one."""
        if self.size == 1:
            return device
        if device.type == "cuda":
            if str(device) != "cuda":
                raise MemstudyError("under torchrun each process takes a GPU of its own; leave cuda's number out.")
            device = torch.device("cuda", self.local)
            torch.cuda.set_device(device)
        if not dist.is_initialized():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
            atexit.register(_leave)
        return device

    def part(self, indices: Tensor) -> tuple[Tensor, float]:
        """The part of a batch (B,) that is this process's, and its weight in the mean of the parts.

        Where there are fewer samples than processes, some take one of another's with weight 0.
        """
        if self.size == 1:
            return indices, 1.0
        part = indices.tensor_split(self.size)[self.rank]
        return (part, self.size * len(part) / len(indices)) if len(part) else (indices[:1], 0.0)

    def samples(self, batch: Tensor, weight: float) -> float:
        """How many samples a part has, from the whole batch and the weight that `part` gave it."""
        return weight * len(batch) / self.size

    def purpose(self, name: str) -> str:
        """The purpose of this process's own generator, so that no two processes draw the same numbers."""
        return name if self.leads else f"{name}/{self.rank}"

    def average_gradients(self, network: nn.Module) -> None:
        """Let every process have the mean of all gradients."""
        if self.size > 1:
            gradients = [p.grad for p in network.parameters() if p.grad is not None]
            flat = torch.cat([gradient.reshape(-1) for gradient in gradients])  # one message, whatever the layouts
            dist.all_reduce(flat)
            sizes = [gradient.numel() for gradient in gradients]
            for gradient, mean in zip(gradients, (flat / self.size).split(sizes), strict=True):
                gradient.copy_(mean.view(gradient.shape))

    def total(self, sums: Tensor) -> Tensor:
        """Sums over all processes."""
        if self.size > 1:
            dist.all_reduce(sums)
        return sums

    def greatest(self, value: Tensor) -> Tensor:
        """The greatest value of all processes."""
        if self.size > 1:
            dist.all_reduce(value, dist.ReduceOp.MAX)
        return value

    def agree(self, value: int) -> int:
        """The number that the first process says."""
        if self.size == 1:
            return value
        message = [value]
        dist.broadcast_object_list(message, 0)
        return message[0]


def _leave() -> None:
    """End the threads that exchange messages: one that lets go of a tensor as Python ends aborts the process.

    They end with the last reference to the group, which is part of a cycle.
    """
    if dist.is_initialized():  # whoever called this package may have ended it
        dist.destroy_process_group()
    gc.collect()


ALONE = Ranks()
