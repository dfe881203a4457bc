"""Crowds of processes, in the size of every change (see `crowds`)."""

from __future__ import annotations

import pytest

from tests.reliability import crowds
from tests.reliability.tally import Size

pytestmark = pytest.mark.reliability


def test_nothing_is_lost_among_many_processes():
    for row in crowds.campaign(Size.CI, seed=0):
        assert row.tried == row.survived > 0, f"{row.case}, {row.what}: {'; '.join(row.lost)}"
