"""AL2's figure, all pairs of representations at once, against pair-by-pair ways.

    python -m tests.benchmarks.bench_cca [--n 160000] [--p 50] [--views 9] [--epochs 6] [--rounds 3] [--threads 1]
    python -m tests.benchmarks.bench_cca --memory

9 representations of 160,000 samples × 50 units at each of 6 epochs, and all 270 pairs within epochs (those of a
representation with itself included). Our side does all of them; the pair-by-pair sides, which repeat one work, do
one pair, which is multiplied by the number of pairs. In turns, in one process; medians. All sides must agree, or
the comparison means nothing. Matrices are random float32: no side's work depends on what is in them.

With --memory, instead: by how much a fresh process grows, each case in one of its own, its inputs and imports not
counted; about three minutes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from memstudy import analysis, presets
from memstudy.analysis.factorization import Pair, Stack, factorize
from memstudy.analysis.keep import KeepRule
from memstudy.analysis.similarity import all_coefficients, coefficients, pwcca, svcca
from memstudy.derived.similarity import Similarity, bundles, streams
from memstudy.derived.similarity.measure import compare
from memstudy.derived.similarity.plan import plan
from memstudy.derived.workbench import Workbench
from memstudy.models import Network
from memstudy.randomness import numpy_generator, torch_generator
from memstudy.store import Store
from memstudy.study.carry_out import Execution, carry_out
from memstudy.training.memory import returning_freed
from tests.benchmarks.alternate import alternate
from tests.benchmarks.memory import grown, in_fresh_process

RULE = KeepRule("fixed", 20)
NOISE = "noise"  # a set of random images


def stacked(views: list[Tensor], product: str = "float64") -> list[Pair]:
    """Every pair of one epoch, from one pass over the samples."""
    pairs = list(combinations_with_replacement(range(len(views)), 2))
    stack = Stack.of(views, pairs, product)
    return [stack.pair(i, j) for i, j in pairs]


def centered(samples: Tensor) -> Tensor:
    samples = samples.double()
    return samples - samples.mean(dim=0)


def covariances(x: Tensor, y: Tensor) -> Tensor:
    """CCA through covariances and pseudo-inverses, as many tools do."""
    x, y = centered(x), centered(y)
    xx, yy, xy = x.T @ x, y.T @ y, x.T @ y
    product = torch.linalg.pinv(xx, hermitian=True) @ xy @ torch.linalg.pinv(yy, hermitian=True) @ xy.T
    return torch.linalg.eigvals(product).real.clamp(0, 1).sqrt().sort(descending=True).values


def thin_svds(x: Tensor, y: Tensor) -> list[Tensor]:
    """CCA, SVCCA and PWCCA, each from its own thin SVDs, as separate functions of a tool do."""

    def decomposed() -> tuple[Tensor, Tensor, Tensor, Tensor]:
        (u, s, v), (w, _, _) = (torch.linalg.svd(centered(part), full_matrices=False) for part in (x, y))
        return u, s, v, w

    u, _, _, w = decomposed()
    every = torch.linalg.svdvals(u.T @ w)
    u, s, _, w = decomposed()
    kept = RULE.count(s)
    truncated = torch.linalg.svdvals(u[:, :kept].T @ w[:, :kept]).mean()
    u, s, v, w = decomposed()
    rotation, rho, _ = torch.linalg.svd(u.T @ w)
    weights = (rotation.T @ (s[:, None] * v)).abs().sum(dim=1)
    return [every, truncated, (weights * rho).sum() / weights.sum()]


def three(pairs: list[Pair]) -> list[Tensor]:
    """All coefficients, SVCCA and PWCCA of every pair."""
    every = all_coefficients(pairs)
    return [*every, *(torch.tensor([svcca(pair, RULE), pwcca(pair)]) for pair in pairs)]


def check(views: list[Tensor]) -> None:
    """All ways give one answer."""
    x, y = views[:2]
    pair = stacked(views[:2])[1]
    exact = coefficients(Pair.of(factorize(x), factorize(y)))
    torch.testing.assert_close(coefficients(pair), exact, rtol=0, atol=1e-10)
    torch.testing.assert_close(covariances(x, y), exact, rtol=0, atol=1e-7)
    every, truncated, weighted = thin_svds(x, y)
    torch.testing.assert_close(every, exact, rtol=0, atol=1e-10)
    assert abs(float(truncated) - svcca(pair, RULE)) < 1e-9
    assert abs(float(weighted) - pwcca(pair)) < 1e-9
    single = coefficients(stacked(views[:2], "float32")[1])
    torch.testing.assert_close(single, exact, rtol=0, atol=1e-5)


def stack_growth() -> int:
    """45 pairs of 9 representations, 160,000 × 50, from chunks that are made and forgotten."""
    pairs = list(combinations_with_replacement(range(9), 2))

    def work() -> None:
        stack, generator = Stack(9, pairs), torch_generator(0, "bench/cca")
        for _ in range(160):
            stack.add([torch.randn(1000, 50, generator=generator) for _ in range(9)])
        all_coefficients([stack.pair(i, j) for i, j in pairs])

    return grown(work)


def arrays_growth() -> int:
    """All coefficients of two arrays, 10,000 × 1,250."""
    x, y = (torch.randn(10_000, 1250, generator=torch_generator(index, "bench/cca")) for index in range(2))
    return grown(lambda: analysis.cca(x, y))


def study_growth(folder: Path, positions: str) -> int:
    """What `memstudy svcca` compares of the runs in a folder, the images in memory not counted."""
    bench, selection = Workbench(torch.device("cpu"), folder), Store(folder / "runs").select()
    bench.test_set(selection.runs[0])
    return grown(lambda: compare(selection, bench, Similarity(positions=positions)))


def streamed_growth(folder: Path, budgets: Sequence[float]) -> list[int]:
    """The same of the pairs alone, not measured, for some budgets of memory in turn (bytes)."""
    bench, runs = Workbench(torch.device("cpu"), folder), Store(folder / "runs").select().runs
    todo = plan(runs, all_pairs=False)
    sizes = {run: streams.size(bench, run, Similarity()) for run in runs}

    def work() -> None:
        for bundle in bundles.bundles(todo, sizes, 250):
            for _ in streams.pairs(bundle, bundle.comparisons, bench, Similarity(), {}):
                pass

    found = []
    with returning_freed(8 * max(size.units for size in sizes.values()) ** 2):
        for budget in budgets:
            with patch.object(bundles, "MEMORY", budget):
                found.append(grown(work))
    return found


def wide(channels: int, size: int, classes: int) -> Network:
    """A network of 400 units that takes no time."""
    pixels = channels * size * size
    return Network(nn.Sequential(nn.Flatten(), nn.Linear(pixels, 400)), nn.Linear(400, classes))


def store_noise(
    folder: Path,
    network: str = "smallnet",
    size: int = 32,
    tests: int = 10_000,
    epochs: int = 4,
    regs: Sequence[str] = ("bare", "al2"),
) -> None:
    """Runs on random images, by default a baseline and its AL2 twin: an epoch of training, then random steps.

    They take as much memory as any.
    """
    generator = numpy_generator(0, "bench/images")
    parts: dict[str, NDArray[Any]] = {}
    for part, count in (("train", 64), ("test", tests)):
        parts[f"{part}_images"] = generator.integers(256, size=(count, size, size, 3), dtype=np.uint8)
        parts[f"{part}_labels"] = np.arange(count) % 10
    np.savez(folder / f"{NOISE}.npz", allow_pickle=False, **parts)
    for reg in regs:
        recipe = presets.build(dataset=NOISE, network=network, reg=reg, epochs=1)
        run = carry_out(Store(folder / "runs").open(recipe), Execution(device="cpu", data_dir=folder))
        trained = run.load_checkpoint(0)
        for epoch in range(1, epochs):
            noise = torch_generator(0, "bench/weights", epoch)
            moved = {name: x + x.std() * torch.randn(x.shape, generator=noise) for name, x in trained.items()}
            run.save_checkpoint(epoch, moved)


def memory() -> None:
    """Print how much memory each case takes."""
    cases = {
        "45 pairs of 9 × 160,000 × 50, a Stack": in_fresh_process(stack_growth),
        "cca(x, y), 10,000 × 1,250": in_fresh_process(arrays_growth),
    }
    with tempfile.TemporaryDirectory() as name, patch.dict(os.environ, MEMSTUDY_CACHE=name):
        store_noise(Path(name))
        for positions, shape in (("samples", "250,000 × 50"), ("flattened", "10,000 × 1,250")):
            title = f"memstudy svcca, 2 runs × 4 epochs of smallNet, {shape}"
            cases[title] = in_fresh_process(study_growth, Path(name), positions)
    for title, size in cases.items():
        print(f"{title}: {size / 1e6:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    sizes = {"n": 160_000, "p": 50, "views": 9, "epochs": 6, "rounds": 3, "threads": 1}
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--memory", action="store_true")
    chosen = parser.parse_args()
    if chosen.memory:
        memory()
        return
    torch.set_num_threads(chosen.threads)
    views = [
        torch.randn(chosen.n, chosen.p, generator=torch_generator(index, "bench/cca"))
        for index in range(chosen.views)
    ]
    check(views)
    bases = [factorize(view[:10_000]).leading(RULE) for view in views[:2]]
    medians = alternate(
        {
            "stack": lambda: all_coefficients(stacked(views)),
            "float32": lambda: all_coefficients(stacked(views, "float32")),
            "three": lambda: three(stacked(views)),
            "covariances": lambda: covariances(*views[:2]),
            "thin SVDs": lambda: thin_svds(*views[:2]),
            "cached": lambda: torch.linalg.svdvals(bases[0].T @ bases[1]),
        },
        chosen.rounds,
    )
    pairs = chosen.epochs * chosen.views * (chosen.views + 1) // 2
    whole = {name: chosen.epochs * medians[name] for name in ("stack", "float32", "three")}
    slow, thin = pairs * medians["covariances"], pairs * medians["thin SVDs"]
    print(
        f"{pairs} pairs of {chosen.n} × {chosen.p}, {chosen.epochs} epochs, {chosen.threads} thread(s), "
        f"medians of {chosen.rounds}:\n"
        f"  all CCA coefficients        {whole['stack']:7.2f} s; by covariances and pseudo-inverses "
        f"{medians['covariances']:.3f} s a pair: {slow / whole['stack']:.1f} times as long\n"
        f"  the same, float32 products  {whole['float32']:7.2f} s: {slow / whole['float32']:.1f} times\n"
        f"  CCA, SVCCA and PWCCA        {whole['three']:7.2f} s; by thin SVDs {medians['thin SVDs']:.3f} s a "
        f"pair: {thin / whole['three']:.1f} times as long\n"
        f"  a pair on cached bases (10,000 × {RULE.value:g}): {1000 * medians['cached']:.2f} ms"
    )


if __name__ == "__main__":
    main()
