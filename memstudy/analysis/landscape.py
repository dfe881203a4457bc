"""Importance landscapes: where a network looks in images, measured by gradients and predicted by counting paths.

    I(u, v) = mean over images of Σ over channels of (∂L/∂x)²,   Ĩ = I / mean(I)

with L an image's own cross-entropy. This is `regularizers.pilcro`'s, a reconstruction; it differentiates the mean
over a batch of B, so without batch statistics its gradients are 1/B of these, and its Ĩ is the same.

Theory (ours): weights that are independent and of mean zero make gradients along different paths uncorrelated, so
squared gradients add up. E[(∂y/∂x)²] then follows from one pass backward through a network whose weights are all
their layer's mean square: it counts paths. The counterparts of other operations:

    bias                     nothing: it moves no gradient
    ReLU, ReLU6, hardtanh    × 1/2: half of the gradients pass (as if signs were independent of weights, and no
                             input reached the upper end)
    max-pooling              average over the window: each location is the largest equally often, and then gets all
                             of the gradient. Padding is never the largest: windows at a border have fewer
    batch normalization      × γ² / (running variance + ε)
    average pooling,         coefficients squared. Exact where windows do not overlap, or gradients at different
    resizing                 locations are uncorrelated: below fully connected layers, not below global pooling
    dropout                  nothing, as in evaluation mode
    sums, joining, slicing,  as they are: their terms are uncorrelated
    padding, reshaping

Exact in expectation for linear networks at initialization, an approximation where there are ReLUs; after training,
weights are not independent, and it is a reference.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from memstudy.analysis.inputs import Array, check_finite, for_network, labeled, precise, tensor, understood, within
from memstudy.analysis.magnitude import exponents, scale_
from memstudy.analysis.modes import evaluating
from memstudy.errors import MemstudyError, quoted
from memstudy.regularizers.pilcro import importance

CHUNK = 50
"""Images at a time: gradients by images need all activations of a chunk."""

Answer = Tensor | tuple[Tensor, Tensor]


def measured(network: Callable[[Tensor], Answer], images: Array, labels: Array, chunk: int = CHUNK) -> Tensor:
    """Ĩ of images (N, C, H, W), normalized, and labels (N,): (H, W) float64 on the CPU, its mean 1 (ours).

    images and labels are arrays, or tensors on the network's device, in the type of its parameters. `network` is a
    Network, or answers logits (N, K) alone; it must treat each image on its own (evaluation mode). The result is 0
    everywhere if all gradients are 0, as in a network that is certain of every label, and NaN if a gradient is not
    finite. Cost: one forward and one backward pass an image, and the memory of `chunk` images' activations.

    Raises a MemstudyError without images, for images of another shape or that are not finite, and for labels that
    are not one an image or none of the network's classes.
    """
    pixels, targets = labeled(images, labels, "images")
    pixels = for_network(network, pixels)
    _check_shape(pixels, "images")
    squares = torch.zeros(pixels.shape[2:], dtype=torch.float64)
    for part, classes in zip(pixels.split(chunk), targets.split(chunk), strict=True):
        part = part.detach().requires_grad_()
        with understood("network", "images", pixels.shape):
            logits = _logits(network(part))
        within(targets, logits.shape[1])
        loss = F.cross_entropy(logits, classes, reduction="sum")  # each image's own, side by side
        (gradients,) = torch.autograd.grad(loss, part)
        squares += gradients.double().square().sum(dim=(0, 1)).cpu()
    return _relative(squares)


def of_gradients(gradients: Array) -> Tensor:
    """Ĩ of gradients (N, C, H, W) that you have: (H, W) float64 on the CPU, its mean 1; zeros stay zeros (ours).

    Each is an image's own: the derivative of its loss (or another number) by its pixels, an array or a tensor.
    Their common scale does not matter. O(N·C·H·W). Raises a MemstudyError for another shape, and gradients that
    are not finite.
    """
    scaled = precise(gradients, "gradients")
    _check_shape(scaled, "gradients")
    check_finite(scaled, gradients, "gradients")
    scaled = scale_(scaled.clone(), -exponents(scaled.abs().max()))  # squares of tiny numbers would be 0
    return _relative(scaled.square().sum(dim=(0, 1)).cpu())


def predicted(network: torch.nn.Module, shape: Sequence[int] | Array) -> Tensor:
    """What theory (ours) expects of a network's Ĩ for images (C, H, W): (H, W) float64 on the CPU, its mean 1.

    `network` is a Network, or any module that answers logits; its mode is kept. The prediction looks at its
    architecture, each layer's mean squared weight, and batch normalization's statistics, not at images. Cost: one
    forward and one backward pass of one image in float64. Raises a MemstudyError for another shape, for weights
    too large to be squared, and for an operation without a counterpart, which it names.
    """
    sizes = tuple(tensor(shape, "the shape of an image").flatten().tolist())
    if len(sizes) != 3 or not all(size >= 1 and size == int(size) for size in sizes):
        raise MemstudyError(f"the shape of an image is (C, H, W), not {sizes}.")
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    images = torch.zeros(1, *map(int, sizes), dtype=torch.float64, device=device, requires_grad=True)
    with evaluating(network):
        answer = _logits(network(images.as_subclass(_Squared)))
        (squares,) = torch.autograd.grad(answer.as_subclass(Tensor).sum(), images)
    if not squares.isfinite().all():
        raise MemstudyError(
            "the predicted landscape is not finite, as weights of a network that diverged make it."
        )
    return _relative(squares[0].sum(dim=0).cpu())


def variation(landscape: Array) -> float:
    """The coefficient of variation of a landscape (H, W), standard deviation over mean: 0 if flat (ours).

    NaN for zeros everywhere. O(H·W). Raises a MemstudyError for another shape, and importance that is negative or
    not finite.
    """
    scaled = _landscape(landscape)
    return float(scaled.std(correction=0) / scaled.mean())


def max_over_min(landscape: Array) -> float:
    """The most important location of a landscape (H, W) over the least: 1 if flat (ours).

    Infinite if the least has no importance, NaN for zeros everywhere. O(H·W). Raises as `variation` does.
    """
    scaled = _landscape(landscape)
    return float(scaled.max() / scaled.min())


def correlation(one: Array, other: Array) -> float:
    """Pearson's correlation of two landscapes (H, W) over locations; that they are compared so is ours.

    NaN if one of them is flat, or zeros everywhere. O(H·W). Raises as `variation` does, and for unlike shapes.
    """
    first, second = _landscape(one, "the first landscape"), _landscape(other, "the second landscape")
    if first.shape != second.shape:
        raise MemstudyError(f"landscapes must have one shape, not {tuple(first.shape)} and {tuple(second.shape)}.")
    if not (variation(first) > 1e-12 and variation(second) > 1e-12):
        return float("nan")
    return float(np.corrcoef(first.flatten().numpy(), second.flatten().numpy())[0, 1])


def _check_shape(values: Tensor, name: str) -> None:
    if values.ndim != 4 or values.numel() == 0:
        raise MemstudyError(f"{name} must have shape (N, C, H, W), none of them 0, not {tuple(values.shape)}.")


def _landscape(landscape: Array, name: str = "the landscape") -> Tensor:
    importance_map = precise(landscape, name).cpu()
    if importance_map.ndim != 2 or importance_map.numel() == 0:
        raise MemstudyError(
            f"a landscape must have shape (H, W), neither of them 0, not {tuple(importance_map.shape)}."
        )
    if not (importance_map.isfinite() & (importance_map >= 0)).all():
        raise MemstudyError("a landscape must be finite and nowhere negative, as squared gradients are.")
    return scale_(importance_map.clone(), -exponents(importance_map.max()))


def _logits(answer: Answer) -> Tensor:
    return answer[-1] if isinstance(answer, tuple) else answer


def _relative(squares: Tensor) -> Tensor:
    """Squared gradients (H, W), scaled to mean 1 as in pilcro's landscape; if all are 0, they stay 0."""
    return importance(squares.sqrt()[None, None])


class _Squared(Tensor):
    """A tensor that goes through a network: operations on it are replaced by their counterparts.

    Other operations are not, such as those that make weights from other tensors.
    """

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Carry out the counterpart of a function of PyTorch; a MemstudyError if there is none."""
        name, kwargs = getattr(func, "__name__", str(func)), kwargs or {}
        with torch._C.DisableTorchFunctionSubclass():
            if name in _COUNTERPARTS:
                return _as_squared(_COUNTERPARTS[name](*args, **kwargs))
            if name in _AS_IT_IS and "alpha" not in kwargs:  # a factor of add's
                return _as_squared(func(*args, **kwargs))
            with contextlib.suppress(RuntimeError):  # for example of two types of numbers: refused below
                answer = func(*args, **kwargs)
                if not _has_tensor(answer):
                    return answer  # a shape, a number of dimensions, …
        raise MemstudyError(
            f"the landscape of a network with the operation {quoted(name)} cannot be predicted: it is none of "
            f"{', '.join(sorted({n.strip('_') for n in (*_COUNTERPARTS, *_AS_IT_IS)}))}."
        )


def _as_squared(answer: Any) -> Any:
    if isinstance(answer, tuple | list):
        return tuple(_as_squared(part) for part in answer)
    return answer.as_subclass(_Squared)


def _has_tensor(answer: Any) -> bool:
    return isinstance(answer, Tensor) or (isinstance(answer, tuple | list) and any(map(_has_tensor, answer)))


# Counterparts: each has the parameters of its operation, first of all images (1, C, H, W) float64


def _convolution(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """A kernel of ones times the mean squared weight. All channels of a group have the same sum, computed once."""
    summed = images.unflatten(1, (groups, -1)).sum(dim=2)
    kernel = _mean_square(weight).expand(groups, 1, *weight.shape[2:])
    paths = F.conv2d(summed, kernel, None, stride, padding, dilation, groups)
    return paths.repeat_interleave(len(weight) // groups, dim=1)


def _linear(features: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return features.sum(dim=-1, keepdim=True).mul(_mean_square(weight)).expand(*features.shape[:-1], len(weight))


def _mean_square(weight: Tensor) -> Tensor:
    return weight.detach().square().mean(dtype=torch.float64)


def _rectifier(images: Tensor, *_: Any, **__: Any) -> Tensor:
    return images / 2


def _batch_norm(
    images: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if running_var is None:
        raise MemstudyError(
            "the landscape of a network with batch normalization that keeps no running statistics cannot be "
            "predicted; build it with track_running_stats=True."
        )
    scale = (running_var.double() + eps).reciprocal()
    if weight is not None:
        scale = scale * weight.detach().double().square()
    return images * scale.reshape(-1, *[1] * (images.ndim - 2))


def _max_pool(
    images: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    if dilation not in (1, (1, 1)) or return_indices:
        raise MemstudyError(
            "the landscape of a network whose max_pool2d is dilated, or answers indices, cannot be predicted."
        )
    return F.avg_pool2d(images, kernel_size, stride, padding, ceil_mode, count_include_pad=False)


def _resampling(operation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The counterpart of an operation R·x·Cᵀ (averages over rows, then columns): R and C with squared
    coefficients.

    R and C are found by trying. For an image with a single row of ones the answer has a column of R in its first
    column, times a constant; likewise for C. The product of both constants is the answer's corner for an image of
    ones.
    """

    def counterpart(images: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        height, width = images.shape[2:]
        ones = images.new_ones(1, 1, height, width)
        rows = operation(ones * _unit(ones, height)[:, :, :, None], *args, **kwargs)[:, 0, :, 0].T
        columns = operation(ones * _unit(ones, width)[:, :, None, :], *args, **kwargs)[:, 0, 0, :]
        corner = operation(ones, *args, **kwargs)[0, 0, 0, 0]
        return (rows / corner).square() @ images @ columns.square()

    return counterpart


def _unit(like: Tensor, size: int) -> Tensor:
    return torch.eye(size, dtype=like.dtype, device=like.device)[:, None]


def _mean(images: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    mean = images.mean(*args, **kwargs)
    return mean * (mean.numel() / images.numel())


def _same(images: Tensor, *_: Any, **__: Any) -> Tensor:
    return images


_COUNTERPARTS: dict[str, Callable[..., Any]] = {
    "conv2d": _convolution,
    "linear": _linear,
    "relu": _rectifier,
    "relu6": _rectifier,
    "hardtanh": _rectifier,
    "batch_norm": _batch_norm,
    "max_pool2d": _max_pool,
    "avg_pool2d": _resampling(F.avg_pool2d),
    "adaptive_avg_pool2d": _resampling(F.adaptive_avg_pool2d),
    "interpolate": _resampling(F.interpolate),
    "mean": _mean,
    "dropout": _same,
}
_AS_IT_IS = (
    "add", "__add__", "__radd__", "__iadd__", "sum", "cat", "stack", "chunk", "split", "__getitem__", "pad",
    "flatten", "unflatten", "reshape", "view", "squeeze", "unsqueeze", "expand", "permute", "transpose",
    "contiguous", "channel_shuffle",
)  # fmt: skip
