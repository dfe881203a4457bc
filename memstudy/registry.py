"""Names to things, imported only when asked for, open to other packages through entry points."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, distributions, entry_points
from typing import Any

from memstudy import foreign, trust
from memstudy.errors import MemstudyError, quoted, unknown


class Registry:
    """A table from a name to `"module:attribute"`; nothing is imported before `get`.

    Another package adds an entry by declaring an entry point in its `group`, `memstudy.<kind>s` (blanks are
    `_` there), for example `[project.entry-points."memstudy.regularizers"]`. A name of ours always wins over
    the same name of theirs.
    """

    def __init__(self, kind: str, plural: str = "", /, **entries: str) -> None:
        self.kind = kind
        self.group = f"memstudy.{plural or kind + 's'}".replace(" ", "_")
        self._ours = entries

    @cached_property
    def _foreign(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in _points(self.group)}

    def names(self) -> list[str]:
        """All known names, ours first, in the order they were registered."""
        return [*self._ours, *(name for name in self._foreign if name not in self._ours)]

    def check(self, name: str) -> str:
        """Return `name` if it is known; raise a MemstudyError naming the nearest ones if it is not."""
        if name not in self.names():
            raise unknown(self.kind, name, self.names())
        return name

    def allows(self, name: str) -> bool:
        """Whether `get` gives it without a question: a known name, of ours or one whose code may run."""
        if name in self._ours or name not in self._foreign:
            return name in self._ours
        return trust.allows(self.kind, name, _module(self._foreign[name]))

    def ask(self, name: str) -> None:
        """Let the user be asked, where he must be, whether another package's code may run; nothing is imported."""
        if name not in self._ours and name in self._foreign:
            trust.check(self.kind, name, _module(self._foreign[name]))

    def get(self, name: str) -> Any:
        """Import and return what `name` stands for.

        A MemstudyError if it is another package's and cannot be; an Untrusted if a file names it and it may not.
        """
        self.check(name)
        if name not in self._ours:
            return self._load(name)
        module, attribute = self._ours[name].split(":")
        return getattr(import_module(module), attribute)

    def _load(self, name: str) -> Any:
        """What an entry point stands for; a MemstudyError that names the package if it cannot be loaded."""
        point = self._foreign[name]
        subject = f"{self.kind} {quoted(name)}"
        self.ask(name)
        try:
            with foreign.loading(subject, _module(point)):
                return point.load()
        except MemstudyError as error:
            cause = error.__cause__ or error
            raise MemstudyError(
                f"{subject} cannot be loaded: {foreign.told(cause)}. It is the entry point {quoted(point.value)} "
                f"of {_distribution(point) or 'another package'}: repair or remove that package, or do without it."
            ) from cause

    def code(self, name: str) -> foreign.Code | None:
        """What another package's entry consists of; None for our own. A MemstudyError if it cannot be loaded."""
        if name in self._ours:
            return None
        self.get(name)
        point = self._foreign[name]
        return foreign.code(f"{self.kind} {name!r}", _module(point), _distribution(point))


def _module(point: EntryPoint) -> str:
    """The module that an entry point names; unlike its own `module`, this is there for a malformed one, too."""
    return point.value.partition(":")[0].partition("[")[0].strip()


def _distribution(point: EntryPoint) -> str | None:
    """Name and version of the package that declares an entry point; None if it has none."""
    return None if point.dist is None else f"{point.dist.name} {point.dist.version}"


def _points(group: str) -> Iterable[EntryPoint]:
    """The entry points of a group. A package whose own list of them is damaged has none."""
    try:
        return entry_points(group=group)
    except Exception:  # Python reads all packages' lists at once: find the sound ones
        points: dict[str, EntryPoint] = {}
        for package in distributions():
            with suppress(Exception):
                points = {point.name: point for point in package.entry_points.select(group=group)} | points
        return points.values()
