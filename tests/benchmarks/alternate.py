"""Two ways of doing the same work, timed in turns in one process: medians, and the ratio of the medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch


def alternate(sides: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each side over `rounds` turns, after one warm-up each."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for round_ in range(rounds + 1):
        for name, work in sides.items():
            start = time.perf_counter()
            work()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if round_:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def report(title: str, medians: dict[str, float], rounds: int) -> None:
    """One line: both medians, and the second side over the first."""
    (first, fast), (second, slow) = medians.items()
    print(
        f"{title}, {torch.get_num_threads()} thread(s), median of {rounds}: "
        f"{first} {fast:.3f} s, {second} {slow:.3f} s, ratio {slow / fast:.2f}"
    )
