"""What the columns of a derived table hold, as the analysis that writes it declares."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Columns:
    """Columns by kind, each a text of names with blanks between.

    Attributes:
        text: words, never missing.
        whole: whole numbers from `low` to `high`; those of `gaps`, too, or none.
        numbers: finite ones of at most `size`, and such as are not finite.
        key: what tells rows apart together with the words; nothing where rows may be equal (bins of rounded
            losses may fall together).
        every: a column of which each group of equal keys has all the values that there are.

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
"""Of a file that no analysis declares: nothing of it is checked."""
