"""What it takes to evaluate 70,000 images after each epoch of AL2's protocol, and what --evaluate-every saves.

    python -m tests.benchmarks.bench_evaluation [--every 10] [--rounds 3] [--reg al2]

So many epochs a side as --every says, evaluated after each, and after the last alone; in turns, each side in a
process of its own, on one CPU thread; medians. Nothing is written.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import torch

from memstudy import presets
from memstudy.data import dataset
from memstudy.training import DeviceData, Evaluation, Placement, Trainer, TrainingState, numerics
from tests.benchmarks.alternate import apart


def prepared(reg: str, epochs: int, every: int) -> Callable[[], object]:
    """So many epochs of AL2's protocol, evaluated as `memstudy run --evaluate-every` does midway."""
    recipe = presets.build("al2", reg=reg)
    data = dataset.build(recipe)
    place = Placement.usual(torch.device("cpu"))
    trainer = Trainer(TrainingState.initial(recipe, data.images, place), DeviceData.of(data, place), recipe)
    evaluation = Evaluation(trainer.state.network, trainer.data)

    def work() -> None:
        with numerics(place.threads, recipe.training.precision):
            for epoch in range(epochs):
                trainer.begin()
                trainer.run()
                evaluation.begin((epoch + 1) % every == 0)
                trainer.end()
                evaluation.end()

    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--reg", default="al2")
    given = parser.parse_args()
    sides: dict[str, Callable[[], Callable[[], object]]] = {
        f"every {n}": partial(prepared, given.reg, given.every, n) for n in (1, given.every)
    }
    each, seldom = apart(sides, given.rounds).values()
    print(
        f"{given.every} epochs of al2 ({given.reg}), n = {given.rounds}: evaluated after each {each:.1f} s, after "
        f"the last {seldom:.1f} s: {seldom / each:.2f} of the time"
    )


if __name__ == "__main__":
    main()
