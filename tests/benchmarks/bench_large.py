"""Large networks: training steps a second by number format, layout, capture and compiler.

    python -m tests.benchmarks.bench_large [--networks resnet110 wrn28-10] [--batch 128] [--steps 32] [--rounds 3]

Images of zeros in CIFAR-10's shape: speed does not depend on them, and no set need be installed. Each side does so
many steps in turn, SGD with momentum and weight decay; medians. The sides are

- eager fp32: PyTorch's usual layout, each kernel launched by itself: what the others are held against;
- eager bf16: mixed precision, channels last;
- captured bf16: the same, replayed from CUDA graphs, as `memstudy run --precision bf16` does on a GPU;
- compiled bf16: the same steps as "eager bf16" through `torch.compile`; needs a C++ compiler on a CPU.

On a GPU the peak of memory is printed beside; on a CPU nothing is captured.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import torch

from memstudy import presets
from memstudy.data import dataset
from memstudy.recipe import Corruption
from memstudy.training import Placement
from tests.benchmarks.alternate import alternate
from tests.benchmarks.bench_memory import MIB, images_like
from tests.benchmarks.bench_training import Epoch, engine

SIDES = ("eager fp32", "eager bf16", "captured bf16", "compiled bf16")


def side(name: str, network: str, batch: int, steps: int, device: torch.device) -> Epoch:
    """So many steps of a network, over and over."""
    how, precision = name.split()
    recipe = presets.build(
        network=network,
        dataset="cifar10",
        corrupt=0.0,
        reg="wd",
        batch_size=batch,
        momentum=0.9,
        precision=precision,
    )
    images = images_like("cifar10").part(torch.arange(batch * steps))
    data = dataset.corrupt(images, Corruption())
    layout = "contiguous" if precision == "fp32" else "channels_last"
    place = replace(Placement.usual(device, torch.get_num_threads()), layout=layout)
    return engine(recipe, data, place, capture=how == "captured", compiled=how == "compiled")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    on_gpu = torch.cuda.is_available()
    parser.add_argument("--networks", nargs="+", default=["resnet110", "wrn28-10"])
    parser.add_argument("--sides", nargs="+", default=SIDES, choices=SIDES)
    parser.add_argument("--device", default="cuda" if on_gpu else "cpu")
    for name, default in {"batch": 128, "steps": 32, "rounds": 3, "threads": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    device = torch.device(chosen.device)
    for network in chosen.networks:
        sides = {name: side(name, network, chosen.batch, chosen.steps, device) for name in chosen.sides}
        peaks = {name: peak(work, device) for name, work in sides.items()}
        medians = alternate(sides, chosen.rounds)
        print(
            f"{network}, batch {chosen.batch}, on {device}, {chosen.threads} thread(s), median of {chosen.rounds}:"
        )
        for name, seconds in medians.items():
            ratio = medians[chosen.sides[0]] / seconds
            memory = f"   {peaks[name] / MIB:,.0f} MiB" if device.type == "cuda" else ""
            print(f"  {name:14s} {chosen.steps / seconds:9.2f} steps/s   {ratio:5.2f} × {chosen.sides[0]}{memory}")


def peak(work: Epoch, device: torch.device) -> int:
    """Bytes at most beside what lay on a GPU before; everything is warm and captured after it."""
    if device.type != "cuda":
        work()
        return 0
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    for _ in range(2):
        work()
    return torch.cuda.max_memory_allocated(device) - before


if __name__ == "__main__":
    main()
