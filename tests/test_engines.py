"""A study that moves from engine to engine ends as one that never left: runs and tables, byte for byte.

Forty runs of 400 real images, two epochs each: begun on a real Slurm, killed there, continued on a real Ray,
interrupted, and finished here.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from memstudy.store import RunDirectory, Store
from tests.kit.outcomes import whole
from tests.kit.slurm import Cluster, needs_slurm, said, waited_for

pytestmark = [
    pytest.mark.engine,
    needs_slurm,
    pytest.mark.skipif(find_spec("submitit") is None, reason="submitit is not installed"),
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
]

STUDY = """
name = "forty"
seeds = 10
[grid]
reg = ["bare", "al2"]
corrupt = [0.25, 0.75]
epochs = 2
train_size = 400
[report]
analyses = []
"""
RUNS = 40


def words(folder: Path, store: str, *options: str) -> list[str]:
    """The command of the study, in a store of the folder."""
    study = [str(folder / "forty.toml"), "--runs-dir", str(folder / store), "--device", "cpu"]
    return [sys.executable, "-m", "memstudy", "study", *study, *options]


def said_by(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def finished(store: Path) -> set[str]:
    return {run.name for run in _begun(store) if run.finished}


def _begun(store: Path) -> list[RunDirectory]:
    """Also while they are being made."""
    return [RunDirectory(path.parent) for path in store.glob("*/state.json")]


def tables(store: Path) -> dict[str, bytes]:
    """What was derived, by its path: every CSV."""
    folder = store / "studies"
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.csv"))}


def test_forty_runs_from_slurm_to_ray_to_this_machine(slurm: Cluster, tmp_path: Path):
    (tmp_path / "forty.toml").write_text(STUDY)
    moved = tmp_path / "moved"

    said_by(words(tmp_path, "moved", "--on", "slurm", "--chunk", "8", "--detach"))
    waited_for(lambda: len(finished(moved)) >= 8, 120)
    said("scancel", "--user=root", "--signal=KILL", "--full")
    said("scancel", "--user=root")
    waited_for(lambda: not slurm.states())
    on_slurm = finished(moved)
    assert 8 <= len(on_slurm) < RUNS

    ray = subprocess.Popen(
        words(tmp_path, "moved", "--on", "ray", "--chunk", "4"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        waited_for(lambda: len(finished(moved)) >= len(on_slurm) + 4 or ray.poll() is not None, 120)
        ray.send_signal(signal.SIGINT)
        _, error = ray.communicate(timeout=90)
    finally:
        ray.kill()
    assert b"the same command continues" in error, error
    on_ray = finished(moved)
    assert on_slurm < on_ray
    assert len(on_ray) < RUNS

    said_by(words(tmp_path, "moved"))
    said_by(words(tmp_path, "stayed"))
    stayed = Store(tmp_path / "stayed").runs()
    assert len(stayed) == RUNS
    for run in stayed:
        assert whole(Store(moved).one(run.name)) == whole(run)
    assert tables(moved)
    assert tables(moved) == tables(tmp_path / "stayed")
