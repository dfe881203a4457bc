"""Whether files are what they were at an earlier look, by their times of change, sizes and inodes, as in git."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

SETTLED = 2_000_000_000
"""Nanoseconds. A file that was changed less long ago may change again within the same tick of its clock."""


def stamp(paths: Iterable[str]) -> str:
    """Equal for two looks at these files and folders if none was changed; one that is not there has none."""
    marks = []
    for path in paths:
        try:
            found = os.stat(path)  # noqa: PTH116 (of ten thousand runs)
        except OSError:
            marks.append("")
        else:
            marks.append(f"{found.st_mtime_ns},{found.st_size},{found.st_ino}")
    return " ".join(marks)


def settled(mark: str) -> bool:
    """Whether the files of a stamp were changed so long ago that another change would show in it."""
    times = [int(one.partition(",")[0]) for one in mark.split(" ") if one]
    return bool(times) and time.time_ns() - max(times) > SETTLED
