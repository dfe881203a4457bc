"""How similar the representations of a selection's runs are: CCA, SVCCA, PWCCA, CKA, Procrustes.

Samples are the test images; positions of a convolutional layer count as samples (AL2's protocol) or as units.
Networks that are compared with each other go through the images together, chunk by chunk, so that no
representation is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from memstudy.analysis import similarity
from memstudy.analysis.factorization import Pair, Stack, as_samples
from memstudy.analysis.keep import KeepRule
from memstudy.errors import MemstudyError
from memstudy.randomness import torch_generator
from memstudy.store import RunDirectory
from memstudy.store.store import Selection
from memstudy.study.comparisons import UNIFORM, USUAL, Comparison, Side, What, bundles, couples, plan
from memstudy.study.layers import output_of
from memstudy.study.rows import Rows, read
from memstudy.study.trunk import NotFinite, Workbench
from memstudy.training.evaluation import batch_size

KEY = ("relation", "run_a", "epoch_a", "checkpoint_a", "run_b", "epoch_b", "checkpoint_b", "keep")
VERSION = ("checkpoint_a", "checkpoint_b", "keep")


def compare(
    selection: Selection,
    bench: Workbench,
    *,
    keep: KeepRule,
    what: What = USUAL,
    all_pairs: bool = False,
    epochs: Sequence[int] | None = None,
    on_pair: Callable[[int, int], None] = lambda done, total: None,
    on_left_out: Callable[[str], None] = lambda what: None,
) -> pd.DataFrame:
    """Carry out the plan. Returns and writes one row a comparison; the whole coefficient sequences go to a file of
    their own. `on_left_out` is told what cannot be compared, and why.

    Columns of a row beside its key: n samples, p_a and p_b units, rank_a and rank_b, cca (mean coefficient),
    svcca, kept_a and kept_b directions, pwcca (weighted by a) and pwcca_back (by b), cka, cka_unbiased,
    procrustes.
    """
    _check_images(selection)
    for _, a, b in couples(selection.runs, all_pairs):
        if not set(a.checkpoints()) & set(b.checkpoints()):
            on_left_out(f"{a.name} with {b.name}: they kept no common epoch")
    todo = plan(selection.runs, all_pairs, epochs)
    gone: dict[Side, str] = {}
    with (
        Rows(selection.path / what.coefficients, KEY, VERSION) as sequences,
        Rows(selection.path / what.pairs, KEY, VERSION) as pairs,
    ):
        left = set()
        for comparison in todo:
            key = _key(comparison, keep)
            sequences.expect(*key)
            pairs.expect(*key)
            if _complete(pairs.find(*key), sequences.find(*key)):
                sequences.keep(*key)
                pairs.keep(*key)
            else:
                left.add(comparison)
        done = len(todo) - len(left)
        on_pair(done, len(todo))
        for bundle in bundles(todo):
            missing = left.intersection(bundle)
            if not missing:
                continue
            for comparison, pair in _pairs(bundle, bench, what, gone):  # all of it: the last digits depend on that
                if comparison in missing:
                    sequence, row = _measure(comparison, pair, what, keep)
                    sequences.add(sequence, _key(comparison, keep))
                    pairs.add(row, _key(comparison, keep))
            done += len(missing)
            on_pair(done, len(todo))
    for reason in gone.values():
        on_left_out(reason)
    return read(selection.path / what.pairs)


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


def _key(comparison: Comparison, keep: KeepRule) -> tuple[str | int, ...]:
    def side(run: RunDirectory | None, epoch: int) -> tuple[str | int, ...]:
        if run is None:
            return UNIFORM, epoch, ""
        return run.name, epoch, run.checkpoint_digest(epoch)[:12]

    return comparison.relation, *side(*comparison.a), *side(*comparison.b), str(keep)


def _pairs(
    bundle: Sequence[Comparison], bench: Workbench, what: What, gone: dict[Side, str]
) -> list[tuple[Comparison, Pair]]:
    """Every comparison of a bundle with its pair; those with a network that diverged are left out, and noted."""
    sources: dict[Side, Source] = {}
    for run, epoch in (side for comparison in bundle for side in (comparison.a, comparison.b)):
        if run is not None and (run, epoch) not in sources and (run, epoch) not in gone:
            try:
                sources[run, epoch] = _activations(bench, run, epoch, what)
            except NotFinite as error:
                gone[run, epoch] = str(error)
    for comparison in bundle:
        if comparison.b[0] is None and comparison.a in sources:
            sources[comparison.b] = _uniform(sources[comparison.a])
    chosen = [comparison for comparison in bundle if {comparison.a, comparison.b} <= sources.keys()]
    if not chosen:
        return []
    places = {side: place for place, side in enumerate(sources)}
    stack = Stack(len(places), [(places[c.a], places[c.b]) for c in chosen])
    for place in _stream(stack, list(sources.values()), batch_size(bench.device)):
        side = list(sources)[place]
        gone[side] = str(NotFinite(*_network(side)))
    return [(c, stack.pair(places[c.a], places[c.b])) for c in chosen if not {c.a, c.b} & gone.keys()]


@dataclass(frozen=True)
class Source:
    """Samples (n, p) of any of `images` images, by a slice of them."""

    images: int
    samples: Callable[[slice], Tensor]


def _activations(bench: Workbench, run: RunDirectory, epoch: int, what: What) -> Source:
    """A kept network's, on the images that it is tested on. Raises NotFinite if its weights are not."""
    images, output = bench.test_set(run).images, output_of(bench.network(run, epoch), what.layer)
    return Source(len(images), lambda part: as_samples(output(images[part]), what.positions))


def _uniform(like: Source) -> Source:
    """As many uniform random numbers as another source has."""
    first = like.samples(slice(0, 1))
    positions, units = first.shape
    noise = torch.rand(like.images * positions, units, generator=torch_generator(0, "cca control"))
    return Source(
        like.images, lambda part: noise[part.start * positions : part.stop * positions].to(first.device).double()
    )


@torch.no_grad()
def _stream(stack: Stack, sources: Sequence[Source], step: int) -> set[int]:
    """Take all images through all sources. Returns the places of those that were not finite somewhere."""
    bad: set[int] = set()
    images = sources[0].images
    for start in range(0, images, step):
        parts = [source.samples(slice(start, min(start + step, images))) for source in sources]
        for place, part in enumerate(parts):
            if not part.isfinite().all():
                bad.add(place)
                parts[place] = torch.zeros_like(part)  # it must not spoil the others
        stack.add(parts)
    return bad


def _network(side: Side) -> tuple[RunDirectory, int]:
    """A side that is a network."""
    run, epoch = side
    assert run is not None
    return run, epoch


def _measure(comparison: Comparison, pair: Pair, what: What, keep: KeepRule) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The sequence of coefficients, one row each, and the one row that sums them up."""
    try:
        coefficients = similarity.coefficients(pair)
    except MemstudyError as error:
        names = " with ".join(_named(side) for side in (comparison.a, comparison.b))
        raise MemstudyError(f"{names}, layer {what.title}: {error}") from error
    sequence = pd.DataFrame({"index": range(1, len(coefficients) + 1), "coefficient": coefficients.tolist()})
    row = {
        "n": pair.x.n,
        "p_a": pair.x.p,
        "p_b": pair.y.p,
        "rank_a": pair.x.rank,
        "rank_b": pair.y.rank,
        "cca": float(coefficients.mean()) if len(coefficients) else float("nan"),
        "svcca": similarity.svcca(pair, keep),
        "kept_a": keep.count(pair.x.singular_values),
        "kept_b": keep.count(pair.y.singular_values),
        "pwcca": similarity.pwcca(pair),
        "pwcca_back": similarity.pwcca(pair.swapped()),
        "cka": similarity.cka(pair),
        "cka_unbiased": similarity.unbiased_cka(pair),
        "procrustes": similarity.procrustes(pair),
    }
    return sequence, pd.DataFrame([row])


def _named(side: Side) -> str:
    run, epoch = side
    return UNIFORM if run is None else f"{run.name}, epoch {epoch}"
