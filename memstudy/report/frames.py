"""The runs of a selection in comparable groups, as data frames: what tables and figures are made of."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, TypeVar

import pandas as pd

from memstudy import presets
from memstudy.recipe import OptionValue, Recipe, RegularizerSpec
from memstudy.regularizers import label, options
from memstudy.store import RunDirectory

AL2 = "al2"
"""The regularizer that twins differ by: one has it, the baseline does not."""
WITHOUT, WITH = "without AL2", "with AL2"
BASELINES = {"bare": "Bare", "bn": "BN", "do": "DO", "wd": "WD"}


@dataclass(frozen=True)
class Setting:
    """Runs that differ by their regularizers and seeds alone, so that one table may hold them."""

    recipe: Recipe  # what they share; no regularizers, seeds 0
    runs: tuple[RunDirectory, ...]
    floor: float  # mean over the runs, whose labels may be drawn by several seeds
    version: str = ""  # in words: the options that tell it from other settings of the same recipe

    @property
    def title(self) -> str:
        """The setting in a few words."""
        r = self.recipe
        part = "" if r.train_size is None else f" ({r.train_size:,} samples)"
        normalization = "" if r.normalization == "al2" else f", {r.normalization} normalization"
        return (
            f"{r.dataset}{part}, {r.corruption.title} corruption, {r.network}, {r.training.epochs} epochs, "
            f"lr {r.training.learning_rate:g}{normalization}{self.version}{self._reconstructed}"
        )

    @property
    def _reconstructed(self) -> str:
        """A note wherever there are PILCRO's numbers, as its formula is our reconstruction."""
        uses = any(run.recipe.options("pilcro") is not None for run in self.runs)
        return "; pilcro: our reconstruction" if uses else ""

    @property
    def data_notes(self) -> list[str]:
        """Notes on the runs' images, for example that they are not the original ones."""
        return sorted({str(note) for run in self.runs if (note := run.state().get("data_note"))})

    def labels(self) -> pd.DataFrame:
        """One row a run: `run`, `seed`, `seeds` (both), `reg`, `baseline` (`reg` without AL2), and `al2`."""
        return pd.DataFrame([_labels(run) for run in self.runs])

    def metrics(self) -> pd.DataFrame:
        """Every run's metrics, one row an epoch, with the columns of `labels`."""
        return pd.concat([run.metrics().assign(**_labels(run)) for run in self.runs], ignore_index=True)


def _labels(run: RunDirectory) -> dict[str, Any]:
    regularizers = run.recipe.regularizers
    baseline = label(r for r in regularizers if r.name != AL2)
    return {
        "run": run.name,
        "seed": run.recipe.seed,
        "seeds": seeds(run.recipe),
        "reg": label(regularizers),
        "baseline": BASELINES.get(baseline, baseline),
        "al2": WITH if run.recipe.options(AL2) is not None else WITHOUT,
    }


def seeds(recipe: Recipe) -> str:
    """Both seeds of a run, as text. Runs with equal ones make a pair: same initial weights, batches and labels."""
    return f"{recipe.seed}/{recipe.corruption.seed}"


def settings(runs: Iterable[RunDirectory]) -> list[Setting]:
    """Sort runs into settings. Two versions of a regularizer, with different options, never share a setting."""
    alike: dict[Recipe, list[RunDirectory]] = {}
    for run in runs:
        alike.setdefault(shared(run.recipe), []).append(run)
    return [
        Setting(recipe, members, fmean(run.floor for run in members), version)
        for recipe, runs_alike in alike.items()
        for members, version in _one_version_each(runs_alike).items()
    ]


def shared(recipe: Recipe) -> Recipe:
    """A recipe without what may differ within a table: regularizers, seeds, kept epochs."""
    return replace(
        recipe,
        regularizers=(),
        seed=0,
        corruption=replace(recipe.corruption, seed=0),
        training=replace(recipe.training, checkpoints=()),
    )


def _one_version_each(runs: Sequence[RunDirectory]) -> dict[tuple[RunDirectory, ...], str]:
    """Groups of runs in which each regularizer has one version, with the chosen options in words (if there is a
    choice).

    There is one group for every way to choose a version of each regularizer: the runs that use no other version.
    """
    versions: dict[str, list[RegularizerSpec]] = {}
    for run in runs:
        for regularizer in run.recipe.regularizers:
            known = versions.setdefault(regularizer.name, [])
            if regularizer not in known:
                known.append(regularizer)
    by_members: dict[tuple[RunDirectory, ...], str] = {}
    for chosen in itertools.product(*versions.values()):
        members = tuple(run for run in runs if set(run.recipe.regularizers) <= set(chosen))
        words = [_options(regularizer, versions[regularizer.name]) for regularizer in chosen]
        by_members.setdefault(members, "".join(words))
    return {members: words for members, words in by_members.items() if members}


def _options(regularizer: RegularizerSpec, versions: Sequence[RegularizerSpec]) -> str:
    """The options in which a regularizer's versions differ, in words."""
    chosen = options(regularizer)
    values = {name: {options(version)[name] for version in versions} for name in chosen}
    return "".join(
        f", {regularizer.name}.{name} {_text(value)}" for name, value in chosen.items() if len(values[name]) > 1
    )


def suffix(index: int) -> str:
    """The suffix of file names of a group: none for the first, then -2, -3 …"""
    return f"-{index + 1}" if index else ""


T = TypeVar("T")


def suffixed(groups: Iterable[T]) -> Iterator[tuple[T, str]]:
    """Groups, each with the suffix of its file names (`suffix`)."""
    return ((group, suffix(index)) for index, group in enumerate(groups))


def is_last(rows: pd.DataFrame, by: str | list[str] = "run", epoch: str = "epoch") -> pd.Series[bool]:
    """Whether a row has the last epoch among those of its value of `by`. A missing epoch counts as -1."""
    epochs = rows.assign(**{epoch: rows[epoch].fillna(-1)})  # a network from a file has no epoch
    return epochs[epoch] == epochs.groupby(by)[epoch].transform("max")


def after_epochs(epochs: pd.Series, which: str = "After the last kept epoch") -> str:
    """A sentence for a note: `After the last kept epoch (1, 2, counted from 0). `; empty if there are none."""
    different = sorted({int(epoch) for epoch in epochs.dropna()})
    return f"{which} ({', '.join(map(str, different))}, counted from 0). " if different else ""


def merged(table: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """The rows of a derived table that are of these runs, in their order; with the columns of `members`."""
    return members.merge(table, on="run") if len(table) else table


def comparable_runs(runs: Iterable[RunDirectory]) -> list[tuple[Setting, pd.DataFrame]]:
    """Groups of runs that differ only by their regularizers, the options of these, and their seeds.

    With each setting a data frame of its members, one row a run: `run`, `seed`, `seeds` (both), and `label`, its
    `run_label`.
    """
    alike: dict[object, list[RunDirectory]] = {}
    for run in runs:
        alike.setdefault(shared(run.recipe), []).append(run)
    return [
        (
            Setting(shared(members[0].recipe), tuple(members), fmean(run.floor for run in members)),
            pd.DataFrame(_named(run, members) for run in members),
        )
        for members in alike.values()
    ]


def _named(run: RunDirectory, among: Iterable[RunDirectory]) -> dict[str, Any]:
    recipe = run.recipe
    return {"run": run.name, "seed": recipe.seed, "seeds": seeds(recipe), "label": run_label(run, among)}


def run_label(run: RunDirectory, among: Iterable[RunDirectory]) -> str:
    """A run's regularizers, with those of their options that differ among these runs."""
    values: dict[tuple[str, str], set[object]] = {}
    for other in among:
        for regularizer in other.recipe.regularizers:
            for option, value in options(regularizer).items():
                values.setdefault((regularizer.name, option), set()).add(value)
    chosen = [
        f"{option} {value:g}" if isinstance(value, float) else f"{option} {value}"
        for regularizer in run.recipe.regularizers
        for option, value in options(regularizer).items()
        if len(values[regularizer.name, option]) > 1
    ]
    return label(run.recipe.regularizers) + (f" ({', '.join(chosen)})" if chosen else "")


def differences_from_paper(setting: Setting) -> list[str]:
    """How the setting's recipes differ from AL2's protocol, in words; empty if they do not."""
    paper = _flat(shared(presets.get("al2").recipe).as_dict())
    differences: dict[str, None] = {}
    for run in setting.runs:
        ours = _flat(shared(run.recipe).as_dict())
        for name in {**ours, **paper}:  # either may leave out what it does not use
            if ours.get(name) != paper.get(name):
                differences[f"{name} {ours.get(name, 'none')} instead of {paper.get(name, 'the usual')}"] = None
        for regularizer in run.recipe.regularizers:
            (published,) = presets.build("al2", reg=regularizer.name).regularizers
            standard = options(published)
            for name, value in options(regularizer).items():
                if value != standard[name]:
                    words = f"{regularizer.name}.{name} {_text(value)} instead of {_text(standard[name])}"
                    differences[words] = None
    return list(differences)


def _text(value: OptionValue) -> str:
    """An option's value as text, a number as short as possible."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _flat(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe in one level, `{"training": {"epochs": 5}}` → `{"epochs": 5}`, without what differs in a table."""
    flat = {k: v for k, v in recipe.items() if k not in ("corruption", "training", "regularizers")}
    flat |= {f"corruption {k}": v for k, v in recipe["corruption"].items()}
    flat |= {k.replace("_", " "): v for k, v in recipe["training"].items() if k != "checkpoints"}
    return flat
