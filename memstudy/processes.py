"""Which processes live: of this machine it can be asked, of others it cannot."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path


@cache
def _boot() -> str:
    """What tells this machine, since it was started, from others of its name; empty where that is not known."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def machine() -> str:
    """The machine, and the container whose processes we see."""
    try:
        return f"{_boot()}/{os.stat('/proc/self/ns/pid').st_ino:x}"  # noqa: PTH116 (no link to follow by name)
    except OSError:
        return _boot()


def lives(pid: int, started: str) -> bool:
    """Whether a process of this machine that started then lives: not another one of its number, no zombie."""
    if sys.platform == "win32":  # signal 0 is Ctrl-C there, and nothing else can be asked
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        pass
    state, now = _state_of(pid)
    return state not in ("Z", "X") and (not started or not now or started == now)


def start(pid: int) -> str:
    """When a process of this machine was started, in ticks since the machine was; empty if that is not known."""
    return _state_of(pid)[1]


def _state_of(pid: int) -> tuple[str, str]:
    """A process' state, such as Z, and when it started, in ticks since the machine did; empty if not known."""
    try:
        line = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return "", ""
    fields = line[line.rfind(b")") + 1 :].decode("ascii", "replace").split()  # a command's name may have blanks
    return (fields[0], fields[19]) if len(fields) > 19 else ("", "")
