"""Sets that are known by their training labels alone: thousands of labels in one order are no coincidence."""

from __future__ import annotations

from memstudy.data.label_files import digest
from memstudy.data.transitions import MAPS, Labels

KNOWN = {
    "f2c7748a0e6d020ebb52ec178f11df176c34be3036bd7070bd0074465c44de8d": "mnist5k",
    "f8f358367ae7ed879a0b753012dfa4595f3300b36c4673867bc2a57e03e39f12": "digits",
    "e474323ac02fc156161b0bbb1f8c9cfeb327a74bcd9f9680a8385269a24f566c": "mnist",
    "e3245b63f7c40d1c8b652835f19744d970c1613b40ddac6bcfc87b9c46e16a0b": "fashion",
    "f5cfe00b0f00968c0cc5ff3b1d2de51b10e33efa277c2986f4e0fa63e58c9f4f": "cifar10",
}
"""Sets by the SHA-256 of their training labels, in the order of their own files (torchvision's `targets`)."""


def recognized(labels: Labels) -> str:
    """The set whose training labels (N,) these are; empty if they are no known one's."""
    return KNOWN.get(digest(labels), "")


def class_names(dataset: str, classes: int) -> tuple[str, ...]:
    """The names of a set's classes, if they are known and so many; else their numbers."""
    names = MAPS[dataset][0] if dataset in MAPS else ()
    return tuple(names) if len(names) == classes else tuple(map(str, range(classes)))
