"""How similar the representations of a selection's runs are: CCA, SVCCA, PWCCA, CKA, Procrustes.

Samples are the test images. The positions of a convolutional layer count as samples (AL2's protocol), or as units.
Networks that are compared with each other go through the images together (`streams`), as many as fit into memory
(`bundles`). No representation is ever stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import pandas as pd

from memstudy import files
from memstudy.analysis.factorization import Pair
from memstudy.analysis.keep import KeepRule, parse_keep
from memstudy.analysis.similarity import (
    check_samples,
    cka,
    coefficients,
    procrustes,
    pwcca,
    svcca,
    unbiased_cka,
)
from memstudy.derived.analysis import UNWATCHED, Watch
from memstudy.derived.cached_table import CachedTable
from memstudy.derived.kept import checkpoint
from memstudy.derived.reading import read
from memstudy.derived.similarity import Similarity, streams
from memstudy.derived.similarity.bundles import Bundle, Size, bundles, companies
from memstudy.derived.similarity.plan import UNIFORM, Comparison, Side, couples, describe_side, plan
from memstudy.derived.workbench import Workbench
from memstudy.errors import MemstudyError
from memstudy.store import RunDirectory, code
from memstudy.store.store import Selection
from memstudy.training.evaluation import batch_size
from memstudy.training.memory import returning_freed

COMPANY = "together"
"""The column with a digest of the comparisons that may be computed together with a row's."""
KEY = ("relation", "run_a", "epoch_a", "checkpoint_a", "run_b", "epoch_b", "checkpoint_b", "keep")
VERSION = ("checkpoint_a", "checkpoint_b", "keep")


def compare(
    selection: Selection,
    bench: Workbench,
    similarity: Similarity,
    watch: Watch = UNWATCHED,
) -> pd.DataFrame:
    """Carry out the plan of comparisons (see `plan`). Returns and writes one row a comparison.

    The coefficients of each comparison go to a file of their own. The watch is told what is left out, and why.

    `relation` says why two networks are compared and how their runs began (see `plan`). Rows of different
    relations must not be averaged.

    Columns of a row beside its key: n samples, p_a and p_b units, rank_a and rank_b, cca (mean coefficient),
    svcca, kept_a and kept_b directions, pwcca (weighted by a) and pwcca_back (by b), cka, cka_unbiased,
    procrustes. A network all of whose units are constant has rank 0, and no similarity.

    Runs that were chosen by name are compared each with every other, at all epochs.

    Constant units, such as dead ReLUs, are dropped. Raises a MemstudyError that names run, epoch and layer: for
    constant units with `constant="refuse"`, for a layer that a run does not have, and for no more samples than
    units. Left out are networks that are not finite, those whose code has changed since training, and pairs that
    give different numbers of samples.

    The last digits of a row depend on which comparisons were computed together. So a stored row is kept only if
    these are the same as they would be now: a selection has the same bytes, in whatever order its runs came about.
    """
    keep, all_pairs, constant = parse_keep(similarity.keep), selection.by_name, similarity.constant
    selection = code.usable(selection, watch.left_out)
    _check_images(selection, all_pairs, watch.left_out)
    for _, a, b in couples(selection.runs, all_pairs):
        if not set(a.checkpoints()) & set(b.checkpoints()):
            watch.left_out(f"{a.name} with {b.name}: they kept no common epoch")
    todo = plan(selection.runs, all_pairs, similarity.epochs)
    not_finite: dict[Side, str] = {}
    company = _company(todo, keep)
    recorded = (
        selection.path / similarity.together
    ).is_file()  # earlier versions wrote none: their rows are trusted
    with (
        CachedTable(selection.path / similarity.together, KEY, VERSION) as together,
        CachedTable(selection.path / similarity.coefficients, KEY, VERSION) as sequences,
        CachedTable(selection.path / similarity.pairs, KEY, VERSION) as pairs,
    ):
        missing = set()
        for comparison in todo:
            key = _key(comparison, keep)
            sequences.expect(*key)
            pairs.expect(*key)
            together.expect(*key)
            alike = not recorded or together.find(*key).reindex(columns=[COMPANY]).to_numpy().tolist() == [
                [company[comparison]]
            ]
            if alike and _complete(pairs.find(*key), sequences.find(*key), constant):
                sequences.keep(*key)
                pairs.keep(*key)
                together.add(pd.DataFrame({COMPANY: [company[comparison]]}), key)
            else:
                missing.add(comparison)
        bundled = _bundles(todo, bench, similarity, watch.left_out) if missing else []
        missing.intersection_update(c for bundle in bundled for c in bundle.comparisons)
        done = len(todo) - len(missing)
        watch.progress(done, len(todo))
        for bundle in bundled:
            missing_here = missing.intersection(bundle.comparisons)
            if not missing_here:
                continue
            measured = (  # so that the last pair does not outlive its bundle
                (_key(comparison, keep), company[comparison], *_measure(pair, keep))
                for comparison, pair in streams.pairs(
                    bundle, missing_here, bench, similarity, not_finite, constant == "refuse"
                )
            )
            with returning_freed(bundle.product):
                for key, others, sequence, row in measured:
                    sequences.add(sequence, key)
                    pairs.add(row, key)
                    together.add(pd.DataFrame({COMPANY: [others]}), key)
            done += len(missing_here)
            watch.progress(done, len(todo))
    rows = read(selection.path / similarity.pairs)
    for reason in [*not_finite.values(), *_collapsed(rows, similarity)]:
        watch.left_out(reason)
    return rows


def _check_images(selection: Selection, all_pairs: bool, on_left_out: Callable[[str], None]) -> None:
    """Tell that runs of different data sets are not compared; a MemstudyError if they were chosen by name."""
    names = sorted({run.recipe.dataset for run in selection.runs})
    if len(names) > 1 and all_pairs:
        raise MemstudyError(
            "representations can only be compared on the same test images, and the chosen runs use "
            f"{', '.join(names)}; choose runs of one data set."
        )
    if len(names) > 1:
        on_left_out(f"runs of {', '.join(names)} with each other: they have other test images")


def _complete(pair: pd.DataFrame, sequence: pd.DataFrame, constant: str) -> bool:
    """Whether all of a comparison is stored: one row, and as many coefficients as the smaller rank.

    With `constant="refuse"`, a rank below the number of units is no complete row: it must be refused again.
    """
    ranks, units = (
        pair.reindex(columns=[f"{name}_a", f"{name}_b"]).apply(pd.to_numeric, errors="coerce").to_numpy()
        for name in ("rank", "p")
    )
    complete = ranks.min(axis=1).tolist() == [len(sequence)]
    return complete and (constant == "drop" or bool((ranks == units).all()))


def _key(comparison: Comparison, keep: KeepRule) -> tuple[str | int, ...]:
    def side(run: RunDirectory | None, epoch: int) -> tuple[str | int, ...]:
        if run is None:
            return UNIFORM, epoch, ""
        return run.name, epoch, checkpoint(run, epoch)

    return comparison.relation, *side(*comparison.a), *side(*comparison.b), str(keep)


def _company(todo: Sequence[Comparison], keep: KeepRule) -> dict[Comparison, str]:
    """For each comparison, a digest of those that it may be computed together with (see `companies`)."""
    digests: dict[Comparison, str] = {}
    for comparisons in companies(todo):
        members = "\n".join(str(_key(comparison, keep)[:-1]) for comparison in comparisons)
        digests |= dict.fromkeys(comparisons, files.digest(members.encode())[:12])
    return digests


def _bundles(
    todo: Sequence[Comparison], bench: Workbench, similarity: Similarity, on_left_out: Callable[[str], None]
) -> list[Bundle]:
    """The comparisons that can be made, in bundles.

    Raises a MemstudyError if a run does not have the layer, or has too many units for its samples.
    """
    runs = dict.fromkeys(run for c in todo for run, _ in (c.a, c.b) if run is not None)
    sizes = {run: streams.size(bench, run, similarity) for run in runs}
    for side in (side for c in todo for side in (c.a, c.b)):
        _check_samples(side, sizes, similarity)
    most = min((batch_size(bench.test_set(run).images) for run in runs), default=1)
    return bundles(_alike(todo, sizes, similarity, on_left_out), sizes, most)


def _check_samples(side: Side, sizes: Mapping[RunDirectory, Size], similarity: Similarity) -> None:
    run, _ = side
    if run is not None:
        try:
            check_samples(sizes[run].n, sizes[run].units)
        except MemstudyError as error:
            raise MemstudyError(f"{describe_side(side, similarity)}: {error}") from error


def _alike(
    todo: Sequence[Comparison],
    sizes: Mapping[RunDirectory, Size],
    similarity: Similarity,
    on_left_out: Callable[[str], None],
) -> list[Comparison]:
    """The comparisons of networks that give equally many samples; `on_left_out` is told of the others."""
    alike: list[Comparison] = []
    unlike: dict[tuple[RunDirectory, RunDirectory], set[int]] = {}
    for c in todo:
        (a, epoch), (b, _) = c.a, c.b
        if a is None or b is None or sizes[a].n == sizes[b].n:
            alike.append(c)
        else:
            unlike.setdefault((a, b), set()).add(epoch)
    for (a, b), epochs in unlike.items():
        on_left_out(
            f"{a.name} with {b.name}, epoch {_listed(epochs)}, layer {similarity.title}: "
            f"they give {sizes[a].n} and {sizes[b].n} samples of the same images, so that none corresponds; "
            "--positions flattened makes units of positions"
        )
    return alike


def _collapsed(rows: pd.DataFrame, similarity: Similarity) -> list[str]:
    """A clause for each run whose network answers the same to every image: it is similar to nothing."""
    if rows.empty:
        return []
    names = ("run", "epoch", "rank")
    sides = [rows[[f"{name}_{side}" for name in names]].set_axis(names, axis=1) for side in ("a", "b")]
    collapsed = pd.concat(sides).query("rank == 0")
    return [
        f"{run}, epoch {_listed(rows_of_run['epoch'])}, layer {similarity.title}: it has collapsed, as all units "
        "are constant on the test images; its rows say rank 0, and no similarity"
        for run, rows_of_run in collapsed.groupby("run", sort=False)
    ]


def _listed(epochs: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(set(epochs))))


def _measure(pair: Pair, keep: KeepRule) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The sequence of coefficients, one row each, and the one row that sums them up."""
    values = coefficients(pair)
    sequence = pd.DataFrame({"index": range(1, len(values) + 1), "coefficient": values.tolist()})
    row = {
        "n": pair.x.n,
        "p_a": pair.x.p,
        "p_b": pair.y.p,
        "rank_a": pair.x.rank,
        "rank_b": pair.y.rank,
        "cca": float(values.mean()) if len(values) else float("nan"),
        "svcca": svcca(pair, keep),
        "kept_a": keep.count(pair.x.singular_values),
        "kept_b": keep.count(pair.y.singular_values),
        "pwcca": pwcca(pair),
        "pwcca_back": pwcca(pair.swapped()),
        "cka": cka(pair),
        "cka_unbiased": unbiased_cka(pair),
        "procrustes": procrustes(pair),
    }
    return sequence, pd.DataFrame([row])
