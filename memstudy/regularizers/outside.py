"""A batch of somebody else's training loop, as a `Step` that has what the loop has given, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from memstudy.errors import MemstudyError, quoted

if TYPE_CHECKING:
    from memstudy.regularizers.base import Regularizer

KEYWORDS = {"network": "model", "cross_entropy": "loss"}
"""What a caller calls an attribute of `Step`, where that is another word."""
WHAT = {
    "network": "the network, a torch.nn.Module",
    "images": "the batch (B, C, H, W) that went through the network",
    "features": "the output of the network's trunk, which its head turns into logits",
    "logits": "the network's output (B, K)",
    "labels": "the batch's noisy labels (B,)",
    "cross_entropy": "the mean cross-entropy of the batch",
}


class Given:
    """Stands in for a `Step`: asked for what was not given, it raises a MemstudyError that names the keyword."""

    def __init__(self, method: Regularizer, given: dict[str, Any]) -> None:
        self.method = method
        self.generator = given.pop("generator")  # None is torch's own
        for name, value in given.items():
            if value is not None:
                _check(method, name, value)
                setattr(self, name, value)

    def __getattr__(self, name: str) -> Any:
        if name not in WHAT:
            raise AttributeError(name)
        keyword = KEYWORDS.get(name, name)
        raise MemstudyError(f"{called(self.method)} needs {keyword}=, {WHAT[name]}.")


def called(method: Regularizer) -> str:
    """What a user calls a regularizer: `AL2`, `LocoReg`."""
    return type(method).__name__


def strength(method: Regularizer, epoch: int | None) -> float | None:
    """λ at an epoch. It may be left out where λ is the same in all; else a MemstudyError asks for it."""
    if epoch is None:
        if method.strength(0) != method.strength(1):
            raise MemstudyError(
                f"{called(method)} changes its strength from epoch to epoch: give epoch=, counted from 0."
            )
        epoch = 0
    if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 0:
        raise MemstudyError(f"epoch must be a whole number from 0 on, not {quoted(epoch)}.")
    return method.strength(epoch)


def added(method: Regularizer, epoch: int | None, given: dict[str, Any]) -> Tensor:
    """What is added, strength · scale · penalty, as `training.epoch.train_step` adds it to the cross-entropy."""
    step: Any = Given(method, given)
    now = strength(method, epoch)
    if now is None:
        return torch.zeros(())
    if method.needs_image_gradients() and not step.images.requires_grad:
        raise MemstudyError(
            f"{called(method)} differentiates by the images: call images.requires_grad_() before they go through "
            "the network."
        )
    try:
        penalty = method.penalty(step)
    except RuntimeError as error:
        if "differentiated Tensor" not in str(error):
            raise
        raise MemstudyError(
            f"{called(method)} differentiates by the images, but what it was given does not depend on them: give "
            "the very tensor that went through the network, and the loss of that."
        ) from error
    factor = torch.tensor(now, device=penalty.device)  # a tensor, as in training: the same rounding
    return factor * method.scale(step, penalty) * penalty


def _check(method: Regularizer, name: str, value: object) -> None:
    """Refuse what is no tensor, or no network, by its keyword; a loss that is no scalar, too."""
    keyword, kind = KEYWORDS.get(name, name), nn.Module if name == "network" else Tensor
    if not isinstance(value, kind):
        raise MemstudyError(
            f"{keyword} of {called(method)} must be {WHAT[name]}, not {type(value).__name__} ({quoted(value)})."
        )
    if name == "cross_entropy" and isinstance(value, Tensor) and value.dim():
        raise MemstudyError(
            f"loss of {called(method)} must be {WHAT[name]}, one number, and not of shape {tuple(value.shape)}."
        )
