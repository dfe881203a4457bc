"""What memory a run takes on its device: every network, batch and precision of the studies.

    python -m tests.benchmarks.bench_memory [al2 ...] [--device cpu] [--measure smallnet ...]

Per line the regularizer that takes most. The sizes follow from the recipe and the images' shape alone:

- weights: the network's parameters and buffers, their gradients and the optimizer's buffers;
- a step: what it keeps for its backward pass, by steps on 2 and 4 images on a CPU, extended to the batch (it is a
  constant and a part for each image); kernels' own workspaces are not counted;
- data: images (uint8) and labels of the whole set.

On a GPU, and on a CPU for the networks that `--measure` names, the peak beside it is measured: of a fresh process
that loads the data and takes three steps of that batch. Pixels are zeros: memory does not depend on them, and no
set need be installed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, partial

import torch

from memstudy.data import dataset
from memstudy.data.dataset import CorruptedDataset
from memstudy.data.images import ImageSet
from memstudy.errors import MemstudyError
from memstudy.recipe import Corruption, Recipe
from memstudy.study import grid, shipped
from memstudy.training import DeviceData, Placement, Trainer, TrainingState, numerics
from tests.benchmarks.memory import grown, in_fresh_process, kept

SHAPES = {
    # channels, pixels a side, classes, training and test images
    "mnist5k": (1, 28, 10, 4000, 1000),
    "mnist": (1, 28, 10, 60000, 10000),
    "fashion": (1, 28, 10, 60000, 10000),
    "cifar10": (3, 32, 10, 50000, 10000),
    "cifar100": (3, 32, 100, 50000, 10000),
}
MIB = 2**20


@dataclass(frozen=True)
class Sizes:
    """Bytes."""

    weights: int
    step: int
    data: int

    @property
    def total(self) -> int:
        return self.weights + self.step + self.data


@cache
def images_like(name: str) -> ImageSet:
    """A set of zeros as large as the one of that name."""
    channels, size, classes, train, test = SHAPES[name]
    images = [torch.zeros(count, channels, size, size, dtype=torch.uint8) for count in (train, test)]
    labels = [torch.arange(count) % classes for count in (train, test)]
    names = tuple(str(label) for label in range(classes))
    return ImageSet(name, images[0], labels[0], images[1], labels[1], names, (0.5,) * channels, (0.5,) * channels)


def data_like(recipe: Recipe) -> CorruptedDataset:
    return dataset.corrupt(images_like(recipe.dataset), Corruption())


def sizes(recipe: Recipe) -> Sizes:
    """What the module's docstring says, of one recipe."""
    data, cpu = data_like(recipe), torch.device("cpu")
    keeps = []
    for count in (2, 4):
        small = replace(recipe, training=replace(recipe.training, batch_size=count))
        state = TrainingState.initial(small, data.images, cpu)
        trainer = Trainer(state, DeviceData.of(data, cpu), small)
        trainer.begin()
        keeps.append(kept(partial(trainer.step, 0), state.network.parameters()))
    a_sample = (keeps[1] - keeps[0]) / 2
    network = state.network
    parameters = [p for p in network.parameters() if p.requires_grad]
    buffers = [b for p in parameters for b in state.optimizer.state[p].values() if isinstance(b, torch.Tensor)]
    everything = [*parameters, *parameters, *network.buffers(), *buffers]
    return Sizes(
        sum(tensor.nbytes for tensor in everything),
        round(keeps[0] + a_sample * (recipe.training.batch_size - 2)),
        held(DeviceData.of(data, cpu)),
    )


def held(data: DeviceData) -> int:
    """Bytes of a set's tensors."""
    return sum(value.nbytes for value in vars(data).values() if isinstance(value, torch.Tensor))


def peak(recipe: Recipe, device: str) -> int:
    """Bytes of the device that the data, the network and three eager steps take; for a fresh process."""
    data, place = data_like(recipe), Placement.usual(torch.device(device))

    def work() -> None:
        with numerics(1, recipe.training.precision):
            trainer = Trainer(
                TrainingState.initial(recipe, data.images, place), DeviceData.of(data, place), recipe
            )
            trainer.begin()
            for number in range(3):
                trainer.step(number)

    if place.device.type == "cuda":
        work()
        return torch.cuda.max_memory_allocated(place.device)
    small = replace(recipe, network="smallnet", regularizers=())
    TrainingState.initial(small, data.images, place)  # libraries are loaded before
    return grown(work) + held(DeviceData.of(data, place))  # on a CPU the set is there already


def largest(studies: list[str]) -> Iterator[tuple[Recipe, Sizes]]:
    """Of all recipes of the studies at full scale that differ in regularizers alone, the one that takes most."""
    found: dict[tuple[object, ...], dict[tuple[object, ...], Recipe]] = {}
    for study in studies:
        for recipe in grid.read(shipped.find(study), [0]).recipes:
            training = recipe.training
            line = recipe.network, recipe.dataset, training.batch_size, training.precision
            methods = tuple(sorted(method.name for method in recipe.regularizers))
            found.setdefault(line, {}).setdefault(methods, recipe)
    for recipes in found.values():
        sized = [(recipe, sizes(recipe)) for recipe in recipes.values()]
        yield max(sized, key=lambda pair: pair[1].total)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("studies", nargs="*", default=shipped.names())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--measure", nargs="+", default=["smallnet"])
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "| network | images | batch | precision | most with | weights | a step | data | all, MiB | measured, MiB |"
    )
    print("|---|---|---:|---|---|---:|---:|---:|---:|---:|")
    for recipe, size in largest(chosen.studies):
        training, reg = recipe.training, "+".join(method.name for method in recipe.regularizers) or "bare"
        asked = chosen.device.startswith("cuda") or recipe.network in chosen.measure
        found = in_fresh_process(peak, recipe, chosen.device) / MIB if asked else None
        cells = [recipe.network, recipe.dataset, training.batch_size, training.precision, reg]
        cells += [f"{part / MIB:,.0f}" for part in (size.weights, size.step, size.data, size.total)]
        print("|", " | ".join(map(str, [*cells, "" if found is None else f"{found:,.0f}"])), "|", flush=True)


if __name__ == "__main__":
    try:
        main()
    except MemstudyError as error:
        raise SystemExit(str(error)) from error
