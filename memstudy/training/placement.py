"""Where a run is trained, and how its numbers lie in memory: its device, layout and CPU threads.

They follow from the network, the device and the number of cores, by what is stated here, never from a stopwatch at
run time: the same command gives the same bits again on the same machine and version of PyTorch, alone, in a study,
and continued. Another layout, or another number of threads, changes the order of sums, so the last digits.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from memstudy.training.device import cores

LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}
"""How images and weights of convolutions may lie in memory."""
SMALL = ("smallnet",)
"""Networks with so short a step that one run fills neither several CPU threads nor a GPU: run several at once."""
MOST_THREADS = 8
"""Larger networks use at most so many of a machine's cores (ours: more were never measured)."""


@dataclass(frozen=True)
class Placement:
    """Where and how a run is trained: its device, layout (of LAYOUTS) and CPU threads.

    The same placement gives the same bits again; another one changes the order of sums.
    """

    device: torch.device
    layout: str
    threads: int = 1

    @classmethod
    def usual(cls, device: torch.device, threads: int = 1) -> Placement:
        """Channels last on a CPU, where most networks are faster so; PyTorch's own layout on a GPU.

        On a CPU a step of WRN-28-10 takes 1.6 times as long in PyTorch's own layout, one of other networks .87 to
        1.06 times (tests/benchmarks/NOTES.md).
        """
        return cls(device, "channels_last" if device.type == "cpu" else "contiguous", threads)

    @property
    def memory_format(self) -> torch.memory_format:
        """The layout, for PyTorch."""
        return LAYOUTS[self.layout]


def usual_threads(network: str, device: torch.device) -> int:
    """How many CPU threads a run takes that has the machine to itself: its cores, or one for a SMALL network."""
    return 1 if device.type != "cpu" or network in SMALL else min(cores(), MOST_THREADS)
