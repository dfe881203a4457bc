"""The one way in for a user's own arrays: they become numbers, or one sentence that says what is wrong.

Taken are tensors and numpy arrays of any real type, byte order, strides and memory (float16, bfloat16, long
double, integers, booleans; read-only, memory-mapped), what PyTorch can share (`__dlpack__`) or numpy make an array
of (`__array__`: pandas, JAX; lists). Their values are kept, and nothing is ever written to them. Refused, by the
name of the parameter: complex numbers, strings, dates, objects, rows of unlike lengths, and arrays that are sparse
or masked, as each would have to be made into other numbers first.
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
        with contextlib.suppress(Exception):  # of a device that PyTorch lacks, say: numpy may know better
            return _real(torch.utils.dlpack.from_dlpack(values), name)
    found = _native(values, name)
    found = np.ascontiguousarray(found).reshape(found.shape)  # of no dimension it would make one
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it is read-only: it is only read
        return torch.from_numpy(found)


def array(values: Array, name: str) -> NDArray[Any]:
    """The values as a numpy array of real numbers; a memory map of a usual type stays one."""
    if isinstance(values, np.ndarray):
        return _native(values, name)
    found = tensor(values, name).cpu()
    return (found.float() if found.dtype == torch.bfloat16 else found).numpy()


def _real(found: Tensor, name: str) -> Tensor:
    if found.layout != torch.strided or found.is_nested:
        raise _no_numbers(name, "sparse; make it dense")
    if found.is_complex():
        raise _no_numbers(name, "of complex numbers")
    if found.is_quantized or found.is_meta:
        raise _no_numbers(name, "quantized, or without values")
    return found.float() if found.is_floating_point() and found.dtype.itemsize < 2 else found


def _native(values: Array, name: str) -> NDArray[Any]:
    """As a numpy array of a type that PyTorch has."""
    if isinstance(values, np.ma.MaskedArray):
        raise _no_numbers(name, "masked; fill it, or choose what is there")
    if hasattr(values, "nnz") and hasattr(values, "toarray"):
        raise _no_numbers(name, "sparse; make it dense")
    try:
        found = np.asarray(values)
    except Exception as error:  # whatever an array's own code raises
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise _no_numbers(name, f"what numpy can make one of ({reason})") from error
    kind = found.dtype.kind
    if found.dtype.name == "bfloat16":  # numpy's extension ml_dtypes, which JAX has
        return found.astype(np.float32)
    if kind not in "biuf":
        words = {"c": "of complex numbers", "S": "of strings", "U": "of strings", "T": "of strings"}
        words |= {"O": "of objects; its type must be one of numbers", "M": "of dates", "m": "of times"}
        raise _no_numbers(name, words.get(kind, f"of {found.dtype}"))
    if kind == "f" and found.dtype.itemsize > 8:
        with np.errstate(over="ignore", under="ignore"):
            return found.astype(np.float64)
    if kind == "u" and found.dtype.itemsize > 1:
        return found.astype(np.int64 if found.dtype.itemsize < 8 or not _huge(found) else np.float64)
    return found if found.dtype.isnative else found.astype(found.dtype.newbyteorder("="))


def _huge(found: NDArray[Any]) -> bool:
    return bool(found.size and found.max() > np.iinfo(np.int64).max)


def _no_numbers(name: str, what: str) -> MemstudyError:
    return MemstudyError(f"{name} must be an array of numbers, not {what}.")


# Numbers and labels


def numbers(values: Array, name: str, kind: torch.dtype | None = torch.float32) -> Tensor:
    """A tensor of floats as it is, an array as this kind of them, by default that in which networks compute.

    With kind None the floats of an array stay what they are, too, if they are of 32 bits or more.
    """
    found = tensor(values, name)
    if found.is_floating_point() and isinstance(values, Tensor):
        return found
    if kind is None:
        return found if found.is_floating_point() and found.dtype.itemsize >= 4 else found.float()
    return found.to(kind)


def precise(values: Array, name: str) -> Tensor:
    """As float64."""
    return tensor(values, name).double()


def at_least_single(values: Tensor) -> Tensor:
    """Floats of 16 bits as float32, in which as many digits are left of what is computed as they have."""
    return values.float() if values.dtype.itemsize < 4 else values


def for_network(network: Callable[..., Any], values: Tensor) -> Tensor:
    """Floats in the type of a network's parameters, if it has any; whole numbers stay what they are."""
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

    Tensors of floats stay what they are; all else becomes of a `kind`, see `numbers`. `name` is what the samples
    are called in the sentence of a MemstudyError: for no sample at all, labels that are not one a sample or not
    whole numbers from 0 on, and, if they are to be `finite`, samples that are not.
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
    """Raise a MemstudyError for values that are not finite, and say so if those that were given are."""
    if not values.isfinite().all():
        if tensor(given, name).isfinite().all():
            raise MemstudyError(
                f"the {name} hold values too large for {str(values.dtype).removeprefix('torch.')}."
            )
        raise MemstudyError(f"the {name} hold NaN or infinite values, as a network that diverged gives.")


def classes(labels: Array, name: str = "labels") -> Tensor:
    """Labels (N,) as int64; a MemstudyError if they are not whole numbers from 0 on, one a sample."""
    found = tensor(labels, name)
    if found.ndim != 1:
        raise MemstudyError(f"{name} must have shape (N,), one class a sample, not {tuple(found.shape)}.")
    whole = found.long()
    if not ((whole == found) & (whole >= 0)).all():
        raise MemstudyError(f"{name} must be classes, as whole numbers from 0 on.")
    return whole


def within(labels: Tensor, count: int) -> None:
    """Raise a MemstudyError for labels (N,), at least one, that are not of so many classes."""
    if (highest := int(labels.max())) >= count:
        raise MemstudyError(f"labels must be from 0 to {count - 1}, as there are {count} classes, not {highest}.")


@contextlib.contextmanager
def understood(who: str, what: str, shape: Sequence[int]) -> Iterator[None]:
    """Around a network's answer: that it cannot take what it was given is one sentence, with PyTorch's reason."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise MemstudyError(f"the {who} cannot take {what} of shape {tuple(shape)}: {reason}.") from error
