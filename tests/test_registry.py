"""Registries: nothing is imported before it is asked for, misspelt names are answered, others may add."""

import sys
from importlib.metadata import EntryPoint

import pytest

from memstudy import registry
from memstudy.data import RULES, SOURCES
from memstudy.errors import MemstudyError, unknown
from memstudy.models import NETWORKS
from memstudy.registry import Registry
from memstudy.regularizers import REGULARIZERS


@pytest.mark.parametrize("table", [RULES, SOURCES, NETWORKS, REGULARIZERS], ids=lambda table: table.kind)
def test_every_name_leads_to_something(table):
    assert table.names()
    assert all(table.get(name) is not None for name in table.names())


@pytest.mark.parametrize(
    ("table", "wrong", "right"),
    [
        (RULES, "symetric", "symmetric"),
        (SOURCES, "mnist5", "mnist5k"),
        (SOURCES, "MNIST", "mnist"),
        (NETWORKS, "smalnet", "smallnet"),
        (REGULARIZERS, "al3", "al2"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(table, wrong, right):
    with pytest.raises(MemstudyError, match=rf"unknown {table.kind} '{wrong}': did you mean .*\b{right}\b"):
        table.get(wrong)


def test_a_name_like_no_other_is_answered_with_all():
    with pytest.raises(MemstudyError) as caught:
        SOURCES.get("zzzzzz")
    assert "did you mean" not in str(caught.value)
    assert "known are cifar10, cifar100, cifar100-coarse, digits, fashion, mnist, mnist5k." in str(caught.value)


def test_the_answer_to_an_unknown_name_is_one_sentence():
    assert str(unknown("thing", "foo", "ab")) == "unknown thing 'foo'; known are a, b."
    assert str(unknown("thing", "fo", ["for"])) == "unknown thing 'fo': did you mean for? Known are for."
    assert str(unknown("thing", "foo", [])) == "unknown thing 'foo'; there are none."
    many = str(unknown("thing", "x" * 400_000, map(str, range(5_000))))
    assert len(many) < 600
    assert many.endswith(" … (5,000 in all).")


def test_nothing_is_imported_before_get():
    name = "antigravity_is_not_imported"
    assert Registry("thing", it=f"{name}:attribute").names() == ["it"]
    assert name not in sys.modules


@pytest.fixture
def foreign(monkeypatch):
    """Entry points as another package would declare them: one new name, one that is ours already."""
    points = [
        EntryPoint("theirs", "math:pi", "memstudy.numbers"),
        EntryPoint("ours", "math:e", "memstudy.numbers"),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: [p for p in points if p.group == group])


@pytest.mark.usefixtures("foreign")
def test_another_package_registers_through_an_entry_point():
    import math

    table = Registry("number", ours="math:tau")
    assert table.names() == ["ours", "theirs"]
    assert table.get("theirs") == math.pi
    assert table.get("ours") == math.tau  # an own name wins


@pytest.mark.usefixtures("foreign")
def test_entry_points_of_another_kind_are_not_seen():
    assert Registry("letter", a="math:tau").names() == ["a"]
