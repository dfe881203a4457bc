"""The kill campaign in its small size, and that its comparison can fail."""

from __future__ import annotations

import shutil

import pytest

from tests.reliability.kills import campaign, cases, engines
from tests.reliability.same import differences
from tests.reliability.tally import Size

pytestmark = pytest.mark.reliability


def test_whatever_is_killed_ends_with_the_same_bytes():
    rows = list(campaign(Size.CI, seed=0))
    assert sum(row.tried for row in rows) >= 20
    assert [sentence for row in rows for sentence in row.lost] == []


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore")  # Ray's own, of its processes and sockets
@pytest.mark.parametrize("engine", ["slurm", "ray"])
def test_whatever_is_killed_of_a_cluster_its_runs_end_with_the_same_bytes(tmp_path, engine):
    if engine not in engines.engines():
        pytest.skip(f"{engine} is not installed, or may not be started")
    (tmp_path / "data").mkdir()
    cases.write_sets(tmp_path / "data")
    rows = list(engines.campaign(tmp_path, tmp_path / "data", seed=0, names=(engine,)))
    assert len(rows) >= 4
    assert [sentence for row in rows for sentence in row.lost] == []


@pytest.mark.parametrize("file", ["metrics.csv", "state.json", "labels.npz", "dynamics/loss.npy"])
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
