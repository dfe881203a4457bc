"""Which networks of a run are looked at: before training, after every kept epoch, or the nearest to some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from memstudy.errors import MemstudyError
from memstudy.store import RunDirectory
from memstudy.store.store import Selection

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


def with_networks(selection: Selection, left_out: Callable[[str], None]) -> Selection:
    """The selection without runs that were only recorded, networks apart; `left_out` is told of each, a clause.

    A MemstudyError if no run remains.
    """
    clauses = {run: without(run) for run in selection.runs if not run.checkpoints()}
    if clauses and len(clauses) == len(selection.runs):  # weights of a file alone come without a run
        raise MemstudyError(f"there is no network to look at: {next(iter(clauses.values()))}.")
    for clause in clauses.values():
        left_out(clause)
    return replace(selection, runs=tuple(run for run in selection.runs if run not in clauses))


def without(run: RunDirectory) -> str:
    """Why a run that memstudy did not train has no networks, a clause."""
    return f"{run.name} was recorded without its networks (Recorder.keep keeps them)"
