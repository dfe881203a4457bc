"""Which networks of a run are looked at: before training, after every kept epoch, or the nearest to some."""

from __future__ import annotations

from collections.abc import Sequence

from memstudy.store import RunDirectory

INITIAL = -1
"""The epoch of a network before training."""


def kept(run: RunDirectory, epochs: Sequence[int] | None) -> list[int]:
    """The kept epochs of a run, ascending: all, or the `nearest` to these epochs."""
    return run.checkpoints() if epochs is None else nearest(run.checkpoints(), epochs)


def nearest(kept: Sequence[int], epochs: Sequence[int]) -> list[int]:
    """The kept epochs (ascending) that are nearest to some, of two the earlier, and always the last one."""
    return sorted({min(kept, key=lambda near: abs(near - epoch)) for epoch in epochs if kept} | {*kept[-1:]})


def checkpoint(run: RunDirectory, epoch: int) -> str:
    """The version of a kept network: the first 12 digits of its digest, or `initial` before training."""
    return "initial" if epoch == INITIAL else run.checkpoint_digest(epoch)[:12]
