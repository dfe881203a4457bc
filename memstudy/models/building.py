"""From a network's name to the network: our architectures, torchvision's, and a user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any

import torch

from memstudy.errors import MemstudyError, quoted
from memstudy.foreign import Code
from memstudy.models import NETWORKS, known
from memstudy.models.initialization import global_draws_from
from memstudy.models.network import Network
from memstudy.models.own import own_builder, own_code
from memstudy.models.torchvision_models import PREFIX, torchvision_builder

Builder = Callable[..., Network]


def check(name: str) -> str:
    """Return `name` if it stands for a network; raise a MemstudyError, with the nearest names, if it does not.

    Nothing is built, but the module of a user's own network is imported.
    """
    if ":" in name:
        _builder(name)
    return known(name)


def build(
    name: str, *, channels: int, size: int, classes: int, generator: torch.Generator, **options: Any
) -> Network:
    """A network for images (channels, size, size), its initial weights drawn from `generator` (a CPU one).

    Options are the architecture's own: of ours `batch_norm` (a truth) and `dropout` (a probability). One that it
    does not know, or that it has that way anyway, raises a MemstudyError. PyTorch's global generator is not moved.
    """
    check(name)
    builder = _builder(name)
    _check_options(name, builder, options)
    if ":" in name:  # from elsewhere: it initializes itself
        with global_draws_from(generator):
            return builder(channels, size, classes, **options)
    with torch.device("meta"):
        network = builder(channels, size, classes, **options)
    if not isinstance(network, Network):
        raise MemstudyError(
            f"network {quoted(name)} must be a memstudy.models.Network, not {type(network).__name__}."
        )
    network.to_empty(device="cpu")
    network.initializer(network, generator)
    return network


def code(name: str) -> Code | None:
    """What the code of a network that is not ours consists of; None for ours and torchvision's."""
    if name.startswith(PREFIX):
        return None
    return own_code(name) if ":" in name else NETWORKS.code(name)


def _builder(name: str) -> Builder:
    """The function that builds a network, called with channels, size, classes, and options by name."""
    if name.startswith(PREFIX):
        return torchvision_builder(name)
    builder: Builder = own_builder(name) if ":" in name else NETWORKS.get(name)
    return builder


def _check_options(name: str, builder: Builder, options: Mapping[str, Any]) -> None:
    """A MemstudyError for an option that the network does not take, or that has this value by default."""
    parameters = list(signature(builder).parameters.values())[3:]  # after channels, size, classes
    defaults = {p.name: p.default for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    takes_any = any(p.kind is Parameter.VAR_KEYWORD for p in parameters)
    for option, value in options.items():
        if option not in defaults and not takes_any:
            allowed = f"its options are {', '.join(sorted(defaults))}" if defaults else "it has no options"
            raise MemstudyError(f"network {quoted(name)} has no place for {quoted(option)}: {allowed}.")
        if option in defaults and value == defaults[option]:
            raise MemstudyError(
                f"network {quoted(name)} has {option} = {value} anyway; leave out the option, or the "
                "regularizer, that asks for it."
            )
