"""Names to things, imported only when asked for, open to other packages through entry points."""

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from memstudy.errors import unknown


class Registry:
    """A table from a name to `"module:attribute"`; nothing is imported before `get`.

    Another package adds an entry by declaring an entry point in the group `memstudy.<kind>s`, for example
    `[project.entry-points."memstudy.regularizers"]`. An own name always wins over a foreign one.
    """

    def __init__(self, kind: str, **entries: str) -> None:
        self.kind = kind
        self._own = entries

    @cached_property
    def _foreign(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=f"memstudy.{self.kind}s")}

    def names(self) -> list[str]:
        """All known names, ours first, in the order they were registered."""
        return [*self._own, *(name for name in self._foreign if name not in self._own)]

    def check(self, name: str) -> str:
        """Return `name` if it is known; raise a MemstudyError naming the nearest ones if it is not."""
        if name not in self.names():
            raise unknown(self.kind, name, self.names())
        return name

    def get(self, name: str) -> Any:
        """Import and return what `name` stands for."""
        self.check(name)
        if name not in self._own:
            return self._foreign[name].load()
        module, attribute = self._own[name].split(":")
        return getattr(import_module(module), attribute)
