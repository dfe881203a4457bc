"""Initial weights from an explicit generator; PyTorch's layers can only draw from the global one.

A network of ours is built without weights, and its initializer fills it: every parameter and every buffer. A
network from elsewhere initializes itself, while the global generator stands in for ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

Initializer = Callable[[nn.Module, torch.Generator], None]


def pytorch_default(network: nn.Module, generator: torch.Generator) -> None:
    """PyTorch's default initial weights, bit for bit what its layers would draw.

    Convolutions and linear layers: weight and bias uniform in ±1/√fan_in (`kaiming_uniform_` with a = √5).
    Batch normalization: scale 1, shift 0. Any other layer with parameters or buffers is refused.
    """
    for layer in _layers(network):
        _uniform(layer.weight, generator)
        if layer.bias is not None:
            bound = 1 / math.sqrt(layer.weight[0].numel())
            nn.init.uniform_(layer.bias, -bound, bound, generator=generator)


def kaiming_normal(network: nn.Module, generator: torch.Generator, mode: str) -> None:
    """He et al. 2015: convolutions normal with variance 2 / fan, where `mode` is "fan_in" or "fan_out".

    Linear weights are PyTorch's default and all biases 0, as in Facebook's code of ResNets (fb.resnet.torch) and
    in torchvision's DenseNet. Batch normalization: scale 1, shift 0. Any other layer is refused.
    """
    for layer in _layers(network):
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode=mode, nonlinearity="relu", generator=generator)  # type: ignore[arg-type]
        else:
            _uniform(layer.weight, generator)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


kaiming_fan_in = partial(kaiming_normal, mode="fan_in")
kaiming_fan_out = partial(kaiming_normal, mode="fan_out")


def _uniform(weight: Tensor, generator: torch.Generator) -> None:
    nn.init.kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)


def _layers(network: nn.Module) -> Iterator[nn.Conv2d | nn.Linear]:
    """The layers whose weights are drawn, in order; batch normalization is reset on the way."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            yield module
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()  # running mean and variance, too
        elif [*module.parameters(recurse=False), *module.buffers(recurse=False)]:
            raise NotImplementedError(f"no deterministic initialization for {type(module).__name__}")


@contextmanager
def global_draws_from(generator: torch.Generator) -> Iterator[None]:
    """Let PyTorch's global CPU generator follow from `generator`, and put it back afterwards."""
    seed = int(torch.randint(2**63 - 1, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would move the GPUs' generators, too
        yield
