"""Runs whose metrics are written by hand, for what reads metrics and does not ask how they came about."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memstudy.recipe import Recipe
from memstudy.store import RunDirectory, Status, Store, metrics
from memstudy.store.layout import METRICS
from memstudy.store.metrics import MEASURED
from memstudy.store.store import Selection
from memstudy.store.summary import listing


def write_run(
    root: Path,
    recipe: Recipe,
    epochs: Iterable[Mapping[str, float]] = (),
    *,
    status: Status = Status.RUNNING,
    labels: bytes | None = None,
    records: Sequence[Mapping[str, np.ndarray]] = (),
    **state: Any,
) -> RunDirectory:
    """A run in the store at `root`, with what was measured after each epoch; what an epoch does not name is 0.5.

    `records` are those of each epoch's samples, `state` is more of what state.json says. A running run is one that
    nobody writes to, so it counts as interrupted.
    """
    run = Store(root).open(recipe)
    run.write_recipe()
    unfinished = Status.RUNNING if status is Status.FINISHED else status
    run.update(**{"status": unfinished, "floor": 0.0, "dynamics": bool(records)} | state)
    if labels is not None:
        run.save_labels(labels)
    for epoch, values in enumerate(epochs):
        if records:
            run.records.write(epoch, dict(records[epoch]))
        others = {name: 0.5 for name in MEASURED[1:] if name not in values}
        run.append_metrics(epoch, {**values, **others})
    if status is Status.FINISHED:
        run.finish()
    return run


def problem(run: RunDirectory) -> str | None:
    """Why a run cannot be trusted, as a list of the store says it; None if it can."""
    return listing([run], run.path.parent).damaged.get(run.name)


def select(*runs: Iterable[RunDirectory]) -> Selection:
    """The runs of these lists, all of one store, as a selection; nothing is derived from it yet."""
    chosen = tuple(itertools.chain(*runs))
    return Selection("some", chosen, chosen[0].path.parent / "studies" / "some")


def first_epochs(run: RunDirectory, epochs: int) -> None:
    """Let a run's metrics be those of its first epochs, as if it had been stopped then."""
    path = run.path / METRICS
    path.write_bytes(metrics.first(path.read_bytes(), epochs))
