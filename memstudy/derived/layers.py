"""The output of any layer of a network, and the rest of the network behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor, nn

from memstudy.errors import MemstudyError, quoted, unknown
from memstudy.models import Network

TRUNK = "trunk"


class _Reached(Exception):
    """Raised once the layer has given its output, as the layers behind it need not be computed."""


def output_of(network: Network, layer: str = TRUNK) -> Callable[[Tensor], Tensor]:
    """A function from normalized images to the output of a layer, which is named as in the network: `trunk`,
    `head.1` …

    A MemstudyError for a name that the network does not have.
    """
    if layer == TRUNK:
        return network.trunk
    module = _module(network, layer)

    def output(images: Tensor) -> Tensor:
        answers: list[Tensor] = []

        def keep(module: nn.Module, inputs: object, answer: object) -> None:
            answers.append(answer if isinstance(answer, Tensor) else _refuse(layer, answer))
            raise _Reached

        handle = module.register_forward_hook(keep)
        try:
            network(images)
        except _Reached:
            return answers[0]
        finally:
            handle.remove()
        raise MemstudyError(f"the network does not use its layer {quoted(layer)}; choose another.")

    return output


def behind(network: Network, layer: str = TRUNK) -> tuple[nn.Module, bool]:
    """A module that makes logits (N, K) of a layer's output, and whether it needs the images as well.

    If the layer lies in Sequentials only, all that follows it is run alone, and no images are needed. If it lies
    inside a block, a skip connection may lead past it. Then the whole network runs with the layer's output
    replaced (`Replaced`), which takes the images. A MemstudyError for a name that the network does not have.
    """
    module = _module(network, layer)
    if (following := _following(network, layer)) is None:
        return Replaced(network, module), True
    return nn.Sequential(*following), False


class Replaced(nn.Module):
    """The whole network, with the output of one module replaced (where it is used for the first time)."""

    def __init__(self, network: Network, module: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.module = module

    def forward(self, activations: Tensor, images: Tensor) -> Tensor:
        """The module's new output, and normalized images (N, C, H, W) → logits (N, K)."""
        answers = [activations]
        handle = self.module.register_forward_hook(
            lambda module, inputs, answer: answers.pop() if answers else answer
        )
        try:
            logits: Tensor = self.network(images)[1]
            return logits
        finally:
            handle.remove()


def _module(network: Network, layer: str) -> nn.Module:
    modules = dict(network.named_modules())
    if layer not in modules or not layer:
        raise unknown("layer of the network", layer, filter(None, modules))
    return modules[layer]


def _following(network: Network, layer: str) -> list[nn.Module] | None:
    """The modules behind a layer, in order; None if the layer does not lie in Sequentials only."""
    part, *path = layer.split(".")
    if part not in ("trunk", "head"):
        return None
    behind_each: list[list[nn.Module]] = [list(_flat(network.head))] if part == "trunk" else []
    module = network.get_submodule(part)
    for name in path:
        if type(module) is not nn.Sequential:
            return None
        after = list(module._modules).index(name) + 1
        behind_each.insert(0, [layer for child in _parts(module)[after:] for layer in _flat(child)])
        module = module.get_submodule(name)
    return [module for modules in behind_each for module in modules]


def _parts(module: nn.Sequential) -> list[nn.Module]:
    """The modules of a Sequential in order. One that occurs twice is given twice, unlike by `children`."""
    return [module[index] for index in range(len(module))]


def _flat(module: nn.Module) -> Iterator[nn.Module]:
    """The modules of a Sequential, those of nested ones in their place; of any other module, itself."""
    if type(module) is nn.Sequential:
        for child in _parts(module):
            yield from _flat(child)
    else:
        yield module


def _refuse(layer: str, answer: object) -> Tensor:
    kind = type(answer).__name__
    raise MemstudyError(f"the layer {quoted(layer)} answers a {kind}, not one tensor; choose one of its parts.")
