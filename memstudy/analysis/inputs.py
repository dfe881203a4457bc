"""How a user's own arrays are taken: they become numbers, or one sentence says what is wrong with them.

Taken are tensors and numpy arrays of any real type, byte order, strides and memory (float16, bfloat16, long
double, integers, booleans; read-only, memory-mapped), what PyTorch can share (`__dlpack__`) or numpy make an array
of (`__array__`: pandas, JAX; lists). Their values are kept, and nothing is ever written to them. Refused, in a
sentence that names the parameter, are complex numbers, strings, dates, objects, rows of unlike lengths, and sparse
or masked arrays: the user must decide how to make real numbers of them.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.utils.dlpack
from numpy.typing import NDArray
from torch import Tensor, nn

from memstudy.errors import MemstudyError

Array = Any
"""A tensor, a numpy array, or what numpy or PyTorch makes one of."""


# Any array


def tensor(values: Array, name: str) -> Tensor:
    """The values as a tensor of real numbers, on their own device, without gradient; not to be written to."""
    if isinstance(values, Tensor):
        return _real(values, name).detach()
    if hasattr(values, "__dlpack__") and not isinstance(values, np.ndarray):
        with contextlib.suppress(Exception):  # for example a device that PyTorch lacks: numpy may be able to
            return _real(torch.utils.dlpack.from_dlpack(values), name)
    native = _native(values, name)
    native = np.ascontiguousarray(native).reshape(native.shape)  # it would give an array without dimensions one
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about a read-only array: it is never written to
        return torch.from_numpy(native)


def array(values: Array, name: str) -> NDArray[Any]:
    """The values as a numpy array of real numbers; a memory map of a usual type stays one."""
    if isinstance(values, np.ndarray):
        return _native(values, name)
    on_cpu = tensor(values, name).cpu()
    return (on_cpu.float() if on_cpu.dtype == torch.bfloat16 else on_cpu).numpy()


def _real(values: Tensor, name: str) -> Tensor:
    if values.layout != torch.strided or values.is_nested:
        raise _no_numbers(name, "sparse; make it dense")
    if values.is_complex():
        raise _no_numbers(name, "of complex numbers")
    if values.is_quantized or values.is_meta:
        raise _no_numbers(name, "quantized, or without values")
    return values.float() if values.is_floating_point() and values.dtype.itemsize < 2 else values


def _native(values: Array, name: str) -> NDArray[Any]:
    """The values as a numpy array of a type that PyTorch has, too."""
    if isinstance(values, np.ma.MaskedArray):
        raise _no_numbers(name, "masked; fill it, or choose what is there")
    if hasattr(values, "nnz") and hasattr(values, "toarray"):
        raise _no_numbers(name, "sparse; make it dense")
    try:
        native = np.asarray(values)
    except Exception as error:  # whatever an array's own code raises
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise _no_numbers(name, f"what numpy can make one of ({reason})") from error
    kind = native.dtype.kind
    if native.dtype.name == "bfloat16":  # numpy's extension ml_dtypes, which JAX has
        return native.astype(np.float32)
    if kind not in "biuf":
        words = {"c": "of complex numbers", "S": "of strings", "U": "of strings", "T": "of strings"}
        words |= {"O": "of objects; its type must be one of numbers", "M": "of dates", "m": "of times"}
        raise _no_numbers(name, words.get(kind, f"of {native.dtype}"))
    if kind == "f" and native.dtype.itemsize > 8:
        with np.errstate(over="ignore", under="ignore"):
            return native.astype(np.float64)
    if kind == "u" and native.dtype.itemsize > 1:
        return native.astype(np.int64 if native.dtype.itemsize < 8 or not _huge(native) else np.float64)
    return native if native.dtype.isnative else native.astype(native.dtype.newbyteorder("="))


def _huge(values: NDArray[Any]) -> bool:
    return bool(values.size and values.max() > np.iinfo(np.int64).max)


def _no_numbers(name: str, instead: str) -> MemstudyError:
    return MemstudyError(f"{name} must be an array of numbers, not {instead}.")


# Numbers and labels


def numbers(values: Array, name: str, kind: torch.dtype | None = torch.float32) -> Tensor:
    """A tensor of floats as it is; anything else as floats of this kind, by default float32, in which networks
    compute.

    With kind None the floats of an array stay as they are, too, if they have 32 bits or more.
    """
    taken = tensor(values, name)
    if taken.is_floating_point() and isinstance(values, Tensor):
        return taken
    if kind is None:
        return taken if taken.is_floating_point() and taken.dtype.itemsize >= 4 else taken.float()
    return taken.to(kind)


def precise(values: Array, name: str) -> Tensor:
    """The values as float64."""
    return tensor(values, name).double()


def at_least_single(values: Tensor) -> Tensor:
    """Floats of 16 bits as float32, so that no digits are lost in what is computed of them."""
    return values.float() if values.dtype.itemsize < 4 else values


def for_network(network: Callable[..., Any], values: Tensor) -> Tensor:
    """Floats in the type of a network's parameters, if it has any; whole numbers as they are."""
    if isinstance(network, nn.Module) and values.is_floating_point():
        kinds = (parameter.dtype for parameter in network.parameters() if parameter.is_floating_point())
        return values.to(next(kinds, values.dtype))
    return values


def labeled(
    samples: Array,
    labels: Array,
    name: str,
    *,
    finite: bool = True,
    kind: torch.dtype | None = torch.float32,
    labels_name: str = "labels",
) -> tuple[Tensor, Tensor]:
    """Samples (N, …) and their labels (N,) as tensors on the samples' device, the latter int64.

    Tensors of floats stay as they are, anything else becomes floats of `kind` (see `numbers`). Raises a
    MemstudyError, in which the samples are called `name`, for no sample at all; for labels that are not one a
    sample, or not whole numbers from 0 on; and, with `finite`, for samples that are not finite.
    """
    values, targets = numbers(samples, name, kind), classes(labels, labels_name)
    if values.ndim == 0 or len(values) == 0 or len(values) != len(targets):
        count = len(values) if values.ndim else 0
        raise MemstudyError(
            f"{name} need one label an image and at least one image, not {count} images and {len(targets)} labels."
        )
    if finite:
        check_finite(values, samples, name)
    return values, targets.to(values.device)


def check_finite(values: Tensor, given: Array, name: str) -> None:
    """Raise a MemstudyError for values that are not finite. It says so if `given` is finite."""
    if not values.isfinite().all():
        if tensor(given, name).isfinite().all():
            raise MemstudyError(
                f"the {name} hold values too large for {str(values.dtype).removeprefix('torch.')}."
            )
        raise MemstudyError(f"the {name} hold NaN or infinite values, as a network that diverged gives.")


def classes(labels: Array, name: str = "labels") -> Tensor:
    """Labels (N,) as int64; a MemstudyError if they are not whole numbers from 0 on, one a sample."""
    given = tensor(labels, name)
    if given.ndim != 1:
        raise MemstudyError(f"{name} must have shape (N,), one class a sample, not {tuple(given.shape)}.")
    whole = given.long()
    if not ((whole == given) & (whole >= 0)).all():
        raise MemstudyError(f"{name} must be classes, as whole numbers from 0 on.")
    return whole


def within(labels: Tensor, count: int) -> None:
    """Raise a MemstudyError if labels (N,), N > 0, are not below `count`, the number of classes."""
    if (highest := int(labels.max())) >= count:
        raise MemstudyError(f"labels must be from 0 to {count - 1}, as there are {count} classes, not {highest}.")


@contextlib.contextmanager
def understood(taker: str, given: str, shape: Sequence[int]) -> Iterator[None]:
    """Around a call of a network: if it cannot take its input, raise a MemstudyError with PyTorch's reason."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise MemstudyError(f"the {taker} cannot take {given} of shape {tuple(shape)}: {reason}.") from error
