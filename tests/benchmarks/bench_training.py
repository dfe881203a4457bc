"""Steps a second of the quick preset (4,000 images, batches of 64), and what the engine's choices save.

    python -m tests.benchmarks.bench_training [--rounds 5] [--threads 1] [--device cpu] [--reg al2] [--fleet 8]

One epoch a side, in turns, each in a process of its own; medians. The sides are

- the engine: as `memstudy run` trains; on a GPU replayed from CUDA graphs;
- eager: the same steps, each kernel launched by itself, in the usual layout;
- bf16: the engine in mixed precision;
- tf32, compiled, fleet, on a GPU alone: the engine with TF32; with its network through `torch.compile`; that many
  runs in turns;
- plain loop: torchvision's MNIST and transforms, DataLoader, `.item()` every step, as most code does.

The arithmetic floor is 0.88 GFLOP a step (three times the multiplications and additions of a forward pass), by the
rate of a large product of matrices or of a wide convolution on the same device, float32, what is faster.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from memstudy import presets
from memstudy.data import dataset, sources
from memstudy.data.dataset import CorruptedDataset
from memstudy.randomness import torch_generator
from memstudy.recipe import Recipe
from memstudy.regularizers.al2 import activation_loss
from memstudy.training import CapturedSteps, DeviceData, Placement, Trainer, TrainingState, capturable, numerics
from memstudy.training.device import wait
from tests.benchmarks import bench_fleet
from tests.benchmarks.alternate import apart

FORWARD = 2 * 64 * (24 * 24 * 25 * 20 + 8 * 8 * 500 * 50 + 800 * 500 + 500 * 10)
"""Floating-point operations of smallNet on a batch of MNIST images."""

Epoch = Callable[[], object]


def engine(
    recipe: Recipe, data: CorruptedDataset, place: Placement, capture: bool, compiled: bool = False
) -> Epoch:
    state = TrainingState.initial(recipe, data.images, place)
    if compiled:
        state.network.compile()
    trainer = Trainer(state, DeviceData.of(data, place), recipe)
    steps = CapturedSteps(trainer) if capture and capturable(trainer) else trainer
    wait(place.device)  # what was put there was put there on another stream
    stream = torch.cuda.Stream(place.device) if place.device.type == "cuda" else None

    def epoch() -> None:
        with numerics(place.threads, recipe.training.precision), torch.cuda.stream(stream):
            trainer.begin()
            steps.run()
            trainer.end()

    return epoch


class Images(datasets.MNIST):
    """torchvision's own MNIST with the images and labels at hand, so that nothing is read from files."""

    def __init__(self, data: CorruptedDataset) -> None:
        self.data, self.targets = data.images.train_images[:, 0], data.noisy_labels
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
        self.target_transform = None


def plain_loop(recipe: Recipe, data: CorruptedDataset, device: torch.device) -> Epoch:
    """smallNet and its losses written out, nothing of ours but the activation loss and its schedule."""
    trunk = nn.Sequential(
        nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2)
    ).to(device)
    head = nn.Sequential(nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10)).to(device)
    rate, momentum = recipe.training.learning_rate, recipe.training.momentum
    optimizer = torch.optim.SGD([*trunk.parameters(), *head.parameters()], lr=rate, momentum=momentum)
    loader: DataLoader[tuple[torch.Tensor, torch.Tensor]] = DataLoader(
        Images(data), batch_size=64, shuffle=True, generator=torch_generator(0, "bench")
    )
    strength = 0.01 if recipe.options("al2") is not None else 0.0

    def epoch() -> None:
        cross_entropies, activations = 0.0, 0.0
        for batch, labels in loader:
            features = trunk(batch.to(device))
            loss, activation = F.cross_entropy(head(features), labels.to(device)), activation_loss(features)
            optimizer.zero_grad()
            (loss + strength * activation).backward()
            optimizer.step()
            cross_entropies += loss.item()
            activations += activation.item()

    return epoch


def flops(device: torch.device) -> float:
    """Operations a second, float32, of a product of two large matrices or of a wide convolution, what is faster.

    On an AMD processor PyTorch's products use half of the vector units that its convolutions use.
    """
    draw = partial(torch.randn, device=device, generator=torch_generator(0, "bench", device=device))
    size, count = (8192, 1024) if device.type == "cuda" else (1024, 16)
    x, images, kernels = draw(size, size), draw(count, 64, 36, 36), draw(64, 64, 5, 5)
    images, kernels = (value.to(memory_format=torch.channels_last) for value in (images, kernels))
    work: dict[Epoch, int] = {
        partial(torch.mm, x, x): 2 * size**3,
        partial(F.conv2d, images, kernels): 2 * count * 32 * 32 * 64 * 64 * 25,
    }
    return max(operations / seconds(function, device) for function, operations in work.items())


def seconds(work: Epoch, device: torch.device) -> float:
    """The least of what some work takes, several times."""
    times = []
    for _ in range(7):
        wait(device)
        start = time.perf_counter()
        work()
        wait(device)
        times.append(time.perf_counter() - start)
    return min(times)


def side(name: str, reg: str, device: str, threads: int, members: int) -> Epoch:
    """What a side does, made ready in its own process."""
    recipe = presets.build(reg=reg)
    data = dataset.corrupt(sources.load(recipe.dataset), recipe.corruption)
    where, on_gpu = torch.device(device), torch.device(device).type == "cuda"
    torch.set_num_threads(threads)
    usual = Placement.usual(where, threads)
    match name:
        case "engine":
            return engine(recipe, data, usual, capture=on_gpu)
        case "eager":
            return engine(recipe, data, usual, capture=False)
        case "bf16" | "tf32":
            return engine(presets.build(reg=reg, precision=name), data, usual, capture=on_gpu)
        case "compiled":
            return engine(recipe, data, usual, capture=True, compiled=True)
        case "fleet":
            return bench_fleet.streams(bench_fleet.members(members, reg, where))
    return plain_loop(recipe, data, where)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--reg", default="bare")
    parser.add_argument("--fleet", type=int, default=8)
    chosen = parser.parse_args()
    names = ["engine", "eager", "bf16", "plain loop"]
    names += ["tf32", "compiled", "fleet"] * chosen.device.startswith("cuda")
    given = chosen.reg, chosen.device, chosen.threads, chosen.fleet
    medians = apart({name: partial(side, name, *given) for name in names}, chosen.rounds)
    steps = 63  # of 4,000 images
    rates = {name: steps * (chosen.fleet if name == "fleet" else 1) / took for name, took in medians.items()}
    torch.set_num_threads(chosen.threads)
    floor = flops(torch.device(chosen.device)) / (3 * FORWARD)
    print(f"{chosen.reg} on {chosen.device}, {chosen.threads} thread(s), medians of {chosen.rounds} epochs:")
    for name, rate in rates.items():
        print(f"  {name:12s} {rate:9.1f} steps/s   {rate / rates['plain loop']:5.2f} × the plain loop")
    print(f"  arithmetic   {floor:9.1f} steps/s at the rate of large products or wide convolutions, float32")


if __name__ == "__main__":
    main()
