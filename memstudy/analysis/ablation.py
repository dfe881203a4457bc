"""Cumulative ablation: how much a network leans on the single activations of its trunk's output.

A growing share of those activations is set to 0 at inference, nothing is rescaled, and the head's accuracy on
true labels is measured; the area under that curve is the result (AL2; stated). A unit is one scalar of the
trunk's output. Networks that memorize fall sooner (Morcos, Barrett, Rabinowitz, Botvinick 2018, "On the
importance of single directions for generalization").

Two protocols, two measurements:

    units      a random order of the units, the same for all images, is ablated cumulatively (Morcos et al.,
               who take a convolution's channel for a unit; stated).
    bernoulli  each activation of each image is ablated on its own with probability `fraction` (AL2's code;
               stated). One draw serves all fractions of an order (ours; at each fraction it is the same law).

In both, what is ablated at a fraction stays ablated at every larger one. Orders are keyed by (seed, protocol,
order) and drawn on the CPU: the same on every device, for every chunk size, and for all networks with as many
units, so that networks are compared on the same ablations.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from memstudy.errors import MemstudyError, unknown
from memstudy.randomness import torch_generator

PROTOCOLS = ("units", "bernoulli")
FRACTIONS = tuple(step / 20 for step in range(21))
"""0, 5, …, 100 % (ours)."""


def falls(protocol: str, images: int, units: int, seed: int, order: int) -> Tensor:
    """When each activation falls, in (0, 1]: it is ablated at `fraction` if its fall is ≤ `fraction`.

    units: (1, units) float64, half a unit apart from 0 and 1, so that the nearest whole number of units to
    fraction · units is ablated, halves up. bernoulli: (images, units) float32, uniform.
    """
    generator = torch_generator(seed, f"ablation/{protocol}", order)
    if protocol == "units":
        return (torch.randperm(units, generator=generator).double()[None] + 0.5) / units
    if protocol == "bernoulli":
        return 1 - torch.rand(images, units, generator=generator)
    raise unknown("ablation protocol", protocol, PROTOCOLS)


@torch.no_grad()
def curve(
    head: nn.Module,
    features: Tensor,
    labels: Tensor,
    protocol: str = "units",
    orders: int = 5,
    seed: int = 0,
    fractions: Sequence[float] = FRACTIONS,
    chunk: int | None = None,
) -> Tensor:
    """Accuracy under growing ablation: (orders, len(fractions)) float64 on the CPU, as fractions of 1.

    head: features → logits (N, K); run in evaluation mode, its own mode is kept.
    features: (N, C, H, W) or (N, p), the trunk's output in evaluation mode, on the head's device.
    labels: (N,) true labels, on that device. fractions: within [0, 1], in any order.
    chunk: images at a time; by default what a CPU's cache holds, elsewhere 5,000.

    Raises a MemstudyError for an unknown protocol, a fraction outside [0, 1], less than one order, no
    image, labels that are not one an image, and features that are not finite.
    """
    _check(features, labels, orders, fractions)
    images, units = len(features), features[0].numel()
    chunk = chunk or (250 if features.device.type == "cpu" else 5000)
    hits = torch.zeros(orders, len(fractions), dtype=torch.int64, device=features.device)
    linear_first = _linear_first(head, units) if protocol == "units" else None
    training = head.training
    head.eval()
    try:
        for order in range(orders):
            fall = falls(protocol, images, units, seed, order)
            for start in range(0, images, chunk):
                part = slice(start, start + chunk)
                if linear_first is not None:
                    answers = _cumulative(linear_first, features[part], fall, fractions)
                else:
                    answers = _masked(head, features[part], fall.expand(images, -1)[part], fractions)
                for index, logits in answers:
                    hits[order, index] += (logits.argmax(dim=1) == labels[part]).sum()
    finally:
        head.train(training)
    return hits.cpu().double() / images


def _check(features: Tensor, labels: Tensor, orders: int, fractions: Sequence[float]) -> None:
    if len(features) == 0 or len(features) != len(labels):
        raise MemstudyError(
            f"ablation needs one label an image and at least one image, not {len(features)} images and "
            f"{len(labels)} labels."
        )
    if orders < 1:
        raise MemstudyError(f"ablation needs at least one order, not {orders}.")
    if not fractions or not all(0 <= fraction <= 1 for fraction in fractions):
        raise MemstudyError(f"ablation needs at least one fraction, all within [0, 1], not {list(fractions)}.")
    if not features.isfinite().all():
        raise MemstudyError("the features hold NaN or infinite values, as a network that diverged gives.")


def _masked(
    head: nn.Module, features: Tensor, fall: Tensor, fractions: Sequence[float]
) -> Iterator[tuple[int, Tensor]]:
    """Index and logits (N, K) of each fraction: the plain way, for any head and either protocol."""
    flat, fall = features.flatten(1), fall.to(features.device)
    for index, fraction in enumerate(fractions):
        yield index, head((flat * (fall > fraction)).view_as(features))


def _linear_first(head: nn.Module, units: int) -> nn.Sequential | None:
    """The head from its first linear layer on, if it starts with one that takes all units at once."""
    layers = list(head) if isinstance(head, nn.Sequential) else [head]
    if layers and isinstance(layers[0], nn.Flatten):
        layers = layers[1:]
    starts = bool(layers) and type(layers[0]) is nn.Linear and layers[0].in_features == units
    return nn.Sequential(*layers) if starts else None


def _cumulative(
    head: nn.Sequential, features: Tensor, fall: Tensor, fractions: Sequence[float]
) -> Iterator[tuple[int, Tensor]]:
    """The same for a head that starts with a linear layer, and `fall` (1, units): units come back in groups.

    What a unit adds to the linear layer's output is added once, not summed again at every fraction, so that
    all fractions together cost this layer what one costs the plain way. Equal to it up to rounding.
    """
    linear, rest = head[0], head[1:]
    assert isinstance(linear, nn.Linear)
    flat = features.flatten(1)
    order = fall[0].argsort(descending=True).to(flat.device)
    inputs, weights = flat[:, order], linear.weight.T[order]
    hidden = linear(torch.zeros_like(flat))
    standing = 0
    for index in sorted(range(len(fractions)), key=lambda index: -fractions[index]):
        now = int((fall > fractions[index]).sum())
        hidden.addmm_(inputs[:, standing:now], weights[standing:now])
        standing = now
        # Nothing ablated must be the plain network, bit for bit. The copy is for a head with in-place layers.
        yield index, rest(linear(flat) if now == len(order) else hidden.clone())


def area(curves: Tensor, fractions: Sequence[float] = FRACTIONS) -> Tensor:
    """Area under accuracy curves (..., len(fractions)) by the trapezoid rule, in percent: (...,).

    Over fractions from 0 to 1 this is the mean accuracy; 10 classes at chance throughout give 10.
    """
    return 100 * torch.trapezoid(curves, torch.tensor(fractions, dtype=curves.dtype))


def interval(areas: Tensor, confidence: float = 0.95) -> tuple[float, float]:
    """Mean over orders and the half width of its confidence interval, by Student's t; areas (orders,).

    It tells how much the choice of orders matters for one network, not how much the training seed does. The
    half width of a single order is NaN.
    """
    from scipy.stats import t

    n = len(areas)
    if n == 0 or not 0 < confidence < 1:
        raise MemstudyError(
            f"an interval needs at least one area and a confidence in (0, 1), not {n} and {confidence}."
        )
    values = areas.double()
    if n == 1:
        return float(values), math.nan
    return float(values.mean()), float(t.ppf(0.5 + confidence / 2, n - 1) * values.std() / math.sqrt(n))
