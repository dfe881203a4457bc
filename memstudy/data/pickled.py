"""Values in files of torch.save, without running them.

Such a file is a zip: a pickle, and beside it the numbers of its tensors. A pickle is a program, and here it is
read, not run: the instructions that plain values, arrays and tensors need are followed to see what the file *asks*
for, nothing it names is looked up or called, and what is asked for is made here, if it has the one form that numpy
or torch gives an array. Any other instruction, name or form refuses the file.

torch.load(weights_only=True) would be less code here, but less safe: it would have to be allowed numpy.ndarray and
numpy.dtype, which then are called with whatever arguments a file chooses. Few bytes suffice to lay one array over
the memory of another and free that: reading it ends the process (torch 2.15, numpy 2.4). Its list of what is
allowed is also shared by the whole process, and the names in it change with numpy.
"""

from __future__ import annotations

import io
import itertools
import math
import pickletools
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from memstudy.errors import quoted, reason

LIMIT = 2**26
"""Bytes: no larger pickle or tensor is read. CIFAR-10's human labels have 2.4 million."""
MADE = 4 * LIMIT
"""Bytes: the arrays and tensors of one file are no larger together."""
INSTRUCTIONS = 4_000_000
"""The most instructions followed, and values made, of one pickle. A list of 1.3 million labels has 1.3 million."""
DEPTH = 30
"""The deepest lists within lists, and the most dimensions of an array."""


def read(content: bytes) -> Any:
    """What torch.save wrote: None, truths, numbers, text, and lists, tuples and dictionaries of values.

    Arrays and tensors come as arrays of numbers or truths, each with memory of its own; their shape and type (in
    this machine's byte order) are the file's. Single numbers of numpy's come as Python's. The keys of dictionaries
    are text or whole numbers. Raises a ValueError for whatever else the file is or asks for; its text is a clause.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entry = _pickle(archive)
            return _Values(archive, entry.filename.removesuffix("/data.pkl")).of(
                _described(_entry(archive, entry))
            )
    except zipfile.BadZipFile as error:
        raise ValueError(f"no whole zip as torch.save writes it since torch 1.6: {error}") from error
    except LookupError as error:
        raise ValueError("an instruction without its arguments") from error
    except ValueError:
        raise
    except Exception as error:  # there are more ways to be no zip, and no pickle, than can be listed
        raise ValueError(reason(error)) from error


def _pickle(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """The pickle in a file of torch.save."""
    entries = [entry for entry in archive.infolist() if entry.filename.endswith("/data.pkl")]
    if len(entries) != 1:
        raise ValueError("not one pickle, as torch.save writes it")
    return entries[0]


def _entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """What an entry of the zip holds. zipfile compares its checksum."""
    if entry.file_size > LIMIT:
        raise ValueError(f"far too large: {entry.file_size:,} bytes")
    return archive.read(entry)


# What a pickle asks for


@dataclass(frozen=True)
class _Name:
    """Something outside the file that a pickle names, as `module name`. It is never looked up."""

    name: str


@dataclass(eq=False)
class _Call:
    """Something that a pickle wants called, and the state it then wants set. Neither ever happens."""

    function: Any
    arguments: Any
    state: Any = None


@dataclass(eq=False)
class _Storage:
    """The numbers of a tensor, which lie beside the pickle."""

    identity: Any


CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWFALSE": lambda: False, "NEWTRUE": lambda: True,
    "EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict,
}  # fmt: skip
RECONSTRUCT = "numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct"  # of numpy 1, and of 2
SCALAR = "numpy.core.multiarray scalar", "numpy._core.multiarray scalar"
TENSOR, PARAMETER = "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter"
ORDERED = "collections OrderedDict"
STORAGES = {
    f"torch {name}Storage": kind
    for name, kind in {
        "Double": "f8", "Float": "f4", "Half": "f2", "Long": "i8", "Int": "i4", "Short": "i2", "Char": "i1",
        "Byte": "u1", "Bool": "b1",
    }.items()
}  # fmt: skip
KINDS = {*STORAGES.values(), "u2", "u4", "u8"}
NAMES = {
    *RECONSTRUCT, *SCALAR, TENSOR, PARAMETER, ORDERED, *STORAGES, "numpy ndarray", "numpy dtype", "_codecs encode",
    "__builtin__ bytes",
}  # fmt: skip
"""What pickled arrays and tensors name."""


def _described(pickle: bytes) -> Any:
    """What a pickle describes: plain values, names, storages, and calls not made.

    Raises a ValueError for a name or an instruction that no value of `read` needs, and that or a LookupError for
    an instruction out of place.
    """
    stack: list[Any] = []
    outer: list[list[Any]] = []
    memo: dict[int, Any] = {}
    argument: Any
    for instruction, argument, _ in itertools.islice(pickletools.genops(pickle), INSTRUCTIONS):
        match instruction.name:
            case "PROTO":
                pass
            case "BININT" | "BININT1" | "BININT2" | "BINUNICODE" | "BINFLOAT":
                stack.append(argument)
            case "LONG1" if -(2**63) <= argument < 2**64:
                stack.append(argument)
            case name if name in CONSTANTS:
                stack.append(CONSTANTS[name]())
            case "GLOBAL" if argument not in NAMES:
                raise ValueError(f"it names {quoted(argument)}, which no plain value, array or tensor needs")
            case "GLOBAL":
                stack.append(_Name(argument))
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "MARK" if len(outer) == DEPTH:
                raise ValueError("lists within lists without end")
            case "MARK":
                outer.append(stack)
                stack = []
            case "TUPLE":
                items, stack = stack, outer.pop()
                stack.append(tuple(items))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(_pop(stack, int(instruction.name[-1]))))
            case "APPEND":
                _append(stack[-2], _pop(stack, 1))
            case "APPENDS":
                items, stack = stack, outer.pop()
                _append(stack[-1], items)
            case "SETITEM":
                _set(stack[-3], _pop(stack, 2))
            case "SETITEMS":
                items, stack = stack, outer.pop()
                _set(stack[-1], items)
            case "BINPERSID":
                stack.append(_Storage(stack.pop()))
            case "REDUCE":
                stack.append(_reduced(*_pop(stack, 2)))
            case "BUILD":
                _build(stack[-2], stack.pop())
            case "STOP":
                return stack.pop()
            case other:
                raise ValueError(f"the instruction {other} has no place in plain values, arrays and tensors")
    raise ValueError("far too many instructions")


def _pop(stack: list[Any], count: int) -> list[Any]:
    """The last items of a stack, taken off it."""
    if len(stack) < count:
        raise LookupError
    items = stack[-count:]
    del stack[-count:]
    return items


def _append(target: Any, items: list[Any]) -> None:
    if not isinstance(target, list):
        raise ValueError("items of something else than a list")
    target.extend(items)


def _set(table: Any, items: list[Any]) -> None:
    """Keys and values, alternately. No other keys: hashing a tuple of tuples of tuples ... could take forever."""
    keys, values = items[::2], items[1::2]
    if not isinstance(table, dict) or not {type(key) for key in keys} <= {str, int} or len(keys) != len(values):
        raise ValueError("items of something else than a table whose keys are names or whole numbers")
    table.update(zip(keys, values, strict=True))


def _reduced(function: Any, arguments: Any) -> Any:
    """A call not made. Only that of an empty ordered dictionary is a value: every tensor has one, of its hooks."""
    ordered = isinstance(function, _Name) and function.name == ORDERED and arguments == ()
    return {} if ordered else _Call(function, arguments)


def _build(call: Any, state: Any) -> None:
    if not isinstance(call, _Call):
        raise ValueError("a state of something that has none")
    call.state = state


# What is made of it


class _Values:
    """Makes values of what a pickle describes, up to the limits above.

    A few instructions can describe something endless (a list in itself) or immense (a pair of the last pair, 60
    times over; a tensor whose strides are all 0). So what is *made* is counted, not only what is read.
    """

    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        self._archive, self._folder = archive, folder
        self._storages: dict[str, bytes] = {}
        self._values_left, self._bytes_left = INSTRUCTIONS, MADE
        told = f"{folder}/byteorder" in archive.namelist()
        self._order: Literal["<", ">"] = ">" if told and self._beside("byteorder") == b"big" else "<"

    def of(self, described: Any, depth: int = 0) -> Any:
        """A value of `read`."""
        self._values_left -= 1
        if self._values_left < 0 or depth > DEPTH:
            raise ValueError("lists within lists without end, or far too many values")
        match described:
            case None | bool() | int() | float() | str():
                return described
            case list():
                return [self.of(item, depth + 1) for item in described]
            case tuple():
                return tuple(self.of(item, depth + 1) for item in described)
            case dict():
                return {key: self.of(item, depth + 1) for key, item in described.items()}
            case _Call(_Name(name), (_Name("numpy ndarray"), (0,), _), state) if name in RECONSTRUCT:
                return self._array(state)
            case _Call(_Name(name), (dtype, content), None) if name in SCALAR:
                return self._numbers((), dtype, "C", content).item()
            case _Call(_Name(name), (storage, offset, shape, strides, bool(), {}), None) if name == TENSOR:
                return self._tensor(storage, offset, shape, strides)
            case _Call(_Name(name), (_Call() as tensor, bool(), {}), None) if name == PARAMETER:
                return self.of(tensor, depth + 1)
        raise ValueError("an array or tensor of another form than numpy's and torch's")

    def _array(self, state: Any) -> NDArray[Any]:
        """The array of a state that numpy gives to an empty one: version, shape, type, order and numbers."""
        match state:
            case (1, tuple(shape), dtype, 0 | 1 as columns_first, content):
                return self._numbers(shape, dtype, "F" if columns_first else "C", content)
        raise ValueError("an array of another form than numpy's")

    def _numbers(self, shape: tuple[Any, ...], dtype: Any, order: Literal["C", "F"], content: Any) -> NDArray[Any]:
        """An array whose numbers the pickle holds as text, one character a byte."""
        kind = _kind(dtype)
        match content:
            case _Call(_Name("_codecs encode"), (str(text), "latin1"), None) if len(text) == self._size(
                kind, shape
            ):
                numbers = text.encode("latin1")
            case _Call(_Name("__builtin__ bytes"), (), None) if self._size(kind, shape) == 0:
                numbers = b""
            case _:
                raise ValueError("an array of more or fewer numbers than are in the file")
        return _native(np.frombuffer(numbers, kind)).reshape(shape, order=order)

    def _tensor(self, storage: Any, offset: Any, shape: Any, strides: Any) -> NDArray[Any]:
        """A tensor: a shape laid over stored numbers. Its offset and strides count numbers, not bytes."""
        numbers = self._storage(storage)
        size = self._size(numbers.dtype, shape)
        if not _whole(strides) or len(strides) != len(shape) or not _whole((offset,)):
            raise ValueError("a tensor of another form than torch's")
        if size == 0:
            return np.zeros(shape, numbers.dtype.newbyteorder("="))
        if offset + sum(stride * (length - 1) for stride, length in zip(strides, shape, strict=True)) >= len(
            numbers
        ):
            raise ValueError("a tensor of more numbers than are in the file")
        steps = [stride * numbers.itemsize for stride in strides]
        return _native(np.ndarray(shape, numbers.dtype, numbers.data, offset * numbers.itemsize, steps))

    def _storage(self, storage: Any) -> NDArray[Any]:
        """The numbers of a tensor, (n,), in the file's byte order."""
        match storage:
            case _Storage(("storage", _Name(name), str(key), str(), int())) if name in STORAGES:
                if key not in self._storages:
                    self._storages[key] = self._beside(f"data/{key}")
                return np.frombuffer(self._storages[key], np.dtype(STORAGES[name]).newbyteorder(self._order))
        raise ValueError("a tensor whose numbers are not in the file")

    def _beside(self, name: str) -> bytes:
        """Another entry of the zip, by its name beside the pickle."""
        try:
            entry = self._archive.getinfo(f"{self._folder}/{name}")
        except KeyError:
            raise ValueError("a tensor whose numbers are not in the file") from None
        self._spend(entry.file_size)
        return _entry(self._archive, entry)

    def _size(self, kind: np.dtype[Any], shape: Any) -> int:
        """How many bytes an array of a shape has; they are taken off what may still be made."""
        if not _whole(shape) or len(shape) > DEPTH:
            raise ValueError("an array or tensor without a shape")
        size = math.prod(shape) * kind.itemsize
        self._spend(size)
        return size

    def _spend(self, size: int) -> None:
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise ValueError("far too large arrays or tensors")


def _kind(dtype: Any) -> np.dtype[Any]:
    """The type of numbers that numpy pickled as `dtype`."""
    match dtype:
        case _Call(
            _Name("numpy dtype"), (str(kind), 0, 1), (3, "<" | ">" | "|" as order, None, None, None, -1, -1, 0)
        ) if kind in KINDS:
            return np.dtype(order + kind)
    raise ValueError("an array of something else than whole numbers, floating-point numbers or truths")


def _whole(values: Any) -> bool:
    """Whether these are a tuple of whole numbers from 0 on."""
    return isinstance(values, tuple) and all(type(value) is int and value >= 0 for value in values)


def _native(numbers: NDArray[Any]) -> NDArray[Any]:
    """A copy in this machine's byte order; any byte but 0 is a true one."""
    if numbers.dtype.kind == "b":
        return np.asarray(numbers.view(np.uint8) != 0)
    return numbers.astype(numbers.dtype.newbyteorder("="), order="C")
