"""What a process does that is one of several to take a lease. It needs no torch, so that it starts at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from memstudy.lease import Held, Lease


def take(path: Path, together: Any, rounds: int, wins: Any) -> None:
    """Try to acquire the lease of each round at the moment at which all do, and note it."""
    for number in range(rounds):
        together.wait()
        mine = Lease(Path(f"{path}{number}"))
        try:
            mine.acquire(patience=0)
            wins.put(number)
        except Held:
            pass
        together.wait()
