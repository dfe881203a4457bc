"""Several small networks at once on one device: which way does most steps a second, and what a run alone does.

    python -m tests.benchmarks.bench_fleet [--sizes 1 2 4 8 16 32] [--rounds 5] [--reg al2] [--device cuda]

Each side trains one epoch of the quick preset (4,000 images, batches of 64) with every member, in turns; medians.
Rates are steps of all members together. The ways are

- streams: every member's captured steps on a stream of its own, as `memstudy study` does it;
- one graph: all members' steps captured as parallel branches of one graph;
- grouped: parameters stacked, `torch.func.vmap` over the members, so their convolutions become one in groups;
- products: parameters stacked, every layer one batched product (convolutions of unfolded images).

On a CPU nothing is captured and nothing runs side by side: the first two do the same work one after the other. The
last column is the largest difference between a member's weights after one epoch and those of the run alone: 0 is
bit for bit.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from memstudy import presets
from memstudy.data import dataset, sources
from memstudy.regularizers.al2 import activation_loss
from memstudy.training import CapturedSteps, DeviceData, Placement, Trainer, TrainingState, capturable, numerics
from memstudy.training.captured import BLOCK
from memstudy.training.device import wait
from memstudy.training.replay import Replay
from tests.benchmarks.alternate import alternate

Epoch = Callable[[], None]
Weights = dict[str, Tensor]
Gradients = Callable[[Weights, Tensor, Tensor, Tensor], Weights]


def members(count: int, reg: str, device: torch.device) -> list[Trainer]:
    """Runs that differ in seed alone, each with tensors of its own but for the images."""
    place = Placement.usual(device)
    source = sources.load("mnist5k")
    found = []
    for seed in range(count):
        recipe = presets.build(reg=reg, seed=seed)
        data = dataset.corrupt(source, recipe.corruption)
        state = TrainingState.initial(recipe, data.images, place)
        found.append(Trainer(state, DeviceData.of(data, place), recipe))
    wait(device)  # what was put there was put there on another stream
    return found


def streams(trainers: Sequence[Trainer]) -> Epoch:
    """What a study's fleet does."""
    own = [_stream(trainer) for trainer in trainers]
    steps = [CapturedSteps(trainer) if capturable(trainer) else trainer for trainer in trainers]

    def epoch() -> None:
        with numerics():
            for stream, trainer, work in zip(own, trainers, steps, strict=True):
                with torch.cuda.stream(stream):
                    trainer.begin()
                    work.run()
            for stream, trainer in zip(own, trainers, strict=True):
                with torch.cuda.stream(stream):
                    trainer.end()

    return epoch


def one_graph(trainers: Sequence[Trainer]) -> Epoch:
    """A block of every member's steps is one launch, with a branch for each; members take their steps together."""
    own = [_stream(trainer) for trainer in trainers]
    device = trainers[0].data.device
    generators = [generator for trainer in trainers for generator in trainer.draws.values()]

    def block(count: int) -> None:
        main = torch.cuda.current_stream(device) if own[0] is not None else None
        for stream, trainer in zip(own, trainers, strict=True):
            if stream is not None and main is not None:
                stream.wait_stream(main)
            with torch.cuda.stream(stream):
                for _ in range(count):
                    trainer.step_at_index()
            if stream is not None and main is not None:
                main.wait_stream(stream)

    replays = {count: Replay(partial(block, count), device, generators) for count in (BLOCK, 1)}

    def epoch() -> None:
        with torch.cuda.stream(own[0]):
            for trainer in trainers:
                trainer.begin()
                trainer.index.zero_()
            done, whole = 0, trainers[0].whole
            while done < whole:
                count = BLOCK if whole - done >= BLOCK else 1
                replays[count]()
                done += count
            for trainer in trainers:
                if done < trainer.steps:
                    trainer.step(done)
                trainer.end()

    return epoch


class Stacked:
    """Members whose parameters are one tensor each, (members, …), with SGD and AL2's penalty written out."""

    def __init__(self, trainers: Sequence[Trainer], gradients: Gradients) -> None:
        self.trainers, self.gradients = trainers, gradients
        first = trainers[0]
        found, _ = stack_module_state([trainer.state.network for trainer in trainers])
        self.weights = {name: value.detach().contiguous() for name, value in found.items()}
        self.momentum = {name: torch.zeros_like(value) for name, value in self.weights.items()}
        self.images = first.data.normalize(first.data.train_images).contiguous()
        self.noisy = torch.stack([trainer.data.noisy for trainer in trainers])
        self.order = torch.zeros(len(trainers), first.samples, dtype=torch.int64, device=first.data.device)
        self.strengths = torch.zeros(len(trainers), device=first.data.device)
        self.index = torch.zeros((), dtype=torch.int64, device=first.data.device)
        self.replay = Replay(lambda: self.step(self.chosen()), first.data.device)
        self.stream = _stream(first)
        wait(first.data.device)

    def epoch(self) -> None:
        with torch.cuda.stream(self.stream):
            self.begin()
            first = self.trainers[0]
            for _ in range(first.whole):
                self.replay()
            if first.whole < first.steps:
                self.step(self.order[:, first.whole * first.batch :])
            for trainer in self.trainers:
                trainer.state.epochs_done += 1

    def begin(self) -> None:
        for member, trainer in enumerate(self.trainers):
            trainer.begin()
            self.order[member] = trainer.order
            for strength in trainer.strengths.values():
                self.strengths[member] = strength
        self.index.zero_()

    def chosen(self) -> Tensor:
        """The samples of the step whose number is in `index`, (members, batch)."""
        first = self.trainers[0]
        batches = self.order[:, : first.whole * first.batch].view(len(self.trainers), first.whole, first.batch)
        self.index += 1
        return batches.index_select(1, (self.index - 1).reshape(1)).squeeze(1)

    def step(self, samples: Tensor) -> None:
        training = self.trainers[0].recipe.training
        labels = self.noisy.gather(1, samples)
        found = self.gradients(self.weights, self.images[samples], labels, self.strengths)
        for name, weight in self.weights.items():
            # SGD's first step has momentum 0, so its buffer is the gradient then, too
            self.momentum[name].mul_(training.momentum).add_(found[name])
            weight.sub_(self.momentum[name], alpha=training.learning_rate)

    def difference(self, alone: nn.Module, member: int = 0) -> float:
        return farthest([self.weights[name][member] for name, _ in alone.named_parameters()], alone)


def grouped(network: nn.Module) -> Gradients:
    """By `torch.func`."""

    def objective(weights: Weights, images: Tensor, labels: Tensor, strength: Tensor) -> Tensor:
        features, logits = functional_call(network, weights, (images,))
        return F.cross_entropy(logits, labels) + strength * activation_loss(features)

    return vmap(grad(objective))


def products(weights: Weights, images: Tensor, labels: Tensor, strengths: Tensor) -> Weights:
    """smallNet's layers as batched products."""
    count, batch = labels.shape
    leaves = {name: value.requires_grad_() for name, value in weights.items()}
    (w1, b1), (w2, b2), (w3, b3), (w4, b4) = zip(*[iter(leaves.values())] * 2, strict=True)

    def convolved(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        size = x.shape[-1] - 4
        patches = F.unfold(x, 5).view(count, batch, -1, size * size).transpose(1, 2)
        found = torch.baddbmm(bias[:, :, None], weight.flatten(2), patches.flatten(2))
        maps = found.view(count, -1, batch, size, size).transpose(1, 2).reshape(count * batch, -1, size, size)
        return F.relu(F.max_pool2d(maps, 2))

    features = convolved(convolved(images.flatten(0, 1), w1, b1), w2, b2).view(count, batch, -1)
    hidden = F.relu(torch.baddbmm(b3[:, None], features, w3.transpose(1, 2)))
    logits = torch.baddbmm(b4[:, None], hidden, w4.transpose(1, 2))
    losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(count, batch).mean(1)
    penalties = features.square().mean((1, 2))
    gradients = torch.autograd.grad((losses + strengths * penalties).sum(), list(leaves.values()))
    for value in weights.values():
        value.requires_grad_(False)
    return dict(zip(leaves, gradients, strict=True))


def farthest(weights: Iterable[Tensor], alone: nn.Module) -> float:
    """The largest difference between some weights and those of the run alone."""
    pairs = zip(weights, alone.parameters(), strict=True)
    return max(float((own.detach() - other.detach()).abs().max()) for own, other in pairs)


def _stream(trainer: Trainer) -> torch.cuda.Stream | None:
    device = trainer.data.device
    return torch.cuda.Stream(device) if device.type == "cuda" else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    on_gpu = torch.cuda.is_available()
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32] if on_gpu else [1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--reg", default="al2", choices=["bare", "al2"])
    parser.add_argument("--device", default="cuda" if on_gpu else "cpu")
    chosen = parser.parse_args()
    device = torch.device(chosen.device)
    print(f"{chosen.reg} on {device}, 1 thread, medians of {chosen.rounds} epochs of 63 steps")
    with numerics():
        (alone,) = members(1, chosen.reg, device)
        alone.begin()
        alone.run()
        alone.end()
        for count in chosen.sizes:
            measure(count, chosen, device, alone.state.network)


def measure(count: int, chosen: argparse.Namespace, device: torch.device, alone: nn.Module) -> None:
    """Print the rates of every way with so many members."""
    sides: dict[str, Epoch] = {}
    differences: dict[str, float] = {}
    for name, way in {"streams": streams, "one graph": one_graph}.items():
        trainers = members(count, chosen.reg, device)
        sides[name] = way(trainers)
        sides[name]()
        differences[name] = farthest(trainers[0].state.network.parameters(), alone)
    for name in ("grouped", "products"):
        trainers = members(count, chosen.reg, device)
        stacked = Stacked(trainers, grouped(trainers[0].state.network) if name == "grouped" else products)
        sides[name] = stacked.epoch
        stacked.epoch()
        differences[name] = stacked.difference(alone)
    for name, seconds in alternate(sides, chosen.rounds).items():
        rate = 63 * count / seconds
        print(
            f"  {count:3d} members, {name:9s} {rate:9.1f} steps/s   {differences[name]:.1e} from alone", flush=True
        )


if __name__ == "__main__":
    main()
