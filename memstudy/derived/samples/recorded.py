"""The predictions of all training samples in the epochs of training, of those runs that recorded them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memstudy.data import artifact
from memstudy.data.artifact import Artifact
from memstudy.recipe import spread
from memstudy.report.frames import comparable_runs
from memstudy.store import RunDirectory
from memstudy.store.layout import LABELS
from memstudy.store.store import Selection


@dataclass(frozen=True)
class Recorded:
    """A run whose samples were recorded.

    Attributes:
        run: its directory, and `setting`, the place of its setting in `comparable_runs`.
        method, seeds: as tables name them.
        labels: its true and noisy labels.

    """

    run: RunDirectory
    setting: int
    method: str
    seeds: str
    labels: Artifact

    @cached_property
    def predictions(self) -> NDArray[Any]:
        """The predicted class of each sample after each finished epoch, (epochs, N)."""
        return self.run.dynamics(len(self.labels.noisy)).prediction

    def epochs(self, most: int) -> list[int]:
        """At most so many of its finished epochs, with the last: kept ones if they are few, else evenly spread."""
        done = len(self.predictions)
        kept = [epoch for epoch in self.run.recipe.training.checkpoints if epoch < done]
        return kept if kept[-1:] == [done - 1] and len(kept) <= most else list(spread(done, most))


def recorded(selection: Selection) -> list[Recorded]:
    """Those of a selection that have records and labels, in its order; a packed copy has neither."""
    found = []
    for place, (setting, members) in enumerate(comparable_runs(selection)):
        rows = members.set_index("run")
        for run in setting.runs:
            if _is_here(run):
                row = rows.loc[run.name]
                labels = run.read_labels(artifact.read)
                found.append(Recorded(run, place, str(row["label"]), str(row["seeds"]), labels))
    return found


def _is_here(run: RunDirectory) -> bool:
    """Whether a run has records of finished epochs, and its labels, where it is."""
    files = run.path / LABELS, run.records.path("prediction")
    return run.has_records and run.epochs_done > 0 and all(path.is_file() for path in files)


def classes_of(labels: Artifact) -> list[str]:
    """The words for its classes."""
    return [str(name) for name in np.asarray(labels.class_names)]
