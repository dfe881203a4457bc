"""Layouts and threads on a CPU: what `memstudy/training/placement.py` states was measured with this.

    python -m tests.benchmarks.bench_layout [--networks smallnet resnet18 ...] [--batches 32 128] [--rounds 7]

Every network of ours at each batch size, float32, SGD with momentum: seconds of a step in either layout on one
thread, and in the usual one on all cores, in turns; medians, and ratios of them. Images are zeros: speed
does not depend on them, and no set need be installed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch

from memstudy import presets
from memstudy.data import dataset
from memstudy.data.images import ImageSet
from memstudy.models import NETWORKS
from memstudy.recipe import Corruption
from memstudy.training import DeviceData, Placement, Trainer, TrainingState, numerics
from memstudy.training.device import cores
from memstudy.training.placement import LAYOUTS
from tests.benchmarks.alternate import alternate

CPU = torch.device("cpu")
SIZES = {"smallnet": (1, 28), "alexnet": (3, 224)}
"""Channels and pixels a side, where they are not CIFAR's."""


def step(network: str, batch: int, place: Placement) -> Callable[[], None]:
    """One training step of a network, over and over."""
    channels, size = SIZES.get(network, (3, 32))
    shape, half = (batch, channels, size, size), (0.5,) * channels
    pixels, labels = torch.zeros(shape, dtype=torch.uint8), torch.arange(batch) % 10
    images = ImageSet("zeros", pixels, labels, pixels, labels, tuple("0123456789"), half, half)
    recipe = presets.build(network=network, batch_size=batch, momentum=0.9)
    data = DeviceData.of(dataset.corrupt(images, Corruption()), place)
    trainer = Trainer(TrainingState.initial(recipe, images, place), data, recipe)
    trainer.begin()

    def work() -> None:
        with numerics(place.threads):
            trainer.step(0)

    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=NETWORKS.names())
    parser.add_argument("--batches", nargs="+", type=int, default=[32, 128])
    parser.add_argument("--rounds", type=int, default=7)
    chosen = parser.parse_args()
    print(f"seconds of a step, medians of {chosen.rounds}; {cores()} cores")
    print("| network | batch | channels_last | contiguous | contiguous takes | all cores are faster |")
    print("|---|---:|---:|---:|---:|---:|")
    for network in chosen.networks:
        for batch in chosen.batches:
            places = {layout: Placement(CPU, layout) for layout in LAYOUTS}
            usual = Placement.usual(CPU)
            places["all"] = Placement(CPU, usual.layout, cores())
            medians = alternate(
                {name: step(network, batch, place) for name, place in places.items()}, chosen.rounds
            )
            last, contiguous = medians["channels_last"], medians["contiguous"]
            ratios = f"{contiguous / last:.2f} × | {medians[usual.layout] / medians['all']:.2f} ×"
            print(f"| {network} | {batch} | {last:.4f} | {contiguous:.4f} | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
