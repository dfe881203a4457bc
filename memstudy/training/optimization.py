"""The optimizer, and how its learning rate changes from epoch to epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch

from memstudy.recipe import Training

BETA2 = 0.999


def build_optimizer(training: Training, groups: Iterable[dict[str, Any]], **options: Any) -> torch.optim.Optimizer:
    """The recipe's optimizer over parameter groups; `options` are what regularizers add (weight decay).

    AdamW's weight decay is decoupled from the gradient, that of SGD and Adam is not.
    """
    if training.optimizer == "sgd":
        return torch.optim.SGD(
            groups, lr=training.learning_rate, momentum=training.momentum, nesterov=training.nesterov, **options
        )
    kind = torch.optim.AdamW if training.optimizer == "adamw" else torch.optim.Adam
    groups = list(groups)
    on_gpu = any(parameter.is_cuda for group in groups for parameter in group["params"])
    return kind(
        groups,
        lr=training.learning_rate,
        betas=(training.momentum, BETA2),
        capturable=on_gpu,  # its counters of steps are then on the GPU, too, so that a step can be captured
        **({"weight_decay": 0.0} | options),
    )


def counters(optimizer: torch.optim.Optimizer) -> torch.device:
    """The device that an optimizer's counters of steps are on."""
    capturable = optimizer.defaults.get("capturable", False)
    return optimizer.param_groups[0]["params"][0].device if capturable else torch.device("cpu")


def learning_rate(training: Training, epoch: int) -> float:
    """The learning rate of an epoch (0-based): the schedule's, times the rise of the warm-up."""
    rise = min(1.0, (epoch + 1) / (training.warmup + 1))
    return training.learning_rate * rise * _scheduled(training, epoch)


def _scheduled(training: Training, epoch: int) -> float:
    """The schedule's factor at an epoch, without the warm-up."""
    match training.schedule:
        case "step":
            return training.factor ** (epoch // training.milestones[0])
        case "multistep":
            return training.factor ** sum(epoch >= milestone for milestone in training.milestones)
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * epoch / training.epochs))
    return 1.0
