"""A store of many runs: listing it with its index, against without; opening a study's runs, against one by one.

    python -m tests.benchmarks.bench_store [--runs 2000] [--rounds 5]

Runs are written by hand, 20 epochs each, without flushing to disk. Medians in one process, in turns.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from rich.console import Console

from memstudy import files, presets
from memstudy.cli.board import Board, order
from memstudy.lease import Lease, owner
from memstudy.recipe import Recipe
from memstudy.store import RunDirectory, Status, Store, naming, stamps
from memstudy.store.index import Index
from memstudy.study.status import Observer, progress
from tests.benchmarks.alternate import alternate
from tests.kit.runs import write_run


def recipes(count: int, epochs: int = 20) -> list[Recipe]:
    """A noise grid: regularizers, rates and seeds."""
    return [
        presets.build(
            reg=("bare", "al2", "do", "bn")[i % 4], corrupt=(0.25, 0.75)[i // 4 % 2], seed=i // 8, epochs=epochs
        )
        for i in range(count)
    ]


def fill(root: Path, chosen: Sequence[Recipe]) -> Store:
    """A store with these runs, finished."""
    measured = [{"test_accuracy": 0.5 + 0.01 * epoch, "memorized": 0.02 * epoch} for epoch in range(20)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        patch.setattr(
            Store, "open", lambda self, recipe: RunDirectory(self.root / naming.run_name(recipe), recipe)
        )
        for recipe in chosen:
            write_run(root, recipe, measured, status=Status.FINISHED)
    return Store(root)


def of_one_writer(root: Path) -> dict[str, Callable[[], object]]:
    """What a writer asks of the file system: its lease, a look at it before a write, what a kept epoch writes."""
    run = write_run(root, presets.build(epochs=1000), [{}])
    network = {"weight": torch.zeros(1000, 100)}  # .4 MB, about smallNet's
    mine = Lease(root / "lease")
    mine.acquire()
    other = Lease(root / "other")

    def taken() -> None:
        other.acquire()
        other.release()

    def look() -> None:
        for _ in range(100):
            mine.check()

    def status() -> None:
        for _ in range(100):
            owner(root / "lease")

    return {
        "taken": taken,
        "look": look,
        "status": status,
        "file": lambda: files.write(root / "file", b"x" * 2000),
        "kept": lambda: run.save_checkpoint(0, network),
    }


def watched(store: Store, observer: Observer) -> None:
    """One look of `memstudy watch` at all runs, and its screen of 120 columns and 50 lines."""
    console = Console(width=120, height=50)
    runs = [RunDirectory(store.root / name) for name in store.names()]
    board = Board("all", runs, observer.progress(runs), observer)
    board.screen(order(board.progress), console)


def main(words: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(list(words))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEMSTUDY_CACHE", f"{folder}/cache")
        chosen = recipes(given.runs)
        store, new = fill(Path(folder) / "runs", chosen), [*recipes(given.runs + 200)[-200:]]
        time.sleep(stamps.SETTLED / 1e9)

        observer = Observer()
        watched(store, observer)

        def anew() -> None:
            files.tidy([Index(store.root, 0).path])
            store.listing()

        found = alternate(
            {
                "anew": anew,
                "indexed": store.listing,
                "one by one": lambda: [store.open(recipe) for recipe in new],
                "together": lambda: store.open_all(new),
                "all": lambda: store.open_all(chosen),
                "progress": lambda: progress(store, chosen),
                "watched": lambda: watched(store, Observer()),
                "watched again": lambda: watched(store, observer),
            },
            given.rounds,
        )
        one = alternate(of_one_writer(Path(folder) / "one"), 10 * given.rounds)
        inodes = sum(len(names) + len(folders) for _, folders, names in os.walk(store.root)) / given.runs
    print(f"a store of {given.runs} runs, medians of {given.rounds}:")
    print(f"listed {found['indexed']:.3f} s with its index, {found['anew']:.2f} s without: ", end="")
    print(f"{found['anew'] / found['indexed']:.0f} times less")
    print(
        f"200 that are not there opened in {found['together']:.3f} s, one by one {found['one by one']:.2f} s: ",
        end="",
    )
    print(f"{found['one by one'] / found['together']:.0f} times less")
    print(f"a lease is taken and released in {1e3 * one['taken']:.1f} ms, looked at before a write in ", end="")
    print(f"{1e4 * one['look']:.0f} µs, and by others in {1e4 * one['status']:.0f} µs")
    print(
        f"a file is written and flushed in {1e3 * one['file']:.1f} ms, a kept epoch in {1e3 * one['kept']:.1f} ms"
    )
    print(f"a run without networks, labels and records is {inodes:.1f} files and folders")
    print(f"all {given.runs} that are there opened in {found['all']:.2f} s, ", end="")
    print(f"and their status read in {found['progress']:.2f} s")
    print(f"a first screen of 'memstudy watch' in {found['watched']:.2f} s, the next in ", end="")
    print(f"{found['watched again']:.3f} s")


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
