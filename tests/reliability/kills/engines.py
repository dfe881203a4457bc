"""Kills on clusters: a real Slurm and a real Ray on this machine, where these are installed.

What is killed is the command that waits, a process that trains, a node, and Slurm's controller. Then the same
command is given again until it ends, and every file of the runs is compared with what one machine alone gives.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

from tests.kit import ray_cluster, slurm
from tests.reliability.same import differences
from tests.reliability.tally import Row

STUDY = """
name = "long"
seeds = 2
[grid]
dataset = "few"
epochs = 40
checkpoints = 3
batch_size = 30
reg = ["bare", "al2"]
"""
OF_ENGINES = ("*/slurm/*", "*/ray/*")
"""What an engine notes beside a study: its jobs, where it ran."""
SECONDS, AGAIN = 240.0, 5
"""How long a command may take, and how often it is given again: a job that is lost is told of, and ends it."""


@dataclass(frozen=True)
class Place:
    """A store, the study's command, and what a cluster needs of it."""

    root: Path
    data: Path
    options: tuple[str, ...] = ()

    def begin(self) -> subprocess.Popen[bytes]:
        """Give the command; what it says goes to `said.txt`."""
        self.root.mkdir(exist_ok=True)
        (self.root / "long.toml").write_text(STUDY)
        words = ["study", "long.toml", "--train-only", "--device", "cpu", "--threads", "1", *self.options]
        known = {
            "MEMSTUDY_DATA": str(self.data),
            "MEMSTUDY_CACHE": str(self.data / "cache"),
            "OMP_NUM_THREADS": "1",
        }
        with (self.root / "said.txt").open("ab") as said:
            return subprocess.Popen(
                [sys.executable, "-m", "memstudy", *words],
                cwd=self.root, env={**os.environ, **known}, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            )  # fmt: skip

    def to_its_end(self) -> str:
        """Give the command until it ends well; what was wrong, if it does not."""
        for _ in range(AGAIN):
            code = _ended(self.begin())
            if code == 0:
                return ""
            time.sleep(2)
        said = (self.root / "said.txt").read_text()
        return f"given again {AGAIN} times it ended with {code}: {said[-600:]}"

    def trains(self) -> bool:
        """Whether a run has done some epochs, and goes on."""
        rows = [path.read_bytes().count(b"\n") for path in self.root.glob("runs/*/metrics.csv")]
        return any(3 < count < 30 for count in rows) and bool(self.writers())

    def writers(self) -> list[int]:
        """The processes that train."""
        found = []
        for path in self.root.glob("runs/*/.lease"):
            try:
                found.append(int(json.loads(path.read_text())["pid"]))
            except (OSError, ValueError, KeyError):
                continue
        return sorted(set(found))


def _ended(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


Strike = Callable[[Place, subprocess.Popen[bytes]], None]


def kill_command(place: Place, command: subprocess.Popen[bytes]) -> None:
    """The command that waits."""
    command.kill()


def kill_worker(place: Place, command: subprocess.Popen[bytes]) -> None:
    """A process that trains."""
    for pid in place.writers()[:1]:
        _kill(pid)


def kill_all(place: Place, command: subprocess.Popen[bytes]) -> None:
    """All of it, as when a machine fails."""
    command.kill()
    for pid in place.writers():
        _kill(pid)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _kill_slurmd(cluster: slurm.Cluster, place: Place, command: subprocess.Popen[bytes]) -> None:
    """A node: its daemon, and all that trains; it comes back, as after a power failure."""
    cluster.daemons["n1"].kill()
    cluster.stop("n1")
    for pid in place.writers():
        _kill(pid)
    time.sleep(1)
    cluster.start("n1", "slurmd", "-D", "-N", "n1")


def _kill_controller(cluster: slurm.Cluster, place: Place, command: subprocess.Popen[bytes]) -> None:
    """Slurm's controller; it comes back."""
    cluster.daemons["slurmctld"].kill()
    cluster.stop("slurmctld")
    time.sleep(1)
    cluster.controller()


def _remove_node(cluster: Any, place: Place, command: subprocess.Popen[bytes]) -> None:
    """One of Ray's nodes, with all that runs on it; another one comes."""
    (working,) = cluster.worker_nodes
    cluster.remove_node(working, allow_graceful=False)
    cluster.add_node(num_cpus=1)


@contextmanager
def _on_slurm(folder: Path) -> Iterator[tuple[tuple[str, ...], Mapping[str, Strike]]]:
    with slurm.running(folder) as cluster:
        yield (
            ("--on", "slurm", "--chunk", "2"),
            {
                "the command": kill_command,
                "a job's process": kill_worker,
                "a node": partial(_kill_slurmd, cluster),
                "the controller": partial(_kill_controller, cluster),
                "the command and all jobs' processes": kill_all,
            },
        )


@contextmanager
def _on_ray(folder: Path) -> Iterator[tuple[tuple[str, ...], Mapping[str, Strike]]]:
    with ray_cluster.running() as cluster:
        yield (
            ("--on", "ray", "--address", cluster.address),
            {
                "the command": kill_command,
                "a task's process": kill_worker,
                "a node": partial(_remove_node, cluster),
                "the command and all tasks' processes": kill_all,
            },
        )


@contextmanager
def _here(folder: Path) -> Iterator[tuple[tuple[str, ...], Mapping[str, Strike]]]:
    strikes: Mapping[str, Strike] = {
        "the command": kill_command,
        "a process that trains": kill_worker,
        "the command and all its processes": kill_all,
    }
    yield ("--jobs", "2"), strikes


def engines() -> dict[str, Callable[[Path], Any]]:
    """The engines that are installed here, by the name that users give them."""
    found: dict[str, Callable[[Path], Any]] = {"local": _here}
    if slurm.available() and find_spec("submitit"):
        found["slurm"] = _on_slurm
    if find_spec("ray"):
        found["ray"] = _on_ray
    return found


def campaign(folder: Path, data: Path, seed: int, names: tuple[str, ...] = ()) -> Iterator[Row]:
    """Kill each part of each engine once; a row for each. `names`: of these engines only."""
    reference = Place(folder / "reference", data, ("--jobs", "2"))
    if failed := reference.to_its_end():
        raise AssertionError(failed)
    for name, engine in engines().items():
        if names and name not in names:
            continue
        (folder / name).mkdir()
        with engine(folder / name) as (options, strikes):
            for what, strike in strikes.items():
                place = Place(folder / f"{name}-{what.replace(' ', '-')}", data, options)
                wrong = _struck(place, strike, Random(f"{seed} {name} {what}"), reference)
                lost = tuple(f"seed {seed}: {sentence}" for sentence in wrong)
                yield Row("kills", f"study --on {name}", f"SIGKILL of {what}", 1, int(not lost), lost)


def _struck(place: Place, strike: Strike, random: Random, reference: Place) -> list[str]:
    """Begin a study, kill a part of what carries it out as it trains, and let it end; what does not hold."""
    command = place.begin()
    slurm.waited_for(lambda: place.trains() or command.poll() is not None, SECONDS)
    if command.poll() is not None:
        return [f"it ended before it could be struck: {(place.root / 'said.txt').read_text()[-600:]}"]
    time.sleep(random.uniform(0, 1))
    strike(place, command)
    _ended(command)
    wrong = place.to_its_end()
    said = (place.root / "said.txt").read_text()
    return [
        *([wrong] if wrong else []),
        *([f"a traceback: {said[-1500:]}"] if "Traceback" in said else []),
        *differences(place.root / "runs", reference.root / "runs", OF_ENGINES),
    ]
