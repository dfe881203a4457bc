"""What the columns of a derived table hold, as the analysis that writes it declares."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Columns:
    """The columns of a table by kind. Each kind is a text: names of columns, separated by blanks.

    Attributes:
        text: columns of words, never missing.
        whole: columns of whole numbers from `low` to `high`.
        gaps: columns of such whole numbers, some of which may be missing.
        numbers: columns of numbers: NaN, infinite, or of at most `size`.
        key: columns that, together with `text`, no two rows have equal; empty where rows may be equal (bins of
            rounded losses may coincide).
        every: a column of `text` or `key`, all of whose values occur for every combination of the others.

    """

    text: str
    whole: str
    numbers: str = ""
    gaps: str = ""
    key: str = "epoch"
    every: str = ""
    low: int = -1
    high: int = 2**40
    size: float = 1e100


UNKNOWN = Columns("", "", key="")
"""For a file that no analysis declares: nothing in it is checked."""
