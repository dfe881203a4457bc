"""Trackers that people use (TensorBoard, MLflow, …) are told of runs, from their directories alone.

A tracker is never part of training: what it shows is derived from run directories, at any time. What it
has already is asked of its own data, so that nothing is sent twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memstudy.errors import MemstudyError, reason
from memstudy.recipe import Recipe
from memstudy.registry import Registry
from memstudy.store import RunDirectory, Status
from memstudy.store.naming import DIGITS, run_name
from memstudy.store.summary import settings

TRACKERS = Registry(
    "tracker",
    tensorboard="memstudy.trackers.tensorboard:TensorBoard",
    mlflow="memstudy.trackers.mlflow:MLflow",
    wandb="memstudy.trackers.wandb:WandB",
)
PACKAGES = {"tensorboard": "tensorboard", "mlflow": "mlflow", "wandb": "wandb"}
"""The package that each of ours needs: that of the extra of its name."""
IN_FOLDERS = {
    "tensorboard": "point TensorBoard's --logdir at it",
    "wandb": "'wandb sync FOLDER' sends it to a server",
}
"""Those of ours that keep a folder and take no address, and what to do with the folder."""


@dataclass(frozen=True)
class Snapshot:
    """A run as it is now.

    Attributes:
        id, name: its recipe's identity, and its directory's name.
        group: what runs share that differ in their seeds alone.
        settings: all that its recipe says, by what users call it.
        status, failure: where it stands, and why it failed, if it did.
        columns: those of metrics.csv but `epoch`, (epochs,) each, float64.
        epochs: how many are done.

    """

    id: str
    name: str
    group: str
    settings: Mapping[str, str | int | float | bool]
    status: Status
    failure: str
    columns: Mapping[str, NDArray[Any]]
    epochs: int

    @classmethod
    def of(cls, run: RunDirectory) -> Snapshot:
        """A run as its directory has it; a MemstudyError if that cannot be trusted."""
        state, status, columns = run.at_one_moment(run.columns)
        epochs = len(columns.pop("epoch"))
        said = {name: _plain(value) for name, value in settings(run.recipe).items()}
        failure = str(state.get("failure") or "") if status is Status.FAILED else ""
        return cls(run.recipe.id, run.name, group(run.recipe), said, status, failure, columns, epochs)

    def row(self, epoch: int) -> dict[str, float]:
        """What was measured after an epoch. What is not finite is left out: no tracker can draw it."""
        row = {name: float(values[epoch]) for name, values in self.columns.items()}
        return {name: value for name, value in row.items() if np.isfinite(value)}


@dataclass(frozen=True)
class Sent:
    """What a tracker has of a run: so many epochs, and the status told last; None if it has nothing."""

    epochs: int = 0
    status: str | None = None


class Tracker:
    """One destination. Made with the place to send to: a folder, or an address that the user gave."""

    def __init__(self, into: str) -> None:
        self.into = into

    def sent(self, run: Snapshot) -> Sent:
        """What it has of a run, by its own data."""
        raise NotImplementedError

    def send(self, run: Snapshot, first: int, study: str | None) -> None:
        """Tell it of the run's epochs from `first` on, and of its status. `study` is the one it is sent with."""
        raise NotImplementedError


def check(name: str, into: str | None) -> str:
    """A tracker's name, if it is known, its package is there, and it can send to such a place.

    Raises a MemstudyError that says how to get the package, or what place to give.
    """
    TRACKERS.check(name)
    if into and "://" in into and name in IN_FOLDERS:
        raise MemstudyError(
            f"{name} keeps runs in a folder and takes no address ({into}): give a folder, or none; "
            f"{IN_FOLDERS[name]}."
        )
    package = PACKAGES.get(name)
    if package and find_spec(package) is None:
        raise MemstudyError(
            f"the tracker {name} needs a package that is not installed: pip install 'memstudy[{name}]'."
        )
    return name


def connect(name: str, into: str | None, root: Path) -> Tracker:
    """A tracker by its name; it keeps a folder of its name in the store, unless `into` says where."""
    kind = TRACKERS.get(check(name, into))
    place = into or str((root / name).resolve())
    try:
        tracker: Tracker = kind(place)
    except Exception as error:  # another's package: a server that is down, a folder that may not be written
        raise MemstudyError(
            f"{name} cannot be reached at {place} ({reason(error)}); try later, or choose another place by --into."
        ) from error
    return tracker


def group(recipe: Recipe) -> str:
    """What a run is called without its seeds: the same for two runs only if they differ in these alone."""
    alike = recipe.seedless
    words = run_name(alike).rsplit("-", 2)[0]
    return f"{words}-{alike.id[:DIGITS]}"


def _plain(value: Any) -> str | int | float | bool:
    """A setting in one value that every tracker takes."""
    if isinstance(value, str | int | float | bool):
        return value
    return "" if value is None else json.dumps(value)
