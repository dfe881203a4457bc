"""Which memory layout and how many CPU threads train a network fastest here: measured in a few steps, once.

The answer is kept under `cache_directory()`/calibration by network, images, batch, precision, device and PyTorch's
version, as measuring again, with other work on the machine, may give another one; regularizers share it. It moves
results in their last digits only, and is recorded with the run.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from memstudy import files
from memstudy.data.cache import cache_directory
from memstudy.data.images import ImageSet
from memstudy.randomness import torch_generator
from memstudy.recipe import Recipe
from memstudy.training.batches import normalized, per_channel
from memstudy.training.device import LAYOUTS, Placement, cores, device_name, numerics, wait
from memstudy.training.epoch import Batch, train_step
from memstudy.training.state import TrainingState

BUDGET = 0.8
"""Seconds of measuring, once everything is warm."""
GAIN = 1.1
"""How much faster another placement must be than the usual one: less than that is the measurement's own spread."""
EFFICIENCY = 0.75
"""What share of its speed each thread must keep among others: as many runs at once would keep all of it."""
STEP = 0.02
"""Seconds that a measured step should take at most; large networks get smaller batches."""
FEW = 2
"""The smallest batch, which tells how large one may be; batch normalization needs two images."""


def calibrated(recipe: Recipe, images: ImageSet, device: torch.device, threads: int | None = None) -> Placement:
    """The fastest placement for a recipe's steps on a device, with so many threads if they are given."""
    candidates = _candidates(device, threads)
    path = cache_directory() / "calibration" / f"{files.digest(_question(recipe, candidates).encode())[:16]}.json"
    known = _read(path, candidates)
    if known is not None:
        return known
    found = _chosen(candidates, measured(_timers(replace(recipe, regularizers=()), images, candidates)))
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time, nothing else
        files.write(path, json.dumps({"layout": found.layout, "threads": found.threads}))
    return found


def measured(timers: Sequence[Callable[[], float]], budget: float = BUDGET) -> list[float]:
    """Medians of what each timer says, in alternating rounds until so many seconds have passed."""
    times: list[list[float]] = [[] for _ in timers]
    end = time.monotonic() + budget
    while not times[0] or time.monotonic() < end:
        for own, timer in zip(times, timers, strict=True):
            own.append(timer())
    return [statistics.median(own) for own in times]


def _chosen(candidates: Sequence[Placement], seconds: Sequence[float]) -> Placement:
    """The fastest; the first one, unless another one is better by GAIN, and by as much as its threads cost."""
    usual = candidates[0]
    worth = [
        took * max(GAIN, EFFICIENCY * place.threads / usual.threads) if place != usual else took
        for place, took in zip(candidates, seconds, strict=True)
    ]
    return candidates[worth.index(min(worth))]


def _candidates(device: torch.device, threads: int | None) -> list[Placement]:
    """The usual placement first; threads only matter on a CPU."""
    usual = Placement.usual(device, threads or 1)
    counts = {usual.threads}
    if threads is None and device.type == "cpu":
        counts |= {cores() // 2 or 1, cores()}
    found = [replace(usual, layout=layout, threads=count) for count in sorted(counts) for layout in LAYOUTS]
    return [usual, *(place for place in found if place != usual)]


def _question(recipe: Recipe, candidates: Sequence[Placement]) -> str:
    """What an answer is the answer to."""
    device = candidates[0].device
    training = recipe.training
    return json.dumps(
        [
            recipe.network, recipe.dataset, training.batch_size, training.precision, device.type,
            device_name(device), cores(), torch.__version__,
            [[place.layout, place.threads] for place in candidates],
        ]
    )  # fmt: skip


def _read(path: Path, candidates: Sequence[Placement]) -> Placement | None:
    """The kept answer, if there is one and it is one of the candidates."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return next(p for p in candidates if (p.layout, p.threads) == (kept["layout"], kept["threads"]))
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        return None


class _Steps:
    """Training steps of a network in one layout, which is thrown away afterwards."""

    def __init__(self, recipe: Recipe, images: ImageSet, place: Placement) -> None:
        self.precision = recipe.training.precision
        self.images, self.place = images, place
        self.state = TrainingState.initial(recipe, images, place)
        self.draws = torch_generator(recipe.seed, "calibration", device=place.device)
        self.state.network.seed_dropout(self.draws)
        self.load(FEW)

    def load(self, count: int) -> None:
        """Take steps on so many images."""
        device, images = self.place.device, self.images
        mean, std = per_channel(images.mean, device), per_channel(images.std, device)
        pixels = normalized(images.train_images[:count].to(device), mean, std, self.place.memory_format)
        self.batch = Batch(pixels, images.train_labels[:count].to(device), {}, self.draws)

    def seconds(self, threads: int) -> float:
        """What one step takes."""
        with numerics(threads, self.precision):
            wait(self.place.device)
            start = time.perf_counter()
            train_step(self.state, self.batch)
            wait(self.place.device)
        return time.perf_counter() - start


def _timers(recipe: Recipe, images: ImageSet, candidates: Sequence[Placement]) -> list[Callable[[], float]]:
    """Of every candidate what times one of its steps, warm, on as many images as STEP allows."""
    steps = {place.layout: _Steps(recipe, images, place) for place in candidates}
    first = candidates[0]
    count = FEW
    while count < recipe.training.batch_size and _least(steps[first.layout], first.threads) < STEP / 2:
        count = min(2 * count, recipe.training.batch_size)
        steps[first.layout].load(count)
    for own in steps.values():
        own.load(count)
    timers = [partial(steps[place.layout].seconds, place.threads) for place in candidates]
    for timer in timers:
        timer()
    return list(timers)


def _least(steps: _Steps, threads: int) -> float:
    return min(steps.seconds(threads) for _ in range(2))
