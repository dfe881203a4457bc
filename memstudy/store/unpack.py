"""Check a packed store, and merge it into another one.

pack.json in its root has SHA-256 of every file below it, by its path. Nothing is taken from a pack in which a file
is missing, changed, not named there, or a link, or whose paths leave it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

import memstudy
from memstudy import files
from memstudy.errors import MemstudyError, quoted
from memstudy.store.layout import RECIPE
from memstudy.store.moving import copied_already, copy, regular
from memstudy.store.run import RunDirectory
from memstudy.store.store import STUDIES, Store
from memstudy.store.summary import run_summary

MANIFEST = "pack.json"
LONGEST = 60
"""Characters of a path that are told, its last ones."""
CURE = "pack it again, or get it again from where it came"


def seal(root: Path) -> Path:
    """Write the check sums of all files of a packed store; the path of that file."""
    sums = {name: files.digest_of(path) for name, path in regular(root).items() if name != MANIFEST}
    files.write_json(root / MANIFEST, {"memstudy": memstudy.__version__, "files": sums})
    return root / MANIFEST


def checked(root: Path) -> dict[str, str]:
    """The check sums of a pack, all of which were found to be right; a MemstudyError if it is none, or damaged."""
    if not (root / MANIFEST).is_file():
        raise MemstudyError(f"{root} has no {MANIFEST}, so it is no pack; 'memstudy pack DIRECTORY' makes one.")
    sums = _sums(root / MANIFEST)
    for path in root.rglob("*"):
        if path.is_symlink():
            raise files.damaged(path, "it is a link", CURE)
    there = {name: path for name, path in regular(root).items() if name != MANIFEST}
    if lost := sorted(sums.keys() ^ there.keys()):
        why = f"{quoted(lost[0][-LONGEST:])} is {'gone' if lost[0] in sums else 'not named there'}"
        raise files.damaged(root / MANIFEST, why, CURE)
    for name, path in there.items():
        if files.digest_of(path) != sums[name]:
            raise files.damaged(path, f"its checksum is not the one in {MANIFEST}", CURE)
    return sums


def unpack(root: Path, store: Store) -> tuple[list[RunDirectory], list[RunDirectory]]:
    """Merge a pack's runs and studies into a store: which runs are new there, and which were there already.

    A MemstudyError, before anything is written, if the pack cannot be trusted, or the store has one of its runs
    with other content. A study that the store has is left as it is there.
    """
    sums = checked(root)
    runs = [RunDirectory(root / name) for name in sorted({name.split("/")[0] for name in sums if RECIPE in name})]
    for run in runs:
        run_summary(run)  # it can be trusted
    places = [store.place(run) for run in runs]
    there = [copied_already(run.path, place.path) for run, place in zip(runs, places, strict=True)]
    for run, place, known in zip(runs, places, there, strict=True):
        if not known:
            copy(run.path, place.path)
    for study in sorted({name.split("/")[1] for name in sums if name.startswith(f"{STUDIES}/")}):
        if not store.folder(study).exists():
            copy(root / STUDIES / study, store.folder(study))
    return (
        [place for place, known in zip(places, there, strict=True) if not known],
        [place for place, known in zip(places, there, strict=True) if known],
    )


def _sums(path: Path) -> dict[str, str]:
    """The check sums that a pack.json holds; a MemstudyError if it makes no sense, or a path leaves the pack."""
    sums = files.read_json(path, CURE).get("files")
    if not isinstance(sums, dict) or not all(isinstance(digest, str) for digest in sums.values()):
        raise files.damaged(path, "it has no check sums", CURE)
    for name in sums:
        parts = PurePosixPath(name).parts
        if (
            name.startswith("/")
            or ".." in parts
            or (os.sep != "/" and os.sep in name)
            or re.match("[A-Za-z]:", name)
        ):
            raise files.damaged(path, f"the path {quoted(name)} leaves it", CURE)
    return sums
