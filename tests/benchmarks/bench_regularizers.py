"""What each regularizer costs: a training step with it against a plain one, as ratios measured in one run.

    python -m tests.benchmarks.bench_regularizers [--network smallnet] [--batch 64] [--rounds 25] [--threads 1]

Real MNIST images. Each side is one step in turn; medians over rounds. Memory is the peak of one step on a GPU; on
a CPU it is not measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch

from memstudy import presets
from memstudy.data import dataset, sources
from memstudy.randomness import torch_generator
from memstudy.training import DeviceData, TrainingState
from memstudy.training.epoch import Batch, train_step
from tests.benchmarks.alternate import alternate

SIDES = ("bare", "wd", "al2", "loco", "normloss", "pilcro")


def step(network: str, reg: str, batch: int, device: torch.device) -> Callable[[], object]:
    """One training step of a recipe on one batch, over and over."""
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
    return lambda: train_step(state, Batch(one.images.detach(), one.labels, one.strengths, one.generator))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--network", default="smallnet")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    for name, default in {"batch": 64, "rounds": 25, "threads": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    device = torch.device(chosen.device)
    sides = {reg: step(chosen.network, reg, chosen.batch, device) for reg in SIDES}
    medians = alternate(sides, chosen.rounds)
    print(
        f"a training step of {chosen.network}, batch {chosen.batch}, on {device}, {chosen.threads} thread(s), "
        f"median of {chosen.rounds}:"
    )
    for reg, seconds in medians.items():
        ratios = f"{seconds / medians['bare']:.2f} × bare   {seconds / medians['wd']:.2f} × wd"
        print(f"  {reg:<9}{1000 * seconds:8.2f} ms   {ratios}{memory(sides[reg], device)}")


def memory(work: Callable[[], object], device: torch.device) -> str:
    """The peak memory of one step, on a GPU."""
    if device.type != "cuda":
        return ""
    torch.cuda.reset_peak_memory_stats(device)
    work()
    return f"   {torch.cuda.max_memory_allocated(device) / 2**20:,.0f} MiB"


if __name__ == "__main__":
    main()
