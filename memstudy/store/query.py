"""Choosing runs by what they are: `reg=al2 and corrupt>=0.5`, over settings and what was measured last.

A test is NAME = VALUE, also with !=, <, <=, >, >=, or NAME in (VALUE, …); tests are joined by `and`, `or`, `not`
and parentheses. Texts are compared by = with patterns (`reg=*al2`). Names are those of `memstudy runs --json`:
settings, columns of metrics.csv (their last value), and facts such as `status`. Nothing is evaluated as code.
"""

from __future__ import annotations

import fnmatch
import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from memstudy import distinctions
from memstudy.errors import MemstudyError, quoted, unknown
from memstudy.store.summary import Listed

FACTS = (
    "name", "id", "status", "begun", "date", "epochs_done", "floor", "expected_floor", "best_test_accuracy",
)  # fmt: skip
"""What of a summary can be asked for besides settings and columns."""
ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
TOKEN = re.compile(
    r"""\s*(?:(?P<mark><=|>=|!=|==?|[<>(),])|(?P<text>"[^"]*"|'[^']*')|(?P<word>[^\s<>=!(),"']+))"""
)
HOW = "write tests such as 'reg=al2 and corrupt>=0.5', joined by and, or, not and parentheses"
Test = Callable[[Listed], bool]


def known(listed: Sequence[Listed]) -> list[str]:
    """All names that can be asked for of some of these runs."""
    settings = dict.fromkeys(name for one in listed for name in one.settings)
    measured = dict.fromkeys(name for one in listed for name in one.summary["last"])
    return [*dict.fromkeys([*FACTS, *settings, *measured])]


def value(one: Listed, name: str) -> Any:
    """What a run has under a name; None if nothing."""
    if name in FACTS:
        return one.summary[name]
    return one.summary["last"].get(name) if name in one.summary["last"] else one.value(name)


def chosen(listed: Sequence[Listed], text: str) -> list[Listed]:
    """The runs that a query is true of. A MemstudyError for one that makes no sense, or names what no run has."""
    reader = _Reader(_tokens(text), text)
    try:
        test = reader.whole()
    except RecursionError as error:
        raise reader.wrong("it is nested too deeply") from error
    check(reader.names, listed)
    return [one for one in listed if test(one)]


def ordered(listed: Sequence[Listed], name: str, descending: bool = False) -> list[Listed]:
    """The runs by what they have under a name, those that have nothing there last."""
    name = plain(name)
    check([name], listed)
    having = [one for one in listed if value(one, name) is not None]
    rest = [one for one in listed if value(one, name) is None]
    return [*sorted(having, key=lambda one: _rank(value(one, name)), reverse=descending), *rest]


def check(names: Sequence[str], listed: Sequence[Listed]) -> None:
    """Raise a MemstudyError if none of the runs can have a value under one of the names."""
    every = known(listed)
    for name in names:
        if listed and name not in every:
            raise unknown("setting or measure", name, every)


def plain(name: str) -> str:
    """A name as files have it: `batch-size` is `batch_size`."""
    return name.replace("-", "_")


def _rank(found: Any) -> tuple[int, Any]:
    return (0, found) if isinstance(found, int | float) else (1, distinctions.text("", found))


@dataclass(frozen=True)
class _Token:
    kind: str  # mark, text, word, or end
    text: str

    def __str__(self) -> str:
        return quoted(self.text) if self.text else "the end"


def _tokens(text: str) -> list[_Token]:
    found, place = [], 0
    text = text.rstrip()
    while place < len(text):
        match = TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise MemstudyError(
                f"the query {quoted(text)} is not understood at {quoted(text[place:].strip())}; {HOW}."
            )
        found.append(_Token(match.lastgroup, match[match.lastgroup].strip("\"'")))
        place = match.end()
    return [*found, _Token("end", "")]


class _Reader:
    """Reads tokens from left to right; `names` are those that were asked for."""

    def __init__(self, tokens: Sequence[_Token], text: str) -> None:
        self.tokens, self.text, self.place = tokens, text, 0
        self.names: list[str] = []

    def wrong(self, why: str) -> MemstudyError:
        return MemstudyError(f"the query {quoted(self.text)} is not understood: {why}; {HOW}.")

    def whole(self) -> Test:
        test = self.either()
        if self.next.kind != "end":
            raise self.wrong(f"{self.next} follows a whole test")
        return test

    @property
    def next(self) -> _Token:
        return self.tokens[self.place]

    def take(self) -> _Token:
        self.place += 1
        return self.tokens[self.place - 1]

    def takes(self, *texts: str) -> bool:
        """Whether a word or mark comes next, which is then taken."""
        if self.next.kind in ("mark", "word") and self.next.text.lower() in texts:
            self.place += 1
            return True
        return False

    def either(self) -> Test:
        tests = [self.both()]
        while self.takes("or"):
            tests.append(self.both())
        return tests[0] if len(tests) == 1 else lambda one: any(test(one) for test in tests)

    def both(self) -> Test:
        tests = [self.single()]
        while self.takes("and"):
            tests.append(self.single())
        return tests[0] if len(tests) == 1 else lambda one: all(test(one) for test in tests)

    def single(self) -> Test:
        if self.takes("not"):
            test = self.single()
            return lambda one: not test(one)
        if self.takes("("):
            test = self.either()
            self.expect(")")
            return test
        return self.comparison()

    def expect(self, mark: str) -> None:
        if not self.takes(mark):
            raise self.wrong(f"{quoted(mark)} is missing before {self.next}")

    def comparison(self) -> Test:
        if self.next.kind not in ("word", "text"):
            raise self.wrong(f"a name is missing before {self.next}")
        name = plain(self.take().text)
        self.names.append(name)
        if self.takes("in"):
            self.expect("(")
            values = [self.given()]
            while self.takes(","):
                values.append(self.given())
            self.expect(")")
            return lambda one: any(_equal(value(one, name), given) for given in values)
        sign = self.take().text
        if sign not in ("=", "==", "!=", *ORDERS):
            raise self.wrong(f"after {quoted(name)} there is no =, !=, <, <=, >, >= or in")
        given = self.given()
        if sign in ORDERS:
            return lambda one: self.is_ordered(one, name, sign, given)
        return lambda one: _equal(value(one, name), given) is (sign != "!=")

    def given(self) -> str:
        if self.next.kind not in ("word", "text"):
            raise self.wrong(f"a value is missing before {self.next}")
        return self.take().text

    def is_ordered(self, one: Listed, name: str, sign: str, given: str) -> bool:
        """Whether a run's value is less, or more; one that has none is neither."""
        found = value(one, name)
        if found is None:
            return False
        if isinstance(found, int | float) and not isinstance(found, bool):
            number = _number(given)
            if number is None:
                raise self.wrong(f"{name} is a number, and {quoted(given)} is none")
            return ORDERS[sign](found, number)
        if name in ("date", "begun"):  # ISO 8601, whose order is that of its letters
            return ORDERS[sign](found, given)
        raise self.wrong(
            f"{name} has no order: it is {quoted(distinctions.text(name, found))}, say; compare it by ="
        )


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _equal(found: Any, given: str) -> bool:
    """Whether a run's value is the one that is written so; a text may be a pattern, and `none` is no value."""
    if found is None:
        return given.lower() in ("none", distinctions.NONE)
    if isinstance(found, bool):
        return given.lower() in (("yes", "true") if found else ("no", "false"))
    if isinstance(found, int | float):
        return _number(given) == found
    return fnmatch.fnmatchcase(distinctions.text("", found), given)
