"""Mistakes of a user, told in one sentence: what was wrong, what is allowed, what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

QUOTED = 100
"""Characters: no message quotes more of what somebody gave."""
MOST_NAMES = 60
"""No message lists more names that could have been given: a store may have thousands of runs."""


HARMFUL = re.compile("[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that move a terminal's cursor, break a line or turn its direction, and halves of characters."""


def plain(text: str) -> str:
    """A text in one line that does nothing to a terminal or log: harmful characters as Python escapes them."""
    return HARMFUL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class MemstudyError(Exception):
    """A user's mistake. The command line prints its text without a traceback and exits with 2.

    The text is one line, whatever names and files are quoted in it; `below` has lines to be copied, if any.
    """

    exit_code = 2

    def __init__(self, sentence: str = "", below: str = "") -> None:
        super().__init__(sentence, below) if below else super().__init__(sentence)
        self.below = below

    def __str__(self) -> str:
        lines = map(plain, self.below.splitlines())
        return "\n".join([plain(str(self.args[0])), *lines])


class Unreadable(MemstudyError):
    """What the system does not let us use now, though all of it may be there: it is no damage."""


class RunFailed(MemstudyError):
    """A run that could not be carried to its end through no mistake in the command (exit code 1)."""

    exit_code = 1


class Busy(MemstudyError):
    """A run that another process is carrying out right now."""


class Gone(MemstudyError):
    """A run that another process removed or moved while this one looked at it."""


class Interrupted(MemstudyError):
    """A run stopped from outside after saving its state; `signal_number` is 2 (Ctrl-C) or 15 (SIGTERM)."""

    def __init__(self, sentence: str, signal_number: int = 2) -> None:
        super().__init__(sentence)
        self.exit_code = 128 + signal_number


def shortened(text: str) -> str:
    """A text of at most QUOTED characters: of a longer one the middle is left out."""
    return text if len(text) <= QUOTED else f"{text[: QUOTED - 21]}…{text[-20:]}"


def quoted(value: object) -> str:
    """What somebody gave, as Python writes it, in one line, shortened."""
    try:
        text = repr(value)
        return shortened(text if isinstance(value, str) else " ".join(text.split()))
    except Exception:  # too deep a list, a number with too many digits, an object that cannot say what it is
        return f"a {type(value).__name__}"


def listed(names: Iterable[object]) -> str:
    """Names that somebody gave, with commas; of many the first ones and their number."""
    every = [shortened(str(name)) for name in names]
    return ", ".join(every) if len(every) <= 12 else f"{', '.join(every[:10])}, … ({len(every):,} in all)"


def reason(error: object) -> str:
    """What a library says is wrong, in one line, shortened: some quote all that they were given."""
    return shortened(" ".join(str(error).split())) or type(error).__name__


def unknown(kind: str, name: object, known: Iterable[str]) -> MemstudyError:
    """The answer to a misspelt name: the nearest known ones, if any are near, then all of them."""
    every = sorted({shortened(str(one)) for one in known})
    subject = f"unknown {kind} {quoted(str(name))}"
    if not every:
        return MemstudyError(f"{subject}; there are none.")
    shown = ", ".join(every[:MOST_NAMES]) + (f", … ({len(every):,} in all)" if every[MOST_NAMES:] else "")
    near = difflib.get_close_matches(str(name)[:QUOTED].lower(), every, n=2, cutoff=0.5)
    if not near:
        return MemstudyError(f"{subject}; known are {shown}.")
    return MemstudyError(f"{subject}: did you mean {' or '.join(near)}? Known are {shown}.")
