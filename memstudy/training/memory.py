"""What a process does with freed memory where the C library is glibc; elsewhere nothing here does anything.

glibc gives large blocks back to the system when they are freed, and small ones not. Training wants neither page
faults nor system calls in its steps, comparing large representations wants no more than it holds.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from functools import cache

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Called M_TRIM_THRESHOLD and M_MMAP_THRESHOLD in malloc.h."""
ALL = 1 << 30  # bytes
LARGE = 1 << 20


@cache
def keep_freed() -> bool:
    """Let this process keep up to a gigabyte of freed memory for its own use; returns whether it does.

    By default the activations that a step frees go back to the system, and the next step's are new pages, each of
    them a fault: about 1,900 a step of smallNet at batch 64, a fifth of its time (tests/benchmarks/NOTES.md).
    What a process holds stays at its peak. No number changes.
    """
    return _set(TRIM_THRESHOLD, ALL) and _set(MMAP_THRESHOLD, ALL)


@contextlib.contextmanager
def returning_freed(size: int) -> Iterator[None]:
    """While many blocks of this size (bytes) are made and freed, let those of a megabyte and more go back at once.

    PyTorch asks for aligned blocks, which seldom fit between others: comparing networks of 1,250 units with
    all memory kept, a process grew to more than twice of what it held (glibc 2.36). Smaller sizes change nothing.
    """
    if size < LARGE:
        yield
        return
    _set(MMAP_THRESHOLD, LARGE)
    try:
        yield
    finally:
        _set(MMAP_THRESHOLD, ALL)


def _set(parameter: int, value: int) -> bool:
    """Call glibc's mallopt; whether it worked."""
    try:
        return bool(ctypes.CDLL(None).mallopt(parameter, value))
    except (OSError, AttributeError, TypeError):  # macOS, Windows, musl
        return False
