"""A store of many runs: listing it with its index, against without; opening a study's runs, against one by one.

    python -m tests.benchmarks.bench_store [--runs 2000] [--rounds 5]

Runs are written by hand, 20 epochs each, without flushing to disk. Medians in one process, in turns.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from memstudy import files, presets
from memstudy.recipe import Recipe
from memstudy.store import RunDirectory, Status, Store, index, naming
from memstudy.store.index import Index
from tests.benchmarks.alternate import alternate
from tests.kit.runs import write_run


def recipes(count: int) -> list[Recipe]:
    """A noise grid: regularizers, rates and seeds."""
    return [
        presets.build(
            reg=("bare", "al2", "do", "bn")[i % 4], corrupt=(0.25, 0.75)[i // 4 % 2], seed=i // 8, epochs=20
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


def main(words: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(list(words))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEMSTUDY_CACHE", f"{folder}/cache")
        chosen = recipes(given.runs)
        store, new = fill(Path(folder) / "runs", chosen), [*recipes(given.runs + 200)[-200:]]
        time.sleep(index.SETTLED / 1e9)

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
            },
            given.rounds,
        )
    print(f"a store of {given.runs} runs, medians of {given.rounds}:")
    print(f"listed {found['indexed']:.3f} s with its index, {found['anew']:.2f} s without: ", end="")
    print(f"{found['anew'] / found['indexed']:.0f} times less")
    print(
        f"200 that are not there opened in {found['together']:.3f} s, one by one {found['one by one']:.2f} s: ",
        end="",
    )
    print(f"{found['one by one'] / found['together']:.0f} times less")
    print(f"all {given.runs} that are there opened in {found['all']:.2f} s")


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
