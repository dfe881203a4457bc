"""One step and one epoch. The plain eager step here is the oracle that any faster way must equal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from memstudy.randomness import torch_generator
from memstudy.recipe import Recipe
from memstudy.regularizers import Step
from memstudy.regularizers.al2 import activation_loss
from memstudy.training.augmentation import cross_entropy, flip_crop, mixed, mixup_shares
from memstudy.training.batches import DeviceData
from memstudy.training.device import precision
from memstudy.training.optimization import learning_rate
from memstudy.training.state import TrainingState

OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class Batch:
    """What one step is made from.

    Attributes:
        images: (B, C, H, W) float32, normalized.
        labels: (B,) int64, noisy.
        strengths: λ of each regularizer that has a penalty, by name, 0-d tensors.
        generator: for the penalties' own draws.
        share: 0-d, mixup's share of each image's own; None without mixup.

    """

    images: Tensor
    labels: Tensor
    strengths: dict[str, Tensor]
    generator: torch.Generator
    share: Tensor | None = None


class NonFiniteLoss(ArithmeticError):
    """The objective became NaN or infinite; `epoch` and `step` are 0-based."""

    def __init__(self, epoch: int, step: int) -> None:
        super().__init__(f"the loss became non-finite at epoch {epoch}, step {step}")
        self.epoch = epoch
        self.step = step


def train_step(state: TrainingState, batch: Batch) -> tuple[Tensor, Tensor]:
    """Descend the objective on one batch; the network is in training mode.

    Returns:
        The objective (0-d), and a vector of what is measured, all means over the batch: cross-entropy L_c (without
        label smoothing), activation loss L_r (unscaled), and each penalty (unscaled) in the order of `strengths`.

    """
    images, training = batch.images, state.training
    if batch.share is not None:
        images = mixed(images, batch.share)
    if any(method.needs_image_gradients() for method in state.regularizers.values()):
        images.requires_grad_()
    with precision(training.precision, images.device):
        features, logits = state.network(images)
    if training.precision != "fp32":
        features, logits = features.float(), logits.float()
    loss = cross_entropy(logits, batch.labels, batch.share, training.label_smoothing)
    step = Step(state.network, images, features, logits, batch.labels, loss, batch.generator)
    objective = loss
    penalties = []
    for name, strength in batch.strengths.items():
        method = state.regularizers[name]
        penalties.append(method.penalty(step))
        objective = objective + strength * method.scale(step, penalties[-1]) * penalties[-1]
    state.optimizer.zero_grad(set_to_none=True)
    objective.backward()
    if training.clip:
        torch.nn.utils.clip_grad_norm_(state.network.parameters(), training.clip)
    state.optimizer.step()
    with torch.no_grad():
        for method in state.regularizers.values():
            method.after_step(state.network, state.optimizer.param_groups[0]["lr"], state.epochs_done)
        if training.label_smoothing:
            loss = cross_entropy(logits, batch.labels, batch.share)
        measured = torch.stack([loss, activation_loss(features), *penalties])
    return objective.detach(), measured


def train_epoch(
    state: TrainingState, data: DeviceData, recipe: Recipe, on_step: OnStep | None = None
) -> dict[str, float]:
    """Train the next epoch; every draw in it depends on the recipe's seed and the epoch alone.

    Returns what AL2 reports of the training batches, means over all samples, as the network was when each
    batch passed: `train_cross_entropy` (L_c, nats), `train_activation_loss` (L_r, unscaled), and for each
    penalizing regularizer `lambda_<name>` and `penalty_<name>` (unscaled).

    Raises NonFiniteLoss, after the epoch, with the first step whose objective was not finite: sums stay on
    the device and cross once an epoch.
    """
    epoch, device, count = state.epochs_done, data.device, len(data.noisy)
    state.network.train()
    state.network.seed_dropout(torch_generator(recipe.seed, "dropout", epoch, device))
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(recipe.training, epoch)
    lambdas = {name: method.strength(epoch) for name, method in state.regularizers.items()}
    strengths = {name: torch.tensor(v, device=device) for name, v in lambdas.items() if v is not None}

    sums = torch.zeros(2 + len(strengths), dtype=torch.float64, device=device)
    first_bad = torch.tensor(-1, device=device)
    steps = -(-count // recipe.training.batch_size)
    for index, batch in enumerate(_batches(data, recipe, epoch, strengths)):
        objective, measured = train_step(state, batch)
        sums += measured.double() * len(batch.labels)
        first_bad = torch.where((first_bad < 0) & ~objective.isfinite(), index, first_bad)
        if on_step is not None:
            on_step(index + 1, steps)

    if (bad := int(first_bad)) >= 0:
        raise NonFiniteLoss(epoch, bad)
    state.epochs_done += 1
    cross_entropy_, activation, *penalties = (sums / count).tolist()
    metrics = {"train_cross_entropy": cross_entropy_, "train_activation_loss": activation}
    for name, penalty in zip(strengths, penalties, strict=True):
        metrics |= {f"lambda_{name}": lambdas[name], f"penalty_{name}": penalty}
    return metrics


def _batches(data: DeviceData, recipe: Recipe, epoch: int, strengths: dict[str, Tensor]) -> Iterator[Batch]:
    """An epoch's batches in their order, each sample once, the last one smaller if need be."""
    training, seed, device = recipe.training, recipe.seed, data.device
    order = torch.randperm(len(data.noisy), generator=torch_generator(seed, "order", epoch)).to(device)
    parts = order.split(training.batch_size)
    shares = mixup_shares(training.mixup, len(parts), seed, epoch, device)
    penalty_draws = torch_generator(seed, "penalty", epoch, device)
    crop_draws = torch_generator(seed, "augmentation", epoch, device)
    for index, part in enumerate(parts):
        pixels = data.train_images[part]
        if training.augment == "flip-crop":
            pixels = flip_crop(pixels, crop_draws)
        share = None if shares is None else shares[index]
        yield Batch(data.normalize(pixels), data.noisy[part], strengths, penalty_draws, share)
