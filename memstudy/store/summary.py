"""A run as a dictionary. It needs no torch and no pandas, so that a store is listed at once."""

from __future__ import annotations

import contextlib
import json
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import memstudy
from memstudy import distinctions, files, garbage, trust
from memstudy import recipe as recipes
from memstudy.distinctions import SEEDS, TRAINER
from memstudy.errors import Gone, MemstudyError
from memstudy.recipe import OPTIONS, Corruption, Recipe, RegularizerSpec, Training
from memstudy.regularizers import label
from memstudy.store import state as states
from memstudy.store.index import Entries, Index, stamp
from memstudy.store.layout import RECIPE
from memstudy.store.metrics import last_evaluated
from memstudy.store.run import RunDirectory, may_be_run
from memstudy.store.state import Status

FORMAT = zlib.crc32(repr((4, memstudy.__version__, *OPTIONS)).encode()) & 0x7FFFFFFF
"""What a kept summary consists of. Raise the number when the same run is summed up otherwise than before."""


def run_summary(run: RunDirectory) -> dict[str, Any]:
    """A run in short, ready for JSON: NaN becomes None. A MemstudyError if it cannot be trusted.

    `last` are the numbers after the last epoch that was evaluated.
    """
    recorded, status = _recorded(run)
    return recorded | {"status": str(status)}


def _recorded(run: RunDirectory) -> tuple[dict[str, Any], Status]:
    """What its files say, and its status, which a process that writes to it is part of."""
    recipe, (state, now, columns) = run.recipe, run.at_one_moment(run.columns)
    epochs, times, status = len(columns["epoch"]), run.times(state), Status(state["status"])
    row = last_evaluated(columns) if epochs else 0
    last = {name: float(values[row]) for name, values in columns.items()} if epochs else {}
    accuracies = [value for value in columns["test_accuracy"].tolist() if not math.isnan(value)] if epochs else []
    recorded = {
        "name": run.name,
        "id": recipe.id,
        "path": str(run.path),
        "status": str(status),
        "failure": state.get("failure") if status is Status.FAILED else None,
        "begun": times[0] if times else None,
        "date": times[-1] if times else None,
        "dataset": recipe.dataset,
        "corruption": recipe.corruption.as_dict(),
        "data_note": state.get("data_note") or None,
        "reg": label(recipe.regularizers),
        "regularizers": sorted({one.name for one in recipe.regularizers}),
        "seed": recipe.seed,
        "settings": settings(recipe),
        "epochs_done": epochs,
        "epochs": recipe.training.epochs,
        "evaluate_every": run.evaluate_every,
        "floor": states.floor(state) if "floor" in state else None,
        "expected_floor": states.expected_floor(state) if "floor" in state else None,
        "last": {name: None if math.isnan(value) else value for name, value in last.items()},
        "best_test_accuracy": max(accuracies, default=None),
    }
    return recorded, now


def _kept(run: RunDirectory, entries: Entries) -> Listed | None:
    """What the index has of a run, with the status of this moment; None if its files are others by now."""
    if run.name not in entries.rows:
        return None
    mark = stamp(run.path)
    if (kept := entries.get(run.name, mark)) is None:
        return None
    recorded, alike = kept
    if recorded["path"] != str(run.path) or recorded["status"] == Status.RUNNING:
        recorded |= {"status": str(run.status_in(recorded)), "path": str(run.path)}
        if stamp(run.path) != mark:
            return None
    return Listed(run, recorded, alike)


def _parts(recorded: dict[str, Any]) -> tuple[str, str]:
    """What was found of a run as its entry has it: in JSON, the settings but for its seeds apart."""
    told = recorded["settings"]
    seeds = {name: told[name] for name in SEEDS}
    alike = {name: value for name, value in told.items() if name not in SEEDS}
    return json.dumps(recorded | {"settings": seeds}), json.dumps(alike)


def settings(recipe: Recipe) -> dict[str, Any]:
    """All that a recipe says in one level, by what users call it: `{"network": "smallnet", "lr": 0.03, …}`."""
    return {name: distinctions.value(recipe, name) for name in distinctions.names([recipe])}


def _told(summary: Mapping[str, Any]) -> Recipe:
    """The recipe that the `settings` of a summary are those of. Any error of Python's if they are none's."""
    told = summary["settings"]
    training, corruption, others = (
        {option.name: _frozen(told[key]) for key, (kind, option) in OPTIONS.items() if kind is part}
        for part in (Training, Corruption, Recipe)
    )
    methods = tuple(
        RegularizerSpec(
            name, tuple((key.partition(".")[2], told[key]) for key in told if key.startswith(f"{name}."))
        )
        for name in summary["regularizers"]
    )
    return Recipe(
        Training(**training),
        **others,
        regularizers=methods,
        corruption=Corruption(**corruption),
        trainer=told.get(TRAINER, ""),
    )


class Listed:
    """A run in a list, and its summary. What the summary has is not read from the run again.

    In `settings` the tuples of a recipe are lists, as in JSON. `alike` are those but for seeds, which are one and
    the same object for thousands of runs.
    """

    def __init__(self, run: RunDirectory, recorded: dict[str, Any], alike: Mapping[str, Any]) -> None:
        self.run = run
        self.alike = alike
        self.settings: dict[str, Any] = {**alike, **recorded["settings"]}
        self.summary = recorded | {"settings": self.settings}

    def uses(self, name: str) -> bool:
        """Whether a setting can mean anything for the run: `al2.advance` does where AL2 is used."""
        return "." not in name or name.partition(".")[0] in self.summary["regularizers"]

    def value(self, name: str) -> Any:
        """As `distinctions.value`, of the run's recipe."""
        if name in self.settings:
            return _frozen(self.settings[name])
        return distinctions.value(self.run.recipe, name) if "." in name and self.uses(name) else None


@dataclass(frozen=True)
class Listing:
    """All runs of a store, by name: those that can be trusted, and why others cannot be.

    Of `errors` an Unreadable is of one that the system did not let us read: it may be whole.
    """

    runs: Sequence[Listed] = ()
    errors: dict[str, MemstudyError] = field(default_factory=dict)

    @property
    def damaged(self) -> dict[str, str]:
        """A sentence on each run that cannot be trusted."""
        return {name: str(error) for name, error in self.errors.items()}


def ready(listed: Sequence[Listed]) -> list[RunDirectory]:
    """The runs, with their recipes: those which the summaries tell, so that no file need be read.

    Few recipes are made anew, where there are many seeds.
    """
    made: dict[int, Recipe] = {}
    return [one.run if one.run.knows_recipe else _with_recipe(one, made) for one in listed]


def _with_recipe(one: Listed, made: dict[int, Recipe]) -> RunDirectory:
    """The run with the recipe that its summary tells, if that has the identity which the summary names.

    made: by `id` of what is alike but for seeds the recipe without these, to be added to.
    """
    with contextlib.suppress(MemstudyError, LookupError, TypeError, AttributeError):
        if id(one.alike) not in made:
            made[id(one.alike)] = _told(one.summary).seedless
        recipe = made[id(one.alike)].seeded(one.settings["seed"], one.settings["corrupt_seed"])
        if recipe.id == one.summary["id"]:
            trust.named(one.run.path / RECIPE, recipes.names(recipe))
            return RunDirectory(one.run.path, recipe)
    return one.run


@garbage.not_collected()
def listing(runs: Iterable[RunDirectory], root: Path, whole: bool = True) -> Listing:
    """Sum up these runs of the store at `root`: from its index where their files are as they were, else anew.

    Those that are looked at anew are tidied, and those that are none, or are removed meanwhile, are left out. If
    these are all that the store has, others are forgotten.
    """
    index, listed, errors, read = Index(root, FORMAT), [], {}, {}
    kept = index.entries()
    for run in runs:
        try:
            with files.answered():
                if (one := _kept(run, kept)) is None:
                    if not may_be_run(str(run.path)):
                        continue
                    run.tidy()
                    mark = stamp(run.path)
                    recorded, status = _recorded(run)
                    if status is Status.NEW and not run.path.exists():
                        continue
                    parts = _parts(recorded)
                    read[run.name], (found, alike) = (mark, *parts), kept.read(*parts)
                    one = Listed(run, found | {"status": str(status)}, alike)
                listed.append(one)
        except Gone:
            continue
        except MemstudyError as error:
            errors[run.name] = error
    index.keep(read, gone=kept.names - {one.run.name for one in listed} if whole else ())
    return Listing(listed, errors)


def differing(listed: Sequence[Listed]) -> list[str]:
    """As `distinctions.differing`, of the runs' recipes."""
    but_for_seeds = _one_each(listed)
    return [name for name in names(listed) if _differs(name, listed if name in SEEDS else but_for_seeds)]


def names(listed: Sequence[Listed]) -> list[str]:
    """As `distinctions.names`, of the runs' recipes."""
    told = {name for one in _one_each(listed) for name in one.settings}
    return distinctions.ordered({name for name in told if "." in name or name == TRAINER})


def _one_each(listed: Sequence[Listed]) -> list[Listed]:
    """Of those that are alike but for seeds one: few, of ten thousand runs."""
    return list({id(one.alike): one for one in listed}.values())


def _differs(name: str, listed: Sequence[Listed]) -> bool:
    """Whether runs for which a name means the same have different values under it."""
    found: dict[object, set[Any]] = {}
    for one in listed:
        if one.uses(name):
            alike = one.summary["epochs"] if name == "checkpoints" else None
            found.setdefault(alike, set()).add(one.value(name))
    return any(len(values) > 1 for values in found.values())


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
