"""Python looks for garbage, but need not look at a million objects that all stay, such as a list of a store."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def not_collected() -> Iterator[None]:
    """Within it, garbage is not looked for: for what makes many objects that stay, and few that do not."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def not_looked_through() -> None:
    """What is there by now is taken to stay until the process ends: for a command that has read its runs."""
    gc.freeze()
