"""How similar the representations of a selection's runs are: CCA, SVCCA, PWCCA, CKA, Procrustes.

Samples are the test images; positions of a convolutional layer count as samples (AL2's protocol) or as units.
Networks that are compared with each other go through the images together (`streams`), as many as a budget of
memory allows (`bundles`), and no representation is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import pandas as pd

from memstudy import files
from memstudy.analysis import similarity
from memstudy.analysis.factorization import Pair
from memstudy.analysis.keep import KeepRule, parse_keep
from memstudy.derived.analysis import UNWATCHED, Watch
from memstudy.derived.kept import checkpoint
from memstudy.derived.reading import read
from memstudy.derived.rows import Rows
from memstudy.derived.similarity import Similarity, streams
from memstudy.derived.similarity.bundles import Bundle, Size, bundles, grouped
from memstudy.derived.similarity.plan import UNIFORM, Comparison, Side, couples, named, plan
from memstudy.derived.workbench import Workbench
from memstudy.errors import MemstudyError
from memstudy.store import RunDirectory, code
from memstudy.store.store import Selection
from memstudy.training.evaluation import batch_size
from memstudy.training.memory import returning_freed

USUAL = Similarity()
TOGETHER = "together"
KEY = ("relation", "run_a", "epoch_a", "checkpoint_a", "run_b", "epoch_b", "checkpoint_b", "keep")
VERSION = ("checkpoint_a", "checkpoint_b", "keep")


def compare(
    selection: Selection,
    bench: Workbench,
    what: Similarity = USUAL,
    watch: Watch = UNWATCHED,
) -> pd.DataFrame:
    """Carry out the plan. Returns and writes one row a comparison; the whole coefficient sequences go to a file of
    their own. The watch is told what cannot be compared, and why.

    `relation` says why two are compared, and of two runs how they began (see `comparisons`): rows of different
    relations are not to be averaged.

    Columns of a row beside its key: n samples, p_a and p_b units, rank_a and rank_b, cca (mean coefficient),
    svcca, kept_a and kept_b directions, pwcca (weighted by a) and pwcca_back (by b), cka, cka_unbiased,
    procrustes. A network all of whose units are constant has rank 0, and no similarity.

    Where runs were chosen by name, every two of them are compared at all epochs.

    Constant units, such as dead ReLUs, are dropped; `constant="refuse"` raises a MemstudyError that names run,
    epoch and layer. So do a layer that a run does not have, and at least as many units as samples. A network that
    is not finite, one whose code is not what it was trained with, and two that give different numbers of samples,
    are left out.

    What is stored is kept if it was computed together with what it would be now, as the last digits depend on it:
    one selection has the same bytes in whatever order it came about.
    """
    keep, all_pairs, constant = parse_keep(what.keep), selection.named, what.constant
    selection = code.usable(selection, watch.left_out)
    _check_images(selection, all_pairs, watch.left_out)
    for _, a, b in couples(selection.runs, all_pairs):
        if not set(a.checkpoints()) & set(b.checkpoints()):
            watch.left_out(f"{a.name} with {b.name}: they kept no common epoch")
    todo = plan(selection.runs, all_pairs, what.epochs)
    gone: dict[Side, str] = {}
    company = _company(todo, keep)
    recorded = (selection.path / what.together).is_file()  # not by earlier versions, which must be trusted
    with (
        Rows(selection.path / what.together, KEY, VERSION) as together,
        Rows(selection.path / what.coefficients, KEY, VERSION) as sequences,
        Rows(selection.path / what.pairs, KEY, VERSION) as pairs,
    ):
        left = set()
        for comparison in todo:
            key = _key(comparison, keep)
            sequences.expect(*key)
            pairs.expect(*key)
            together.expect(*key)
            alike = not recorded or together.find(*key).reindex(columns=[TOGETHER]).to_numpy().tolist() == [
                [company[comparison]]
            ]
            if alike and _complete(pairs.find(*key), sequences.find(*key), constant):
                sequences.keep(*key)
                pairs.keep(*key)
                together.add(pd.DataFrame({TOGETHER: [company[comparison]]}), key)
            else:
                left.add(comparison)
        chosen = _bundles(todo, bench, what, watch.left_out) if left else []
        left.intersection_update(c for bundle in chosen for c in bundle.comparisons)
        done = len(todo) - len(left)
        watch.progress(done, len(todo))
        for bundle in chosen:
            missing = left.intersection(bundle.comparisons)
            if not missing:
                continue
            measured = (  # so that the last pair does not outlive its bundle
                (_key(comparison, keep), company[comparison], *_measure(pair, keep))
                for comparison, pair in streams.pairs(bundle, missing, bench, what, gone, constant == "refuse")
            )
            with returning_freed(bundle.product):
                for key, others, sequence, row in measured:
                    sequences.add(sequence, key)
                    pairs.add(row, key)
                    together.add(pd.DataFrame({TOGETHER: [others]}), key)
            done += len(missing)
            watch.progress(done, len(todo))
    rows = read(selection.path / what.pairs)
    for reason in [*gone.values(), *_collapsed(rows, what)]:
        watch.left_out(reason)
    return rows


def _check_images(selection: Selection, all_pairs: bool, on_left_out: Callable[[str], None]) -> None:
    """Of two data sets none is compared with the other. Raises a MemstudyError where just that was asked for."""
    names = sorted({run.recipe.dataset for run in selection.runs})
    if len(names) > 1 and all_pairs:
        raise MemstudyError(
            "representations can only be compared on the same test images, and the chosen runs use "
            f"{', '.join(names)}; choose runs of one data set."
        )
    if len(names) > 1:
        on_left_out(f"runs of {', '.join(names)} with each other: they have other test images")


def _complete(pair: pd.DataFrame, sequence: pd.DataFrame, constant: str) -> bool:
    """Whether all of a comparison is stored: its one row, and as many coefficients as the smaller rank.

    Where constant units are refused, a rank below the number of units is looked at again.
    """
    ranks, units = (
        pair.reindex(columns=[f"{name}_a", f"{name}_b"]).apply(pd.to_numeric, errors="coerce").to_numpy()
        for name in ("rank", "p")
    )
    whole = ranks.min(axis=1).tolist() == [len(sequence)]
    return whole and (constant == "drop" or bool((ranks == units).all()))


def _key(comparison: Comparison, keep: KeepRule) -> tuple[str | int, ...]:
    def side(run: RunDirectory | None, epoch: int) -> tuple[str | int, ...]:
        if run is None:
            return UNIFORM, epoch, ""
        return run.name, epoch, checkpoint(run, epoch)

    return comparison.relation, *side(*comparison.a), *side(*comparison.b), str(keep)


def _company(todo: Sequence[Comparison], keep: KeepRule) -> dict[Comparison, str]:
    """Of each comparison a digest of those that it may be computed together with."""
    found: dict[Comparison, str] = {}
    for group in grouped(todo):
        members = "\n".join(str(_key(comparison, keep)[:-1]) for comparison in group)
        found |= dict.fromkeys(group, files.digest(members.encode())[:12])
    return found


def _bundles(
    todo: Sequence[Comparison], bench: Workbench, what: Similarity, on_left_out: Callable[[str], None]
) -> list[Bundle]:
    """What can be compared, in bundles. Raises a MemstudyError if a run does not have the layer, or too many units
    for its samples.
    """
    runs = dict.fromkeys(run for c in todo for run, _ in (c.a, c.b) if run is not None)
    sizes = {run: streams.size(bench, run, what) for run in runs}
    for side in (side for c in todo for side in (c.a, c.b)):
        _check_samples(side, sizes, what)
    most = min((batch_size(bench.test_set(run).images) for run in runs), default=1)
    return bundles(_alike(todo, sizes, what, on_left_out), sizes, most)


def _check_samples(side: Side, sizes: Mapping[RunDirectory, Size], what: Similarity) -> None:
    run, _ = side
    if run is not None:
        try:
            similarity.check_samples(sizes[run].n, sizes[run].units)
        except MemstudyError as error:
            raise MemstudyError(f"{named(side, what)}: {error}") from error


def _alike(
    todo: Sequence[Comparison],
    sizes: Mapping[RunDirectory, Size],
    what: Similarity,
    on_left_out: Callable[[str], None],
) -> list[Comparison]:
    """Comparisons of networks that give equally many samples; of every two that do not, `on_left_out` is told."""
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
            f"{a.name} with {b.name}, epoch {_listed(epochs)}, layer {what.title}: "
            f"they give {sizes[a].n} and {sizes[b].n} samples of the same images, so that none corresponds; "
            "--positions flattened makes units of positions"
        )
    return alike


def _collapsed(rows: pd.DataFrame, what: Similarity) -> list[str]:
    """What is to be said of each run whose network answers the same to every image, and so is like nothing."""
    if rows.empty:
        return []
    names = ("run", "epoch", "rank")
    sides = [rows[[f"{name}_{side}" for name in names]].set_axis(names, axis=1) for side in ("a", "b")]
    found = pd.concat(sides).query("rank == 0")
    return [
        f"{run}, epoch {_listed(own['epoch'])}, layer {what.title}: it has collapsed, as all units are constant "
        "on the test images; its rows say rank 0, and no similarity"
        for run, own in found.groupby("run", sort=False)
    ]


def _listed(epochs: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(set(epochs))))


def _measure(pair: Pair, keep: KeepRule) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The sequence of coefficients, one row each, and the one row that sums them up."""
    coefficients = similarity.coefficients(pair)
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
