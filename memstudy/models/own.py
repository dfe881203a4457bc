"""A user's own network, named `package.module:function` after the function that builds it.

The function is called as `function(channels, size, classes, **options)` and returns a `memstudy.models.Network` or
a pair (trunk, head) of modules. Its options are what a regularizer asks for: `batch_norm` for BN, `dropout` for
DO; a function that does not take them cannot be combined with these.

Such a network initializes itself, on the CPU, while PyTorch's global generator follows from the run's seed; draws
from elsewhere (numpy) would not be repeated. `nn.Dropout` is replaced by ours; no other layer may draw in
training. A recipe that names a network runs its code: read it before you run somebody else's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from memstudy.errors import MemstudyError, unknown
from memstudy.models.dropout import replace_dropout
from memstudy.models.network import Network


def own_builder(name: str) -> Callable[..., Network]:
    """What builds the network `package.module:function`; it has the function's signature."""
    function = _function(name)

    @wraps(function)
    def build(channels: int, size: int, classes: int, **options: Any) -> Network:
        try:
            network = _network(name, function(channels, size, classes, **options))
            replace_dropout(network)
        except MemstudyError:
            raise
        except Exception as error:
            raise MemstudyError(f"network {name!r} cannot be built: {_told(error)}.") from error
        try_out(name, network.eval(), torch.zeros(2, channels, size, size), classes)
        return network.train()

    return build


def _function(name: str) -> Callable[..., Any]:
    """Import what `package.module:function` names; a MemstudyError if that is no function."""
    module, _, attribute = name.partition(":")
    if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", name):
        raise MemstudyError(f"a network of your own is named package.module:function, not {name!r}.")
    try:
        found = import_module(module)
    except Exception as error:
        raise MemstudyError(
            f"cannot import {module!r} for the network {name!r}: {_told(error)}; a module is looked for among the "
            "installed ones and in the directories of PYTHONPATH."
        ) from error
    if attribute not in vars(found):
        known = [key for key, value in vars(found).items() if callable(value) and not key.startswith("_")]
        raise unknown(f"function in {module}", attribute, known)
    function: Callable[..., Any] = getattr(found, attribute)
    try:
        signature(function)
    except (TypeError, ValueError) as error:
        raise MemstudyError(f"network {name!r} is not a Python function that could build one.") from error
    return function


def _network(name: str, made: object) -> Network:
    """What the function returned, as a network."""
    if isinstance(made, Network):
        return made
    if isinstance(made, tuple) and len(made) == 2 and all(isinstance(part, nn.Module) for part in made):
        return Network(*made)
    raise MemstudyError(
        f"network {name!r} must be a memstudy.models.Network or a pair (trunk, head) of modules, not "
        f"{type(made).__name__}."
    )


def try_out(name: str, forward: Callable[[Tensor], tuple[Tensor, Tensor]], images: Tensor, classes: int) -> None:
    """Put two images through a network's `forward`; a MemstudyError if no features and logits come of it."""
    try:
        with torch.no_grad():
            features, logits = forward(images)
    except Exception as error:
        size = " × ".join(map(str, images.shape[1:]))
        raise MemstudyError(f"network {name!r} cannot take images of {size}: {_told(error)}.") from error
    if not isinstance(features, Tensor) or features.shape[:1] != (2,):
        raise MemstudyError(f"the trunk of network {name!r} must return one tensor, with a row for each image.")
    if not isinstance(logits, Tensor) or logits.shape != (2, classes):
        raise MemstudyError(f"the head of network {name!r} must return (N, {classes}), a logit for each class.")


def _told(error: Exception) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(".: ")
