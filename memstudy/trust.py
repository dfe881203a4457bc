"""Code that a file names runs only if the user allows it: a recipe may be a stranger's.

A recipe or a study names code in two ways: a network of somebody's own, `package.module:function`, and what an
installed package registers through an entry point. Neither is brought along, but what is there is run, and the
named function is called. So whoever reads such a file says what it names (`named`), and whoever is about to import
code asks here (`check`). What the user names himself, on the command line or in a call, he allows (`allow`).

What was allowed is remembered in the user's cache for as long as that code, with the user's modules that it
imports, stays as it is; never in a store, which can come from elsewhere. `--trust` and MEMSTUDY_TRUST=1 allow
everything, and are not remembered.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from memstudy import files, foreign
from memstudy.errors import MemstudyError, quoted

VARIABLE = "MEMSTUDY_TRUST"

Name = tuple[str, str]
"""What kind of thing it is, as its registry calls it, and its name: `("network", "nets:wide")`."""


class Untrusted(MemstudyError):
    """Code that a file names, and that the user has not allowed to run."""


@dataclass(frozen=True)
class Consent:
    """What a process may run; plain data, for the processes that carry out its runs."""

    everything: bool
    names: frozenset[Name]


_named: dict[Name, str] = {}
"""What files name, and the first file that does."""
_own: set[Name] = set()
"""What the user named himself."""
_allowed: set[Name] = set()
"""What was asked for here, and may run."""
_declined: set[Name] = set()
_everything = False
_ask: Callable[[str], bool] | None = None


def named(file: object, names: Iterable[Name]) -> None:
    """A file that was read names these: whatever of it is others' code is asked for before it is imported."""
    for name in names:
        _named.setdefault(name, str(file))


def allow(names: Iterable[Name]) -> None:
    """The user names these himself."""
    _own.update(names)


@contextmanager
def everything(really: bool = True) -> Iterator[None]:
    """Within it, whatever a file names may run."""
    global _everything
    before, _everything = _everything, _everything or really
    try:
        yield
    finally:
        _everything = before


@contextmanager
def answered_by(ask: Callable[[str], bool] | None) -> Iterator[None]:
    """Within it, `ask` puts a question, and returns whether the answer was yes. None: nobody is there."""
    global _ask
    before, _ask = _ask, ask
    try:
        yield
    finally:
        _ask = before


def given() -> Consent:
    """What may run in this process, and then in others that do its work."""
    return Consent(_everything, frozenset(_own | _allowed))


def take_over(consent: Consent) -> None:
    """Allow what the process allowed that this one works for, and nothing else that its recipes name."""
    global _everything
    _everything = consent.everything
    _allowed.update(consent.names)


def allows(kind: str, name: str, module: str) -> bool:
    """Whether such code may be imported without a question."""
    one = (kind, name)
    if one not in _named or one in _own | _allowed or _everything or os.environ.get(VARIABLE) == "1":
        return True
    code = foreign.found(module)
    return code is None or _is_remembered(_place(kind, name, code[0]), code[1])


def check(kind: str, name: str, module: str) -> None:
    """To be called before a module is imported for what is named so. Asks, if a file names it.

    An Untrusted if it is not allowed, or nobody is there. Once it is, no more is asked in this process.
    """
    one = (kind, name)
    if one in _allowed:
        return
    is_own = one in _own
    if is_own or not allows(kind, name, module):
        code = foreign.found(module)
        if code is not None:
            if not is_own:
                _ask_for(one, code[0])
            _remember(_place(kind, name, code[0]), code[1])
    if is_own or one in _named:
        _allowed.add(one)


def _ask_for(one: Name, where: str) -> None:
    """Put the question; an Untrusted if the answer is no, or if nobody can answer."""
    what = f"{_named[one]} names the {one[0]} {quoted(one[1])}"
    if one not in _declined and _ask is not None:
        if _ask(f"{what}, and to use it is to run the code in {where}. Look at that first. May it run?"):
            return
        _declined.add(one)
    raise Untrusted(
        f"{what}, and to use it is to run the code in {where}; look at that, and give --trust, or set "
        f"{VARIABLE}=1, if it may run."
    )


def _place(kind: str, name: str, where: str) -> Path:
    """The file of the user's cache that says what code of this name, in this place, was allowed."""
    return files.cache_directory() / "trusted" / files.digest(f"{kind}\n{name}\n{where}".encode())


def _is_remembered(place: Path, code: foreign.Code) -> bool:
    with suppress(OSError):
        return place.read_text(encoding="utf-8") == code.sha256
    return False


def _remember(place: Path, code: foreign.Code) -> None:
    if not _is_remembered(place, code):
        with suppress(MemstudyError):  # a cache that cannot be written: it is asked for again
            files.write(place, code.sha256)
