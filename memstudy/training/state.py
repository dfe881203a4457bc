"""What training changes: weights, momentum, and how many epochs are done. Enough to continue bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from memstudy import models, regularizers
from memstudy.data.images import ImageSet
from memstudy.errors import MemstudyError, listed, quoted, reason
from memstudy.models import Network
from memstudy.randomness import torch_generator
from memstudy.recipe import Recipe, Training
from memstudy.regularizers import Regularizer
from memstudy.training import hooks
from memstudy.training.optimization import build_optimizer, counters
from memstudy.training.placement import Placement

NETWORK, OPTIMIZER = "network.", "optimizer."
COUNTER = "step"
BUFFERS = ("momentum_buffer", "exp_avg", "exp_avg_sq", COUNTER)
"""What optimizers store of each parameter: tensors of its shape, and Adam's counter of steps, a float32 scalar."""


def build_network(recipe: Recipe, images: ImageSet, place: torch.device | Placement) -> Network:
    """The recipe's network with its initial weights; a device alone stands for its `Placement.usual`."""
    place = place if isinstance(place, Placement) else Placement.usual(place)
    image_options = {"channels": images.channels, "size": images.size, "classes": images.classes}
    methods = regularizers.build(recipe.regularizers)
    options = {name: hooks.options(name, method, "network_options") for name, method in methods.items()}
    network = models.build(
        recipe.network,
        generator=torch_generator(recipe.seed, "weights"),
        **_merged({"the recipe": image_options, **options}),
    )
    for name, method in methods.items():
        method.initialize(network, torch_generator(recipe.seed, f"initial {name}"))
        method.reparametrize(network)
    return network.to(place.device, memory_format=place.memory_format)  # type: ignore[call-overload]


def _merged(options: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The keyword arguments of several methods together; a MemstudyError if two set the same one."""
    setter: dict[str, str] = {}
    for method, keywords in options.items():
        for key in keywords:
            if key in setter:
                raise MemstudyError(
                    f"{setter[key]} and {method} cannot be combined, because both set {key!r}; leave one out."
                )
            setter[key] = method
    return {key: options[method][key] for key, method in setter.items()}


@dataclass
class TrainingState:
    """A network in training. `epochs_done` counts finished epochs and is the index of the next one."""

    network: Network
    optimizer: torch.optim.Optimizer
    regularizers: dict[str, Regularizer]
    training: Training
    epochs_done: int = 0

    @classmethod
    def initial(cls, recipe: Recipe, images: ImageSet, place: torch.device | Placement) -> TrainingState:
        """The state before the first epoch."""
        network = build_network(recipe, images, place)
        built = regularizers.build(recipe.regularizers)
        fixed = dict.fromkeys(("lr", "momentum", "betas", "nesterov"))  # the recipe's, whatever the optimizer
        options = {name: hooks.options(name, method, "optimizer_options") for name, method in built.items()}
        added = {k: v for k, v in _merged({"the recipe": fixed, **options}).items() if k not in fixed}
        try:
            optimizer = build_optimizer(recipe.training, _groups(network, built), **added)
        except (TypeError, ValueError) as error:
            if not added:
                raise
            raise MemstudyError(
                f"the optimizer {recipe.training.optimizer} does not take {quoted(added)}, as "
                f"{'+'.join(name for name, keywords in options.items() if keywords)} asks: {reason(error)}."
            ) from error
        return cls(network, optimizer, built, recipe.training)

    def tensors(self) -> dict[str, Tensor]:
        """A copy of everything, on the CPU, by name; `restore` takes it back."""
        tensors = {NETWORK + name: value for name, value in self.network.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            for kind, buffer in self.optimizer.state[parameter].items():
                if buffer is not None:
                    tensors[f"{OPTIMIZER}{kind}.{name}"] = buffer
        return {name: copied(value) for name, value in tensors.items()}

    def restore(self, tensors: dict[str, Tensor], epochs_done: int) -> None:
        """Continue from what `tensors` returned after `epochs_done` epochs.

        Raises a MemstudyError if it is of another network or optimizer.
        """
        load_network(self.network, tensors)
        parameters = dict(self.network.named_parameters())
        for key, buffer in tensors.items():
            if key.startswith(OPTIMIZER):
                kind, _, name = key.removeprefix(OPTIMIZER).partition(".")
                if kind not in BUFFERS or name not in parameters:
                    raise MemstudyError(f"it holds a tensor that this optimizer does not have: {quoted(key)}")
                parameter = parameters[name]
                _check_like(key, buffer, torch.zeros(()) if kind == COUNTER else parameter)
                self.optimizer.state[parameter][kind] = _like(parameter, buffer, counters(self.optimizer))
        self.epochs_done = epochs_done


def _like(parameter: nn.Parameter, buffer: Tensor, counters: torch.device) -> Tensor:
    """A copy of a saved buffer as the optimizer has it: in its parameter's layout; a counter on its device."""
    if buffer.shape == parameter.shape:
        return torch.empty_like(parameter).copy_(buffer)
    return buffer.to(counters, copy=True)


def _groups(network: Network, methods: Mapping[str, Regularizer]) -> list[dict[str, Any]]:
    """The optimizer's parameter groups: those that a method takes out of weight decay are a group of their own."""
    spared_lists = [hooks.without_decay(name, method, network) for name, method in methods.items()]
    spared = {id(parameter) for parameters in spared_lists for parameter in parameters}
    rest = [parameter for parameter in network.parameters() if id(parameter) not in spared]
    without_decay = [parameter for parameter in network.parameters() if id(parameter) in spared]
    return [{"params": rest}, *([{"params": without_decay, "weight_decay": 0.0}] if without_decay else [])]


def load_network(network: Network, tensors: dict[str, Tensor]) -> None:
    """Load the network's part of a checkpoint's tensors; a MemstudyError if they are another network's."""
    weights = {n.removeprefix(NETWORK): value for n, value in tensors.items() if n.startswith(NETWORK)}
    expected = network.state_dict()
    if missing := expected.keys() - weights.keys():
        raise MemstudyError(f"it lacks tensors of this network: {listed(sorted(missing))}")
    if extra := weights.keys() - expected.keys():
        raise MemstudyError(f"it holds tensors that this network does not have: {listed(sorted(extra))}")
    for name, value in weights.items():
        _check_like(name, value, expected[name])
    network.load_state_dict(weights)


def _check_like(name: str, value: Tensor, expected: Tensor) -> None:
    if (value.shape, value.dtype) != (expected.shape, expected.dtype):
        given, wanted = (f"{part.dtype} {tuple(part.shape)}".removeprefix("torch.") for part in (value, expected))
        raise MemstudyError(f"its tensor {quoted(name)} is {given}, and this network's {wanted}")


def copied(value: Tensor) -> Tensor:
    """A contiguous copy on the CPU that shares nothing with the original."""
    return value.detach().to("cpu", copy=True).contiguous()
