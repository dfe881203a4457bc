"""Python looks for garbage, but not while a million objects are made that all stay, as in a list of a store."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def not_collected() -> Iterator[None]:
    """Within it, what refers to itself is not looked for; for what makes few such objects, or small ones."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
