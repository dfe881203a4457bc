"""The parts of LOCO-Reg's penalty: by kernel size, and by the weights' distance from the kernel's center.

The penalty is Σ r · w² over the weights of convolutions and linear layers (`regularizers.loco`). A larger kernel
has larger ratios r, so kernel sizes have different shares of it. Depthwise convolutions are told apart (ours), by
their weights' shape (O, 1, k, k); a network's first convolution has that shape on gray images and counts as
ordinary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from memstudy.analysis.filters import natural
from memstudy.regularizers.loco import LocoReg, ratios

LINEAR = "linear"


@dataclass(frozen=True)
class Ring:
    """Weights of one kernel size at one distance from the center, in pixels.

    ratio: their r. layers, filters: of that size. weights: at that distance. squares: Σ w² of these.
    """

    kernel: str
    distance: float
    ratio: float
    layers: int = 0
    filters: int = 0
    weights: int = 0
    squares: float = 0.0

    @property
    def penalty(self) -> float:
        """Σ r · w², without λ."""
        return self.ratio * self.squares

    @property
    def rms(self) -> float:
        """The weights' root mean square."""
        return (self.squares / self.weights) ** 0.5


def penalized(tensors: Mapping[str, Tensor]) -> dict[str, list[Tensor]]:
    """The weights (O, I, H, W) and (O, I) that LOCO-Reg acts on, by kernel, ordinary before depthwise ones.

    `tensors` are a network's by name; a layer's weight is told by its dimensions and its name, "….weight".
    """
    names = [n for n in sorted(tensors, key=natural) if _is_weight(n, tensors[n])]
    first = next((name for name in names if tensors[name].ndim == 4), None)
    by_kernel: dict[str, list[Tensor]] = {}
    for name in names:
        by_kernel.setdefault(_kernel(tensors[name], name == first), []).append(tensors[name])
    return dict(sorted(by_kernel.items(), key=lambda item: (item[0] == LINEAR, item[1][0].shape[2:], item[0])))


def _is_weight(name: str, tensor: Tensor) -> bool:
    return tensor.ndim in (2, 4) and tensor.is_floating_point() and name.endswith(".weight")


def _kernel(weight: Tensor, first: bool) -> str:
    if weight.ndim == 2:
        return LINEAR
    height, width = weight.shape[2:]
    return f"{height}×{width}" + (" depthwise" if weight.shape[1] == 1 and not first else "")


def rings(tensors: Mapping[str, Tensor], method: LocoReg) -> list[Ring]:
    """All weights that LOCO-Reg with these options acts on, by kernel and distance; sums in float64."""
    return [ring for kernel, weights in penalized(tensors).items() for ring in _rings(kernel, weights, method)]


def _rings(kernel: str, weights: list[Tensor], method: LocoReg) -> list[Ring]:
    height, width = weights[0].shape[2:] or (1, 1)
    axes = [torch.arange(size, dtype=torch.float64) - (size - 1) / 2 for size in (height, width)]
    squared = axes[0][:, None] ** 2 + axes[1] ** 2
    factors = ratios((height, width), method.eta, method.gamma, method.mean_one)
    squares = sum(w.double().square().reshape(-1, height, width).sum(0).cpu() for w in weights)
    kernels = sum(w.numel() for w in weights) // (height * width)
    of_kernel = Ring(kernel, 0.0, 0.0, len(weights), sum(len(w) for w in weights))
    return [
        replace(
            of_kernel,
            distance=value**0.5,
            ratio=float(factors[squared == value][0]),
            weights=kernels * int((squared == value).sum()),
            squares=float(torch.as_tensor(squares)[squared == value].sum()),
        )
        for value in squared.unique().tolist()
    ]
