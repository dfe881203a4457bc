"""Decoded image sets, kept so that a set is decoded once. Without its original files, a kept set is not used.

One safetensors file a set and folder, memory-mapped when loaded, under `files.cache_directory()`/sets. It is used
only if what it was decoded from (an `Origin`) is unchanged and its tensors still have the content they were
written with; otherwise the set is decoded again and the file replaced. Whatever goes wrong here costs time,
nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from memstudy import files
from memstudy.data.images import ImageSet
from memstudy.errors import MemstudyError

FORMAT = 1
"""Raise this when the same files are decoded to something else than before."""

TENSORS = {
    "train_images": torch.uint8,
    "train_labels": torch.int64,
    "test_images": torch.uint8,
    "test_labels": torch.int64,
}

Entry = tuple[str, int, int]
"""A file: path below the root, size in bytes, time of change (ns)."""


@dataclass(frozen=True)
class Origin:
    """What a set is decoded from, as it is now.

    Attributes:
        root: the folder that the set was looked for in; this and the set's name say which cached file is its.
        place: the file or folder that holds it.
        entries: every file in `place`, sorted.
        packages: the packages that hold or decode it, each with its version.

    """

    root: Path
    place: Path
    entries: tuple[Entry, ...]
    packages: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, root: Path, place: Path, *packages: str) -> Origin:
        """Look at the files at `place`; nothing is read."""
        return cls(
            root.resolve(), place, tuple(_entries(root, place)), tuple((name, version(name)) for name in packages)
        )

    @cached_property
    def fingerprint(self) -> str:
        """Equal for two looks at unchanged files (by size and time of change) and packages."""
        return files.digest(json.dumps([FORMAT, str(self.root), self.entries, self.packages]).encode())

    @property
    def size(self) -> int:
        """All files together, in bytes."""
        return sum(size for _, size, _ in self.entries)


def _entries(root: Path, place: Path) -> Iterator[Entry]:
    """The file at `place`, or all files below it; those that are gone or cannot be looked at are left out."""
    folders = (
        sorted(os.walk(place, followlinks=True)) if place.is_dir() else [(str(place.parent), [], [place.name])]
    )
    for folder, _, names in folders:
        below = os.path.relpath(folder, root)
        for name in sorted(names):
            with contextlib.suppress(OSError):
                status = os.stat(f"{folder}{os.sep}{name}")  # noqa: PTH116 (a folder may hold 100,000 files)
                yield f"{below}{os.sep}{name}", status.st_size, status.st_mtime_ns


def kept_at(name: str, origin: Origin) -> Path:
    """Where a set is kept: one place for its name and folder, so that a newer file replaces an older one."""
    return files.cache_directory() / "sets" / f"{name}-{files.digest(os.fsencode(origin.root))[:16]}.safetensors"


def has(name: str, origin: Origin) -> bool:
    """Whether the set is kept as decoded from this origin. Its images are not looked at."""
    try:
        with safetensors.safe_open(kept_at(name, origin), framework="pt") as file:
            return bool(_facts(file)["fingerprint"] == origin.fingerprint)
    except Exception:  # a damaged file counts as none
        return False


def load(name: str, origin: Origin) -> ImageSet | None:
    """The kept set, or None if there is none, it is damaged, or it was decoded from something else.

    Its tensors are memory-mapped, copy on write: they may be changed in place, and the file stays as it is.
    """
    try:
        with safetensors.safe_open(kept_at(name, origin), framework="pt") as file:
            facts = _facts(file)
            if facts["fingerprint"] != origin.fingerprint:
                return None
            tensors = {part: file.get_tensor(part) for part in TENSORS}
        images = ImageSet(
            name=name,
            class_names=tuple(facts["class_names"]),
            mean=tuple(facts["mean"]),
            std=tuple(facts["std"]),
            note=facts["note"],
            **tensors,
        )
        whole = images.content_hash() == facts["content"] and {p: t.dtype for p, t in tensors.items()} == TENSORS
        images.__dict__["statistics"] = tuple(map(tuple, facts["statistics"]))  # a cached_property, known already
    except Exception:  # whatever is wrong with the file, the originals are there
        return None
    return images if whole else None


def save(images: ImageSet, origin: Origin) -> None:
    """Keep a set that was just decoded. Where it cannot be written, it is not kept."""
    facts = json.dumps(
        {
            "fingerprint": origin.fingerprint,
            "content": images.content_hash(),
            "class_names": images.class_names,
            "mean": images.mean,
            "std": images.std,
            "note": images.note,
            "statistics": images.statistics,
        }
    )
    tensors = {part: getattr(images, part).contiguous() for part in TENSORS}
    metadata = {"facts": f"{files.digest(facts.encode())} {facts}"}
    with contextlib.suppress(MemstudyError):
        files.write(kept_at(images.name, origin), safetensors.torch.save(tensors, metadata))


def _facts(file: Any) -> dict[str, Any]:
    """What an open file says of its set; a ValueError if that was changed."""
    digest, _, text = file.metadata()["facts"].partition(" ")
    if files.digest(text.encode()) != digest:
        raise ValueError("changed")
    facts: dict[str, Any] = json.loads(text)
    return facts
