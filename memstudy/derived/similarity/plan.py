"""Which representations of a selection's runs are compared, and why.

Networks that begin with the same weights stay more alike than others, whatever is done to them. So pairs of runs
are told apart by how they began, and like is held against like:

    same seed       one network, data set and seed: every weight that both have is the same before training
                    (methods such as batch normalization add some), and samples come in the same order where
                    training samples and batch size are equal
    other seed      the same network, which begins with other weights
    other network   nothing in common, whatever the seeds; so are a network born with batch normalization and the
                    same with `nobn`, where biases are drawn in its place

and besides `and other labels` where corruption or its seed differ. A twin has the same seed, two seeds of one
recipe have other ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from memstudy.derived.kept import kept
from memstudy.derived.similarity import Similarity
from memstudy.recipe import Recipe
from memstudy.report.frames import AL2
from memstudy.store import RunDirectory

TWIN, SEED, PAST, CONTROL, PAIR, GRID = "twin", "seed", "past", "control", "pair", "grid"
UNIFORM = "uniform random"
SAME_SEED, OTHER_SEED, OTHER_NETWORK = "same seed", "other seed", "other network"
OTHER_LABELS = " and other labels"

Side = tuple[RunDirectory | None, int]  # None is the uniform-random control


@dataclass(frozen=True)
class Comparison:
    """Two representations and why they are compared."""

    relation: str
    a: Side
    b: Side


def describe_side(side: Side, similarity: Similarity) -> str:
    """A side in words: run (or control), epoch and layer."""
    run, epoch = side
    return f"{UNIFORM if run is None else run.name}, epoch {epoch}, layer {similarity.title}"


def is_twin(baseline: Recipe, other: Recipe) -> bool:
    """Whether `other` is the baseline with AL2 added and nothing else changed."""
    without = tuple(r for r in other.regularizers if r.name != AL2)
    return other.options(AL2) is not None and replace(other, regularizers=without) == baseline


def are_seeds(one: Recipe, other: Recipe) -> bool:
    """Whether two recipes differ by the model's seed alone."""
    return one.seed < other.seed and replace(one, seed=other.seed) == other


def start(one: Recipe, other: Recipe) -> str:
    """How two runs on one data set began: SAME_SEED, OTHER_SEED or OTHER_NETWORK (see the module)."""
    if _network(one) != _network(other):
        return OTHER_NETWORK
    return SAME_SEED if one.seed == other.seed else OTHER_SEED


def _network(recipe: Recipe) -> tuple[str, bool]:
    return recipe.network, recipe.options("nobn") is not None


def relation(why: str, one: Recipe, other: Recipe) -> str:
    """PAIR or GRID with how the two runs began: `pair: other seed and other labels`."""
    return f"{why}: {start(one, other)}" + (OTHER_LABELS if one.corruption != other.corruption else "")


def kind(relation: str) -> str:
    """The first part of a relation: PAIR of `pair: other seed`. TWIN, SEED, PAST and CONTROL are all of theirs."""
    return relation.partition(": ")[0]


def began(relation: str) -> str:
    """The second part of a relation: `other seed` of `pair: other seed`; empty for those that have none."""
    return relation.partition(": ")[2]


def couples(runs: Sequence[RunDirectory], all_pairs: bool) -> list[tuple[str, RunDirectory, RunDirectory]]:
    """The couples of runs to compare, each with its relation: every two of them, if `all_pairs`.

    Else each baseline with its AL2 twins, and every two runs that differ by the seed alone. The latter say how
    similar two networks of one recipe are that began with different weights.
    """
    if all_pairs:
        return [(relation(PAIR, a.recipe, b.recipe), a, b) for a, b in itertools.combinations(runs, 2)]
    twins = [(TWIN, a, b) for a in runs for b in runs if is_twin(a.recipe, b.recipe)]
    return twins + [(SEED, a, b) for a in runs for b in runs if are_seeds(a.recipe, b.recipe)]


def plan(runs: Sequence[RunDirectory], all_pairs: bool, epochs: Sequence[int] | None = None) -> list[Comparison]:
    """What is compared: couples at common epochs, every two epochs of a run, and each run with the control.

    Besides, unless all pairs are couples anyway: every two runs of one data set, at their last common epoch
    (GRID).
    """
    comparisons = []
    for why, a, b in couples(runs, all_pairs):
        common = sorted(set(kept(a, epochs)) & set(kept(b, epochs)))
        comparisons += [Comparison(why, (a, epoch), (b, epoch)) for epoch in common]
    for a, b in [] if all_pairs else itertools.combinations(runs, 2):
        if a.recipe.dataset == b.recipe.dataset:
            last = [epoch for epoch in kept(a, epochs) if epoch in kept(b, epochs)][-1:]
            comparisons += [
                Comparison(relation(GRID, a.recipe, b.recipe), (a, epoch), (b, epoch)) for epoch in last
            ]
    for run in runs:
        epochs_kept = kept(run, epochs)
        comparisons += [Comparison(PAST, (run, a), (run, b)) for a, b in itertools.combinations(epochs_kept, 2)]
        comparisons.append(Comparison(CONTROL, (run, epochs_kept[-1]), (None, epochs_kept[-1])))
    return comparisons
