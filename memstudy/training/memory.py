"""Memory of a CPU's tensors: kept by the process from step to step, not fetched from the system each time."""

from __future__ import annotations

import ctypes
from functools import cache

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""glibc's names for these are M_TRIM_THRESHOLD and M_MMAP_THRESHOLD, in malloc.h."""
BYTES = 1 << 30


@cache
def keep_freed() -> bool:
    """Let glibc's malloc give no memory back below a gigabyte; whether it does. Elsewhere nothing happens.

    By default the activations that a step frees go back to the system, and the next step's are new pages, each of
    them a fault: about 1,900 a step of smallNet at batch 64, a fifth of its time (tests/benchmarks/NOTES.md).
    What a process holds stays at its peak. No number changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # no glibc: macOS, Windows, musl
        return False
    return bool(mallopt(TRIM_THRESHOLD, BYTES)) and bool(mallopt(MMAP_THRESHOLD, BYTES))
