"""What a study trains, what that takes, and what of it is finished in a store: a line of a list of studies."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from memstudy.data import sources
from memstudy.errors import MemstudyError
from memstudy.recipe import Recipe
from memstudy.store import RunDirectory, Store
from memstudy.study import grid, shipped
from memstudy.study.grid import Study


@dataclass(frozen=True)
class Overview:
    """A study at one of its scales.

    Attributes:
        study: its name in a store.
        given: what its command is given: a name, or its file's path.
        scale: None for the study's own size.
        about, shows, cost: the file's own words; `cost` is measured or estimated, as it says.
        runs, steps: how many; the steps of all runs together, None where a set's size is not known before it is
            loaded.
        finished: how many of its runs are finished in the store.
        derived: whether all its tables and figures were made there since it was last carried out.

    """

    study: str
    given: str
    scale: str | None
    about: str
    shows: str
    cost: str
    runs: int
    steps: int | None
    finished: int
    derived: bool


def overviews(file: Path, store: Store, folder: Path | None = None) -> list[Overview]:
    """A study at its own size and at each of its scales; `folder` is the data directory, for files of labels."""
    return [
        _overview(grid.read(file, scale=scale, folder=folder), shipped.called(file), scale, store)
        for scale in (None, *shipped.scales(file))
    ]


def _overview(study: Study, given: str, scale: str | None, store: Store) -> Overview:
    finished = sum(_finished(run) for run in store.open_all(study.recipes))
    return Overview(
        study.name, given, scale, study.about, study.shows, study.cost, len(study.recipes), steps(study.recipes),
        finished, store.is_derived(study.name),
    )  # fmt: skip


def steps(recipes: tuple[Recipe, ...]) -> int | None:
    """The steps of all these runs together: epochs times batches. None if the size of one's set is not known."""
    total = 0
    for recipe in recipes:
        samples = recipe.train_size or sources.samples(recipe.dataset)
        if samples is None:
            return None
        total += recipe.training.epochs * -(-samples // recipe.training.batch_size)
    return total


def _finished(run: RunDirectory) -> bool:
    """Whether a run is finished; one that is damaged is not."""
    with suppress(MemstudyError):
        return run.finished
    return False
