"""Two ways of doing the same work, timed in turns in one process: medians, and the ratio of the medians."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection

import torch


def alternate(sides: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
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


def apart(sides: dict[str, Callable[[], Callable[[], object]]], rounds: int) -> dict[str, float]:
    """The same, each side in a process of its own: what one changes in its process is no help to the others.

    `sides` are picklable functions that make ready and give the work.
    """
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    for name, prepare in sides.items():
        pipes[name], theirs = context.Pipe()
        processes.append(context.Process(target=_timed, args=(theirs, prepare), daemon=True))
        processes[-1].start()
        pipes[name].recv()
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, pipe in pipes.items():
            pipe.send(True)
            times[name].append(pipe.recv())
    for pipe in pipes.values():
        pipe.send(False)
    for process in processes:
        process.join()  # what is measured next has the machine to itself
    return {name: statistics.median(values) for name, values in times.items()}


def _timed(pipe: Connection, prepare: Callable[[], Callable[[], object]]) -> None:
    """Make ready, warm up, and do the work whenever told to."""
    torch.set_num_threads(1)
    work = prepare()
    for _ in range(2):  # the second time, CUDA graphs are captured
        work()
    pipe.send(True)
    while pipe.recv():
        start = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        pipe.send(time.perf_counter() - start)


def report(title: str, medians: dict[str, float], rounds: int) -> None:
    """One line: both medians, and the second side over the first."""
    (first, fast), (second, slow) = medians.items()
    print(
        f"{title}, {torch.get_num_threads()} thread(s), median of {rounds}: "
        f"{first} {fast:.3f} s, {second} {slow:.3f} s, ratio {slow / fast:.2f}"
    )
