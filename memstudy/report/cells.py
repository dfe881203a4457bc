"""Text of a table's cells: one format for each kind of number. A missing number is a dash."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from memstudy.analysis.significance import stars
from memstudy.report.arithmetic import mean_cell
from memstudy.report.origin import Cell, Cited

DASH = "–"


def number(value: float | None, form: str) -> str:
    """A number by Python's format specification (`.2f`, `,`, `g`, `#.3g`)."""
    return DASH if pd.isna(value) else format(value, form)


def mean(value: float, sd: float, digits: int) -> str:
    """`0.85 ± 0.02`: a mean with its standard deviation; `0.85` if there is none."""
    text = number(value, f".{digits}f")
    return text if text == DASH or pd.isna(sd) else f"{text} ± {number(sd, f'.{digits}f')}"


def starred(row: Mapping[Hashable, Any], digits: int) -> str:
    """`0.85 ± 0.02*`: mean and standard deviation of a row of `differences.compared`, with stars by `p_holm`."""
    return mean_cell(mean(row["mean"], row["sd"], digits) + stars(row["p_holm"]), row, digits)


def interval(value: float, low: float, high: float, digits: int, sign: str = "") -> str:
    """`1.2 [0.3, 2.1]`; with the sign "+" `+1.2 [+0.3, +2.1]`, without an interval `1.2`. Zero has no minus."""
    text, *bounds = (number(round(bound, digits) + 0.0, f"{sign}.{digits}f") for bound in (value, low, high))
    return text if DASH in (text, *bounds) else f"{text} [{', '.join(bounds)}]"


def noted(text: str, note: str, *cited: Cited) -> str:
    """`95.1 (94.9)`: a text, and a note to it in parentheses, such as a published number or an epoch.

    cited: what the note cites.
    """
    if note in ("", DASH):
        return text
    both = f"{text} ({note})"
    return text.rewritten(both).citing(*cited) if isinstance(text, Cell) else both


def amount(value: float) -> str:
    """A size of any order: `23.44`, or `12,345` from a thousand on."""
    return number(value, ",.0f" if value >= 1000 else ".4g")


def p_value(p: float) -> str:
    """`0.03`, `2e-05`, `<1e-99`."""
    return "<1e-99" if p < 1e-99 else number(p, ".2f" if p >= 0.01 else ".0e")


def span(counts: Iterable[int], to: str = "–") -> str:
    """`3` where all counts are equal, else the least and the greatest: `2–3`, `2 to 3`. `0` if there are none."""
    ends = {*counts} or {0}
    return to.join(map(str, sorted({min(ends), max(ends)})))


def frame(rows: Iterable[dict[str, str]], absent: str = DASH) -> pd.DataFrame:
    """Rows of cells as a data frame, columns in the order in which they first come.

    absent: the text where a row has no such cell; use "" if the column does not apply to the row.
    """
    return pd.DataFrame(rows, dtype=object).fillna(absent)  # of text alone, cells would lose their origin


@dataclass(frozen=True)
class Parts:
    """A cell of a number, in parts: `+1.20 ± 0.05*** (1.3)`.

    Attributes:
        sign: "+", "-" or "".
        whole, decimals: digits before and after the point.
        spread: the standard deviation, as `0.05`; "" if there is none.
        stars: up to three.
        rest: an interval or a note, as ` (1.3)`.

    """

    sign: str
    whole: str
    decimals: str
    spread: str
    stars: str
    rest: str


_PARTS = re.compile(r"([+-]?)(\d+)(?:\.(\d+))?(?: ± (\d+(?:\.\d+)?))?(\*{0,3})( .*)?")


def parts(cell: str) -> Parts | None:
    """The parts of a cell as `mean`, `starred`, `interval` and `noted` write it; None if it is no such number."""
    found = _PARTS.fullmatch(cell)
    return Parts(*(part or "" for part in found.groups())) if found else None


def leading(cell: str) -> float | None:
    """The number that a cell begins with, as it is shown; None if it begins with none, or is a range."""
    found = re.match(r"[+-]?\d[\d,]*(\.\d+)?(e[+-]?\d+)?(?![\w–])", cell)
    return float(found[0].replace(",", "")) if found else None


def unstarred(cell: str) -> str:
    """A cell of a number without marks of significance."""
    return re.sub(r"(?<=[\d)\]])\*{1,3}(?!\w)", "", cell)
