"""The output of any layer of a network, and the rest of the network behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor, nn

from memstudy.errors import MemstudyError, quoted, unknown
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
    """What makes logits (N, K) of the layer's output, and whether it needs the images, too: `Replaced`.

    It does not behind a layer on the one way through Sequentials, where what follows is run alone; it does inside
    a block, past which another way may lead. A MemstudyError for a name that the network does not have.
    """
    module = _module(network, layer)
    if (following := _following(network, layer)) is None:
        return Replaced(network, module), True
    return nn.Sequential(*following), False


class Replaced(nn.Module):
    """The whole network, with another output of one of its modules (the first time that it is used)."""

    def __init__(self, network: Network, module: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.module = module

    def forward(self, activations: Tensor, images: Tensor) -> Tensor:
        """What the module is to answer, and the normalized images (N, C, H, W) → logits (N, K)."""
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
    """The modules behind a layer, in order; None if they are not those of Sequentials alone."""
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
    """The modules of a Sequential in order, one that is there twice twice: `children` would give it once."""
    return [module[index] for index in range(len(module))]


def _flat(module: nn.Module) -> Iterator[nn.Module]:
    """The modules of a Sequential and of those in it, else the module alone."""
    if type(module) is nn.Sequential:
        for child in _parts(module):
            yield from _flat(child)
    else:
        yield module


def _refuse(layer: str, answer: object) -> Tensor:
    kind = type(answer).__name__
    raise MemstudyError(f"the layer {quoted(layer)} answers a {kind}, not one tensor; choose one of its parts.")
