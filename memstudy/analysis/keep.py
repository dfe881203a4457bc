"""How many singular directions of a representation SVCCA keeps."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from memstudy.errors import MemstudyError, quoted, unknown

KEEP_RULES = ("variance", "singular", "fixed", "all")


@dataclass(frozen=True)
class KeepRule:
    """How many singular directions of a representation SVCCA keeps; record it with every SVCCA number.

    variance: the fewest whose Σσ² reaches a fraction of the whole (Raghu et al. 2017: 99 %; stated).
    singular: the fewest whose Σσ does (google/svcca's tutorial; stated).
    fixed: so many, or all if there are fewer (AL2's code, 10; stated).
    all: every one, which makes SVCCA plain mean CCA.

    For one spectrum the rules can give results that differ by a factor of two: results of different rules must not
    be compared.
    """

    name: str = "variance"
    value: float = 0.99

    def __post_init__(self) -> None:
        if self.name not in KEEP_RULES:
            raise unknown("keep rule", self.name, KEEP_RULES)
        if self.name in ("variance", "singular") and not 0 < self.value <= 1:
            raise MemstudyError(
                f"the keep rule {quoted(self.name)} needs a fraction in (0, 1], not {self.value:g}; "
                f"for example {self.name}:0.99."
            )
        if self.name == "fixed" and not (self.value >= 1 and float(self.value).is_integer()):
            raise MemstudyError(
                f"the keep rule 'fixed' needs a whole number of directions, at least 1, not {self.value:g}; "
                "for example fixed:10."
            )

    def __str__(self) -> str:
        if self.name == "all":
            return "all"
        return f"{self.name}:{int(self.value) if self.name == 'fixed' else self.value!r}"

    def count(self, singular_values: Tensor) -> int:
        """How many of these singular values (r,), descending, to keep: from 1 to r; 0 if there are none."""
        rank = len(singular_values)
        if self.name == "all" or rank == 0:
            return rank
        if self.name == "fixed":
            return min(int(self.value), rank)
        mass = (singular_values**2 if self.name == "variance" else singular_values).cumsum(0)
        return int((mass / mass[-1] < self.value).sum()) + 1


def parse_keep(text: str) -> KeepRule:
    """Read `variance:0.99`, `singular:0.99`, `fixed:10` or `all`; `str` of the rule gives the text back.

    A bare `variance` or `singular` means 0.99. Raises a MemstudyError for anything else.
    """
    name, _, number = text.partition(":")
    if name not in KEEP_RULES:
        raise unknown("keep rule", name, KEEP_RULES)
    if text in ("variance", "singular", "all"):
        return KeepRule(name)
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if math.isnan(value) or name == "all":
        raise MemstudyError(
            f"{quoted(text)} is not a keep rule. Allowed: variance:FRACTION, singular:FRACTION, fixed:COUNT, all; "
            "for example variance:0.99 or fixed:10."
        )
    return KeepRule(name, value)
