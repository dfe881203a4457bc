"""One writer at a time: the dead are succeeded by rule, one successor wins, who was succeeded writes nothing."""

import inspect
import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from memstudy import files, lease, presets, processes
from memstudy.errors import Busy
from memstudy.lease import Held, Lease, Owner
from memstudy.store import RunDirectory, Status, Store
from tests.kit.leases import take
from tests.kit.runs import write_run

RECIPE = presets.build()
LEAVE = "lease.acquire(); print(flush=True)"


@pytest.fixture
def path(tmp_path):
    return tmp_path / ".lease"


@pytest.fixture
def quick(monkeypatch):
    """Heartbeats and leases that a test can wait for."""
    monkeypatch.setattr(lease, "HEARTBEAT", 0.05)
    monkeypatch.setattr(lease, "DURATION", 0.4)


def process(path, then, *before):
    """A process that acquires the lease and then does something; it prints a line when it has it."""
    code = f"from pathlib import Path; from memstudy.lease import Lease; lease = Lease(Path({str(path)!r})); "
    words = [*before, sys.executable, "-c", code + then]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)


def elsewhere(monkeypatch, name="another-host"):
    """From now on this is another machine."""
    monkeypatch.setattr(socket, "gethostname", lambda: name)


def change(path, **values):
    """Change what a marker says, as if its owner had written it so."""
    path.write_text(json.dumps(json.loads(path.read_text()) | values) + "\n")


def acquired(path, **options):
    mine = Lease(path)
    mine.acquire(**options)
    return mine


def abandoned(path):
    """The marker of an owner that gives no sign of life, as if its machine had stopped."""
    mine = Lease(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lease, "_beat", lambda self: None)
        mine.acquire()
    return mine


def known(owner: Owner | None) -> Owner:
    """The owner, of whom there must be one."""
    assert owner is not None
    return owner


# Owners of this machine


def test_a_living_owner_is_never_succeeded(path, quick):
    owner = process(path, LEAVE + "; input()")
    assert owner.stdout.readline()
    os.kill(owner.pid, signal.SIGSTOP)  # no heartbeat for longer than its lease
    time.sleep(0.6)
    with pytest.raises(Held) as held:
        acquired(path, patience=0.1)
    assert (known(held.value.owner).pid, known(held.value.owner).host) == (owner.pid, socket.gethostname())
    os.kill(owner.pid, signal.SIGCONT)
    owner.communicate("\n")


@pytest.mark.parametrize("reaped", [True, False])
def test_a_dead_owner_is_succeeded_at_once(path, reaped):
    """Also where nobody has asked how it ended, as in a container without an init process."""
    owner = process(path, LEAVE + "; import os; os.kill(os.getpid(), 9)")
    owner.stdout.readline()
    if reaped:
        owner.wait()
    else:
        os.waitid(os.P_PID, owner.pid, os.WEXITED | os.WNOWAIT)
    assert path.exists()
    assert lease.owner(path) is None
    mine = acquired(path)
    assert known(lease.owner(path)).pid == os.getpid()
    assert mine.release()
    assert not path.exists()
    owner.communicate()


def test_a_number_that_is_another_process_now_is_a_dead_owner_s(path):
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    abandoned(path)
    change(path, pid=other.pid, start=processes.start(other.pid))
    assert lease.owner(path) is not None
    change(path, start="1")
    assert lease.owner(path) is None
    acquired(path, patience=0).release()
    other.communicate(b"\n")


def test_what_is_released_is_free(path):
    for _ in range(3):
        assert acquired(path, patience=0).release()
        assert list(path.parent.iterdir()) == []


def test_an_owner_has_a_few_moments_to_end(path):
    mine = acquired(path)
    threading.Timer(0.2, mine.release).start()
    acquired(path).release()


# Owners of other machines


def test_an_owner_elsewhere_is_succeeded_when_its_lease_has_passed_unseen(path, quick, monkeypatch):
    abandoned(path)
    os.utime(path, (0, 0))  # however old its heartbeat says it is: clocks do not matter
    elsewhere(monkeypatch)
    began = time.monotonic()
    mine = acquired(path)
    assert time.monotonic() - began >= 0.4
    assert json.loads(path.read_text())["host"] == "another-host"
    assert mine.release()


def test_owners_elsewhere_that_were_seen_together_are_waited_for_together(tmp_path, quick, monkeypatch):
    """As the runs of a machine that has failed: not a lease's duration for each."""
    paths = [tmp_path / f"{number}" for number in range(3)]
    for path in paths:
        abandoned(path)
    elsewhere(monkeypatch)
    for path in paths:
        lease.owner(path)
    time.sleep(0.4)
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("it waits again"))
    taken = [acquired(path) for path in paths]
    assert all(mine.release() for mine in taken)


def test_a_heartbeat_of_long_ago_does_not_show_that_an_owner_lives(path, quick, monkeypatch):
    abandoned(path)
    elsewhere(monkeypatch)
    lease.owner(path)
    os.utime(path)  # its last
    assert acquired(path).release()


def test_one_heartbeat_shows_that_an_owner_elsewhere_lives(path, monkeypatch):
    monkeypatch.setattr(lease, "HEARTBEAT", 0.3)
    mine = acquired(path)
    elsewhere(monkeypatch)
    with pytest.raises(Held):  # long before its lease has passed
        acquired(path)
    assert known(lease.owner(path)).pid == os.getpid()
    monkeypatch.undo()
    assert mine.release()


def test_at_a_glance_an_owner_elsewhere_is_there_until_its_lease_has_passed(path, monkeypatch):
    abandoned(path)
    elsewhere(monkeypatch)
    assert known(lease.owner(path)).host != "another-host"
    then = time.time() - lease.DURATION - 1
    os.utime(path, (then, then))
    monkeypatch.setattr(lease, "_KNOWN", {})  # a process that has not seen it before
    assert lease.owner(path) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "1"}', '{"host": 1, "pid": 1}', "\x00\xff"])
def test_a_marker_that_says_nothing_counts_as_of_another_machine(path, quick, content):
    path.write_text(content)
    assert lease.owner(path) is None
    began = time.monotonic()
    assert acquired(path).release()
    assert time.monotonic() - began >= 0.4


def test_the_same_name_after_a_reboot_is_another_machine(path, quick):
    abandoned(path)
    change(path, machine="booted-before/1")
    began = time.monotonic()
    assert acquired(path).release()
    assert time.monotonic() - began >= 0.4


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(["unshare", "--uts", "true"], capture_output=True).returncode != 0,
    reason="needs to be allowed to give a process another host's name",
)
def test_two_real_hosts_names(path):
    words = ["unshare", "--uts", "sh", "-c", 'hostname elsewhere && exec "$@"', "-"]
    owner = process(path, LEAVE + "; input(); lease.release()", *words)
    owner.stdout.readline()
    found = known(lease.owner(path))
    assert (found.host, found.here, found.dead) == ("elsewhere", False, False)
    owner.communicate("\n")
    assert not path.exists()


# Several at once


def test_of_several_successors_one_wins(path):
    rounds, takers = 30, 3
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    abandoned(path)
    change(path, pid=dead.pid, start="1")
    for number in range(rounds):
        Path(f"{path}{number}").write_bytes(path.read_bytes())
    context = multiprocessing.get_context("spawn")
    start, wins = context.Barrier(takers), context.Queue()
    others = [context.Process(target=take, args=(path, start, rounds, wins)) for _ in range(takers)]
    for one in others:
        one.start()
    won = [wins.get(timeout=60) for _ in range(rounds)]
    for one in others:
        one.join()
    assert sorted(won) == list(range(rounds))
    assert wins.empty()
    assert sorted(path.parent.iterdir()) == sorted([path, *(Path(f"{path}{n}") for n in range(rounds))])


def test_a_successor_that_died_while_it_claimed_is_passed_over(path, monkeypatch):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    abandoned(path)
    change(path, pid=dead.pid, start="1")
    claim = path.with_name(f".lease.{files.digest(path.read_bytes())[:16]}.0")
    shutil.copy(path, claim)
    assert acquired(path).release()
    assert list(path.parent.iterdir()) == []


def test_who_claims_too_late_leaves_the_new_owner_alone(path):
    abandoned(path)
    before = lease._seen(path)
    path.unlink()
    mine = acquired(path)
    late = Lease(path)
    late._content = b"late"
    assert before is not None
    assert not late._succeed(before)
    mine.check()
    assert mine.release()


def test_an_interrupted_acquisition_leaves_nothing(path, monkeypatch):
    def interrupt(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Lease, "_beat", interrupt)
    with pytest.raises(KeyboardInterrupt):
        acquired(path)
    assert list(path.parent.iterdir()) == []
    assert not any(thread.name == "lease" for thread in threading.enumerate())


def test_a_process_that_ends_with_a_lease_ends(path):
    owner = process(path, LEAVE + "; raise SystemExit(3)")
    assert owner.wait(timeout=30) == 3
    owner.communicate()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_forked_child_is_no_owner(path):
    code = (
        LEAVE + "; import os; child = os.fork(); done = child or lease.release(); child and os.waitpid(child, 0); "
    )
    owner = process(path, code + "child or os._exit(0); lease.check(); lease.release()")
    owner.communicate()
    assert owner.returncode == 0
    assert not path.exists()


# Run directories


def contents(folder):
    return {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.rglob("*") if file.is_file()}


WRITES = {
    "update": lambda run: run.update(status=Status.INTERRUPTED),
    "append_metrics": lambda run: run.append_metrics(2, {"test_accuracy": 0.5}),
    "save_resume": lambda run: run.save_resume(2, {}),
    "save_checkpoint": lambda run: run.save_checkpoint(1, {}),
    "save_labels": lambda run: run.save_labels(b""),
    "write_recipe": lambda run: run.write_recipe(),
    "log": lambda run: run.log("late"),
    "finish": lambda run: run.finish(),
    "keep": lambda run: run.keep(0),
    "records": lambda run: run.records.write(0, {}),
}


def test_who_was_succeeded_writes_nothing_more(tmp_path, monkeypatch):
    """As a process that was stopped, and another machine went on."""
    run = write_run(tmp_path, RECIPE, [{}, {}])
    with run.lock():
        run.log("still ours")
        change(run.path / ".lease", host="another-host", pid=77, token="theirs")
        before = contents(run.path)
        for write in WRITES.values():
            with pytest.raises(Busy, match=r"another process \(process 77 on another-host, .* has taken it over"):
                write(run)
        assert contents(run.path) == before
    assert contents(run.path) == before
    with pytest.raises(Busy):  # for good
        run.log("late")


def test_all_that_writes_is_refused_to_who_was_succeeded():
    """A method that writes files and is not in the list above fails here."""
    source = Path(inspect.getfile(RunDirectory)).read_text()
    methods = source.split("\n    def ")[1:]
    writing = {
        m.partition("(")[0] for m in methods if "files.write(" in m or "resume.write(" in m or '.open("a' in m
    }
    assert {"write_recipe", "append_metrics", "_save", "save_resume", "log", "keep"} == writing
    for name in writing | {"update", "finish"}:
        assert f"@_writes\n    def {name}(" in source, name


def test_the_sentence_on_a_run_in_others_hands_says_whose(tmp_path):
    run = write_run(tmp_path, RECIPE)
    who = rf"by another process \(process {os.getpid()} on {socket.gethostname()}"
    with run.lock(), pytest.raises(Busy, match=who), Store(tmp_path).open(RECIPE).lock():
        pytest.fail("there are two writers")


def test_a_look_at_who_writes_changes_nothing(tmp_path, monkeypatch):
    run = write_run(tmp_path, RECIPE)
    with run.lock():
        before = contents(tmp_path)
        found = known(run.owner)
        assert (found.pid, found.host) == (os.getpid(), socket.gethostname())
        assert found.since <= files.now()
        assert abs(found.heartbeat - time.time()) < 5
        assert (run.locked, run.status) == (True, Status.RUNNING)
        assert contents(tmp_path) == before
    assert (run.owner, run.locked, run.status) == (None, False, Status.INTERRUPTED)


def test_the_lock_of_an_earlier_version_is_kept_while_it_runs_and_tidied_after(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    run = write_run(tmp_path, RECIPE)
    with (run.path / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert (run.locked, run.status) == (True, Status.RUNNING)
        with pytest.raises(Busy, match="of an earlier version"), run.lock():
            pytest.fail("there are two writers")
    with run.lock():
        pass
    assert not any(file.name.startswith(".l") for file in run.path.iterdir())


# Other clocks


CLOCKS = [-86_400 * 400, -120, 3600]
"""Seconds by which the clock of who writes is ahead of ours."""


@pytest.mark.parametrize("ahead", CLOCKS)
def test_who_has_seen_an_owner_s_heartbeat_goes_by_that_and_by_no_clock(path, quick, monkeypatch, ahead):
    abandoned(path)
    elsewhere(monkeypatch)
    then = time.time() + ahead
    os.utime(path, (then, then))
    lease.owner(path)
    os.utime(path, (then + 1, then + 1))
    assert known(lease.owner(path)).pid == os.getpid()
    time.sleep(0.4)
    assert lease.owner(path) is None


@pytest.mark.parametrize("ahead", CLOCKS)
def test_to_be_sure_of_an_owner_elsewhere_no_clock_matters(path, quick, monkeypatch, ahead):
    """A dead host whose clock was ahead held its runs for ever: nobody could remove them."""
    dead, alive = path.with_name("dead"), path.with_name("alive")
    abandoned(dead)
    abandoned(alive)
    elsewhere(monkeypatch)
    then = time.time() + ahead
    for marker in (dead, alive):
        os.utime(marker, (then, then))
    assert lease.living([dead]) == {}
    timer = threading.Timer(0.1, lambda: os.utime(alive, (then + 1, then + 1)))
    timer.start()
    assert list(lease.living([dead, alive])) == [alive]
    timer.join()
    assert lease.living([path.with_name("none")]) == {}


def test_a_dead_host_s_run_can_be_removed_whatever_its_clock_said(tmp_path, quick, command, monkeypatch):
    run = write_run(tmp_path / "runs", RECIPE, [{}])
    abandoned(run.path / ".lease")
    elsewhere(monkeypatch)
    then = time.time() + 86_400
    os.utime(run.path / ".lease", (then, then))
    assert command("rm", run.name, "--yes").exit_code == 0
    assert not run.path.exists()


def test_the_newest_study_is_the_one_recorded_last_also_by_a_clock_that_was_set_back(tmp_path, monkeypatch):
    store, now = Store(tmp_path), time.time()
    for ahead, name in ((0, "first"), (3600, "ahead"), (-3600, "back"), (-7200, "last"), (-7200, "again")):
        monkeypatch.setattr(time, "time", lambda ahead=ahead: now + ahead)
        store.record_study(name, [], {})
    assert store.studies() == ["again", "last", "back", "ahead", "first"]
