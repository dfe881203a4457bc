"""The user's own image sets, by name in the data directory: NAME.npz, or the folders NAME/train, NAME/test.

What reads them is imported where it is needed, as names alone need no torch.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from memstudy.errors import MemstudyError, quoted

if TYPE_CHECKING:
    from memstudy.data.cache import Origin
    from memstudy.data.images import ImageSet


def data_directory(chosen: Path | None = None) -> Path:
    """`--data-dir`, else MEMSTUDY_DATA, else the user's cache."""
    if chosen is not None:
        return chosen
    return Path(os.environ.get("MEMSTUDY_DATA") or platformdirs.user_cache_path("memstudy") / "data")


def names(folder: Path) -> list[str]:
    """The names of the own sets in the data directory, sorted; none if there is no such directory."""
    try:
        stems = {path.stem if path.suffix == ".npz" else path.name for path in folder.iterdir() if _is_set(path)}
    except OSError:
        return []
    return sorted(stems)


def _is_set(path: Path) -> bool:
    """Whether a path looks like a set; what it holds is not looked at."""
    try:
        there = path.is_file() if path.suffix == ".npz" else (path / "train").is_dir()
    except OSError:  # one that may not be looked into
        return False
    return there and not path.name.startswith(".")


def find(name: str, folder: Path) -> Path | None:
    """The file or folder of the own set of a name; None without. Raises a MemstudyError if there are two."""
    if name not in names(folder):
        return None
    both = [path for path in (folder / f"{name}.npz", folder / name) if _is_set(path)]
    if len(both) > 1:
        raise MemstudyError(f"{both[0]} and {both[1]} are both the set {quoted(name)}; rename one of them.")
    return both[0] if both else None


def origin(place: Path, folder: Path) -> Origin:
    """What the set at `place` is decoded from."""
    from memstudy.data.cache import Origin

    return Origin.of(folder, place, *(["pillow"] if place.is_dir() else []))


def describe(place: Path) -> str:
    """What the set at `place` holds, in a line, without decoding it; a MemstudyError if it looks broken."""
    from memstudy.data import folder_set, npz_set

    if place.is_dir():
        folder_set.test_part(place)
        return "your own, a folder of images"
    return npz_set.describe(place)


def read(place: Path, name: str) -> ImageSet:
    """Decode the set at `place`. Raises a MemstudyError, one sentence, for whatever is wrong with it."""
    from memstudy.data import folder_set, npz_set

    return folder_set.read(place, name) if place.is_dir() else npz_set.read(place, name)
