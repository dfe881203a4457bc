"""One step and one epoch. The plain eager step here is the oracle that any faster way must equal."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from memstudy.randomness import torch_generator
from memstudy.recipe import Recipe
from memstudy.regularizers import Step
from memstudy.regularizers.al2 import activation_loss
from memstudy.training.batches import DeviceData
from memstudy.training.state import TrainingState

OnStep = Callable[[int, int], None]


class NonFiniteLoss(ArithmeticError):
    """The objective became NaN or infinite; `epoch` and `step` are 0-based."""

    def __init__(self, epoch: int, step: int) -> None:
        super().__init__(f"the loss became non-finite at epoch {epoch}, step {step}")
        self.epoch = epoch
        self.step = step


def train_step(
    state: TrainingState,
    images: Tensor,
    labels: Tensor,
    strengths: dict[str, Tensor],
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Descend the objective on one batch.

    Args:
        state: what is trained, in training mode.
        images: (B, C, H, W) float32, normalized.
        labels: (B,) int64, noisy.
        strengths: λ of each regularizer that has a penalty, by name, 0-d tensors.
        generator: for the penalties' own draws.

    Returns:
        The objective (0-d), and a vector of what is measured, all means over the batch: cross-entropy L_c,
        activation loss L_r (unscaled), and each penalty (unscaled) in the order of `strengths`.

    """
    if any(method.needs_image_gradients() for method in state.regularizers.values()):
        images.requires_grad_()
    features, logits = state.network(images)
    cross_entropy = F.cross_entropy(logits, labels)
    step = Step(state.network, images, features, logits, labels, cross_entropy, generator)
    objective = cross_entropy
    penalties = []
    for name, strength in strengths.items():
        method = state.regularizers[name]
        penalties.append(method.penalty(step))
        objective = objective + strength * method.scale(step, penalties[-1]) * penalties[-1]
    state.optimizer.zero_grad(set_to_none=True)
    objective.backward()
    state.optimizer.step()
    with torch.no_grad():
        for method in state.regularizers.values():
            method.after_step(state.network, state.optimizer.param_groups[0]["lr"], state.epochs_done)
        measured = torch.stack([cross_entropy, activation_loss(features), *penalties])
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
    epoch, device, seed = state.epochs_done, data.device, recipe.seed
    state.network.train()
    state.network.seed_dropout(torch_generator(seed, "dropout", epoch, device))
    draws = torch_generator(seed, "penalty", epoch, device)
    count = len(data.noisy)
    order = torch.randperm(count, generator=torch_generator(seed, "order", epoch)).to(device)
    lambdas = {name: method.strength(epoch) for name, method in state.regularizers.items()}
    strengths = {name: torch.tensor(v, device=device) for name, v in lambdas.items() if v is not None}

    sums = torch.zeros(2 + len(strengths), dtype=torch.float64, device=device)
    first_bad = torch.tensor(-1, device=device)
    batches = order.split(recipe.training.batch_size)
    for index, batch in enumerate(batches):
        images = data.normalize(data.train_images[batch])
        objective, measured = train_step(state, images, data.noisy[batch], strengths, draws)
        sums += measured.double() * len(batch)
        first_bad = torch.where((first_bad < 0) & ~objective.isfinite(), index, first_bad)
        if on_step is not None:
            on_step(index + 1, len(batches))

    if (bad := int(first_bad)) >= 0:
        raise NonFiniteLoss(epoch, bad)
    state.epochs_done += 1
    cross_entropy, activation, *penalties = (sums / count).tolist()
    metrics = {"train_cross_entropy": cross_entropy, "train_activation_loss": activation}
    for name, penalty in zip(strengths, penalties, strict=True):
        metrics |= {f"lambda_{name}": lambdas[name], f"penalty_{name}": penalty}
    return metrics
