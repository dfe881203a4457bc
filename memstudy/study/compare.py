"""Which representations to compare, and their CCA, SVCCA and PWCCA.

Samples are the test images, positions of a convolutional trunk counted as samples (AL2's protocol). Each
kept network is factorized once; its comparisons are then cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import pandas as pd
import torch

from memstudy.analysis import cca
from memstudy.errors import MemstudyError
from memstudy.randomness import torch_generator
from memstudy.recipe import Recipe
from memstudy.store import RunDirectory
from memstudy.store.store import Selection
from memstudy.study.rows import Rows, read
from memstudy.study.trunk import Workbench

COEFFICIENTS = "svcca_coefficients.csv"
PAIRS = "svcca.csv"
KEY = ("relation", "run_a", "epoch_a", "checkpoint_a", "run_b", "epoch_b", "checkpoint_b", "keep")

TWIN, PAST, CONTROL, PAIR = "twin", "past", "control", "pair"
UNIFORM = "uniform random"

Side = tuple[RunDirectory | None, int]  # None is the uniform-random control


@dataclass(frozen=True)
class Comparison:
    """Two representations and why they are compared."""

    relation: str
    a: Side
    b: Side


def twin_of(recipe: Recipe, among: Iterable[Recipe], method: str = "al2") -> Recipe | None:
    """The recipe that differs by one regularizer alone: a baseline's AL2 twin."""
    for other in among:
        rest = tuple(r for r in other.regularizers if r.name != method)
        if other.options(method) is not None and rest == recipe.regularizers:
            same = other.as_dict() | {"regularizers": {}}
            if same == recipe.as_dict() | {"regularizers": {}}:
                return other
    return None


def plan(runs: Sequence[RunDirectory], all_pairs: bool) -> list[Comparison]:
    """Each run with its own past and with a uniform-random control; and each baseline with its AL2 twin at
    equal epochs, or, if asked for, every two runs.
    """
    by_recipe = {run.recipe: run for run in runs}
    found = []
    for index, run in enumerate(runs):  # all of one run in a row: its representations are then still at hand
        if all_pairs:
            partners = list(runs[index + 1 :])
        else:
            twin = twin_of(run.recipe, by_recipe)
            partners = [] if twin is None else [by_recipe[twin]]
        for partner in partners:
            common = sorted(set(run.checkpoints()) & set(partner.checkpoints()))
            relation = PAIR if all_pairs else TWIN
            found += [Comparison(relation, (run, epoch), (partner, epoch)) for epoch in common]
        *earlier, last = run.checkpoints()
        found += [Comparison(PAST, (run, epoch), (run, last)) for epoch in earlier]
        found.append(Comparison(CONTROL, (run, last), (None, last)))
    return found


def compare(
    selection: Selection,
    bench: Workbench,
    *,
    keep: cca.KeepRule,
    all_pairs: bool = False,
    on_pair: Callable[[int, int], None] = lambda done, total: None,
) -> pd.DataFrame:
    """Carry out the plan. Returns and writes one row a comparison; the whole coefficient sequences go to
    `svcca_coefficients.csv`.
    """
    if len({run.recipe.dataset for run in selection.runs}) > 1:
        names = ", ".join(sorted({run.recipe.dataset for run in selection.runs}))
        raise MemstudyError(
            "representations can only be compared on the same test images, and the chosen runs use "
            f"{names}; choose runs of one data set."
        )
    views = _views(bench)
    todo = plan(selection.runs, all_pairs)
    with Rows(selection.path / COEFFICIENTS, KEY) as sequences, Rows(selection.path / PAIRS, KEY) as pairs:
        for done, comparison in enumerate(todo):
            key = _key(comparison, keep)
            if not (sequences.keep(*key) and pairs.keep(*key)):
                sequence, pair = _measure(comparison, views, keep)
                sequences.add(sequence, key)
                pairs.add(pair, key)
            on_pair(done + 1, len(todo))
    return read(selection.path / PAIRS)


def _key(comparison: Comparison, keep: cca.KeepRule) -> tuple[str | int, ...]:
    def side(run: RunDirectory | None, epoch: int) -> tuple[str | int, ...]:
        if run is None:
            return UNIFORM, epoch, ""
        return run.name, epoch, run.checkpoint_digest(epoch)[:12]

    return comparison.relation, *side(*comparison.a), *side(*comparison.b), str(keep)


def _measure(
    comparison: Comparison, views: Callable[[Side, Side], cca.View], keep: cca.KeepRule
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The sequence of coefficients, one row each, and the one row that sums them up."""
    a, b = views(comparison.a, comparison.a), views(comparison.b, comparison.a)
    coefficients = cca.coefficients(a, b)
    sequence = pd.DataFrame({"index": range(1, len(coefficients) + 1), "coefficient": coefficients.tolist()})
    pair = {
        "n": a.n,
        "p_a": a.p,
        "p_b": b.p,
        "rank_a": a.rank,
        "rank_b": b.rank,
        "cca": float(coefficients.mean()) if len(coefficients) else float("nan"),
        "svcca": cca.svcca(a, b, keep),
        "kept_a": a.truncated(keep).rank,
        "kept_b": b.truncated(keep).rank,
        "pwcca": cca.pwcca(a, b),
    }
    return sequence, pd.DataFrame([pair])


def _views(bench: Workbench) -> Callable[[Side, Side], cca.View]:
    """Factorized representations, the most recent ones remembered: a plan asks for the same ones in a row."""

    @lru_cache(maxsize=32)
    def of(run: RunDirectory, epoch: int) -> cca.View:
        features = bench.features(run, bench.network(run, epoch))
        return cca.factorize(cca.as_samples(features))

    def view(side: Side, partner: Side) -> cca.View:
        run, epoch = side
        if run is not None:
            return of(run, epoch)
        assert partner[0] is not None
        like = of(partner[0], partner[1])
        noise = torch.rand(like.n, like.p, generator=torch_generator(0, "cca control"), dtype=torch.float64)
        return cca.factorize(noise.to(like.basis.device))

    return view
