"""Which kept epochs of a run are looked at: all, or those nearest to some."""

from __future__ import annotations

from collections.abc import Sequence

from memstudy.store import RunDirectory


def kept(run: RunDirectory, epochs: Sequence[int] | None) -> list[int]:
    """The kept epochs of a run, ascending: all, or the `nearest` to these epochs."""
    return run.checkpoints() if epochs is None else nearest(run.checkpoints(), epochs)


def nearest(kept: Sequence[int], epochs: Sequence[int]) -> list[int]:
    """Of ascending kept epochs the nearest to each epoch, the earlier of two as near, and always the last."""
    return sorted({min(kept, key=lambda one: abs(one - epoch)) for epoch in epochs if kept} | {*kept[-1:]})
