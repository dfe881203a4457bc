"""Rows of a table that are named by image files, matched with the files of a set in folders."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memstudy.errors import MemstudyError, quoted

Parts = Mapping[str, Sequence[str]]
"""Paths of the image files by part of the set, `train` and `test`, in the order of its samples."""
LISTED = "'memstudy data show DATASET --files'"

SHARED = -1
"""Stands for the owner of a suffix that several paths have."""


def rows_of_files(path: Path, names: NDArray[Any], parts: Parts, notes: list[str]) -> NDArray[np.int64]:
    """The row of each training file, (N,), for a file of labels at `path` whose rows have these names.

    A name may be any suffix of a path that only one training file has, and may begin with folders of another
    machine. Rows of test files are left out, which is added to the notes. Raises a MemstudyError for a row that
    names no file or several, and for a training file with no row or two.
    """
    train, test = _suffixes(parts["train"]), _suffixes(parts["test"])
    rows = np.full(len(parts["train"]), -1, np.int64)
    left_out = 0
    for row, name in enumerate(names):
        place = _owner(str(name), train, test)
        if place is None:
            left_out += 1
        elif place == SHARED:
            raise MemstudyError(
                f"row {row:,} (the first is 0) of {path} names {quoted(name)}, which more than one file of the "
                f"set is called; write more of its path, as {LISTED} does."
            )
        elif place == len(rows):
            raise MemstudyError(
                f"row {row:,} (the first is 0) of {path} names {quoted(name)}, which no file of the set is called "
                f"(the first is {parts['train'][0]}); {LISTED} lists them."
            )
        elif rows[place] >= 0:
            raise MemstudyError(
                f"{path} has more than one label for {parts['train'][place]}: in the rows {rows[place]:,} and "
                f"{row:,} (the first is 0); keep one."
            )
        else:
            rows[place] = row
    if missing := np.flatnonzero(rows < 0).tolist():
        raise MemstudyError(
            f"{path} has no label for {len(missing):,} of the {len(rows):,} training files, the first "
            f"{parts['train'][missing[0]]}; give every file one ({LISTED} lists them)."
        )
    more = f"; the {left_out:,} rows of test files are left out" if left_out else ""
    notes.append(f"rows are matched with the set's files by their names{more}")
    return rows


def _suffixes(paths: Sequence[str]) -> dict[str, int]:
    """Each suffix of a path → the place of the path; SHARED for one that several paths have."""
    owners: dict[str, int] = {}
    for owner, path in enumerate(paths):
        folders = path.split("/")
        for start in range(len(folders)):
            suffix = "/".join(folders[start:])
            owners[suffix] = owner if suffix not in owners else SHARED
    return owners


def _owner(name: str, train: Mapping[str, int], test: Mapping[str, int]) -> int | None:
    """The place of the training file with the longest suffix of a name; None for a test file.

    SHARED if several training files have it; one more than the last place if no file has any.
    """
    folders = [folder for folder in re.split(r"[/\\]", name.strip()) if folder not in ("", ".")]
    for start in range(len(folders)):
        suffix = "/".join(folders[start:])
        if suffix in train:
            return train[suffix]
        if suffix in test:
            return None
    return max(train.values()) + 1
