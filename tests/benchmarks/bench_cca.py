"""What factorizing once saves: all pairs of m views, against two thin SVDs for every pair (AL2's way).

    python -m tests.benchmarks.bench_cca [--n 10000] [--p 50] [--views 10] [--rounds 5] [--threads 1]

Both ways in one process, in turns, after one warm-up each; medians, and the ratio of the medians. The two must
give the same coefficients, or the comparison means nothing. Matrices are random: neither way's work depends on
what is in them.
"""

from __future__ import annotations

import argparse
from functools import partial
from itertools import combinations

import torch
from torch import Tensor

from memstudy.analysis.cca import coefficients, factorize
from memstudy.randomness import torch_generator
from tests.benchmarks.alternate import alternate, report


def factorized_once(views: list[Tensor]) -> list[Tensor]:
    return [coefficients(x, y) for x, y in combinations(map(factorize, views), 2)]


def factorized_per_pair(views: list[Tensor]) -> list[Tensor]:
    def basis(samples: Tensor) -> Tensor:
        return torch.linalg.svd(samples - samples.mean(dim=0), full_matrices=False).U

    return [torch.linalg.svdvals(basis(x).T @ basis(y)) for x, y in combinations(views, 2)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, default in {"n": 10_000, "p": 50, "views": 10, "rounds": 5, "threads": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    views = [
        torch.randn(chosen.n, chosen.p, dtype=torch.float64, generator=torch_generator(index, "bench/cca"))
        for index in range(chosen.views)
    ]
    sides = {"once": factorized_once, "per pair": factorized_per_pair}
    warm = [torch.stack(work(views)) for work in sides.values()]
    torch.testing.assert_close(warm[0], warm[1], rtol=0, atol=1e-10)
    medians = alternate({name: partial(work, views) for name, work in sides.items()}, chosen.rounds)
    report(f"n = {chosen.n}, p = {chosen.p}, all pairs of {chosen.views} views", medians, chosen.rounds)


if __name__ == "__main__":
    main()
