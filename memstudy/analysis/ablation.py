"""Cumulative ablation: how much a network leans on the single activations of a layer, usually its trunk's output.

A growing share of those activations is set to 0 at inference, nothing is rescaled, and the head's accuracy on
true labels is measured; the area under that curve is the result (AL2; stated). Networks that memorize fall sooner
(Morcos, Barrett, Rabinowitz, Botvinick 2018, "On the importance of single directions for generalization").

Two protocols, two measurements:

    units      a random order of the units, the same for all images, is ablated cumulatively (Morcos et al.;
               stated).
    bernoulli  each unit of each image is ablated on its own with probability `fraction` (AL2's code; stated).
               One draw serves all fractions of an order (ours; it does not change the distribution at any of
               them).

In both, what is ablated at a fraction stays ablated at every larger one. Orders are keyed by (seed, protocol,
order) and drawn on the CPU: the same on every device, for every chunk size, and for all networks with as many
units, so that networks are compared on the same ablations.

A unit is one activation (AL2; stated), or a whole channel of a convolutional layer (Morcos et al.; stated). When
ablated it becomes 0 (both; stated), or its mean over the images that are evaluated, and over a channel's
positions: Morcos et al.'s other clamp, except that they take the mean over the training images (ours).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from memstudy.analysis.inputs import Array, for_network, labeled, precise, tensor, understood, within
from memstudy.analysis.modes import evaluating
from memstudy.errors import MemstudyError, unknown
from memstudy.randomness import torch_generator

PROTOCOLS = ("units", "bernoulli")
UNITS = ("activation", "channel")
CLAMPS = ("zero", "mean")
FRACTIONS = tuple(step / 20 for step in range(21))
"""0, 5, …, 100 % (ours)."""


def falls(protocol: str, images: int, units: int, seed: int, order: int) -> Tensor:
    """The fraction, in (0, 1], from which on each activation is ablated: its fall.

    units: (1, units) float64, at odd multiples of half a unit, so that fraction · units is rounded (halves up) to
    a whole number of ablated units. bernoulli: (images, units) float32, uniform.
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
    features: Array,
    labels: Array,
    protocol: str = "units",
    orders: int = 5,
    seed: int = 0,
    fractions: Sequence[float] = FRACTIONS,
    chunk: int | None = None,
    *,
    unit: str = "activation",
    clamp: str = "zero",
    images: Array | None = None,
) -> Tensor:
    """Accuracy under growing ablation: (orders, len(fractions)) float64 on the CPU, as fractions of 1 (AL2; Morcos
    et al. 2018).

    head: features → logits (N, K); run in evaluation mode, its own mode is kept.
    features: (N, C, H, W) or (N, p), a layer's output in evaluation mode: a tensor on the head's device, or an
        array; in the type of the head's parameters.
    labels: (N,) what counts as right, usually the true labels. fractions: within [0, 1], in any order. unit,
    clamp: of UNITS and CLAMPS. chunk: images at a time; by default what a CPU's cache holds, elsewhere 5,000.
    images: (N, …), for a head that is called as head(features, images), as a connection from the images to the
    logits
        bypasses the layer.

    Cost: a forward pass of the head for each order and fraction; for fixed orders of a head that starts with a
    linear layer, that layer once an order.

    Raises a MemstudyError for an unknown protocol, unit or clamp; a fraction outside [0, 1]; less than one order;
    no image; labels that are not one an image, or not of the head's classes; features that are not finite, or that
    the head cannot take; and channels as units of features that are not (N, C, H, W).
    """
    features, labels = labeled(features, labels, "features")
    features = for_network(head, features)
    images = None if images is None else for_network(head, tensor(images, "images"))
    fractions = precise(fractions, "fractions").flatten().tolist()
    _check(features, orders, fractions, unit, clamp)
    positions = features[0, 0].numel() if unit == "channel" else 1
    layer = _Layer(head, features, images, _fixed(features, clamp, positions))
    linear_first = _linear_first(head, layer.flat.shape[1]) if protocol == "units" and images is None else None
    chunk = chunk or (250 if features.device.type == "cpu" else 5000)
    parts = [slice(start, start + chunk) for start in range(0, len(features), chunk)]
    hits = torch.zeros(orders, len(fractions), dtype=torch.int64, device=features.device)
    with evaluating(head):
        plain = _plain(layer, labels, parts)
        for order in range(orders):
            fall = falls(protocol, len(features), layer.flat.shape[1] // positions, seed, order)
            touched = [index for index, fraction in enumerate(fractions) if fraction >= fall.min()]
            hits[order] = plain
            hits[order, touched] = 0
            fall = fall.repeat_interleave(positions, dim=1)
            answers = _masked(layer, fall) if linear_first is None else _cumulative(layer, fall, linear_first)
            for part in parts:
                for index, logits in answers(part, [(fractions[index], index) for index in touched]):
                    hits[order, index] += _right(logits, labels[part])
    return hits.cpu().double() / len(features)


def _check(features: Tensor, orders: int, fractions: Sequence[float], unit: str, clamp: str) -> None:
    if features.ndim < 2 or features[0].numel() == 0:
        raise MemstudyError(f"features must have shape (N, p) or (N, C, H, W), not {tuple(features.shape)}.")
    if orders < 1:
        raise MemstudyError(f"ablation needs at least one order, not {orders}.")
    if len(fractions) == 0 or not all(0 <= fraction <= 1 for fraction in fractions):
        raise MemstudyError(f"ablation needs at least one fraction, all within [0, 1], not {list(fractions)}.")
    check_choice(unit, clamp)
    if unit == "channel" and features.ndim != 4:
        raise MemstudyError(
            f"activations of shape {tuple(features.shape)} have no channels, as (N, C, H, W) have; take "
            "single activations for units."
        )


def check_choice(unit: str, clamp: str) -> None:
    """Raise a MemstudyError for an unknown kind of unit, or an unknown clamp."""
    for kind, name, choices in (("unit to ablate", unit, UNITS), ("clamp", clamp, CLAMPS)):
        if name not in choices:
            raise unknown(kind, name, choices)


def _fixed(features: Tensor, clamp: str, positions: int) -> Tensor:
    """What an ablated activation becomes, (p,)."""
    if clamp == "zero":
        return features.new_zeros(features[0].numel())
    units = features.reshape(len(features), -1, positions)
    return units.mean(dim=(0, 2), dtype=torch.float64).to(features.dtype).repeat_interleave(positions)


def _plain(layer: _Layer, labels: Tensor, parts: Sequence[slice]) -> Tensor:
    """Hits of the network with nothing ablated. They are the same for every order."""
    hits = torch.zeros((), dtype=torch.int64, device=labels.device)
    for part in parts:
        activations = layer.flat[part]
        with understood("head", "features", layer.features.shape):
            logits = layer.logits(activations, part)
        within(labels, logits.shape[1])
        hits += _right(logits, labels[part])
    return hits


def _right(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.argmax(dim=1) == labels).sum()


@dataclass(frozen=True)
class _Layer:
    """A layer's activations, what comes behind it, and what an ablated activation becomes (p,)."""

    head: nn.Module
    features: Tensor
    images: Tensor | None
    fixed: Tensor

    @property
    def flat(self) -> Tensor:
        """The activations (N, p)."""
        return self.features.flatten(1)

    def logits(self, activations: Tensor, part: slice) -> Tensor:
        """(n, p) activations of the images `part` → logits (n, K)."""
        shaped = activations.view(-1, *self.features.shape[1:])
        return self.head(shaped) if self.images is None else self.head(shaped, self.images[part])


Answers = Callable[[slice, list[tuple[float, int]]], Iterator[tuple[int, Tensor]]]
"""A function from a slice of images and some (fraction, index) to (index, logits (n, K)) of each fraction."""


def _masked(layer: _Layer, fall: Tensor) -> Answers:
    """A pass of the head for each fraction. For any head and both protocols; fall (1, p) or (N, p)."""
    flat, fall = layer.flat, fall.to(layer.features.device).expand(len(layer.features), -1)

    def answers(part: slice, fractions: list[tuple[float, int]]) -> Iterator[tuple[int, Tensor]]:
        for fraction, index in fractions:
            yield index, layer.logits(torch.where(fall[part] > fraction, flat[part], layer.fixed), part)

    return answers


def _linear_first(head: nn.Module, units: int) -> nn.Sequential | None:
    """The head from its first linear layer on, if it starts with one that takes all units at once."""
    layers = list(head) if isinstance(head, nn.Sequential) else [head]
    if layers and isinstance(layers[0], nn.Flatten):
        layers = layers[1:]
    starts = bool(layers) and type(layers[0]) is nn.Linear and layers[0].in_features == units
    return nn.Sequential(*layers) if starts else None


def _cumulative(layer: _Layer, fall: Tensor, head: nn.Sequential) -> Answers:
    """The same as `_masked`, faster, for a head that starts with a linear layer, and fall (1, p).

    From the largest fraction to the smallest, units come back in groups, and what they add to the linear layer's
    output is added to that of the group before. So all fractions together cost this layer as much as one. Equal up
    to rounding.
    """
    linear, rest = head[0], head[1:]
    assert isinstance(linear, nn.Linear)
    order = fall[0].argsort(descending=True).to(layer.features.device)
    weights, ablated = linear.weight.T[order], linear(layer.fixed)
    above = layer.flat - layer.fixed if layer.fixed.any() else layer.flat

    def answers(part: slice, fractions: list[tuple[float, int]]) -> Iterator[tuple[int, Tensor]]:
        inputs = above[part].index_select(1, order)  # a tenth of what [:, order] takes
        hidden, standing = ablated.repeat(len(inputs), 1), 0
        for fraction, index in sorted(fractions, reverse=True):
            now = int((fall > fraction).sum())
            hidden.addmm_(inputs[:, standing:now], weights[standing:now])
            standing = now
            yield index, rest(hidden.clone())  # a copy, for a head with in-place layers

    return answers


def area(curves: Array, fractions: Sequence[float] = FRACTIONS) -> Tensor:
    """Area under accuracy curves (..., len(fractions)), an array or a tensor, in percent: (...,) (AL2; stated).

    By the trapezoid rule (ours), O(1) a point. Over fractions from 0 to 1 this is the mean accuracy: 10 if it is
    at the chance level of 10 classes throughout. Raises a MemstudyError for another shape, accuracies that are no
    fractions of 1, and fractions that do not ascend.
    """
    accuracies, places = precise(curves, "curves"), precise(fractions, "fractions")
    if accuracies.ndim == 0 or accuracies.shape[-1:] != places.shape or len(places) < 2:
        raise MemstudyError(
            f"curves must have one accuracy for each of two fractions or more, not shape "
            f"{tuple(accuracies.shape)} for {places.numel()} fractions."
        )
    if not ((accuracies >= 0) & (accuracies <= 1)).all():
        raise MemstudyError("accuracies must be fractions, from 0 to 1.")
    if not (places.diff() > 0).all():
        raise MemstudyError("the fractions must ascend, as the area between them is summed up.")
    return 100 * torch.trapezoid(accuracies, places.to(accuracies))


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
