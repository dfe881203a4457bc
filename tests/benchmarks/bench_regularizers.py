"""What each regularizer costs: a training step with it against a plain one, as ratios measured in one run.

    python -m tests.benchmarks.bench_regularizers [--network smallnet] [--batch 64] [--rounds 25] [--threads 1]

Real MNIST images. Each side is one step in turn; medians over rounds. Memory is, on a GPU, the peak of one step
above what lay there before; on a CPU, what the step keeps for its backward pass (see `memory.py`), without
parameters. `--sides` chooses among the regularizers; those that the network has no place for are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from memstudy import presets
from memstudy.data import dataset, sources
from memstudy.errors import MemstudyError
from memstudy.randomness import torch_generator
from memstudy.training import DeviceData, TrainingState
from memstudy.training.epoch import Batch, train_step
from tests.benchmarks.alternate import alternate
from tests.benchmarks.memory import kept

SIDES = ("bare", "bn", "nobn", "do", "wd", "al2", "loco", "normloss", "pilcro", "wn", "pbwn", "oni", "olm")


@dataclass(frozen=True)
class Step:
    """A training step that can be done again, and the parameters it trains."""

    work: Callable[[], object]
    parameters: tuple[Tensor, ...]


def step(network: str, reg: str, batch: int, device: torch.device) -> Step:
    """One training step of a recipe on one batch, over and over, and what it trains."""
    recipe = presets.build(reg=reg, network=network, batch_size=batch)
    data = dataset.corrupt(sources.load("mnist5k"), recipe.corruption)
    state, on_device = TrainingState.initial(recipe, data.images, device), DeviceData.of(data, device)
    state.network.train()
    draws = torch_generator(0, "bench", device=device)
    state.network.seed_dropout(draws)
    lambdas = {name: method.strength(0) for name, method in state.regularizers.items()}
    strengths = {name: torch.tensor(v, device=device) for name, v in lambdas.items() if v is not None}
    images = on_device.normalize(on_device.train_images[:batch])
    one = Batch(images, on_device.noisy[:batch], strengths, draws)
    return Step(
        lambda: train_step(state, Batch(one.images.detach(), one.labels, one.strengths, one.generator)),
        tuple(state.network.parameters()),
    )


def steps(chosen: argparse.Namespace, device: torch.device) -> dict[str, Step]:
    """A step of every chosen side that the network has a place for."""
    found = {}
    for reg in dict.fromkeys(("bare", "wd", *chosen.sides)):
        try:
            found[reg] = step(chosen.network, reg, chosen.batch, device)
        except MemstudyError as error:
            print(f"without {reg}: {error}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--network", default="smallnet")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    for name, default in {"batch": 64, "rounds": 25, "threads": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--sides", nargs="+", default=SIDES, choices=SIDES)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    device = torch.device(chosen.device)
    sides = steps(chosen, device)
    medians = alternate({reg: side.work for reg, side in sides.items()}, chosen.rounds)
    memories = {reg: memory(side, device) for reg, side in sides.items()}
    print(
        f"a training step of {chosen.network}, batch {chosen.batch}, on {device}, {chosen.threads} thread(s), "
        f"median of {chosen.rounds}; memory: {'peak' if device.type == 'cuda' else 'kept for the backward pass'}:"
    )
    for reg, seconds in medians.items():
        time, size = (found[reg] / found["bare"] for found in (medians, memories))
        print(
            f"  {reg:<9}{1000 * seconds:9.2f} ms {time:6.2f} × bare {seconds / medians['wd']:6.2f} × wd"
            f"{memories[reg] / 2**20:9.2f} MiB {size:6.2f} × bare"
        )


def memory(side: Step, device: torch.device) -> int:
    """Bytes: the peak of one step on a GPU, what it keeps for its backward pass on a CPU."""
    if device.type != "cuda":
        return kept(side.work, side.parameters)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    side.work()
    return torch.cuda.max_memory_allocated(device) - before


if __name__ == "__main__":
    main()
