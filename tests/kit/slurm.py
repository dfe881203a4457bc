"""A real Slurm of one machine, in a temporary directory: munged, slurmctld and two slurmd, on loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo")
CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={ctld}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=1,requeue_delay=1
SchedulerType=sched/backfill
ReturnToService=2
KillWait=15
MinJobAge=300
OverTimeLimit=0
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PreemptExemptTime=0
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs=2 RealMemory=1000 State=UNKNOWN
PartitionName=usual Nodes=n1,n2 Default=YES MaxTime=60 State=UP PriorityTier=1 PreemptMode=REQUEUE
PartitionName=weak Nodes=n1,n2 MaxTime=60 State=UP PriorityTier=1 PreemptMode=CANCEL
PartitionName=strong Nodes=n1,n2 MaxTime=60 State=UP PriorityTier=10 PreemptMode=OFF
"""


def available() -> bool:
    """Whether Slurm's programs are here, and this is root, who may start them."""
    return os.name == "posix" and os.geteuid() == 0 and all(map(shutil.which, PROGRAMS))


needs_slurm = pytest.mark.skipif(not available(), reason="no Slurm (slurm-wlm and munge, started as root)")


@dataclass
class Cluster:
    """Daemons and the folder they are in."""

    folder: Path
    daemons: dict[str, subprocess.Popen[bytes]]

    def start(self, name: str, *words: str) -> None:
        """Start a daemon in the foreground."""
        with (self.folder / f"{name}.out").open("ab") as log:
            self.daemons[name] = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT)

    def stop(self, name: str) -> None:
        """Stop a daemon, and wait for it."""
        daemon = self.daemons.pop(name)
        daemon.terminate()
        try:
            daemon.wait(20)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def controller(self) -> None:
        """Start the controller, and wait until it answers."""
        self.start("slurmctld", "slurmctld", "-D")
        waited_for(lambda: "UP" in said("scontrol", "ping"))

    def states(self) -> dict[str, str]:
        """The state of each job in the queue, by its name: `12_0`."""
        lines = said("squeue", "--noheader", "--array", "--format=%i %T").splitlines()
        return dict(map(str.split, filter(str.strip, lines)))

    def release(self) -> None:
        """Let jobs start that were queued again: Slurm makes them wait for two minutes."""
        for job, state in self.states().items():
            if state == "PENDING":
                said("scontrol", "update", f"JobId={job}", "StartTime=now")


def said(*words: str) -> str:
    """What a program prints."""
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False).stdout


def waited_for(condition, seconds: float = 60.0):
    """Wait until a condition holds; its value then. Fails loudly if it never does."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)
    return value


def _ports(count: int) -> list[int]:
    """Free ports, one after the other."""
    for first in range(21000, 60000, 7):
        try:
            sockets = [socket.create_server(("127.0.0.1", first + number)) for number in range(count)]
        except OSError:
            continue
        for one in sockets:
            one.close()
        return list(range(first, first + count))
    raise AssertionError("no free ports")


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """A cluster, until the end of the block. SLURM_CONF is set meanwhile."""
    host, ports = socket.gethostname(), _ports(3)
    conf = folder / "slurm.conf"
    conf.write_text(CONF.format(host=host, folder=folder, ctld=ports[0], first=ports[1], last=ports[2]))
    (folder / "state").mkdir()
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    cluster = Cluster(folder, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(conf))
        try:
            cluster.start(
                "munged", "munged", "--foreground", "--force", f"--socket={folder}/munge.socket",
                f"--key-file={folder}/munge.key", f"--pid-file={folder}/munged.pid",
                f"--log-file={folder}/munged.log", f"--seed-file={folder}/munge.seed",
            )  # fmt: skip
            waited_for((folder / "munge.socket").exists)
            for node in ("n1", "n2"):
                (folder / f"spool-{node}").mkdir()
                cluster.start(node, "slurmd", "-D", "-N", node)
            cluster.controller()
            waited_for(lambda: said("sinfo", "--noheader", "--partition=usual", "--format=%T").strip() == "idle")
            yield cluster
        finally:
            subprocess.run(["scancel", "--user=root", "--signal=KILL"], check=False, capture_output=True)
            for name in list(cluster.daemons)[::-1]:
                cluster.stop(name)


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster for the tests of a file."""
    with running(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster
