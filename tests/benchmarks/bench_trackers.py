"""What it costs a run to tell a tracker of it: `--track`, against none, in turns.

    python -m tests.benchmarks.bench_trackers [--epochs 20] [--rounds 5] [tensorboard mlflow wandb]

Told is the time from the first epoch to the last, and the processor time of the process that tells, its start
included: what a machine without an idle core would lose at most. That process has the lowest priority.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

from memstudy import presets
from memstudy.store import Store
from memstudy.study.carry_out import Execution, carry_out
from memstudy.trackers.live import Destination, told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trackers", nargs="*", default=["tensorboard", "mlflow"])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    recipe = presets.build(epochs=given.epochs)
    busy: dict[str, list[float]] = {name: [] for name in given.trackers}

    def train(tracker: str | None) -> float:
        """Seconds of training; those of a processor that telling took are added to `busy`."""
        with tempfile.TemporaryDirectory() as folder:
            run = Store(Path(folder)).open(recipe)
            destinations = [] if tracker is None else [Destination(tracker)]
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            with told(destinations, Path(folder), [run.name], None, lambda sentence: None):
                begun = time.perf_counter()
                carry_out(run, Execution("cpu", 1))
                seconds = time.perf_counter() - begun
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            if tracker is not None:
                busy[tracker].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
            return seconds

    sides: dict[str, list[float]] = {name: [] for name in ("none", *given.trackers)}
    for _ in range(given.rounds):
        for name, seconds in sides.items():
            seconds.append(train(None if name == "none" else name))
    alone = statistics.median(sides["none"])
    print(f"{given.epochs} epochs of the quick preset on one thread, {os.cpu_count()} cores, n = {given.rounds}")
    print(f"none: {alone:.1f} s ({min(sides['none']):.1f} to {max(sides['none']):.1f})")
    for name in given.trackers:
        pairs = [with_ / without for with_, without in zip(sides[name], sides["none"], strict=True)]
        print(
            f"{name}: {statistics.median(pairs):.3f} of the time ({min(pairs):.3f} to {max(pairs):.3f}); "
            f"its process {statistics.median(busy[name]):.1f} s of a processor"
        )


if __name__ == "__main__":
    main()
