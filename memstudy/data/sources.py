"""Where images come from. Each source gives the same thing: an `ImageSet` of uint8 tensors.

Nothing is downloaded unless asked for, and a set that is missing answers with the ways to get it. A set that was
decoded once is loaded from a cache as long as its files stay as they are.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from memstudy.data import SOURCES, cache, folder_set, own_sets
from memstudy.data.cache import Origin
from memstudy.data.images import ImageSet
from memstudy.data.own_sets import data_directory
from memstudy.errors import MemstudyError, quoted, unknown


@dataclass(frozen=True)
class Source:
    """How to load one image set.

    Attributes:
        about: one line, for a list of sets.
        load: (data directory, whether to download what is not there) → the set; it may ignore both.
        origin: (data directory) → what the set would be decoded from, None if that is not there. The sets of a
            source without it are never cached.
        get: how to get the set, a clause.
        samples: how many training images it has; None if that is not known before it is loaded.

    """

    about: str
    load: Callable[[Path, bool], ImageSet]
    origin: Callable[[Path], Origin | None] | None = None
    get: str = ""
    samples: int | None = None

    def decoded_from(self, folder: Path) -> Origin | None:
        """`origin`, or None without it."""
        return self.origin(folder) if self.origin else None


@dataclass(frozen=True)
class SetInfo:
    """A set as a list of sets shows it.

    Attributes:
        name: what it is called in commands.
        about: one line.
        installed: whether it can be loaded without a download.
        where: the file or folder that holds it; empty if it is not here, or made in memory.
        size: its files together, in bytes; None if there are none.
        cached: whether it is kept decoded.
        get: how to get it, a clause; empty if it is here.

    """

    name: str
    about: str
    installed: bool
    where: str = ""
    size: int | None = None
    cached: bool = False
    get: str = ""

    def __str__(self) -> str:
        lines = [self.name, self.about]
        if self.where and self.size is not None:
            lines.append(f"in {self.where}, {self.size / 1e6:,.1f} MB{', cached' if self.cached else ''}")
        if self.get:
            lines.append(f"not here; {self.get}")
        return "\n    ".join(lines)


def load(name: str, folder: Path | None = None, download: bool = False) -> ImageSet:
    """Load an image set by name: a built-in one, or the user's own in the data directory (`folder`).

    Raises a MemstudyError if it is unknown, missing or damaged.
    """
    directory = data_directory(folder)
    source = _source(name, directory)
    origin = source.decoded_from(directory)
    if origin and (kept := cache.load(name, origin)):
        return kept
    images = source.load(directory, download)
    if origin := origin or source.decoded_from(directory):  # it was there before, or was just downloaded
        cache.save(images, origin)
    return images


def _source(name: str, directory: Path) -> Source:
    """The built-in source of a name if there is one, else the user's own set."""
    if name in SOURCES.names():
        source: Source = SOURCES.get(name)
        return source
    place = own_sets.find(name, directory)
    if place is None:
        known = {*SOURCES.names(), *own_sets.names(directory)}
        raise MemstudyError(
            f"{unknown(SOURCES.kind, name, known)} Your own sets are looked "
            f"for in {directory}, as NAME.npz or as the folders NAME/train and NAME/test; choose another place "
            "with --data-dir or MEMSTUDY_DATA."
        )
    return Source("your own", lambda *_: own_sets.read(place, name), lambda folder: own_sets.origin(place, folder))


def samples(name: str) -> int | None:
    """How many training images a set has, without loading it; None if that is not known, or no set is found."""
    if name not in SOURCES.names():
        return None
    try:
        source: Source = SOURCES.get(name)
    except MemstudyError:  # another package's, which does not load
        return None
    return source.samples


def at(path: Path) -> tuple[str, Path]:
    """The name and the data directory of the set at DIRECTORY/NAME.npz, or in the folder DIRECTORY/NAME.

    Raises a MemstudyError if there is none, or if the name alone would mean another one.
    """
    place = Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 (a link to a set keeps its own name)
    name, directory = place.name.removesuffix(".npz"), place.parent
    if name not in SOURCES.names():
        if own_sets.find(name, directory) is None:
            raise MemstudyError(
                f"there is no image set at {path}: a set is a file NAME.npz, or a folder with the folders train "
                "and test, each with a folder of images for every class."
            )
        return name, directory
    source: Source = SOURCES.get(name)
    origin = source.decoded_from(directory)
    if origin is None or origin.place != place:
        raise MemstudyError(f"{path} has the name of a built-in set, which {quoted(name)} means; rename it.")
    return name, directory


def listing(name: str, folder: Path | None = None) -> tuple[list[str], dict[str, list[tuple[str, int]]]]:
    """The classes of a set in folders and, by part, its files with their labels.

    Raises a MemstudyError for a set that is not in folders.
    """
    _source(name, data_directory(folder))  # an unknown name raises
    place = _folder_of(name, folder)
    if place is None:
        raise MemstudyError(
            f"{quoted(name)} has no image files: its samples are in the order of its arrays; leave --files out."
        )
    return folder_set.listing(place)


def files(name: str, folder: Path | None = None) -> dict[str, list[str]] | None:
    """The image files of a set in folders by its parts, in the order of its samples; None for any other set."""
    place = _folder_of(name, folder)
    return None if place is None else folder_set.files(place)


def _folder_of(name: str, folder: Path | None) -> Path | None:
    """The folder of the user's own set in folders; None for any other set."""
    place = None if name in SOURCES.names() else own_sets.find(name, data_directory(folder))
    return place if place is not None and place.is_dir() else None


def survey(folder: Path | None = None) -> list[SetInfo]:
    """All sets that can be named here, built-in and the user's own. Nothing is decoded; broken sets are told."""
    directory = data_directory(folder)
    builtin = [_builtin_info(name, directory) for name in SOURCES.names()]
    return builtin + [
        _own_info(name, directory) for name in own_sets.names(directory) if name not in SOURCES.names()
    ]


def _builtin_info(name: str, directory: Path) -> SetInfo:
    try:
        source: Source = SOURCES.get(name)
        origin = source.decoded_from(directory)
    except MemstudyError as error:  # of another package, which does not load
        return SetInfo(name, f"not loadable: {error}", installed=False)
    if origin is None:
        return SetInfo(name, source.about, installed=source.origin is None, get=source.get)
    return _installed_info(name, source.about, origin)


def _own_info(name: str, directory: Path) -> SetInfo:
    try:
        place = own_sets.find(name, directory)
        about = own_sets.describe(place) if place else "gone"
    except MemstudyError as error:
        return SetInfo(name, f"not readable: {error}", installed=False, where=str(directory))
    return (
        _installed_info(name, about, own_sets.origin(place, directory))
        if place
        else SetInfo(name, about, installed=False)
    )


def _installed_info(name: str, about: str, origin: Origin) -> SetInfo:
    return SetInfo(name, about, True, str(origin.place), origin.size, cache.has(name, origin))
