"""Crowds of processes, in the size of every change (see `crowds`)."""

from __future__ import annotations

import json

import pytest

from memstudy.store import Store
from tests.reliability import crowds
from tests.reliability.children import Ended
from tests.reliability.crowds.readers import Story, Trial, moment
from tests.reliability.crowds.replay import History
from tests.reliability.crowds.world import Reference, recipe
from tests.reliability.tally import Size

pytestmark = pytest.mark.reliability


def test_nothing_is_lost_among_many_processes():
    for row in crowds.campaign(Size.CI, seed=0):
        assert row.tried == row.survived > 0, f"{row.case}, {row.what}: {'; '.join(row.lost)}"


RIGHT = {"name": "x", "status": "running", "epochs_done": 1, "last": {"memorized": 0.5}}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (RIGHT | {"status": "interrupted"}, "never was"),
        (RIGHT | {"epochs_done": 2}, "never was"),
        (RIGHT | {"last": {"memorized": 0.25}}, "never was"),
        (RIGHT | {"name": "y"}, "never was"),
        (RIGHT | {"note": "x is damaged"}, "speaks of damage"),
        ("Traceback (most recent call last)", "crashed"),
    ],
)
def test_the_check_of_an_answer_can_fail(tmp_path, wrong, says):
    reference = Reference(Store(tmp_path), {"x": recipe()})
    trial = Trial(Story(reference, History(({},)), "x", (), tmp_path), "memstudy runs --json", 0, tmp_path)
    assert trial._problem(Ended(0, json.dumps({"runs": [RIGHT]}), ""), (moment(RIGHT),)) == ""
    assert says in trial._problem(Ended(0, json.dumps({"runs": [wrong]}), ""), (moment(RIGHT),))
