"""Human labels of CIFAR-10 and CIFAR-100 (CIFAR-10N, CIFAR-100N), from the authors' original files.

Wei et al. 2022, "Learning with Noisy Labels Revisited: A Study Using Real-World Human Annotations", ICLR.

The files were written by torch.save: a zip with a pickled dictionary of numpy arrays. A pickle is a program, and
here it is read, not run: the instructions that such a dictionary needs are followed to see what the file *asks*
for, nothing it names is looked up or called, and what is asked for is taken only if it has the one form that an
array of whole numbers has. Any other instruction, name or form refuses the file.

torch.load(weights_only=True) would be less code here, but less safe: it would have to be allowed numpy.ndarray and
numpy.dtype, which then are called with whatever arguments a file chooses. Few bytes suffice to lay one array over
the memory of another and free that: reading it ends the process (torch 2.15, numpy 2.4). Its list of what is
allowed is also shared by the whole process, and the names in it change with numpy.
"""

from __future__ import annotations

import io
import itertools
import pickletools
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memstudy.errors import MemstudyError, unknown

Labels = NDArray[np.int64]

FILES = {"cifar10": "CIFAR-10_human.pt", "cifar100": "CIFAR-100_human.pt"}
CLASSES = {"cifar10": 10, "cifar100": 100}
COLUMNS = {
    "cifar10": {
        "aggregate": "aggre_label",
        "random1": "random_label1",
        "random2": "random_label2",
        "random3": "random_label3",
        "worst": "worse_label",
    },
    "cifar100": {"fine": "noisy_label"},
}
"""Our names of the human labels of a set, and the file's."""

CLEAN = "clean_label"
PLACES = ("cifar-n", "", "data")
LIMIT = 2**26
"""Bytes: no file is read that is larger, packed or unpacked. CIFAR-10's has 2.4 million."""
INSTRUCTIONS = 10_000
"""No pickle is followed further. CIFAR-10's has 219."""

SITE = "the authors' site, github.com/UCSC-REAL/cifar-10-100n (CC BY-NC 4.0)"


def path(folder: Path, dataset: str) -> Path | None:
    """Where the file of a set is in a data directory, the first place that has it; None if there is none."""
    if dataset not in FILES:
        return None
    places = (folder / place / FILES[dataset] for place in PLACES)
    return next((place for place in places if place.is_file()), None)


def read(folder: Path, dataset: str, column: str, clean: Labels) -> Labels:
    """The human labels (N,) int64 of a set's training images, in torchvision's order.

    `clean` are the true labels (N,) of the set at hand: a file whose own differ belongs to other images. Raises a
    MemstudyError for that, for a set or column that has no human labels, and for a missing or unusable file.
    """
    if dataset not in COLUMNS:
        raise MemstudyError(
            f"there are no human labels for {dataset!r}, only for {' and '.join(COLUMNS)}; choose one of these "
            "sets, or another corruption."
        )
    if column not in COLUMNS[dataset]:
        raise unknown(f"human labels of {dataset}", column, COLUMNS[dataset])
    found = path(folder, dataset)
    if found is None:
        looked = ", ".join(str(folder / place / FILES[dataset]) for place in PLACES)
        raise MemstudyError(
            f"the human labels of {dataset} are in none of {looked}; get {FILES[dataset]} from {SITE} and put it "
            "there, or choose another folder with --data-dir or MEMSTUDY_DATA."
        )
    table = _table(found)
    own, labels = (_labels(found, table, name, CLASSES[dataset]) for name in (CLEAN, COLUMNS[dataset][column]))
    if not np.array_equal(own, clean):
        raise MemstudyError(
            f"{found} is a human file for another set, or in another order: its true labels are not those of the "
            f"{len(clean):,} training images of {dataset} here; get both as torchvision and {SITE} have them."
        )
    if len(labels) != len(own):
        raise _foreign(found, f"{len(labels):,} human labels for {len(own):,} images")
    return labels


def _foreign(found: Path, why: object) -> MemstudyError:
    """The answer to a file that is not the authors'."""
    reason = " ".join(str(why).split())[:200]
    return MemstudyError(
        f"{found} is truncated, or not the authors' file ({reason}); get {found.name} again from {SITE}."
    )


def _labels(found: Path, table: dict[str, Any], name: str, classes: int) -> Labels:
    """A column of a file, (N,) int64, checked to be classes."""
    if name not in table:
        raise _foreign(found, f"it has no {name}")
    labels = _array(table[name])
    if labels is None:
        raise _foreign(found, f"{name} is not an array of whole numbers in one dimension")
    if len(labels) == 0 or labels.min() < 0 or labels.max() >= classes:
        raise _foreign(found, f"{name} is not classes from 0 to {classes - 1}")
    return labels


def _table(found: Path) -> dict[str, Any]:
    """What a file describes, by name. Raises a MemstudyError if it is damaged or asks for anything else."""
    try:
        if found.stat().st_size > LIMIT:
            raise _foreign(found, "far too large")
        content = found.read_bytes()
    except OSError as error:
        raise MemstudyError(
            f"cannot read {found}: {error.strerror}; make it readable, or choose another folder with --data-dir."
        ) from error
    try:
        table = _described(_unzipped(content))
    except LookupError as error:
        raise _foreign(found, "an instruction without its arguments") from error
    except Exception as error:  # there are more ways to be no zip, and no pickle, than can be listed
        raise _foreign(found, error) from error
    if not isinstance(table, dict):
        raise _foreign(found, "no table of labels")
    return table


def _unzipped(content: bytes) -> bytes:
    """The pickle in a file of torch.save. zipfile compares its checksum."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = [entry for entry in archive.infolist() if entry.filename.endswith("/data.pkl")]
        if len(entries) != 1 or entries[0].file_size > LIMIT:
            raise ValueError("not one table of labels")
        return archive.read(entries[0])


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


CONSTANTS = {"NONE": None, "NEWFALSE": False, "NEWTRUE": True}
RECONSTRUCT = "numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct"  # of numpy 1, and of 2
NAMES = {*RECONSTRUCT, "numpy ndarray", "numpy dtype", "_codecs encode"}
"""What a pickled array names."""


def _described(pickle: bytes) -> Any:
    """What a pickle describes: dictionaries, tuples, text, whole numbers, names and calls not made.

    Raises a ValueError for a name or an instruction that no dictionary of arrays needs, and that or a LookupError
    for an instruction out of place.
    """
    stack: list[Any] = []
    outer: list[list[Any]] = []
    memo: dict[int, Any] = {}
    argument: Any
    for instruction, argument, _ in itertools.islice(pickletools.genops(pickle), INSTRUCTIONS):
        match instruction.name:
            case "PROTO":
                pass
            case "NONE" | "NEWFALSE" | "NEWTRUE":
                stack.append(CONSTANTS[instruction.name])
            case "BININT" | "BININT1" | "BININT2" | "BINUNICODE":
                stack.append(argument)
            case "GLOBAL" if argument not in NAMES:
                raise ValueError(f"it names {argument[:80]!r}, which no array of whole numbers needs")
            case "GLOBAL":
                stack.append(_Name(argument))
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "MARK":
                outer.append(stack)
                stack = []
            case "TUPLE":
                items, stack = stack, outer.pop()
                stack.append(tuple(items))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(_pop(stack, int(instruction.name[-1]))))
            case "EMPTY_DICT":
                stack.append({})
            case "SETITEM":
                _set(stack[-3], _pop(stack, 2))
            case "SETITEMS":
                items, stack = stack, outer.pop()
                _set(stack[-1], items)
            case "REDUCE":
                stack.append(_Call(*_pop(stack, 2)))
            case "BUILD":
                _build(stack[-2], stack.pop())
            case "STOP":
                return stack.pop()
            case other:
                raise ValueError(f"the instruction {other} has no place in a table of labels")
    raise ValueError("far too many instructions")


def _pop(stack: list[Any], count: int) -> list[Any]:
    """The last items of a stack, taken off it."""
    if len(stack) < count:
        raise ValueError("an instruction without its arguments")
    items = stack[-count:]
    del stack[-count:]
    return items


def _set(table: Any, items: list[Any]) -> None:
    """Keys and values, alternately. Keys are text: hashing a tuple of tuples of tuples ... could take forever."""
    names, values = items[::2], items[1::2]
    if not isinstance(table, dict) or {type(name) for name in names} != {str} or len(names) != len(values):
        raise ValueError("items of something else than a table with names")
    table.update(zip(names, values, strict=True))


def _build(call: Any, state: Any) -> None:
    if not isinstance(call, _Call):
        raise ValueError("a state of something that has none")
    call.state = state


def _array(value: Any) -> Labels | None:
    """The array that numpy pickled as `value`, (N,) int64; None if it is no such array of whole numbers.

    numpy asks for an empty array, to which it then gives version, shape, type, order and bytes (as text).
    """
    match value:
        case _Call(
            _Name(function),
            (_Name("numpy ndarray"), (0,), _),
            (
                1,
                (int(length),),
                _Call(
                    _Name("numpy dtype"),
                    ("i1" | "i2" | "i4" | "i8" | "u1" | "u2" | "u4" as kind, 0, 1),
                    (3, "<" | ">" | "|" as order, None, None, None, -1, -1, 0),
                ),
                0,
                _Call(_Name("_codecs encode"), (str(text), "latin1"), None),
            ),
        ) if function in RECONSTRUCT:
            dtype = np.dtype(order + kind)
            if 0 < len(text) == length * dtype.itemsize and max(text) < "\u0100":
                return np.frombuffer(text.encode("latin1"), dtype).astype(np.int64)
    return None
