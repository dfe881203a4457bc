"""The kill campaign in its small size, and that its comparison can fail."""

from __future__ import annotations

import shutil

import pytest

from tests.reliability.kills import campaign
from tests.reliability.same import differences
from tests.reliability.tally import Size

pytestmark = pytest.mark.reliability


def test_whatever_is_killed_ends_with_the_same_bytes():
    rows = list(campaign(Size.CI, seed=0))
    assert sum(row.tried for row in rows) >= 20
    assert [sentence for row in rows for sentence in row.lost] == []


@pytest.mark.parametrize("file", ["metrics.csv", "state.json", "labels.npz", "dynamics/loss.f16"])
def test_the_comparison_can_fail(store_copy, tmp_path, file):
    other = tmp_path / "other"
    shutil.copytree(store_copy.root, other)
    assert differences(other, store_copy.root) == []
    path = next(other.glob(f"*/{file}"))
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1) + b" ")
    (sentence,) = differences(other, store_copy.root)
    assert path.name in sentence
    path.unlink()
    assert differences(other, store_copy.root) == [f"{path.relative_to(other).as_posix()} is not there"]
