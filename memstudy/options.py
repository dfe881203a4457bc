"""Options as fields of frozen dataclasses: of each its type, default, help and bounds stand in one place.

From them follow what a dataclass takes (`check` in its `__post_init__`), the options of a command, and the keys of
a study's file.
"""

from __future__ import annotations

import difflib
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import Any

from memstudy.errors import QUOTED, MemstudyError, quoted, unknown

LARGEST = 2**53 - 1
"""The largest whole number unless an option allows more: above it, two of them can be one float."""


def finite(value: object) -> float | None:
    """A number as a float, -0.0 as 0.0; None if no finite float can hold it."""
    try:
        if not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value):
            return float(value) + 0.0
    except OverflowError:  # a whole number beyond every float
        pass
    return None


@dataclass(frozen=True)
class Option:
    """A field of a dataclass as an option for users.

    Attributes:
        name: the field's.
        key: what users call it; on the command line with dashes.
        kind: int, float, bool or str: of the value, or of each where there are `many`.
        many: whether it is a tuple of values.
        default: MISSING if there is none.
        help: for the command line.
        least, most: of a number, themselves allowed.
        above, below: of a number, themselves not allowed.
        choices: of a text.
        usual: what --help says of the default, where that is not the value itself.
        checker: what checks values instead of all these: what to call it and the value → the value as it is kept.

    """

    name: str
    key: str
    kind: type[Any]
    many: bool
    default: Any
    help: str
    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    usual: str = ""
    checker: Callable[[str, Any], Any] | None = None

    def checked(self, value: Any, where: str = "") -> Any:
        """The value as the field keeps it: 1 and 1.0 are one. A MemstudyError calls it `where`, or by its key."""
        where = where or self.key
        if self.checker is not None:
            return self.checker(where, value)
        if value is None and self.default is None:
            return None
        if self.many and not isinstance(value, list | tuple):
            raise self._refused(value, where)
        values: tuple[Any, ...] = tuple(value) if self.many else (value,)
        if self.kind is float:
            values = tuple(finite(one) for one in values)
        if not all(self._fits(one) for one in values):
            raise self._refused(value, where)
        return values if self.many else values[0]

    def read(self, text: str, where: str = "") -> Any:
        """The value that a text stands for, checked: `80,120` where there are many."""
        parts = [part for part in text.split(",") if part.strip()] if self.many else [text]
        try:
            values = [self.kind(part) for part in parts]
        except ValueError:
            values = []
        if not values:
            raise self._refused(text, where or self.key)
        return self.checked(values if self.many else values[0], where)

    @property
    def wanted(self) -> str:
        """What a value must be: `a whole number of at least 1`."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        most = self.most if self.most is None or self.most <= LARGEST else None
        bounds = {"at least": self.least, "at most": most, "above": self.above, "below": self.below}
        said = " and ".join(f"{words} {bound:,}" for words, bound in bounds.items() if bound is not None)
        return _KINDS[self.kind][self.many] + (" of " if said.startswith("at") else " ") * bool(said) + said

    def _fits(self, value: Any) -> bool:
        if type(value) is not self.kind:
            return False
        if self.kind in (bool, str):
            return not self.choices or value in self.choices
        most = LARGEST if self.most is None and self.kind is int else self.most
        return (
            (most is None or value <= most)
            and (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def _refused(self, value: Any, where: str) -> MemstudyError:
        near = difflib.get_close_matches(str(value)[:QUOTED], self.choices, n=1, cutoff=0.5)
        hint = f" (did you mean {near[0]}?)" if near else ""
        return MemstudyError(f"{where} must be {self.wanted}, not {quoted(value)}{hint}.")


_KINDS = {
    bool: ("true or false", "a list of truths"),
    int: ("a whole number", "a list of whole numbers"),
    float: ("a finite number", "a list of finite numbers"),
    str: ("a text", "a list of texts"),
}
"""By the type of a value: what one must be, and what many must be."""


def option(
    help: str,
    default: Any = MISSING,
    *,
    key: str = "",
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: Iterable[str] = (),
    usual: str = "",
    checker: Callable[[str, Any], Any] | None = None,
) -> Any:
    """Declare a field as an option, with what `Option` says of it. `key` is for one that users call otherwise."""
    bounds = {"least": least, "most": most, "above": above, "below": below}
    metadata = {"help": help, "key": key, "choices": tuple(choices), "usual": usual, "checker": checker, **bounds}
    return field(default=default, metadata=metadata)


def options(kind: type) -> dict[str, Option]:
    """The options of a dataclass by the names of their fields, in order; other fields are none."""
    return _options(kind)


@cache
def _options(kind: type) -> dict[str, Option]:
    hints, declared = typing.get_type_hints(kind), {}
    for attribute in fields(kind):
        if "help" in attribute.metadata:
            hint = hints[attribute.name]
            if isinstance(hint, types.UnionType):  # X | None
                hint = next(part for part in typing.get_args(hint) if part is not types.NoneType)
            many = typing.get_origin(hint) is tuple
            metadata = dict(attribute.metadata) | {"key": attribute.metadata["key"] or attribute.name}
            value = typing.get_args(hint)[0] if many else hint
            declared[attribute.name] = Option(
                name=attribute.name, kind=value, many=many, default=attribute.default, **metadata
            )
    return declared


def from_table(kind: type, table: object, name: str, where: str = "") -> dict[str, Any]:
    """The values that a table of a study's file, such as [report.figures], sets: checked, by field.

    name, where: the table's and the file's, in the sentences of a MemstudyError on an unknown key or a value.
    """
    in_file = f" in {where}" if where else ""
    if not isinstance(table, Mapping):
        raise MemstudyError(f"[{name}]{in_file} must be a table, not {quoted(table)}.")
    by_key = {declared.key: (field_name, declared) for field_name, declared in options(kind).items()}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in by_key:
            raise unknown(f"key of [{name}]{in_file}", key, by_key)
        field_name, declared = by_key[key]
        values[field_name] = declared.checked(value, f"{key} in [{name}]{in_file}")
    return values


def check(target: object) -> None:
    """Check every option of a frozen dataclass, for its `__post_init__`. A MemstudyError names the field."""
    for name, option in options(type(target)).items():
        object.__setattr__(target, name, option.checked(getattr(target, name), name))
