"""Checks the kinds of a JSON file's values where it is read, so that no later code meets a wrong one."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from memstudy import files

Kind = tuple[Callable[[Any], bool], str]
"""Whether a value is of a kind, and the kind in words."""


def check(path: Path, record: Mapping[str, Any], kinds: Mapping[str, Kind], cure: str = files.RUN_AGAIN) -> None:
    """Raise a MemstudyError that names the first value in the file at `path` of another kind than `kinds` says."""
    for key, (fits, words) in kinds.items():
        if key in record and not fits(record[key]):
            raise files.damaged(path, f"its {key!r} is not {words}", cure)


def is_text(value: object) -> bool:
    """Whether a value is a text."""
    return isinstance(value, str)


def is_date(value: object) -> bool:
    """Whether it is a date and time as `files.now` writes it, which every clock of the world can show."""
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", value):
        return False
    try:
        return 1970 <= datetime.datetime.fromisoformat(value).year < 9999
    except ValueError:  # as of a month 13
        return False


def is_number(value: object) -> bool:
    """Whether it is a finite number."""
    return not isinstance(value, bool) and isinstance(value, int | float) and abs(value) < math.inf


def is_count(value: object) -> bool:
    """Whether it is a whole number from 0 on."""
    return not isinstance(value, bool) and isinstance(value, int) and value >= 0


def is_positive(value: object) -> bool:
    """Whether it is a whole number from 1 on."""
    return is_count(value) and value != 0


def are(fits: Callable[[Any], bool]) -> Callable[[object], bool]:
    """A check for a list in which each value passes the check `fits`."""
    return lambda value: isinstance(value, list) and all(map(fits, value))
