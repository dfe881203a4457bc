"""Looking again and again at runs that are trained, at a cost that is bounded by a rule."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

SECONDS = 2.0
"""The least pause between two looks."""
SHARE = 0.01
"""Of one core, at most: the pause after a look is so long that looking takes no more of it."""


def pause(busy: float) -> float:
    """Seconds until the next look, after one that took `busy` seconds of a core."""
    return max(SECONDS, busy * (1 / SHARE - 1))


def follow(look: Callable[[], bool], ended: threading.Event, until_ended: bool = False) -> None:
    """Look until it says that there is nothing more to come, or until `ended` is set, and then once more.

    until_ended: whether only `ended` counts: what has ended may be tried again.
    """
    last = False
    while not last:
        last, begun = ended.is_set(), time.process_time()
        more = look()
        if not (more or until_ended):
            return
        if not last:
            ended.wait(pause(time.process_time() - begun))
