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
"""Stands for the one file that a suffix belongs to, where it belongs to several."""
NONE = -2
"""Stands for the file that a name belongs to, where it belongs to none."""


def rows_of_files(path: Path, names: NDArray[Any], parts: Parts, notes: list[str]) -> NDArray[np.int64]:
    """The row of each training file, (N,), in a file of labels at `path` whose rows are named `names`.

    A name may be any suffix of a path (`cat/0.png` of `train/cat/0.png`) that only one training file has, and may
    begin with folders of another machine. Rows of test files are left out, which a note says. Raises a
    MemstudyError for a row that names no file or several, and for a training file with no row or two.
    """
    train, test = _suffixes(parts["train"]), _suffixes(parts["test"])
    rows = np.full(len(parts["train"]), -1, np.int64)
    left_out = 0
    for row, name in enumerate(names):
        place = _place(str(name), train, test)
        if place is None:
            left_out += 1
        elif place == SHARED:
            raise MemstudyError(
                f"row {row:,} (the first is 0) of {path} names {quoted(name)}, which more than one file of the "
                f"set is called; write more of its path, as {LISTED} does."
            )
        elif place == NONE:
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
    """The place in `paths` of the path with each suffix; SHARED for a suffix that several paths have."""
    places: dict[str, int] = {}
    for place, path in enumerate(paths):
        parts = path.split("/")
        for start in range(len(parts)):
            suffix = "/".join(parts[start:])
            places[suffix] = place if suffix not in places else SHARED
    return places


def _place(name: str, train: Mapping[str, int], test: Mapping[str, int]) -> int | None:
    """The place of the training file that has the longest suffix of a name; None if a test file has it.

    SHARED if several training files have it, NONE if no file has any.
    """
    parts = [part for part in re.split(r"[/\\]", name.strip()) if part not in ("", ".")]
    for start in range(len(parts)):
        suffix = "/".join(parts[start:])
        if suffix in train:
            return train[suffix]
        if suffix in test:
            return None
    return NONE
