"""Runs continued on other terms, in the size of every change (see `terms`)."""

from __future__ import annotations

import pytest

from tests.reliability import terms
from tests.reliability.tally import Size

pytestmark = pytest.mark.reliability


def test_a_run_continued_on_other_terms_is_what_was_promised():
    for row in terms.campaign(Size.CI, seed=0):
        assert row.tried == row.survived > 0, f"{row.case}, {row.what}: {'; '.join(row.lost)} (seed 0)"
