"""What the engine's choices save, in one epoch of the quick preset (4,000 images, batches of 64).

    python -m tests.benchmarks.bench_training [--rounds 5] [--threads 1] [--device cpu]

- the engine's epoch against the usual loop: DataLoader, `.item()` every step;
- channels-last against contiguous convolutions (CPU).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

from memstudy import presets
from memstudy.data import dataset, sources
from memstudy.data.dataset import CorruptedDataset
from memstudy.randomness import torch_generator
from memstudy.recipe import Recipe
from memstudy.training import DeviceData, TrainingState, train_epoch
from memstudy.training.state import build_network
from tests.benchmarks.alternate import alternate, report


def engine(recipe: Recipe, data: CorruptedDataset, device: torch.device) -> Callable[[], object]:
    state = TrainingState.initial(recipe, data.images, device)
    on_device = DeviceData.of(data, device)
    return lambda: train_epoch(state, on_device, recipe)


def usual_loop(recipe: Recipe, data: CorruptedDataset, device: torch.device) -> Callable[[], object]:
    network = build_network(recipe, data.images, device).to(memory_format=torch.contiguous_format)
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.03, momentum=0.5)
    images = (data.images.train_images.float() / 255 - 0.1307) / 0.3081
    loader = DataLoader(
        TensorDataset(images, data.noisy_labels),
        batch_size=64,
        shuffle=True,
        generator=torch_generator(0, "bench"),
    )

    def epoch() -> None:
        for batch, labels in loader:
            features, logits = network(batch.to(device))
            loss = F.cross_entropy(logits, labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            _ = loss.item(), features.square().mean().item()

    return epoch


def layout(channels_last: bool) -> Callable[[], object]:
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 20, 5), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Conv2d(20, 50, 5)
    )
    kept = torch.channels_last if channels_last else torch.contiguous_format
    network = network.to(memory_format=kept)
    images = torch.rand(64, 1, 28, 28, generator=torch_generator(0, "bench")).contiguous(memory_format=kept)

    def steps() -> None:
        for _ in range(20):
            network(images).square().mean().backward()

    return steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    device = torch.device(chosen.device)
    recipe = presets.build()
    data = dataset.corrupt(sources.load(recipe.dataset), recipe.corruption)
    sides = {"engine": engine(recipe, data, device), "usual loop": usual_loop(recipe, data, device)}
    report(f"one epoch on {device}", alternate(sides, chosen.rounds), chosen.rounds)
    if device.type == "cpu":
        layouts = {"channels last": layout(True), "contiguous": layout(False)}
        report("20 steps of smallNet's convolutions", alternate(layouts, chosen.rounds), chosen.rounds)


if __name__ == "__main__":
    main()
