"""One color, line and marker for each method, the same in all figures of a study, and told apart in gray, too."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from memstudy.regularizers import BARE

# Okabe and Ito's colors for the color-blind, ordered so that neighbors differ in lightness, too
COLORS = ("#0072B2", "#E69F00", "#CC79A7", "#009E73", "#D55E00", "#56B4E9", "#6A3D9A", "#B8A000")
GRAY = "#4D4D4D"
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.4)), (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2)), (0, (7, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")


@dataclass(frozen=True)
class Mark:
    """How a method is drawn: a color, matplotlib's line style, and a marker."""

    color: str
    line: Any = "-"
    marker: str = "o"

    @property
    def of_line(self) -> dict[str, Any]:
        """The keywords of a line without markers."""
        return {"color": self.color, "linestyle": self.line}


def marks(labels: Iterable[str]) -> dict[str, Mark]:
    """A mark for each label, in their order. Bare training is a solid gray line in every study.

    No two are alike: after all colors come other lines and markers.
    """
    others = (Mark(color, line, marker) for color, line, marker in _series())
    return {label: Mark(GRAY) if label == BARE else next(others) for label in dict.fromkeys(labels)}


def _series() -> Iterable[tuple[str, Any, str]]:
    """Colors, lines and markers move on together; the lines' number of steps is no divisor of the colors'."""
    lines, markers = itertools.cycle([*DASHES[1:], DASHES[0]]), itertools.cycle([*MARKERS[1:], MARKERS[0]])
    for color in itertools.cycle(COLORS):
        yield color, next(lines), next(markers)
