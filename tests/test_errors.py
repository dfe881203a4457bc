"""What a message says of what somebody gave: at most so much of it, in one line."""

from __future__ import annotations

import ast

import pytest

from memstudy.errors import QUOTED, listed, quoted, reason, unknown
from memstudy.recipe import Corruption, Training, from_dict
from tests.kit.sentences import refused
from tests.test_imports import FILES, PACKAGE

LONG = "9" * 389_065


class Dumb:
    def __repr__(self):
        raise RuntimeError


def deep(levels):
    found: list[object] = []
    for _ in range(levels):
        found = [found]
    return found


@pytest.mark.parametrize(
    "value", [LONG, [LONG], list(range(10**5)), {"a\n": LONG}, "\n" * 99, deep(10**5), Dumb()]
)
def test_a_quotation_is_one_short_line(value):
    text = quoted(value)
    assert 0 < len(text) <= QUOTED
    assert "\n" not in text


def test_a_short_one_is_whole():
    assert quoted("a  b") == "'a  b'"
    assert quoted(0.75) == "0.75"


def test_both_ends_of_a_long_one_are_kept():
    assert quoted("begin" + LONG + "end").startswith("'begin9999")
    assert quoted("begin" + LONG + "end").endswith("999end'")


def test_a_library_s_reason_is_one_short_line():
    assert (
        reason(ValueError("could not convert\nstring to float: 'x'")) == "could not convert string to float: 'x'"
    )
    assert len(reason(ValueError(LONG))) == QUOTED
    assert reason(KeyError()) == "KeyError"


def test_many_names_are_counted():
    assert listed("abc") == "a, b, c"
    assert listed(range(10_000)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, … (10,000 in all)"
    assert len(listed([LONG] * 12)) < 13 * QUOTED


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: Corruption(rule=LONG + "!"),
        lambda: Corruption(seed=LONG),  # type: ignore[arg-type]
        lambda: Corruption("file", None, labels=LONG),
        lambda: Training(LONG, 1, 0.1, 0),  # type: ignore[arg-type]
        lambda: from_dict({"training": LONG}),
    ],
)
def test_a_mistake_of_any_length_makes_a_short_sentence(mistake):
    assert len(refused(mistake)) < 300


def test_a_misspelt_name_of_any_length_makes_a_short_sentence():
    assert len(str(unknown("key", LONG, ["a", "b"]))) < 200


def raw(text):
    """The values that messages of a source text quote with `!r`, which has no end."""
    tree = ast.parse(text)
    values = [node for node in ast.walk(tree) if isinstance(node, ast.FormattedValue) and node.conversion == 114]
    return [ast.unparse(value.value) for value in values]


OURS = {
    "little.dtype.str", "little.shape", "mark", "key", "BARE",
    "int(self.value) if self.name == 'fixed' else self.value",
    "member.value", "member['value']", "step['value']", "cited['value']", "up_to[place]",  # numbers, whole
}  # fmt: skip
"""What no user gave."""
RECORDED = {"store/code.py", "registry.py", "models/own.py"}
"""Where a name is a key in a record, which must not be shortened."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_nothing_that_a_user_gave_is_quoted_without_an_end(file):
    recorded = {"name", "recipe.network"} if str(file.relative_to(PACKAGE)) in RECORDED else set()
    assert set(raw(file.read_text(encoding="utf-8"))) <= OURS | recorded


def test_the_check_can_fail():
    assert raw('f"not {value!r}"') == ["value"]
