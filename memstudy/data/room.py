"""Whether an image set has room in memory: asked before it is read, by the numbers that its files' headers have.

A set is decoded as a whole, and then kept (see `cache`); from there it is mapped, and takes no memory that is
short. Without this, one that is too large ends the process without a word: who asks for more memory than there is
gets killed.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from memstudy.errors import MemstudyError

PEAK = 3
"""How often a set's pixels are in memory while it is read and kept (measured with 100 MB, gray and in color)."""
PROC, CONTROL_GROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def check(place: Path, images: int, shape: Sequence[int]) -> None:
    """Raise a MemstudyError if there is no room to read a set of so many images of a shape, one byte a value."""
    size, free = images * math.prod(shape), available()
    if free is not None and PEAK * size > free:
        raise MemstudyError(
            f"{place} has {images:,} images of {'×'.join(map(str, shape))}, {amount(size)}, and reading it takes "
            f"{amount(PEAK * size)} of memory, of which {amount(free)} are free here; take fewer or smaller "
            "images, or a machine, container or job with more memory."
        )


def available() -> int | None:
    """Bytes of memory that this process may still take: the machine's, and those of its container or job.

    None where the system does not tell (it does on Linux).
    """
    known = [free for free in (_of_machine(), *_of_control_groups(), _of_address_space()) if free is not None]
    return max(0, min(known)) if known else None


def amount(size: int) -> str:
    """`11 GB`, `1.5 GB`, `200 MB`; of a number however large, as a header may claim it."""
    if size >= 10**10:
        return f"{size // 10**9:,} GB"
    return f"{size / 10**9:.1f} GB" if size >= 10**9 else f"{size / 10**6:,.0f} MB"


def _of_machine() -> int | None:
    """What Linux says can be had without swapping."""
    return _entry(PROC / "meminfo", "MemAvailable:", 1024)


def _of_control_groups() -> Iterator[int | None]:
    """What is left of the limit of each control group (of a container, a Slurm job) that this process is in.

    Files that the system keeps in memory count as used there, and are let go when memory is short.
    """
    try:
        lines = (PROC / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        number, _, rest = line.partition(":")
        kinds, _, name = rest.partition(":")
        if number == "0" and not kinds:
            root, limit, used, kept = CONTROL_GROUPS, "memory.max", "memory.current", "inactive_file"
        elif "memory" in kinds.split(","):
            root, limit = CONTROL_GROUPS / "memory", "memory.limit_in_bytes"
            used, kept = "memory.usage_in_bytes", "total_inactive_file"
        else:
            continue
        group = root / name.strip("/")
        for folder in (group, *group.parents):
            total, now = _number(folder / limit), _number(folder / used)
            if total is not None and now is not None:
                yield total - now + (_entry(folder / "memory.stat", kept, 1) or 0)
            if folder == root:
                break


def _of_address_space() -> int | None:
    """What is left of `ulimit -v`; None without such a limit."""
    if sys.platform == "win32":
        return None
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    used = _entry(PROC / "self" / "status", "VmSize:", 1024)
    return None if limit == resource.RLIM_INFINITY or used is None else limit - used


def _entry(path: Path, name: str, unit: int) -> int | None:
    """A number that stands after a name in a file of the system's; None if it is not there."""
    with contextlib.suppress(OSError, ValueError):
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.split()
            if words and words[0] == name:
                return int(words[1]) * unit
    return None


def _number(path: Path) -> int | None:
    """The number that a file of the system's holds; None if it holds none, as `max`."""
    with contextlib.suppress(OSError, ValueError):
        return int(path.read_text(encoding="utf-8"))
    return None
