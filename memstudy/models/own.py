"""A user's own network, named `package.module:function` after the function that builds it.

The function is called as `function(channels, size, classes, **options)` and returns a `memstudy.models.Network` or
a pair (trunk, head) of modules. Its options are what a regularizer asks for: `batch_norm` for BN, `dropout` for
DO; a function that does not take them cannot be combined with these. With a run is recorded what its code consists
of (`memstudy.foreign`), so that an edited one does not pass for what was trained.

Such a network initializes itself, on the CPU, while PyTorch's global generator follows from the run's seed; draws
from elsewhere (numpy) would not be repeated. `nn.Dropout` is replaced by ours; no other layer may draw in
training. A recipe that names a network runs its code: what may run, is in `memstudy.trust`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import wraps
from importlib import import_module
from inspect import Parameter, signature
from typing import Any

import torch
from torch import Tensor, nn

from memstudy import foreign, trust
from memstudy.errors import MemstudyError, quoted, unknown
from memstudy.models.dropout import replace_dropout
from memstudy.models.network import Network

OURS = "memstudy.models."
"""The package whose functions may be called: they are networks, and what makes them."""
GIVEN = ("channels", "size", "classes")
"""The arguments that the function is always called with, in this order; `size` is the images' side."""


def own_code(name: str) -> foreign.Code | None:
    """What the code of the network `package.module:function` consists of; None if it is ours."""
    return foreign.code(f"network {name!r}", _module(name))


def own_builder(name: str) -> Callable[..., Network]:
    """A function that builds and tries the network `package.module:function`; its signature is the same."""
    function = _function(name)

    @wraps(function)
    def build(channels: int, size: int, classes: int, **options: Any) -> Network:
        try:
            _check_call(name, function, options)
            network = _network(name, function(channels, size, classes, **options))
            replace_dropout(network)
        except MemstudyError:
            raise
        except (Exception, SystemExit) as error:
            raise MemstudyError(f"network {quoted(name)} cannot be built: {foreign.told(error)}.") from error
        try_out(name, network.eval(), torch.zeros(2, channels, size, size), classes)
        return network.train()

    return build


def _module(name: str) -> str:
    """The module of such a name, which may be imported; a MemstudyError if it is no such name, or may not."""
    if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", name):
        raise MemstudyError(f"a network of your own is named package.module:function, not {quoted(name)}.")
    module = name.partition(":")[0]
    if not module.startswith(OURS):
        trust.check("network", name, module)
    return module


def _function(name: str) -> Callable[..., Any]:
    """Import what `package.module:function` names; a MemstudyError if that is no function."""
    module, attribute = _module(name), name.partition(":")[2]
    with foreign.loading(f"network {quoted(name)}", module):
        loaded = import_module(module)
    if attribute not in vars(loaded):
        known = [key for key, value in vars(loaded).items() if callable(value) and not key.startswith("_")]
        raise unknown(f"function in {module}", attribute, known)
    function: Callable[..., Any] = getattr(loaded, attribute)
    try:
        parameters = signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise MemstudyError(f"network {quoted(name)} is not a Python function that could build one.") from error
    places = [p for p in parameters if p.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)]
    if len(places) < len(GIVEN) and not any(p.kind is Parameter.VAR_POSITIONAL for p in parameters):
        raise _other_call(name, function, "too few arguments")
    return function


def _check_call(name: str, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """A MemstudyError, with the call that is expected, if the function cannot be called so with these options."""
    try:
        signature(function).bind(*GIVEN, **options)
    except TypeError as error:
        raise _other_call(name, function, str(error)) from error


def _other_call(name: str, function: Callable[..., Any], why: str) -> MemstudyError:
    """The answer to a function that cannot be called as networks are: the expected call beside its own."""
    given, called = ", ".join(GIVEN), name.rpartition(":")[2]
    return MemstudyError(
        f"network {quoted(name)} must be a function ({given}, **options), where options are what regularizers "
        "ask for, "
        f"as batch_norm and dropout; it is {called}{signature(function)}: {why}{foreign.defined(function)}."
    )


def _network(name: str, built: object) -> Network:
    """What the user's function returned, as a network; a MemstudyError if it is none."""
    if isinstance(built, Network):
        return built
    if isinstance(built, tuple) and len(built) == 2 and all(isinstance(part, nn.Module) for part in built):
        return Network(*built)
    raise MemstudyError(
        f"network {quoted(name)} must be a memstudy.models.Network or a pair (trunk, head) of modules, not "
        f"{type(built).__name__}."
    )


def try_out(name: str, forward: Callable[[Tensor], tuple[Tensor, Tensor]], images: Tensor, classes: int) -> None:
    """Put two images through a network's `forward`; a MemstudyError if no features and logits come of it."""
    try:
        with torch.no_grad():
            features, logits = forward(images)
    except Exception as error:
        size = " × ".join(map(str, images.shape[1:]))
        raise MemstudyError(
            f"network {quoted(name)} cannot take images of {size}: {foreign.told(error)}."
        ) from error
    if not isinstance(features, Tensor) or features.shape[:1] != (2,):
        raise MemstudyError(
            f"the trunk of network {quoted(name)} must return one tensor, with a row for each image."
        )
    if not isinstance(logits, Tensor) or logits.shape != (2, classes):
        raise MemstudyError(
            f"the head of network {quoted(name)} must return (N, {classes}), a logit for each class."
        )
