"""All methods, alone and in pairs, under label noise: which one helps, how surely, and what pairs add (ours).

One ranking holds runs that differ in regularizers, corruption and seeds alone.

    gain      final test accuracy minus the reference's (see `comparable_runs`; bare training, unless another is
              named) at the same rates and seed, mean over the noisy rates
    rank      by final test accuracy among all methods at a rate and seed, 1 the best, ties shared; mean over these
    synergy   of a pair a+b: its accuracy minus that of the better of a and b alone, in the mean over common seeds

A seed is one observation: its mean over the rates. Gain and synergy are tested by `report.differences`, with
p-values adjusted over all methods, or all pairs. The mean rank has a bootstrap interval over seeds. The same
numbers decide which of a and b is better, so the better one was also lucky: synergy is rather too small than too
large.

There is a ranking for three or more sets of regularizers, if the study asks for it. It is made unasked if they
were trained at two or more rates or rules, or if they are ten or more: fewer at one rate are in the other tables.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd

from memstudy.analysis.significance import bootstrap_interval
from memstudy.derived.ablation import Ablation
from memstudy.derived.ablation.areas import areas
from memstudy.derived.landscape import FLATNESS, MEASURED
from memstudy.derived.ranking import Ranking
from memstudy.derived.reading import read
from memstudy.distinctions import REG
from memstudy.recipe import Corruption, Recipe, RegularizerSpec
from memstudy.regularizers import label
from memstudy.report.differences import COLUMNS, differences
from memstudy.report.frames import (
    Runs,
    circumstances,
    comparable_runs,
    editions,
    evaluation_notes,
    is_last,
    is_trained,
    metrics_of,
    reference_of,
    references,
    seeds,
    shared,
    suffixes,
    while_unchanged,
)
from memstudy.report.methods import method_labels
from memstudy.report.origin import BEHIND, PARTS, Behind, Member, Members, Read, Row, of_metrics
from memstudy.store import RunDirectory
from memstudy.store.layout import METRICS
from memstudy.store.store import Selection

LEAST_SETS, MANY_SETS = 3, 10
"""The least sets of regularizers for a ranking, and for one at a single rate that was not asked for."""
QUANTITIES = {
    "final": ("test accuracy, %", 2),
    "best": ("best epoch, %", 2),
    "memorized": ("memorized, %", 1),
    "activation_loss": ("L_r", 3),
    "area": ("ablation area, %", 2),
    "flatness": ("landscape cv", 2),
}
"""Heading and decimals of each quantity of a run, after its last epoch (but for `best`)."""
COMPARED = ("gain", "clean_gain", "synergy")
"""The differences that are tested."""
Numbered = tuple[tuple[str, int], float]
"""(run, epoch) of a network, and a number of it."""
Derived = dict[tuple[str, int], float]
"""A number of each network, by (run, epoch)."""


@dataclass(frozen=True)
class Group:
    """The runs of one ranking.

    runs: one row each: `method`, `corruption` in words, `noisy`, `seeds` (both), and those of QUANTITIES that were
        measured; lower rates first.
    methods: by name.
    reference: the method that gains are over; "" if it is none of them.
    notes: on runs that were not evaluated after each epoch (see `frames.evaluation_notes`).
    """

    recipe: Recipe  # what they share
    runs: pd.DataFrame
    methods: dict[str, tuple[RegularizerSpec, ...]]
    unfinished: int
    reference: str
    notes: tuple[str, ...] = ()

    @property
    def headings(self) -> dict[str, str]:
        """Those of COMPARED."""
        return dict(zip(COMPARED, (f"gain over {self.reference}", "gain on true labels", "synergy"), strict=True))

    @property
    def title(self) -> str:
        """The setting in a few words."""
        r = self.recipe
        part = "" if r.train_size is None else f" ({r.train_size:,} samples)"
        normalization = "" if r.normalization == "al2" else f", {r.normalization} normalization"
        reconstructed = any(
            regularizer.name == "pilcro" for method in self.methods.values() for regularizer in method
        )
        return (
            f"{r.dataset}{part}, {r.network}, {r.training.epochs} epochs, lr {r.training.learning_rate:g}"
            f"{normalization}{'; pilcro: our reconstruction' if reconstructed else ''}"
        )

    @cached_property
    def corruptions(self) -> list[str]:
        """All of them, in words."""
        return self.runs["corruption"].unique().tolist()

    @cached_property
    def ranked(self) -> list[str]:
        """The corruptions that the ranking is over: the noisy ones, or all if none is."""
        return self.runs.loc[self.runs["noisy"], "corruption"].unique().tolist() or self.corruptions

    @cached_property
    def accuracy(self) -> pd.DataFrame:
        """Final accuracy, %: a row a (method, seeds), a column a corruption; NaN where there is no such run."""
        return self.runs.pivot_table(index=["method", "seeds"], columns="corruption", values="final")

    def by_seed(self, corruptions: Sequence[str]) -> pd.DataFrame:
        """Columns method, seeds, value: final accuracy, mean over corruptions, of seeds that have all of them.

        PARTS are the runs that each is the mean of.
        """
        complete = self.accuracy.reindex(columns=list(corruptions)).dropna()
        parts = [
            tuple(self._final[method, seeds, each] for each in corruptions) for method, seeds in complete.index
        ]
        rows = complete.mean(axis="columns").rename("value").reset_index()
        return rows.assign(**{PARTS: pd.Series(parts, index=rows.index, dtype=object)})

    @cached_property
    def _final(self) -> dict[tuple[str, str, str], Member]:
        """The run with the final accuracy of each method, seeds and corruption."""
        return {
            (row["method"], row["seeds"], row["corruption"]): Member(
                row["run"], row["seeds"], row["epoch"], row["final"], of_measure(row | {"measure": "final"})
            )
            for row in self.runs.to_dict("records")
        }

    @cached_property
    def shared(self) -> pd.DataFrame:
        """The accuracies that are ranked: those of seeds that all methods have at all of `ranked`."""
        complete = self.accuracy.reindex(columns=self.ranked).dropna()
        methods = complete.index.get_level_values("method").nunique()
        return complete[complete.groupby("seeds")[self.ranked[:1]].transform("size") == methods]

    @cached_property
    def ranks(self) -> pd.DataFrame:
        """Mean rank over `ranked`: a row a seed that all methods have, a column a method."""
        return self.shared.groupby("seeds").rank(ascending=False).mean(axis="columns").unstack("method")

    def ranked_runs(self, method: str) -> list[tuple[tuple[str, str], Member]]:
        """The runs of a method whose ranks there are, by seeds and corruption."""
        seeds = self.shared.xs(method, level="method").index
        return [((each, corruption), self._final[method, each, corruption])
                for each in seeds for corruption in self.ranked]  # fmt: skip

    @cached_property
    def ranking(self) -> pd.DataFrame:
        """One row a method, the best first: its numbers (see `_row`), and each of COMPARED in percentage points.

        The other columns of `differences` have names such as `gain_low`. Methods are sorted by mean rank, or by
        accuracy if there is no seed that all of them have.
        """
        ranked = self.by_seed(self.ranked)
        clean = self.by_seed([corruption for corruption in self.corruptions if corruption not in self.ranked])
        to_reference = [rows.assign(of="", against=self.reference) for rows in (ranked, clean)]
        table = pd.DataFrame([_row(self, name, ranked[ranked["method"] == name]) for name in self.methods])
        for compared, rows in zip(COMPARED, (*to_reference, _pairs(self, ranked)), strict=True):
            tested = differences(rows, ["of", "method"], method="method").dropna(subset="against")
            names = {name: f"{compared}_{name}" for name in [*COLUMNS, BEHIND]} | {"difference": compared}
            table = table.merge(tested.drop(columns="of").rename(columns=names), how="left", on="method")
        return table.sort_values(["rank", "accuracy"], ascending=[True, False], ignore_index=True)


def each_ranking(selection: Selection) -> Iterator[tuple[Group, str]]:
    """Each of `ranking_groups`, and the end of its files' names, which tells it from the others."""
    groups = ranking_groups(selection)
    return zip(groups, suffixes([group.recipe for group in groups]), strict=True)


def ranking_groups(selection: Selection) -> list[Group]:
    """Every group of the selection's finished runs that has a ranking."""
    tables = selection.settings().get("tables")
    asked = isinstance(tables, list) and Ranking.name in tables
    if not while_unchanged(_chosen, selection.runs, asked):
        return []
    derived = (tuple(numbers.items()) for numbers in (_areas(selection), _flatness(selection)))
    counted = tuple(setting.runs for setting, _ in comparable_runs(selection))
    return while_unchanged(_groups, selection.runs, asked, counted, *derived, *references(selection))


@lru_cache(maxsize=2)  # for the table, its figures and its chart
def _groups(
    runs: Runs,
    marks: tuple[str, ...],
    asked: bool,
    counted: tuple[Runs, ...],
    areas: tuple[Numbered, ...],
    flatness: tuple[Numbered, ...],
    named: str,
    of_study: str,
) -> list[Group]:
    """The groups. counted: the runs of each setting, as other tables have them; named, of_study: `references`."""
    chosen = _chosen(runs, marks, asked)
    derived = dict(areas), dict(flatness)
    measured = pd.concat([_measured(while_unchanged(metrics_of, of_one), *derived) for of_one in counted])
    groups = [_group(recipe, members, measured) for (recipe, _), members in chosen.items()]
    reference = reference_of([name for group in groups for name in group.methods], named, of_study)
    return [replace(group, reference=reference if reference in group.methods else "") for group in groups]


@lru_cache(maxsize=2)
def _chosen(runs: Runs, marks: tuple[str, ...], asked: bool) -> dict[tuple[Recipe, str], list[RunDirectory]]:
    """Runs of each ranking; `asked` is whether a study names this table."""
    return {key: members for key, members in _members(runs).items() if _enough(members, asked)}


def most_sets(runs: Iterable[RunDirectory]) -> int:
    """How many sets of regularizers, at most, could be in one ranking."""
    return max(map(_sets, _members(runs).values()), default=0)


def _members(runs: Iterable[RunDirectory]) -> dict[tuple[Recipe, str], list[RunDirectory]]:
    """Runs by the recipe and the circumstances that those of one ranking share."""
    members: dict[tuple[Recipe, str], list[RunDirectory]] = {}
    for run in runs:
        members.setdefault((_but_for_labels(shared(run.recipe)), circumstances(run, ("noise",))), []).append(run)
    return members


@lru_cache(maxsize=10_000)  # few, of studies with thousands of runs
def _but_for_labels(recipe: Recipe) -> Recipe:
    return replace(recipe, corruption=Corruption())


def _sets(runs: Iterable[RunDirectory]) -> int:
    return len({label(run.recipe.regularizers) for run in _finished(runs)})


def _finished(runs: Iterable[RunDirectory]) -> list[RunDirectory]:
    return [run for run in runs if is_trained(run)]


def _enough(runs: Sequence[RunDirectory], asked: bool) -> bool:
    sets = _sets(runs)
    corruptions = len({run.recipe.seedless.corruption for run in _finished(runs)})
    return sets >= LEAST_SETS and (asked or corruptions > 1 or sets >= MANY_SETS)


def _group(recipe: Recipe, members: Sequence[RunDirectory], measured: pd.DataFrame) -> Group:
    trained = _finished(members)
    finished = [run for run in trained if run.name in measured.index]
    words = _words(run.recipe.seedless.corruption for run in finished)
    order = list(words.values())
    finished.sort(key=lambda run: order.index(words[run.recipe.seedless.corruption]))
    one_each = {run.recipe.regularizers: run.recipe for run in finished}
    names = dict(zip(one_each, method_labels(list(one_each.values()), (REG,)), strict=True))
    marks = editions(finished)
    methods = {run.name: f"{names[run.recipe.regularizers]}{marks[run.name]}" for run in finished}
    rows = [
        {
            "run": run.name,
            "method": methods[run.name],
            "corruption": words[run.recipe.seedless.corruption],
            "noisy": run.recipe.corruption.rate != 0,
            "seeds": seeds(run.recipe),
        }
        for run in finished
    ]
    table = pd.DataFrame(rows).join(measured, on="run")
    table = table.drop_duplicates(["method", "corruption", "seeds"])  # not with other epochs kept once more
    absent = [name for name in QUANTITIES if table[name].isna().all()]
    of_methods = {methods[run.name]: run.recipe.regularizers for run in finished}
    unfinished, notes = len(members) - len(trained), evaluation_notes(finished)
    return Group(recipe, table.drop(columns=absent), of_methods, unfinished, "", notes)


def _words(corruptions: Iterable[Corruption]) -> dict[Corruption, str]:
    """Rules and rates in words, lower rates first; matrices of equal words are numbered."""
    words: dict[Corruption, str] = {}
    rules = {replace(corruption, seed=0) for corruption in set(corruptions)}
    for rule in sorted(rules, key=lambda c: (c.rate or 0, c.rule, c.matrix, c.labels)):
        namesakes = sum(other.title == rule.title for other in words)
        words[rule] = f"{rule.title} ({namesakes + 1})" if namesakes else rule.title
    return words


def of_measure(row: Row) -> Read:
    """Where a run's number of QUANTITIES, its `measure`, stands."""
    name = str(row["measure"])
    if name == "area":
        how = "of Bernoulli masks, where both protocols are there"
        return Read(Ablation().areas, {"run": row["run"], "epoch": row["epoch"]}, "area", how)
    if name == "flatness":
        return Read(FLATNESS, {"run": row["run"], "epoch": row["epoch"], "kind": MEASURED}, "cv")
    if name == "best":
        epochs = {"epoch": f"0 to {row['epoch']}"}
        return Read(f"{row['run']}/{METRICS}", epochs, "test_accuracy", "the largest, × 100")
    column = {"final": "test_accuracy", "activation_loss": "train_activation_loss"}.get(name, name)
    return of_metrics(row, column, "" if name == "activation_loss" else "× 100")


def _measured(runs: pd.DataFrame, areas: Derived, flatness: Derived) -> pd.DataFrame:
    """The last epoch of each run, and QUANTITIES after it, from the metrics of `runs`; a row a run, by name."""
    each = runs.groupby("run", sort=False)
    last = each.tail(1).set_index("run")
    networks = list(zip(last.index, last["epoch"], strict=True))
    return pd.DataFrame(
        {
            "epoch": last["epoch"],
            "final": 100 * last["test_accuracy"],
            "best": 100 * each["test_accuracy"].max(),
            "memorized": 100 * last["memorized"],
            "activation_loss": last["train_activation_loss"],
            "area": [areas.get(network, math.nan) for network in networks],
            "flatness": [flatness.get(network, math.nan) for network in networks],
        }
    )


def _areas(selection: Selection) -> Derived:
    """Ablation areas after each run's last ablated epoch, of Bernoulli masks if both protocols are there."""
    curves = read(selection.path / Ablation().curves)
    if len(curves):
        curves = curves[is_last(curves)]
        masks = curves["protocol"] == "bernoulli"
        curves = curves[masks] if masks.any() else curves
    measured = areas(curves)
    return dict(zip(zip(measured["run"], measured["epoch"], strict=True), measured["area"], strict=True))


def _flatness(selection: Selection) -> Derived:
    """Coefficients of variation of measured importance landscapes."""
    table = read(selection.path / FLATNESS)
    if table.empty:
        return {}
    table = table[table["kind"] == MEASURED]
    return dict(zip(zip(table["run"], table["epoch"], strict=True), table["cv"], strict=True))


def _row(group: Group, name: str, rows: pd.DataFrame) -> dict[str, object]:
    """A method's accuracy over `n` seeds, its rows of `by_seed`; its rank over `rank_n`, with an interval."""
    ours = rows["value"]
    ranks = group.ranks.get(name, pd.Series(dtype=float))
    low, high = bootstrap_interval(ranks)
    return {
        "method": name,
        "regularizers": len(group.methods[name]),
        "n": len(ours),
        "accuracy": ours.mean(),
        "accuracy_sd": ours.std(),
        f"accuracy_{BEHIND}": Behind(Members(rows, np.arange(len(rows)), "value")),
        "rank_n": len(ranks),
        "rank": ranks.mean(),
        "rank_low": low,
        "rank_high": high,
    }


def _pairs(group: Group, rows: pd.DataFrame) -> pd.DataFrame:
    """For each pair of methods (column `of`) its rows and those of the better one of the two alone (`against`).

    Only seeds that the pair and both methods have count; maybe there are none. rows: of `by_seed`.
    """
    names = {method: name for name, method in reversed(group.methods.items())}
    rows_of_pairs = [rows[:0].assign(of="", against="")]
    for pair, method in group.methods.items():
        parts = [
            rows[rows["method"] == name]
            for name in (pair, *(names.get((regularizer,), "") for regularizer in method))
        ]
        common = set.intersection(*({*part["seeds"]} for part in parts))
        if len(method) == 2 and common:
            ours, *alone = (part[part["seeds"].isin(common)] for part in parts)
            better = max(alone, key=lambda part: part["value"].mean())
            rows_of_pairs.append(pd.concat([ours, better]).assign(of=pair, against=better["method"].iloc[0]))
    return pd.concat(rows_of_pairs)
