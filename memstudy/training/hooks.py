"""What regularizers answer, checked: whoever wrote one is told by name what was wrong in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from memstudy import foreign
from memstudy.errors import MemstudyError, quoted
from memstudy.regularizers import Regularizer, Step


class Unusable(MemstudyError):
    """What a network or a regularizer gave is nothing that training can use."""


class BadAnswer(Unusable):
    """A regularizer's hook answered what training cannot use."""

    def __init__(self, name: str, method: Regularizer, hook: str, wrong: str) -> None:
        super().__init__(f"the {hook} of {named(name, method, hook)} must return {wrong}.")


def named(name: str, method: Regularizer, hook: str) -> str:
    """`regularizer 'mine'`, and of another package's where its hook is defined: ` (mine.py:12)`."""
    function = getattr(method, hook)
    return f"regularizer {quoted(name)}{'' if foreign.is_ours(function) else foreign.defined(function)}"


def check_logits(logits: Tensor) -> None:
    """Raise an Unusable if nothing can be learned from a network's logits."""
    if not logits.requires_grad:
        raise Unusable(
            "the network's logits do not depend on any of its parameters: it has none that require a gradient, or "
            "it detaches what it computes."
        )


def strength(name: str, method: Regularizer, epoch: int) -> float | None:
    """λ at an epoch, or None; a BadAnswer if it is no number."""
    found = method.strength(epoch)
    if found is not None and not isinstance(found, int | float):
        raise BadAnswer(name, method, "strength", f"a number or None, not {_kind(found)}")
    return found


def penalty(name: str, method: Regularizer, step: Step) -> Tensor:
    """The penalty's value; a BadAnswer if it is no scalar to descend.

    Without a gradient it may be 0, where a batch has nothing to penalize.
    """
    found = method.penalty(step)
    problem = _no_scalar(found, step.logits.device)
    if problem is None and not (found.requires_grad or _is_zero(found)):
        problem = "and it has no gradient: it was detached, or made of plain numbers"
    if problem is not None:
        raise BadAnswer(name, method, "penalty", f"a scalar tensor with a gradient {problem}")
    return found


def scale(name: str, method: Regularizer, step: Step, value: Tensor) -> Tensor | float:
    """The factor beside the strength; a BadAnswer if it is no scalar."""
    found = method.scale(step, value)
    if not isinstance(found, int | float):
        problem = _no_scalar(found, step.logits.device)
        if problem is not None:
            raise BadAnswer(name, method, "scale", f"a number or a scalar tensor {problem}")
    return found


def options(name: str, method: Regularizer, hook: str) -> dict[str, Any]:
    """Keyword arguments for the network or the optimizer; a BadAnswer if they are no dictionary."""
    found = getattr(method, hook)()
    if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
        raise BadAnswer(name, method, hook, f"keyword arguments in a dictionary, not {_kind(found)}")
    return dict(found)


def without_decay(name: str, method: Regularizer, network: nn.Module) -> list[nn.Parameter]:
    """The parameters that weight decay leaves alone; a BadAnswer if they are none."""
    found = method.without_decay(network)  # type: ignore[arg-type]
    parameters = list(found) if isinstance(found, Iterable) else [found]
    if not all(isinstance(one, nn.Parameter) for one in parameters):
        raise BadAnswer(name, method, "without_decay", f"parameters in a list, not {_kind(found)}")
    return parameters


def _no_scalar(found: object, device: torch.device) -> str | None:
    """What is wrong with a scalar tensor, to follow what it should be; None if nothing is."""
    if not isinstance(found, Tensor):
        return f"and not {_kind(found)}"
    if found.dim():
        return f"and not one of shape {tuple(found.shape)}; take its sum or mean"
    if not found.is_floating_point():
        return f"and not one of {found.dtype}"
    if found.device != device:
        return f"on the network's device {device}, and not on {found.device}"
    return None


def _is_zero(found: Tensor) -> bool:
    """Whether it is 0; while steps are captured nobody can look."""
    if found.is_cuda and torch.cuda.is_current_stream_capturing():
        return False
    return float(found) == 0


def _kind(found: object) -> str:
    return f"{type(found).__name__} ({quoted(found)})"
