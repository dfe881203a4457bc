"""What data costs: corrupting 50,000 labels by every rule, and loading each image set, first and from the cache.

    python -m tests.benchmarks.bench_data [--rounds 5] [--threads 1]

Labels are made up, 50,000 as in CIFAR-10 and CIFAR-100, in equal parts: a rule's work depends on their number and
that of the classes alone. Rules that look at or replace images are timed on the 4,000 real images of mnist5k, and
on CIFAR-10 where it is installed; they have no bound. Sets are looked for in MEMSTUDY_DATA; those that are not
there are named. "first" decodes and writes the cache, "cached" reads it; both include the content hash, which
is also timed alone.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from memstudy.data import RULES, SOURCES, sources, transitions
from memstudy.data.corruption import Rule
from memstudy.data.given import Given
from memstudy.data.images import ImageSet
from memstudy.errors import MemstudyError
from memstudy.randomness import numpy_generator
from memstudy.recipe import Corruption

BOUND = 50.0
"""Milliseconds that corrupting 50,000 labels may take."""

SAMPLES = 50_000
NAMES = {10: "cifar10", 100: "cifar100"}
IMAGE_RULES = ("instance", "shuffled-pixels", "random-pixels", "gaussian")


def median_ms(work: Callable[[], object], rounds: int) -> float:
    """Median milliseconds, after one warm-up."""
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times[1:])


def only_labels(classes: int) -> ImageSet:
    """50,000 labels in random order; every image is the same black pixel."""
    pixel = torch.zeros(1, 1, 1, 1, dtype=torch.uint8)
    order = np.argsort(numpy_generator(0, "bench/data").random(SAMPLES), kind="stable")
    return ImageSet(
        name=NAMES[classes],  # so that asymmetric noise has its map
        train_images=pixel.expand(SAMPLES, 1, 1, 1),
        train_labels=torch.from_numpy(order % classes),
        test_images=pixel,
        test_labels=torch.zeros(1, dtype=torch.int64),
        class_names=tuple(map(str, range(classes))),
        mean=(0.5,),
        std=(0.5,),
    )


def drawing(images: ImageSet, name: str) -> Callable[[], object]:
    """One application of a rule; labels that come from elsewhere are there already."""
    rule: Rule = RULES.get(name)
    matrix = transitions.uniform(images.classes, 0.4).tolist() if name == "matrix" else ()
    corruption = Corruption(name, 0.4 if rule.rate else None, 0, tuple(map(tuple, matrix)))
    given = Given(images.train_labels.numpy()[::-1].copy()) if rule.given else None
    return lambda: rule.draw(images, corruption, numpy_generator(0, "corruption"), given)


def corrupting(rounds: int) -> None:
    sets = {classes: only_labels(classes) for classes in NAMES}
    heads = "".join(f"{f'K = {classes}':>10}" for classes in sets)
    print(f"corrupting {SAMPLES:,} labels (made up), ms, median of {rounds}\n{'':<20}{heads}{'bound':>10}")
    slowest = 0.0
    for name in RULES.names():
        if name not in IMAGE_RULES:
            times = [median_ms(drawing(images, name), rounds) for images in sets.values()]
            slowest = max(slowest, *times)
            print(f"{name:<20}{''.join(f'{value:>10.2f}' for value in times)}{BOUND:>10.0f}")
    print(f"slowest {slowest:.1f} ms: {'within' if slowest <= BOUND else 'ABOVE'} the bound\n")


def with_images(rounds: int) -> None:
    sets = [sources.load("mnist5k"), *installed("cifar10")]
    print(f"rules that need images, ms, median of {rounds} (one of the largest set; no bound)")
    heads = "".join(f"{f'{images.name}, {len(images.train_labels):,}':>20}" for images in sets)
    print(f"{'':<20}{heads}")
    for name in IMAGE_RULES:
        times = [
            median_ms(drawing(images, name), rounds if len(images.train_labels) < 10_000 else 1) for images in sets
        ]
        print(f"{name:<20}{''.join(f'{value:>20.0f}' for value in times)}")
    print()


def installed(name: str) -> list[ImageSet]:
    try:
        return [sources.load(name)]
    except MemstudyError:
        return []


def loading() -> None:
    """In this process, with a cache that starts empty; what the system keeps of files in memory stays there."""
    print(f"loading a set, ms\n{'':<20}{'first':>10}{'cached':>10}{'hash alone':>12}")
    for name in SOURCES.names():
        times = []
        try:
            for _ in range(2):
                start = time.perf_counter()
                images = sources.load(name)
                times.append(1000 * (time.perf_counter() - start))
        except MemstudyError:
            print(f"{name:<20}skipped: not installed")
            continue
        hashed = median_ms(lambda images=images: replace(images).content_hash(), 1)  # type: ignore[misc]
        print(f"{name:<20}{times[0]:>10.0f}{times[1]:>10.0f}{hashed:>12.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, default in {"rounds": 5, "threads": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    before = os.environ.get("MEMSTUDY_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MEMSTUDY_CACHE"] = folder
        try:
            corrupting(chosen.rounds)
            loading()
            print()
            with_images(chosen.rounds)
        finally:
            os.environ.pop("MEMSTUDY_CACHE") if before is None else os.environ.update(MEMSTUDY_CACHE=before)


if __name__ == "__main__":
    main()
