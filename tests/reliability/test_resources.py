"""What commands take and leave, in the size of every change (see `resources`)."""

from __future__ import annotations

import sys

import pytest

from tests.reliability import resources
from tests.reliability.tally import Size

pytestmark = [
    pytest.mark.reliability,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes and memory through /proc"),
]


def test_nothing_grows_and_nothing_is_left():
    for row in resources.campaign(Size.CI, seed=0):
        assert row.tried == row.survived > 0, f"{row.case}, {row.what}: {'; '.join(row.lost)}"
