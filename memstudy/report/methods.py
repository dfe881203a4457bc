"""All methods, alone and in pairs, under label noise: which one helps, how surely, and what pairs add (ours).

One ranking holds runs that differ in regularizers, corruption and seeds alone.

    gain      final test accuracy minus that of `bare` at the same rates and seed, mean over the noisy rates
    rank      by final test accuracy among all methods at a rate and seed, 1 the best, ties shared; mean over these
    synergy   of a pair a+b: its accuracy minus that of the better of a and b alone, in the mean over common seeds

A seed is one observation, its mean over the rates. Gain and synergy have the intervals and p-values of
`analysis.significance.compare`, and p-values adjusted by Holm's method over all methods, or all pairs. The mean
rank has a bootstrap interval over seeds. As these very numbers say which of a and b is better, luck makes that one
look better, and synergy too small rather than too large.

There is a ranking where a study asks for it and has three sets of regularizers or more. Nobody need ask for it if
these were trained at two rates or rules at least, or are ten: fewer at one rate are in the other tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from memstudy.analysis.significance import Comparison, bootstrap_interval, compare, holm
from memstudy.recipe import Corruption, Recipe, Regularizer
from memstudy.regularizers import BARE, label
from memstudy.report.frames import named, shared
from memstudy.store import RunDirectory
from memstudy.store.store import Selection
from memstudy.study import ablate, landscape
from memstudy.study.rows import read

NAME = "ranking"
LEAST, MANY = 3, 10
"""Sets of regularizers for a ranking at all, and for one at a single rate that nobody asked for."""
MEASURES = {
    "final": ("test accuracy, %", 2),
    "best": ("best epoch, %", 2),
    "memorized": ("memorized, %", 1),
    "activation_loss": ("L_r", 3),
    "area": ("ablation area, %", 2),
    "flatness": ("landscape cv", 2),
}
"""Headings and decimals of what is measured of a run, after its last epoch but for `best`."""
COMPARED = {"gain": "gain over bare", "clean_gain": "gain on true labels", "synergy": "synergy"}
"""Differences that are tested, and their headings."""


@dataclass(frozen=True)
class Group:
    """Runs that one ranking may hold.

    runs: a row each: `method`, `corruption` in words, `noisy`, `seed` (of weights and of corruption), and those of
        MEASURES that were made; lower rates first.
    methods: by name, `bare` among them if it was trained.
    """

    recipe: Recipe  # what they share
    runs: pd.DataFrame
    methods: dict[str, tuple[Regularizer, ...]]
    unfinished: int

    @property
    def title(self) -> str:
        """The setting in a few words."""
        r = self.recipe
        part = "" if r.train_size is None else f" ({r.train_size:,} samples)"
        own = "" if r.normalization == "al2" else f", {r.normalization} normalization"
        ours = any(each.name == "pilcro" for method in self.methods.values() for each in method)
        return (
            f"{r.dataset}{part}, {r.network}, {r.training.epochs} epochs, lr {r.training.learning_rate:g}{own}"
            f"{'; pilcro: our reconstruction' if ours else ''}"
        )

    @property
    def corruptions(self) -> list[str]:
        """All of them, in words."""
        return list(dict.fromkeys(self.runs["corruption"]))

    @property
    def ranked(self) -> list[str]:
        """What the ranking is over: the noisy ones; all, if none is."""
        return list(dict.fromkeys(self.runs.loc[self.runs["noisy"], "corruption"])) or self.corruptions

    @cached_property
    def accuracy(self) -> pd.DataFrame:
        """Final accuracy, %: a row a (method, seed), a column a corruption; NaN where there is no such run."""
        return self.runs.pivot_table(index=["method", "seed"], columns="corruption", values="final")

    def by_seed(self, method: str, corruptions: Sequence[str]) -> pd.Series:
        """Final accuracy by seed, mean over corruptions, of the seeds that have them all."""
        whole = self.accuracy.reindex(columns=list(corruptions)).dropna()
        return whole[whole.index.get_level_values("method") == method].droplevel("method").mean(axis="columns")

    @cached_property
    def ranks(self) -> pd.DataFrame:
        """(seeds, methods): mean over `ranked` of the rank among all methods, of the seeds that they all have."""
        whole = self.accuracy.reindex(columns=self.ranked).dropna()
        methods = whole.index.get_level_values("method").nunique()
        whole = whole[whole.groupby("seed")[self.ranked[:1]].transform("size") == methods]
        return whole.groupby("seed").rank(ascending=False).mean(axis="columns").unstack("method")

    @cached_property
    def ranking(self) -> pd.DataFrame:
        """A row a method, the best first: see `_row`. Without a seed that all have, it goes by accuracy."""
        found = pd.DataFrame([_row(self, name) for name in self.methods])
        for what in COMPARED:
            place = list(found.columns).index(f"{what}_p")
            found.insert(place + 1, f"{what}_p_holm", holm(found[f"{what}_p"]))
        return found.sort_values(["rank", "accuracy"], ascending=[True, False], ignore_index=True)


def groups(selection: Selection) -> list[Group]:
    """Every group of the selection's finished runs that has a ranking."""
    tables = selection.settings().get("tables")
    asked = isinstance(tables, list) and NAME in tables
    members: dict[Recipe, list[RunDirectory]] = {}
    for run in selection.runs:
        members.setdefault(replace(shared(run.recipe), corruption=Corruption()), []).append(run)
    chosen = {recipe: runs for recipe, runs in members.items() if _enough(runs, asked)}
    if not chosen:
        return []
    derived = _areas(selection), _flatness(selection)
    return [_group(recipe, runs, *derived) for recipe, runs in chosen.items()]


def _finished(runs: Iterable[RunDirectory]) -> list[RunDirectory]:
    return [run for run in runs if run.epochs_done >= run.recipe.training.epochs]


def _enough(runs: Sequence[RunDirectory], asked: bool) -> bool:
    finished = _finished(runs)
    sets = len({label(run.recipe.regularizers) for run in finished})
    corruptions = len({_rule(run.recipe.corruption) for run in finished})
    return sets >= LEAST and (asked or corruptions > 1 or sets >= MANY)


Derived = dict[tuple[str, int], float]
"""A number by (run, epoch)."""


def _group(recipe: Recipe, members: Sequence[RunDirectory], areas: Derived, flatness: Derived) -> Group:
    finished = _finished(members)
    words = _words(run.recipe.corruption for run in finished)
    order = list(words.values())
    finished.sort(key=lambda run: order.index(words[_rule(run.recipe.corruption)]))
    one_each = {run.recipe.regularizers: run for run in finished}
    names = {method: named(run, one_each.values()) for method, run in one_each.items()}
    rows = []
    for run in finished:
        corruption, last = run.recipe.corruption, (run.name, recipe.training.epochs - 1)
        rows.append(
            {
                "method": names[run.recipe.regularizers],
                "corruption": words[_rule(corruption)],
                "noisy": corruption.rate != 0,
                "seed": f"{run.recipe.seed}/{corruption.seed}",
                "area": areas.get(last),
                "flatness": flatness.get(last),
                **_measured(run.metrics()),
            }
        )
    columns = ["method", "corruption", "noisy", "seed", *MEASURES]
    table = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(MEASURES, float) | {"noisy": bool})
    absent = [name for name in MEASURES if table[name].isna().all()]
    methods = {name: method for method, name in names.items()}
    return Group(recipe, table.drop(columns=absent), methods, len(members) - len(finished))


def _rule(corruption: Corruption) -> Corruption:
    return replace(corruption, seed=0)


def _words(corruptions: Iterable[Corruption]) -> dict[Corruption, str]:
    """Rules and rates in words, lower rates first; two matrices are told apart by numbers."""
    found: dict[Corruption, str] = {}
    for each in sorted({_rule(c) for c in corruptions}, key=lambda c: (c.rate or 0, c.rule, c.matrix, c.labels)):
        same = sum(other.title == each.title for other in found)
        found[each] = f"{each.title} ({same + 1})" if same else each.title
    return found


def _measured(metrics: pd.DataFrame) -> dict[str, float]:
    last = metrics.iloc[-1]
    return {
        "final": 100 * last["test_accuracy"],
        "best": 100 * metrics["test_accuracy"].max(),
        "memorized": 100 * last["memorized"],
        "activation_loss": last["train_activation_loss"],
    }


def _areas(selection: Selection) -> Derived:
    """Ablation areas after each run's last ablated epoch, of Bernoulli masks if both protocols are there."""
    curves = read(selection.path / ablate.CURVES)
    if len(curves):
        curves = curves[curves["epoch"] == curves.groupby("run")["epoch"].transform("max")]
        masks = curves["protocol"] == "bernoulli"
        curves = curves[masks] if masks.any() else curves
    areas = ablate.areas(curves)
    return dict(zip(zip(areas["run"], areas["epoch"], strict=True), areas["area"], strict=True))


def _flatness(selection: Selection) -> Derived:
    """Coefficients of variation of measured importance landscapes."""
    table = read(selection.path / landscape.FLATNESS)
    if table.empty:
        return {}
    table = table[table["kind"] == landscape.MEASURED]
    return dict(zip(zip(table["run"], table["epoch"], strict=True), table["cv"], strict=True))


def _row(group: Group, name: str) -> dict[str, object]:
    """A method's numbers: over `n` seeds its accuracy, over `rank_n` its rank with an interval, and COMPARED.

    Each of these is a difference in percentage points with its interval `_low` to `_high`, p and `_test`, or the
    reason why there is none: to bare under noise, to bare on true labels, and to `single`, the better one alone.
    """
    ours = group.by_seed(name, group.ranked)
    clean = [corruption for corruption in group.corruptions if corruption not in group.ranked]
    others = [BARE, BARE] if name != BARE else ["", ""]
    ranks = group.ranks.get(name, pd.Series(dtype=float))
    low, high = bootstrap_interval(ranks)
    single, synergy = _synergy(group, name)
    return {
        "method": name,
        "regularizers": len(group.methods[name]),
        "n": len(ours),
        "accuracy": ours.mean(),
        "accuracy_sd": ours.std(),
        "rank_n": len(ranks),
        "rank": ranks.mean(),
        "rank_low": low,
        "rank_high": high,
        **_columns("gain", _compared(ours, group.by_seed(others[0], group.ranked))),
        **_columns("clean_gain", _compared(group.by_seed(name, clean), group.by_seed(others[1], clean))),
        "single": single,
        **_columns("synergy", synergy),
    }


def _synergy(group: Group, name: str) -> tuple[str, Comparison]:
    """The better single method of a pair, and the pair against it; no name if it is no pair, or one is missing."""
    names = {method: name for name, method in group.methods.items()}
    parts = [names.get((part,), "") for part in group.methods[name]]
    pair = group.by_seed(name, group.ranked)
    alone = [group.by_seed(part, group.ranked) for part in parts]
    common = [seed for seed in pair.index if len(parts) == 2 and all(seed in each.index for each in alone)]
    if not common:
        return "", _compared(pair.iloc[:0], pair.iloc[:0])
    better = max((0, 1), key=lambda index: alone[index][common].mean())
    return parts[better], _compared(pair[common], alone[better][common])


def _compared(ours: pd.Series, theirs: pd.Series) -> Comparison:
    return compare(ours, theirs, seeds_a=list(ours.index), seeds_b=list(theirs.index))


def _columns(what: str, found: Comparison) -> dict[str, object]:
    return {
        what: found.difference,
        f"{what}_low": found.low,
        f"{what}_high": found.high,
        f"{what}_n": min(found.n_a, found.n_b),
        f"{what}_test": found.test or found.reason,
        f"{what}_p": found.p,
    }
