"""A study on a real Ray cluster of two nodes: whatever happens to them, runs end as on this machine alone."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from memstudy import presets
from memstudy.errors import Interrupted, MemstudyError
from memstudy.store import Store
from memstudy.study.carry_out import Execution, carry_out
from memstudy.study.executors import Watch
from memstudy.study.executors.chunk import Chunk
from memstudy.study.executors.ray import Ray
from tests.kit import ray_cluster
from tests.kit.outcomes import whole

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
    pytest.mark.filterwarnings("ignore"),  # Ray's own, of its processes and sockets
]

CPU = Execution(device="cpu")
LONG = 60


def recipes(epochs: int = LONG, seeds=(0, 1)):
    return [
        presets.build(reg=reg, epochs=epochs, train_size=400, seed=s) for s in seeds for reg in ("bare", "al2")
    ]


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Store:
    """The long runs, trained in this process, undisturbed."""
    store = Store(tmp_path_factory.mktemp("alone"))
    for recipe in recipes():
        carry_out(store.open(recipe), CPU)
    return store


@pytest.fixture(scope="module")
def cluster():
    """A head without cores, and a node with one."""
    with ray_cluster.running() as made:
        yield made


def test_a_node_is_lost_in_mid_study(cluster, alone, tmp_path):
    store = Store(tmp_path)
    runs = [store.open(recipe) for recipe in recipes()]
    second = cluster.add_node(num_cpus=1)
    lost: list[object] = []

    def lose_one() -> None:
        if not lost and sum(run.epochs_done > 3 for run in runs) > 1:
            lost.append(second)
            threading.Thread(target=cluster.remove_node, args=(second,), kwargs={"allow_graceful": False}).start()

    outcomes = Ray(address=cluster.address).carry_out(runs, CPU, store.folder("s"), Watch(tick=lose_one))
    assert lost
    assert {outcome.run.name: outcome.error for outcome in outcomes} == {run.name: None for run in runs}
    assert [whole(run) for run in runs] == [whole(alone.open(recipe)) for recipe in recipes()]
    assert max(len(run.state()["sessions"]) for run in runs) == 2


def test_what_is_finished_is_not_begun_again(cluster, alone, tmp_path):
    runs = [alone.open(recipe) for recipe in recipes()]
    outcomes = Ray(address="127.0.0.1:1").carry_out(runs, CPU, tmp_path)  # nothing is left: nobody is asked
    assert [outcome.error for outcome in outcomes] == [None] * 4


def test_an_address_that_does_not_answer_is_said_within_seconds(tmp_path):
    run = Store(tmp_path).open(recipes(1)[0])
    began = time.monotonic()
    with pytest.raises(MemstudyError, match=r"no Ray cluster answers at 127\.0\.0\.1:1 .*ray start --head"):
        Ray(address="127.0.0.1:1").carry_out([run], CPU, tmp_path)
    with pytest.raises(MemstudyError, match="address is host:port, or auto, not 'nonsense'"):
        Ray(address="nonsense").carry_out([run], CPU, tmp_path)
    assert time.monotonic() - began < 20
    assert not run.exists


def test_at_its_time_all_are_saved_and_the_same_command_continues(cluster, alone, tmp_path):
    store = Store(tmp_path)
    runs = [store.open(recipe) for recipe in recipes()]
    limited = Execution(device="cpu", deadline=time.monotonic() + 12)
    outcomes = Ray(address=cluster.address).carry_out(runs, limited, store.folder("s"))
    stopped = [outcome.run for outcome in outcomes if isinstance(outcome.error, Interrupted)]
    assert stopped
    assert len(outcomes) == len(runs)
    assert not any(run.locked for run in runs)
    Ray(address=cluster.address, chunk=2).carry_out(runs, CPU, store.folder("s"))
    assert [whole(run) for run in runs] == [whole(alone.open(recipe)) for recipe in recipes()]


def test_ctrl_c_saves_on_a_cluster_of_this_machine(tmp_path):
    (tmp_path / "s.toml").write_text('name = "s"\n[grid]\nepochs = 2000\ntrain_size = 400\n')
    words = [sys.executable, "-m", "memstudy", "study", "s.toml", "--on", "ray", "--train-only"]
    process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 90
    while not list(tmp_path.glob("runs/*/metrics.csv")) and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=90)
    assert process.returncode == 130, error
    assert "on a Ray cluster of this machine: 1 node" in error
    assert "stopped and saved; the same command continues" in error
    (run,) = Store(tmp_path / "runs").runs()
    assert run.load_resume() is not None
    assert not run.locked


def test_a_study_begun_here_goes_on_elsewhere_and_ends_here(cluster, alone, tmp_path):
    """The executors share nothing but run directories."""
    store = Store(tmp_path)
    runs = [store.open(recipe) for recipe in recipes()]
    for run in runs[:2]:
        with pytest.raises(Interrupted):
            carry_out(run, Execution(device="cpu", deadline=time.monotonic() + 0.2))
    Ray(address=cluster.address).carry_out(runs[:3], CPU, store.folder("s"))
    carry_out(runs[3], CPU)
    assert [whole(run) for run in runs] == [whole(alone.open(recipe)) for recipe in recipes()]


def chunk(tmp_path: Path, **changes: Any) -> Chunk:
    (tmp_path / "here").touch()
    usual = Chunk((Store(tmp_path).open(recipes(1)[0]),), CPU, 1, 1, tmp_path / "here")
    return replace(usual, **changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"version": "0.0"}, "n7 has memstudy .*, and the study was started with 0.0; install the same version"),
        ({"marker": Path("/nowhere/here")}, "n7 does not see the store .*choose a --runs-dir"),
        ({"execution": Execution(device="cuda:77")}, "on n7: there is no"),
    ],
)
def test_a_node_says_what_it_lacks(tmp_path, changes, sentence):
    chunk(tmp_path).check("n7")
    with pytest.raises(MemstudyError, match=sentence):
        chunk(tmp_path, **changes).check("n7")
