"""One step and one epoch. The plain eager step here is the reference that any faster way must equal."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from memstudy.randomness import key, torch_generator
from memstudy.recipe import Recipe
from memstudy.regularizers import Step
from memstudy.regularizers.al2 import activation_loss
from memstudy.training import hooks
from memstudy.training.augmentation import cross_entropy, flip_crop, mixed, mixup_shares
from memstudy.training.batches import DeviceData
from memstudy.training.device import mixed_precision
from memstudy.training.optimization import learning_rate
from memstudy.training.parallel import ALONE, Ranks
from memstudy.training.state import TrainingState

OnStep = Callable[[int, int], None]
DRAWS = ("dropout", "penalty", "augmentation")
"""What is drawn on the device in the course of an epoch, each from a generator of its own."""


@dataclass(frozen=True)
class Batch:
    """What one step is made from.

    Attributes:
        images: (B, C, H, W) float32, normalized.
        labels: (B,) int64, noisy.
        strengths: λ of each regularizer that has a penalty, by name, 0-d tensors.
        generator: for the penalties' own draws.
        share: 0-d, what share each image keeps of itself in mixup; None without mixup.
        weight: a factor of the objective where processes share a batch: larger for a larger part, 1 on average.

    """

    images: Tensor
    labels: Tensor
    strengths: dict[str, Tensor]
    generator: torch.Generator
    share: Tensor | None = None
    weight: float = 1.0


class NonFiniteLoss(ArithmeticError):
    """The objective became NaN or infinite. `epoch` and `step` are 0-based, `culprit` is a clause on the cause."""

    def __init__(self, epoch: int, step: int, culprit: str = "") -> None:
        because = f" ({culprit})" if culprit else ""
        super().__init__(f"the loss became non-finite at epoch {epoch}, step {step}{because}")
        self.epoch = epoch
        self.step = step


def train_step(state: TrainingState, batch: Batch, ranks: Ranks = ALONE) -> Tensor:
    """Descend the objective on one batch, or one process's part of it; the network is in training mode.

    Returns:
        What is measured, a vector, all means over the batch: the objective, cross-entropy L_c (without label
        smoothing), activation loss L_r (unscaled), and each penalty (unscaled) in the order of `strengths`.

    """
    images, training = batch.images, state.training
    if batch.share is not None:
        images = mixed(images, batch.share)
    if any(method.needs_image_gradients() for method in state.regularizers.values()):
        images.requires_grad_()
    with mixed_precision(training.precision, images.device):
        features, logits = state.network(images)
    hooks.check_logits(logits)
    if training.precision == "bf16":
        features, logits = features.float(), logits.float()
    loss = cross_entropy(logits, batch.labels, batch.share, training.label_smoothing)
    step = Step(state.network, images, features, logits, batch.labels, loss, batch.generator)
    objective = loss
    penalties = []
    for name, strength in batch.strengths.items():
        method = state.regularizers[name]
        penalties.append(hooks.penalty(name, method, step))
        objective = objective + strength * hooks.scale(name, method, step, penalties[-1]) * penalties[-1]
    state.optimizer.zero_grad(set_to_none=True)
    (objective if batch.weight == 1 else batch.weight * objective).backward()
    ranks.average_gradients(state.network)
    if training.clip:
        torch.nn.utils.clip_grad_norm_(state.network.parameters(), training.clip)
    state.optimizer.step()
    with torch.no_grad():
        for method in state.regularizers.values():
            method.after_step(state.network, state.optimizer.param_groups[0]["lr"])
        if training.label_smoothing:
            loss = cross_entropy(logits, batch.labels, batch.share)
        return torch.stack([objective, loss, activation_loss(features), *penalties])


class Trainer:
    """One run's epochs on its device.

    What a step reads and writes is in tensors that stay where they are, so that steps can be captured once and
    replayed (`training.captured`); `run`, one eager step after the other, is what that must equal.
    """

    def __init__(self, state: TrainingState, data: DeviceData, recipe: Recipe, ranks: Ranks = ALONE) -> None:
        training, device = recipe.training, data.device
        self.state, self.data, self.recipe, self.ranks = state, data, recipe, ranks
        self.samples = len(data.noisy)
        self.batch = training.batch_size
        self.steps = -(-self.samples // self.batch)
        self.draws = {purpose: torch.Generator(device) for purpose in DRAWS}
        self.order = torch.zeros(self.samples, dtype=torch.int64, device=device)
        self.shares = torch.zeros(self.steps, device=device) if training.mixup else None
        self.reached = 0  # the step under way, so that an error can be located
        self.index = torch.zeros((), dtype=torch.int64, device=device)
        self.lambdas: dict[str, float] = {}
        self.strengths: dict[str, Tensor] = {}
        self.measured = torch.zeros(self.steps, 3, dtype=torch.float64, device=device)
        self.counts = self._samples()

    @property
    def whole(self) -> int:
        """Steps of an epoch with a whole batch; what is left makes one smaller step."""
        return self.samples // self.batch

    def begin(self) -> None:
        """Prepare the next epoch; every draw in it depends on the recipe's seed and the epoch alone."""
        state, recipe, epoch = self.state, self.recipe, self.state.epochs_done
        self.reached = 0
        for purpose, generator in self.draws.items():
            generator.manual_seed(key(recipe.seed, self.ranks.purpose(purpose), epoch))
        state.network.train()
        state.network.seed_dropout(self.draws["dropout"])
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate(recipe.training, epoch)
        self.order.copy_(torch.randperm(self.samples, generator=torch_generator(recipe.seed, "order", epoch)))
        if self.shares is not None:
            self.shares.copy_(mixup_shares(recipe.training.mixup, self.steps, recipe.seed, epoch))
        answers = {name: hooks.strength(name, method, epoch) for name, method in state.regularizers.items()}
        self.lambdas = {name: value for name, value in answers.items() if value is not None}
        if self.strengths.keys() != self.lambdas.keys():
            self.strengths = {name: torch.zeros((), device=self.order.device) for name in self.lambdas}
            self.measured = self.measured.new_zeros(self.steps, 3 + len(self.lambdas))
        for name, value in self.lambdas.items():
            # beyond float32 it is infinite, which fill_ would refuse
            self.strengths[name].copy_(torch.tensor(value))

    def run(self, on_step: OnStep | None = None) -> None:
        """All steps of the epoch that was begun, each sample once, the last batch smaller if need be."""
        for number in range(self.steps):
            self.step(number)
            if on_step is not None:
                on_step(number + 1, self.steps)

    def step(self, number: int) -> None:
        """One step of the epoch by its number."""
        self.reached = number
        part = self.order[number * self.batch : (number + 1) * self.batch]
        self.measured[number] = self._step(part, None if self.shares is None else self.shares[number])

    def step_at_index(self) -> None:
        """The whole step whose number is in `index`, a tensor on the device, which is then increased by 1."""
        row = self.index.reshape(1)
        batches = self.order[: self.whole * self.batch].view(self.whole, self.batch)
        share = None if self.shares is None else self.shares.index_select(0, row).squeeze(0)
        self.measured.index_copy_(0, row, self._step(batches.index_select(0, row).squeeze(0), share)[None])
        self.index += 1

    def _step(self, whole: Tensor, share: Tensor | None) -> Tensor:
        part, weight = self.ranks.part(whole)
        pixels = self.data.train_images[part]
        if self.recipe.training.augment == "flip-crop":
            pixels = flip_crop(pixels, self.draws["augmentation"])
        images, labels = self.data.normalize(pixels), self.data.noisy[part]
        batch = Batch(images, labels, self.strengths, self.draws["penalty"], share, weight)
        return train_step(self.state, batch, self.ranks).double()

    def end(self) -> dict[str, float]:
        """Count the epoch, and say what was measured in it: all steps' numbers cross from the device here.

        What AL2 reports of the training batches, means over all samples, as the network was when each batch
        passed: `train_cross_entropy` (L_c, nats), `train_activation_loss` (L_r, unscaled), and for each penalizing
        regularizer `lambda_<name>` and `penalty_<name>` (unscaled).

        Raises NonFiniteLoss with the first step whose objective was not finite.
        """
        measured = self.measured.cpu()
        bad = torch.nonzero(~measured[:, 0].isfinite())
        first = self.ranks.greatest(torch.tensor(int(bad[0]) if len(bad) else -1, device=self.measured.device))
        if first >= 0:
            raise NonFiniteLoss(self.state.epochs_done, int(first), self._culprit(measured[int(first)]))
        self.state.epochs_done += 1
        sums = np.add.reduce((measured[:, 1:] * self.counts[:, None]).numpy())  # one step after the other
        totals = self.ranks.total(torch.from_numpy(sums).to(self.measured.device))
        cross_entropy_, activation, *penalties = (totals / self.samples).tolist()
        metrics = {"train_cross_entropy": cross_entropy_, "train_activation_loss": activation}
        for (name, strength), penalty in zip(self.lambdas.items(), penalties, strict=True):
            metrics |= {f"lambda_{name}": strength, f"penalty_{name}": penalty}
        return metrics

    def _culprit(self, step: Tensor) -> str:
        """Which regularizer made the objective non-finite, a clause; empty if the cross-entropy is so, too."""
        objective, cross_entropy_, _, *penalties = step.tolist()
        if math.isfinite(objective) or not math.isfinite(cross_entropy_):
            return ""
        values = dict(zip(self.lambdas, penalties, strict=True))
        bad = [name for name, value in values.items() if not math.isfinite(value)]
        if bad:
            return f"the penalty of {hooks.described(bad[0], self.state.regularizers[bad[0]], 'penalty')} did"
        return f"the strength or the scale of a penalty did: {', '.join(values)}"

    def _samples(self) -> Tensor:
        """How many samples of each step's batch this process has, (steps,) float64."""
        batches = self.order.split(self.batch)
        return torch.tensor(
            [self.ranks.samples(batch, self.ranks.part(batch)[1]) for batch in batches], dtype=torch.float64
        )


def train_epoch(
    state: TrainingState, data: DeviceData, recipe: Recipe, on_step: OnStep | None = None
) -> dict[str, float]:
    """Train the next epoch, step by step, and say what `Trainer.end` says. Raises NonFiniteLoss."""
    trainer = Trainer(state, data, recipe)
    trainer.begin()
    trainer.run(on_step)
    return trainer.end()
