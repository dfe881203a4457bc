"""Damaged files, in the size of every change (see `damage`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

import pytest

from memstudy.errors import MemstudyError
from memstudy.store import sums
from tests.reliability import damage
from tests.reliability.damage import DAMAGES, Ground, Reference
from tests.reliability.tally import Size
from tests.reliability.workshop import Workshop

pytestmark = pytest.mark.reliability

Prepared = tuple[Workshop, list[Ground]]


@pytest.fixture(scope="module")
def prepared() -> Iterator[Prepared]:
    with damage.prepared(Size.CI) as found:
        yield found


def test_damage_is_named_or_changes_nothing(prepared: Prepared):
    for row in damage.rows(*prepared, Size.CI, seed=0):
        assert row.tried == row.survived > 0, f"{row.case}, {row.what}, seed 0: {'; '.join(row.lost)}"


def lost(prepared: Prepared, *command: str) -> list[str]:
    """What is lost when a bit of a table is flipped, in each region twice, and a command is given."""
    shop, grounds = prepared
    ground = next(one for one in grounds if one.name == "some derived tables")
    damage.restored(shop, ground)
    reference = Reference(shop.call(*command), shop.content())
    (file,) = [name for name in damage.files_of(shop, ground) if name.endswith("/svcca_coefficients.csv")]
    flips = [what for what, (name, _) in enumerate(DAMAGES) if name == "a bit flipped"]
    found = [damage.loss(shop, ground, file, what, command, reference, seed) for what in flips for seed in (0, 1)]
    return [one for one in found if one is not None]


def test_a_number_that_is_read_though_it_was_changed_is_a_loss(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
):
    assert not lost(prepared, "figures")
    monkeypatch.setattr(sums, "fits", lambda *_: True)
    assert "without a word" in " ".join(lost(prepared, "figures"))


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (RuntimeError("oops"), "it crashed: RuntimeError: oops"),
        (MemstudyError("Something is wrong; try again."), "its refusal does not name the file"),
        (MemstudyError("svcca_coefficients.csv is wrong."), "its refusal says not what to do"),
        (TimeoutError("it hung"), "it crashed: TimeoutError"),
    ],
)
def test_another_end_is_a_loss(prepared: Prepared, monkeypatch: pytest.MonkeyPatch, error: Exception, says: str):
    def fails(*_: object) -> NoReturn:
        raise error

    monkeypatch.setattr(sums, "fits", fails)
    assert all(says in one for one in lost(prepared, "pack", "out/pack"))


def test_a_file_that_is_damaged_nowhere_is_noticed(prepared: Prepared):
    shop, grounds = prepared
    assert not damage.forgotten(shop, grounds)
    others = [one for one in grounds if one.name != "a study"]
    assert [name.rpartition("/")[2] for name in damage.forgotten(shop, others)] == ["study.json"]
