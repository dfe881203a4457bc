"""AL2's figure, all pairs of representations at once, against pair-by-pair ways.

    python -m tests.benchmarks.bench_cca [--n 160000] [--p 50] [--views 9] [--epochs 6] [--rounds 3] [--threads 1]

9 representations of 160,000 samples × 50 units at each of 6 epochs, and all 270 pairs within epochs (those of a
representation with itself included). Our side does all of them; the pair-by-pair sides, which repeat one work, do
one pair, which is multiplied by the number of pairs. In turns, in one process; medians. All sides must agree, or
the comparison means nothing. Matrices are random float32: no side's work depends on what is in them.
"""

from __future__ import annotations

import argparse
from itertools import combinations_with_replacement

import torch
from torch import Tensor

from memstudy.analysis.factorization import Pair, Stack, factorize
from memstudy.analysis.keep import KeepRule
from memstudy.analysis.similarity import all_coefficients, coefficients, pwcca, svcca
from memstudy.randomness import torch_generator
from tests.benchmarks.alternate import alternate

RULE = KeepRule("fixed", 20)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    sizes = {"n": 160_000, "p": 50, "views": 9, "epochs": 6, "rounds": 3, "threads": 1}
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    chosen = parser.parse_args()
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
