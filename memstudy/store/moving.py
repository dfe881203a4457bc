"""Whole runs from one store to another, on the same file system or not. Interrupted, the same call goes on.

A copy is made beside its place, its check sums are compared with the original's, and then it is renamed: at every
moment a run is wholly where it was, or wholly where it goes, or both.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from memstudy import files
from memstudy.errors import MemstudyError
from memstudy.store.run import RunDirectory
from memstudy.store.store import Store
from memstudy.store.writer import LEASE, LOCK

OF_A_WRITER = (LEASE, LOCK)


def move(run: RunDirectory, target: Store) -> RunDirectory:
    """Move a run to another store; its directory there.

    A Busy if a process writes to it, a Gone if another one has removed or moved it, a MemstudyError if the target
    has another content for the same recipe.
    """
    with run.lock(begin=False):
        place = target.place(run)
        if not copied_already(run.path, place.path) and not _renamed(run.path, place.path):
            copy(run.path, place.path)
        files.tidy(place.path / name for name in OF_A_WRITER)
        if run.path.exists():
            with files.explained(run.path):
                files.discard(run.path)
    return RunDirectory(place.path)


def copy(source: Path, place: Path) -> None:
    """Copy a run's directory to a place where there is none; a MemstudyError if the copy is not equal to it."""
    aside = files.beside(place)
    with files.explained(place, "for the runs"):
        place.parent.mkdir(parents=True, exist_ok=True)
        files.sweep_once(place.parent)
        try:
            for name, path in regular(source).items():
                files.copy(path, aside / name)
            if digests(aside, place) != digests(source):
                raise MemstudyError(
                    f"the copy of {source} is not what it was made of; is its disk sound? Try again."
                )
            aside.rename(place)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def copied_already(source: Path, place: Path) -> bool:
    """Whether a run is there with the same content; a MemstudyError if it is there with another."""
    if not place.exists():
        return False
    if digests(source) != digests(place):
        raise MemstudyError(
            f"{place.name} is in {place.parent} already, with other content than {source}; remove one of them "
            "('memstudy rm')."
        )
    return True


def digests(folder: Path, called: Path | None = None) -> dict[str, str]:
    """SHA-256 of every file of a run, by its path in the directory; an Unreadable may call that otherwise."""
    return {name: files.digest_of(path, (called or folder) / name) for name, path in regular(folder).items()}


def regular(folder: Path) -> Mapping[str, Path]:
    """The files of a run by their paths in its directory, without what is a writer's or left by one."""
    found = {path.relative_to(folder): path for path in sorted(_within(folder))}
    return {
        name.as_posix(): path
        for name, path in found.items()
        if path.name not in OF_A_WRITER and not any(part.startswith(files.TEMPORARY) for part in name.parts)
    }


def _within(folder: Path) -> Iterator[Path]:
    """All files below a folder; an OSError if one of its folders cannot be read, which `rglob` would leave out."""

    def refuse(error: OSError) -> None:
        raise error

    for place, _, names in os.walk(folder, onerror=refuse):
        yield from (path for name in names if files.is_there(path := Path(place) / name))


def _renamed(source: Path, place: Path) -> bool:
    """Rename a directory; whether that could be done: not to another file system, and not of a link to one."""
    if source.is_symlink():
        return False
    with files.explained(place, "for the runs"):
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            source.rename(place)
        except OSError as error:
            if error.errno == errno.EXDEV:
                return False
            raise
    return True
