"""The output of any layer of a network."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from memstudy.errors import MemstudyError, unknown
from memstudy.models import Network

TRUNK = "trunk"


class _Reached(Exception):
    """The layer has answered: what comes behind it need not be computed."""


def output_of(network: Network, layer: str = TRUNK) -> Callable[[Tensor], Tensor]:
    """Normalized images → the output of a module by its name in the network: `trunk` (its features), `head.1` …

    A MemstudyError for a name that it does not have.
    """
    if layer == TRUNK:
        return network.trunk
    modules = dict(network.named_modules())
    if layer not in modules or not layer:
        raise unknown("layer of the network", layer, filter(None, modules))

    def output(images: Tensor) -> Tensor:
        found: list[Tensor] = []

        def keep(module: nn.Module, inputs: object, answer: object) -> None:
            found.append(answer if isinstance(answer, Tensor) else _refuse(layer, answer))
            raise _Reached

        handle = modules[layer].register_forward_hook(keep)
        try:
            network(images)
        except _Reached:
            return found[0]
        finally:
            handle.remove()
        raise MemstudyError(f"the network does not use its layer {layer!r}; choose another.")

    return output


def _refuse(layer: str, answer: object) -> Tensor:
    kind = type(answer).__name__
    raise MemstudyError(f"the layer {layer!r} answers a {kind}, not one tensor; choose one of its parts.")
