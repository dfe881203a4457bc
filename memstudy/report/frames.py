"""The runs of a selection in comparable groups, as data frames: what tables and figures are made of."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, replace
from functools import lru_cache
from statistics import fmean
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from memstudy import distinctions, presets
from memstudy.distinctions import REG
from memstudy.errors import unknown
from memstudy.recipe import OPTIONS, OptionValue, Recipe, RegularizerSpec
from memstudy.regularizers import BARE, label, options
from memstudy.report.cells import span
from memstudy.report.folders import SEPARATOR
from memstudy.report.methods import (
    CORRUPTION,
    TRAINING,
    compared,
    for_file,
    in_words,
    method_labels,
    numbered,
    of_two,
    told_apart,
)
from memstudy.store import RunDirectory, Status
from memstudy.store.metrics import evaluated as has_numbers
from memstudy.store.metrics import joined
from memstudy.store.stamps import settled
from memstudy.store.store import Selection

if TYPE_CHECKING:
    from functools import _lru_cache_wrapper

T = TypeVar("T")
Runs = tuple[RunDirectory, ...]

AL2 = "al2"
"""The regularizer that twins differ by: one has it, the baseline does not."""
WITHOUT, WITH = "without AL2", "with AL2"
BASELINES = {"bare": "Bare", "bn": "BN", "do": "DO", "wd": "WD"}


@dataclass(frozen=True)
class Setting:
    """Runs that differ by their method (see `methods`) and seeds alone, so that one table may hold them.

    Attributes:
        recipe: what they share; no regularizers where these make the methods, seeds 0.
        floor: mean over the runs, whose labels may be drawn by several seeds, nats; NaN where they have none in
            common.
        words: what tells it from the other settings of its selection; empty if there are none.
        compared: what makes a method.
        left_out: runs of it that no number counts, and why, by name: see `counted`.

    """

    recipe: Recipe
    runs: Runs
    floor: float
    words: str = ""
    compared: tuple[str, ...] = (REG,)
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def suffix(self) -> str:
        """The end of its tables' and figures' names: `--50-symmetric`; empty if there are no other settings."""
        return _suffix(self.words)

    @property
    def title(self) -> str:
        """The setting in a few words: all that its runs share; of unfinished ones, how far they are, too."""
        r = self.recipe
        unusual = [key for key in TRAINING if OPTIONS[key][1].default not in (MISSING, distinctions.value(r, key))]
        keys = ["dataset", *["train_size"] * (r.train_size is not None), "network", "epochs", "lr", *unusual]
        keys += ["normalization"] * (r.normalization != "al2")
        parts = {key: in_words(r, [key]) for key in keys if key not in self.compared}
        if "epochs" in parts and (trained := self._trained):
            parts["epochs"] = f"{trained} of {parts['epochs']}"
        dataset = parts.pop("dataset", "") + (f" ({parts.pop('train_size')})" if "train_size" in parts else "")
        corruption = r.corruption.title + ("" if r.corruption.rate == 0 else " corruption")
        told = [dataset, corruption if set(CORRUPTION).isdisjoint(self.compared) else "", *parts.values()]
        return f"{', '.join(filter(None, told))}{self._reconstructed}"

    @property
    def _trained(self) -> str:
        """How many epochs are trained, `101` or `80–101`; empty where all runs have all of them."""
        epochs = self.recipe.training.epochs
        trained = [epochs if run.finished else run.epochs_done for run in self.runs]
        return span(trained) if any(done < epochs for done in trained) else ""

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
        return while_unchanged(metrics_of, self.runs).copy()


@lru_cache(maxsize=8)  # every table and figure of a study asks for them
def metrics_of(runs: Runs, marks: tuple[str, ...]) -> pd.DataFrame:
    """The metrics of runs, as `Setting.metrics` has them: for `while_unchanged`, and not to be changed."""
    return joined([run.columns() for run in runs], pd.DataFrame([_labels(run) for run in runs]))


def while_unchanged(read: _lru_cache_wrapper[T], runs: Runs, *more: Hashable) -> T:
    """What a function with `lru_cache` reads of runs, remembered while their files are as they are.

    It is called with the runs, the marks of their files, and `more`.
    """
    marks = tuple(run.mark() for run in runs)
    return (read if all(map(settled, marks)) else read.__wrapped__)(runs, marks, *more)


def evaluated(rows: pd.DataFrame, line: Sequence[str] = (), value: str = "") -> pd.DataFrame:
    """Those rows of metrics whose epoch was evaluated; with a `value`, where that is no NaN.

    line: the columns that tell the lines of a figure apart. Then of those epochs alone at which all of a line's
    runs were evaluated: a mean over now these and now those runs would jump from epoch to epoch.
    """
    measured = rows[value].notna() if value else pd.Series(has_numbers(rows), rows.index)
    if line:
        measured = measured.groupby([rows[name] for name in (*line, "epoch")], dropna=False).transform("all")
    return rows[measured]


def each_epoch(settings: Iterable[Setting]) -> str:
    """The epochs after which a curve of an evaluation has points, in words."""
    seldom = any(run.evaluate_every > 1 for setting in settings for run in setting.runs)
    return "each evaluated epoch" if seldom else "each epoch"


def evaluation_notes(runs: Iterable[RunDirectory]) -> tuple[str, ...]:
    """A note if some runs were not evaluated after each epoch: what is chosen among epochs is so among few."""
    periods = sorted({every for run in runs if (every := run.evaluate_every) > 1})
    if not periods:
        return ()
    words = " or ".join(map(str, periods))
    return (
        f"Some runs were evaluated every {words} epochs, and where a network was kept; a best or first epoch "
        "is one of these.",
    )


def shared_title(settings: Iterable[Setting]) -> str:
    """What the runs of all these settings share, in a few words."""
    titles = [setting.title.split("; ") for setting in settings]
    parts = [[*words[0].split(", "), *words[1:]] for words in titles]
    return ", ".join(part for part in parts[0] if all(part in others for others in parts))


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


Groups = Sequence[tuple[Setting, pd.DataFrame]]
"""The settings of a selection, and with each a row for each of its runs: see `comparable_runs`."""


def comparable_runs(selection: Selection, so_far: bool = False) -> Groups:
    """The settings of a selection, and with each a data frame of its runs, one row each.

    Its columns are `run`, `seed`, `seeds` (both), `label`, the run's method, and `against`, the method that it is
    compared with: the one that the selection, or its study's [report], names as the reference; else bare training,
    else the first one. It is "" in a setting that has no such method. A MemstudyError if the selection names one
    that no run has.

    Runs of one setting and label differ in their seeds alone, and each seed is there once: a mean may be taken
    over them.

    so_far: whether runs that `counted` leaves out are there all the same, as for curves while runs train.
    """
    if not selection.runs:
        return []
    how_far = tuple(_standing(run) for run in selection.runs)
    groups = _comparable(selection.runs, how_far, selection.by_name, *references(selection), so_far)
    return [(setting, members.copy()) for setting, members in groups]


def _standing(run: RunDirectory) -> str:
    """How a run that is not finished stands, in words; "" if it is finished."""
    if run.status is Status.FINISHED:
        return ""
    epochs, done = run.recipe.training.epochs, run.epochs_done
    if run.status is Status.FAILED:
        return f"failed after {done} of {epochs} epochs"
    return "" if done >= epochs else f"not finished, {done} of {epochs} epochs"


def is_trained(run: RunDirectory) -> bool:
    """Whether all epochs have their metrics."""
    return run.status is Status.FINISHED or run.epochs_done >= run.recipe.training.epochs


def counted(runs: Sequence[RunDirectory], labels: Mapping[str, str]) -> dict[str, str]:
    """Which of a setting's runs no number counts, by name, and why.

    Those that are not finished, where others of the setting are (where none is, all are shown as far as they are),
    and those that are another one's training once more, with other epochs kept.

    labels: the method of each run, by name.
    """
    standing = {run.name: _standing(run) for run in runs}
    finished = not all(standing.values())
    left_out = {name: why for name, why in standing.items() if why and finished}
    if len({run.recipe.training.checkpoints for run in runs}) == 1:  # then all of them are other trainings
        return left_out
    first: dict[tuple[str, str, Recipe], RunDirectory] = {}
    for run in sorted((run for run in runs if run.name not in left_out), key=lambda each: -each.epochs_done):
        other = first.setdefault((labels[run.name], seeds(run.recipe), _trained(run)[0]), run)
        if other is not run:
            left_out[run.name] = f"the same training as {other.name}, with other epochs kept"
    return left_out


@lru_cache(maxsize=4)  # every table of a study asks for its groups
def _comparable(
    runs: Runs,
    how_far: tuple[str, ...],  # a run's standing is part of what is remembered: it may go on
    by_name: bool,
    reference: str,
    of_study: str,
    so_far: bool,
) -> Groups:
    recipes = [run.recipe for run in runs]
    two_named = by_name and len(recipes) == 2
    keys = of_two(*recipes) if two_named else compared(recipes)
    labels = dict(zip((run.name for run in runs), method_labels(recipes, keys), strict=True))
    settings = [_overlay(runs, keys)] if two_named else _settings(runs, keys)
    for setting in settings:
        labels |= _distinct({run.name: labels[run.name] for run in setting.runs}, setting.runs)
    chosen = reference_of(list(labels.values()), reference, of_study)
    groups = []
    for setting in settings:
        left_out = counted(setting.runs, labels)
        shown = [run for run in setting.runs if so_far or run.name not in left_out]
        rows = [
            {"run": run.name, "seed": run.recipe.seed, "seeds": seeds(run.recipe), "label": labels[run.name]}
            for run in shown
        ]
        there = any(row["label"] == chosen for row in rows)
        members = pd.DataFrame(rows).assign(against=chosen if there else "")
        groups.append((replace(setting, runs=tuple(shown), left_out=left_out), members))
    return groups


def _distinct(labels: dict[str, str], runs: Sequence[RunDirectory]) -> dict[str, str]:
    """The labels of a setting's runs, numbered where runs that differ in more than seeds have equal ones."""
    recipes: dict[str, dict[tuple[Recipe, str], None]] = {}
    for run in runs:
        recipes.setdefault(labels[run.name], {})[_trained(run)] = None
    return {
        run.name: numbered([label] * len(recipes[label]))[list(recipes[label]).index(_trained(run))]
        for run in runs
        if (label := labels[run.name])
    }


def _trained(run: RunDirectory) -> tuple[Recipe, str]:
    """What runs must have in common to be seeds of each other: all but seeds and kept epochs; images and code."""
    return _without_kept(run.recipe.seedless), substance(run)


@lru_cache(maxsize=10_000)
def _without_kept(recipe: Recipe) -> Recipe:
    return replace(recipe, training=replace(recipe.training, checkpoints=()))


def substance(run: RunDirectory) -> str:
    """What of a run its recipe only names: its images and others' code, by check sums; "" if none is recorded.

    `images 1a2b3c4d, network 'nets:wide' 5e6f7a8b`. Runs that differ here are no seeds of each other.
    """
    return ", ".join(_substance(run))


def _substance(run: RunDirectory) -> list[str]:
    state = run.state()
    images = [f"images {str(state['data_sha256'])[:8]}"] if state.get("data_sha256") else []
    others = [f"{subject} {str(code['sha256'])[:8]}" for subject, code in sorted(state.get("code", {}).items())]
    return [*images, *others]


def _settings(runs: Sequence[RunDirectory], keys: tuple[str, ...]) -> list[Setting]:
    alike: dict[Recipe, dict[str, list[RunDirectory]]] = {}
    for run in runs:
        alike.setdefault(shared(run.recipe, keys), {}).setdefault(circumstances(run, keys), []).append(run)
    settings = []
    for (recipe, parts), words in zip(alike.items(), told_apart(list(alike)), strict=True):
        for of_part, members in (known := _known(parts)).items():
            told = ", ".join(filter(None, [words, of_part if len(known) > 1 else ""]))
            floor = fmean(run.floor for run in members)
            settings.append(Setting(recipe, tuple(members), floor, told, keys))
    return settings


def circumstances(run: RunDirectory, keys: Collection[str] = (REG,)) -> str:
    """Of the `substance` of a run what does not make its method (`keys`), so that it makes its setting.

    keys: "network" and "noise" leave out the code of networks and of corruption rules, where runs differ in these.
    """
    compared_too = {"network": "network ", "noise": "corruption rule "}
    of_methods = ("regularizer ", *(start for key, start in compared_too.items() if key in keys))
    return ", ".join(words for words in _substance(run) if not words.startswith(of_methods))


def editions(runs: Iterable[RunDirectory]) -> dict[str, str]:
    """What tells runs of equal regularizers apart whose code was edited: ` (2)`; "" of those with the first."""
    codes: dict[tuple[RegularizerSpec, ...], list[str]] = {}
    marks = {}
    for run in runs:
        known = codes.setdefault(run.recipe.regularizers, [])
        code = ", ".join(words for words in _substance(run) if words.startswith("regularizer "))
        if code not in known:
            known.append(code)
        place = known.index(code)
        marks[run.name] = f" ({place + 1})" if place else ""
    return marks


def _known(parts: Mapping[str, list[RunDirectory]]) -> dict[str, list[RunDirectory]]:
    """Runs by circumstances; one that recorded none is taken at its word, and goes with the first ones."""
    known = {told: list(runs) for told, runs in parts.items() if told}
    if not known:
        return dict(parts)
    next(iter(known.values())).extend(parts.get("", []))
    return known


def _overlay(runs: Sequence[RunDirectory], keys: tuple[str, ...]) -> Setting:
    """Two runs that were named, as one setting, whatever they differ in. Other labels have no floor in common."""
    one, other = (run.recipe.seedless.corruption for run in runs)
    floor = fmean(run.floor for run in runs) if one == other else math.nan
    return Setting(shared(runs[0].recipe), tuple(runs), floor, "", keys)


def references(selection: Selection) -> tuple[str, str]:
    """The method that a selection names to compare others with, and that which its study names; "" if none."""
    return selection.reference, str(selection.settings().get("reference", ""))


def reference_of(labels: Sequence[str], named: str, of_study: str) -> str:
    """Of these methods the one that was named; else the study's, if it is there; else bare; else the first."""
    if named and named not in labels:
        raise unknown("method to compare with", named, dict.fromkeys(labels))
    usual = BARE if BARE in labels else labels[0]
    return named or (of_study if of_study in labels else usual)


def methods_of(groups: Groups) -> list[str]:
    """The methods of comparable runs, the reference first, the others in the order of their runs."""
    rows = [row for _, members in groups for row in zip(members["against"], members["label"], strict=True)]
    return list(dict.fromkeys([*(against for against, _ in rows if against), *(label for _, label in rows)]))


def shared(recipe: Recipe, keys: tuple[str, ...] = (REG,)) -> Recipe:
    """What the runs of a setting share: a recipe without seeds, kept epochs and what makes a method (`keys`)."""
    return _shared(recipe.seedless, keys)


@lru_cache(maxsize=10_000)  # asked for again and again by every table, of studies with thousands of runs
def _shared(recipe: Recipe, keys: tuple[str, ...]) -> Recipe:
    usual = presets.get(presets.DEFAULT).recipe
    without: dict[str, Any] = {"network": usual.network} if "network" in keys else {}
    if REG in keys:
        without["regularizers"] = ()
    of_training = [OPTIONS[key][1].name for key in keys if key in TRAINING]
    if not {"schedule", "milestones"}.isdisjoint(of_training):  # neither fits what is usual of the other
        of_training += ["schedule", "milestones"]
    training = {name: getattr(usual.training, name) for name in of_training}
    return replace(recipe, training=replace(recipe.training, **training, checkpoints=()), **without)


def suffixes(recipes: Sequence[Recipe]) -> list[str]:
    """The ends of names of files of settings with these recipes: `--lr-0.1`; empty if there is only one."""
    return list(map(_suffix, told_apart(recipes)))


def _suffix(words: str) -> str:
    return SEPARATOR + for_file(words) if words else ""


def is_last(rows: pd.DataFrame, by: str | list[str] = "run", epoch: str = "epoch") -> pd.Series[bool]:
    """Whether a row has the last epoch among those of its value of `by`. A missing epoch counts as -1."""
    epochs = rows.assign(**{epoch: rows[epoch].fillna(-1)})  # a network from a file has no epoch
    return epochs[epoch] == epochs.groupby(by)[epoch].transform("max")


def after_epochs(epochs: pd.Series, which: str = "After the last kept epoch") -> str:
    """A sentence for a note: `After the last kept epoch (1, 2, counted from 0). `; empty if there are none."""
    different = sorted({int(epoch) for epoch in epochs.dropna()})
    return f"{which} ({', '.join(map(str, different))}, counted from 0). " if different else ""


def percent(rows: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The same rows, with fractions in these columns in percent."""
    return rows.assign(**{name: 100 * rows[name] for name in columns})


def merged(table: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """The rows of a derived table that are of these runs, in their order; with the columns of `members`."""
    return members.merge(table, on="run") if len(table) else table


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
