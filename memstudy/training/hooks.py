"""Calls a regularizer's hooks and checks their answers; an error names the regularizer, the hook and the fault."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from memstudy import foreign
from memstudy.errors import MemstudyError, quoted
from memstudy.regularizers import Regularizer, Step


class Unusable(MemstudyError):
    """A network or a regularizer gave something that training cannot use."""


class BadAnswer(Unusable):
    """A regularizer's hook answered what training cannot use."""

    def __init__(self, name: str, method: Regularizer, hook: str, wrong: str) -> None:
        super().__init__(f"the {hook} of {described(name, method, hook)} must return {wrong}.")


def described(name: str, method: Regularizer, hook: str) -> str:
    """`regularizer 'mine' (mine.py:12)`, with the place where the hook is defined if it is not memstudy's."""
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
    answer = method.strength(epoch)
    if answer is not None and not isinstance(answer, int | float):
        raise BadAnswer(name, method, "strength", f"a number or None, not {_kind(answer)}")
    return answer


def penalty(name: str, method: Regularizer, step: Step) -> Tensor:
    """The penalty's value; a BadAnswer if it is no scalar to descend.

    Without a gradient it may be 0, where a batch has nothing to penalize.
    """
    answer = method.penalty(step)
    problem = _no_scalar(answer, step.logits.device)
    if problem is None and not (answer.requires_grad or _is_zero(answer)):
        problem = "and it has no gradient: it was detached, or made of plain numbers"
    if problem is not None:
        raise BadAnswer(name, method, "penalty", f"a scalar tensor with a gradient {problem}")
    return answer


def scale(name: str, method: Regularizer, step: Step, value: Tensor) -> Tensor | float:
    """The factor beside the strength; a BadAnswer if it is no scalar."""
    answer = method.scale(step, value)
    if not isinstance(answer, int | float):
        problem = _no_scalar(answer, step.logits.device)
        if problem is not None:
            raise BadAnswer(name, method, "scale", f"a number or a scalar tensor {problem}")
    return answer


def options(name: str, method: Regularizer, hook: str) -> dict[str, Any]:
    """Keyword arguments for the network or the optimizer; a BadAnswer if they are no dictionary."""
    answer = getattr(method, hook)()
    if not isinstance(answer, Mapping) or not all(isinstance(key, str) for key in answer):
        raise BadAnswer(name, method, hook, f"keyword arguments in a dictionary, not {_kind(answer)}")
    return dict(answer)


def without_decay(name: str, method: Regularizer, network: nn.Module) -> list[nn.Parameter]:
    """The parameters that weight decay leaves alone; a BadAnswer if they are none."""
    answer = method.without_decay(network)  # type: ignore[arg-type]
    parameters = list(answer) if isinstance(answer, Iterable) else [answer]
    if not all(isinstance(parameter, nn.Parameter) for parameter in parameters):
        raise BadAnswer(name, method, "without_decay", f"parameters in a list, not {_kind(answer)}")
    return parameters


def _no_scalar(answer: object, device: torch.device) -> str | None:
    """Why an answer is no scalar tensor on the device, as the end of a sentence; None if it is one."""
    if not isinstance(answer, Tensor):
        return f"and not {_kind(answer)}"
    if answer.dim():
        return f"and not one of shape {tuple(answer.shape)}; take its sum or mean"
    if not answer.is_floating_point():
        return f"and not one of {answer.dtype}"
    if answer.device != device:
        return f"on the network's device {device}, and not on {answer.device}"
    return None


def _is_zero(answer: Tensor) -> bool:
    """Whether a scalar is 0. False while steps are captured on a GPU, where its value cannot be read."""
    if answer.is_cuda and torch.cuda.is_current_stream_capturing():
        return False
    return float(answer) == 0


def _kind(answer: object) -> str:
    """`str ('high')`: the type and the value of a wrong answer."""
    return f"{type(answer).__name__} ({quoted(answer)})"
