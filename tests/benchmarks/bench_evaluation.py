"""What it takes to evaluate 70,000 images after an epoch of AL2's protocol, and what --evaluate-every saves.

    python -m tests.benchmarks.bench_evaluation [--every 10] [--rounds 3] [--reg al2]

An epoch of training, its evaluation, and the look at an epoch that is not evaluated (whether all is finite), in
turns on one CPU thread; medians. A long run's ratio follows from these.
"""

from __future__ import annotations

import argparse

import torch

from memstudy import presets
from memstudy.data import dataset
from memstudy.training import DeviceData, Evaluation, Placement, Trainer, TrainingState, numerics
from tests.benchmarks.alternate import alternate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--reg", default="al2")
    given = parser.parse_args()
    recipe = presets.build("al2", reg=given.reg)
    data, place = dataset.build(recipe), Placement.usual(torch.device("cpu"))
    trainer = Trainer(TrainingState.initial(recipe, data.images, place), DeviceData.of(data, place), recipe)
    evaluation = Evaluation(trainer.state.network, trainer.data)

    def train() -> None:
        trainer.begin()
        trainer.run()
        trainer.end()

    def measure(whole: bool) -> None:
        evaluation.begin(whole)
        evaluation.end()

    with numerics(1, recipe.training.precision):
        sides = {"train": train, "evaluate": lambda: measure(True), "look": lambda: measure(False)}
        seconds = alternate(sides, given.rounds)
    each = seconds["train"] + seconds["evaluate"]
    share = 1 / given.every
    seldom = seconds["train"] + share * seconds["evaluate"] + (1 - share) * seconds["look"]
    print(
        f"al2 ({given.reg}), n = {given.rounds}: an epoch's training {seconds['train']:.2f} s, evaluation "
        f"{seconds['evaluate']:.2f} s, look {seconds['look']:.3f} s; --evaluate-every {given.every}: "
        f"{seldom / each:.2f} of the time"
    )


if __name__ == "__main__":
    main()
