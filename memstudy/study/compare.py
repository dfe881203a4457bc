"""Which representations to compare, and their CCA, SVCCA and PWCCA.

Samples are the test images, positions of a convolutional trunk counted as samples (AL2's protocol). Each
kept network is factorized once; its comparisons are then cheap.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
from memstudy.study.trunk import NotFinite, Workbench

COEFFICIENTS = "svcca_coefficients.csv"
PAIRS = "svcca.csv"
KEY = ("relation", "run_a", "epoch_a", "checkpoint_a", "run_b", "epoch_b", "checkpoint_b", "keep")
VERSION = ("checkpoint_a", "checkpoint_b", "keep")

METHOD = "al2"  # what twins differ by
TWIN, PAST, CONTROL, PAIR = "twin", "past", "control", "pair"
UNIFORM = "uniform random"

Side = tuple[RunDirectory | None, int]  # None is the uniform-random control


@dataclass(frozen=True)
class Comparison:
    """Two representations and why they are compared."""

    relation: str
    a: Side
    b: Side


def is_twin(baseline: Recipe, other: Recipe) -> bool:
    """Whether `other` is the baseline with AL2 added and nothing else changed."""
    without = tuple(r for r in other.regularizers if r.name != METHOD)
    return other.options(METHOD) is not None and replace(other, regularizers=without) == baseline


def couples(runs: Sequence[RunDirectory], all_pairs: bool) -> list[tuple[RunDirectory, RunDirectory]]:
    """Each baseline with its AL2 twins (one for each choice of AL2's options), or every two runs."""
    if all_pairs:
        return list(itertools.combinations(runs, 2))
    return [(run, other) for run in runs for other in runs if is_twin(run.recipe, other.recipe)]


def common_epochs(a: RunDirectory, b: RunDirectory) -> list[int]:
    """The epochs that both runs kept, ascending."""
    return sorted(set(a.checkpoints()) & set(b.checkpoints()))


def plan(runs: Sequence[RunDirectory], all_pairs: bool) -> list[Comparison]:
    """Each run with its own past and with a uniform-random control; and its couples at equal epochs."""
    pairs = couples(runs, all_pairs)
    relation = PAIR if all_pairs else TWIN
    found = []
    for run in runs:  # all of one run in a row: its representations are then still at hand
        for partner in (b for a, b in pairs if a is run):
            epochs = common_epochs(run, partner)
            found += [Comparison(relation, (run, epoch), (partner, epoch)) for epoch in epochs]
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
    on_left_out: Callable[[str], None] = lambda what: None,
) -> pd.DataFrame:
    """Carry out the plan. Returns and writes one row a comparison; the whole coefficient sequences go to
    `svcca_coefficients.csv`. `on_left_out` is told what cannot be compared, and why.
    """
    _check_images(selection)
    for a, b in couples(selection.runs, all_pairs):
        if not common_epochs(a, b):
            on_left_out(f"{a.name} with {b.name}: they kept no common epoch")
    views = _views(bench)
    todo = plan(selection.runs, all_pairs)
    diverged: set[Side] = set()
    with (
        Rows(selection.path / COEFFICIENTS, KEY, VERSION) as sequences,
        Rows(selection.path / PAIRS, KEY, VERSION) as pairs,
    ):
        for done, comparison in enumerate(todo):
            key = _key(comparison, keep)
            if _complete(pairs.find(*key), sequences.find(*key)):
                sequences.keep(*key)
                pairs.keep(*key)
            elif not diverged & {comparison.a, comparison.b}:
                try:
                    sequence, pair = _measure(comparison, views, keep)
                    sequences.add(sequence, key)
                    pairs.add(pair, key)
                except NotFinite as error:
                    diverged.add(error.side)
                    on_left_out(str(error))
            on_pair(done + 1, len(todo))
    return read(selection.path / PAIRS)


def _check_images(selection: Selection) -> None:
    names = sorted({run.recipe.dataset for run in selection.runs})
    if len(names) > 1:
        raise MemstudyError(
            "representations can only be compared on the same test images, and the chosen runs use "
            f"{', '.join(names)}; choose runs of one data set."
        )


def _complete(pair: pd.DataFrame, sequence: pd.DataFrame) -> bool:
    """Whether all of a comparison is stored: its one row, and as many coefficients as the smaller rank."""
    ranks = pair.reindex(columns=["rank_a", "rank_b"]).apply(pd.to_numeric, errors="coerce")
    return bool(ranks.min(axis="columns").tolist() == [len(sequence)])


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
        return cca.factorize(cca.as_samples(bench.features(run, epoch)))

    def view(side: Side, partner: Side) -> cca.View:
        run, epoch = side
        if run is not None:
            return of(run, epoch)
        assert partner[0] is not None
        like = of(partner[0], partner[1])
        noise = torch.rand(like.n, like.p, generator=torch_generator(0, "cca control"), dtype=torch.float64)
        return cca.factorize(noise.to(like.basis.device))

    return view
