"""Options as dataclass fields: what they take, from Python and as text, and what refuses a value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest

from memstudy import options, presets
from memstudy.errors import MemstudyError
from memstudy.options import option
from memstudy.recipe import OPTIONS, chosen
from tests.kit.sentences import refused


@dataclass(frozen=True)
class Kinds:
    """One option of each kind."""

    whole: int = option("How many.", 3, least=1, most=1000)
    share: float = option("A share.", 0.5, least=0, below=1)
    rate: float = option("A rate.", 1.0, key="speed", above=0)
    word: str = option("A word.", "a", choices=("a", "b"))
    truth: bool = option("A truth.", False)
    several: tuple[int, ...] = option("Some.", (), least=0)
    perhaps: int | None = option("One or none.", None, least=1)
    other: int = 0

    def __post_init__(self) -> None:
        options.check(self)


DECLARED = options.options(Kinds)


def test_fields_without_a_declaration_are_no_options():
    assert list(DECLARED) == ["whole", "share", "rate", "word", "truth", "several", "perhaps"]
    assert DECLARED["rate"].key == "speed"
    assert DECLARED["perhaps"].kind is int


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        *(
            ("whole", v, "whole must be a whole number of at least 1 and at most 1,000, not")
            for v in (0, 1001, 1.0)
        ),
        *(("whole", v, "whole must be a whole number") for v in (True, "3", None, 10**400)),
        *(("share", v, "share must be a finite number of at least 0 and below 1, not") for v in (-0.1, 1, "x")),
        *(("share", v, "share must be a finite number") for v in (math.nan, math.inf, 10**400, True, None)),
        *(("rate", v, "rate must be a finite number above 0, not") for v in (0, -1.0, -math.inf)),
        *(("word", v, "word must be one of a, b, not") for v in ("c", "", 3, None, ["a"])),
        *(("truth", v, "truth must be true or false, not") for v in (0, 1, "yes", None)),
        *(
            ("several", v, "several must be a list of whole numbers of at least 0")
            for v in (3, "3", (-1,), (1.0,))
        ),
        *(("perhaps", v, "perhaps must be a whole number of at least 1") for v in (0, 1.5, False)),
    ],
)
def test_a_wrong_value_is_refused_and_its_parameter_named(name, value, says):
    assert refused(lambda: Kinds(**{name: value})).startswith(says)


def test_equal_values_are_kept_as_one():
    assert repr(Kinds(share=0, rate=2, several=(3, 1))) == repr(Kinds(share=-0.0, rate=2.0, several=(3, 1)))


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("whole", "7", 7),
        ("share", "1e-3", 0.001),
        ("word", "b", "b"),
        ("several", "80,120", (80, 120)),
        ("several", "5,", (5,)),
        ("perhaps", "2", 2),
    ],
)
def test_texts_are_read(name, text, value):
    assert DECLARED[name].read(text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [("whole", "1.5"), ("whole", ""), ("share", "half"), ("share", "nan"), ("several", "1,x"), ("several", ",")],
)
def test_texts_that_are_none_are_quoted(name, text):
    refused(lambda: DECLARED[name].read(text, "it"), "it must be a", "not ")


# Of a recipe


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"lr": 0}, "^lr must be a finite number above 0, not 0"),
        ({"batch_size": 0.5}, r"^batch_size must be a whole number of at least 1, not 0\.5"),
        ({"corrupt": 75}, r"^corrupt must be a fraction between 0 and 1, not 75 \(for 75 % write 0\.75\)"),
        ({"corrupt_seed": -1}, "^corrupt_seed must be"),
        ({"noise": "a b"}, "^noise must be a name"),
        ({"optimizer": "SGD"}, "^optimizer must be one of sgd, adam, adamw, not 'SGD'"),
        ({"milestones": 30}, "^milestones must be a list of whole numbers of at least 1, not 30"),
        ({"checkpoints": 2.5}, r"^checkpoints must be how many to keep, or a list of epochs, not 2\.5"),
        ({"checkpoints": -1}, "^checkpoints must be how many to keep"),
        ({"checkpoints": [99]}, "^checkpoints: there is no epoch 99"),
        ({"train_size": 0}, "^train_size must be"),
        ({"learning_rate": 0.1}, "unknown option of a recipe 'learning_rate'"),
        ({"epoch": 3}, "unknown option of a recipe 'epoch': did you mean epochs"),
    ],
    ids=str,
)
def test_the_presets_name_the_parameter(given, says):
    with pytest.raises(MemstudyError, match=says):
        presets.build(**given)


def test_what_is_chosen_builds_the_recipe_again():
    """The options say all of a recipe but its regularizers."""
    given: dict[str, Any] = {
        "lr": 0.2,
        "noise": "pair",
        "corrupt": 0.3,
        "seed": 4,
        "schedule": "multistep",
        "milestones": (2, 9),
    }
    recipe = presets.build("al2", **given)
    found = chosen(recipe)
    assert set(found) == set(OPTIONS)
    assert {key: found[key] for key in given} == given
    left = {key: value for key, value in found.items() if value not in ((), "")}
    assert presets.build("quick", **left) == recipe
