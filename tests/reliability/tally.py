"""What a part of the campaign reports: how often something was tried, and how often nothing was lost."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Size(Enum):
    """How much of a campaign is carried out."""

    CI = "ci"
    """For every change: all parts together take under four minutes on two cores."""
    LONG = "long"
    """Some hours for all parts together."""


@dataclass(frozen=True)
class Row:
    """One line of the campaign's table.

    Attributes:
        part: the part of the campaign, such as "kills".
        case: to what it was done, such as "memstudy run --reg al2".
        what: what was done, such as "SIGKILL in a checkpoint's write".
        tried: how often.
        survived: how often all that is promised held afterwards.
        lost: what did not hold, one sentence for each loss, with what repeats it.

    """

    part: str
    case: str
    what: str
    tried: int
    survived: int
    lost: tuple[str, ...] = ()
