"""Mistakes of a user, told in one sentence: what was wrong, what is allowed, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MemstudyError(Exception):
    """A user's mistake. The command line prints its text without a traceback and exits with 2."""

    exit_code = 2


class RunFailed(MemstudyError):
    """A run that could not be carried to its end through no mistake in the command (exit code 1)."""

    exit_code = 1


class Busy(MemstudyError):
    """A run that another process is carrying out right now."""


class Interrupted(MemstudyError):
    """A run stopped from outside after saving its state; `signal_number` is 2 (Ctrl-C) or 15 (SIGTERM)."""

    def __init__(self, sentence: str, signal_number: int = 2) -> None:
        super().__init__(sentence)
        self.exit_code = 128 + signal_number


def unknown(kind: str, name: object, known: Iterable[str]) -> MemstudyError:
    """The answer to a misspelt name: the nearest known ones, then all of them."""
    known = sorted(known)
    near = difflib.get_close_matches(str(name).lower(), known, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return MemstudyError(f"unknown {kind} {str(name)!r}: {hint}Known: {', '.join(known)}.")
