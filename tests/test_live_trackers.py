"""Trackers that are told while runs train: nothing that happens to one is anything to training.

The trackers here are another package's, made for the purpose: one that notes, and one for each way to fail.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from memstudy import presets
from memstudy.cli import main
from memstudy.store import RunDirectory, Status
from memstudy.trackers import TRACKERS, following, live
from memstudy.trackers.follower import Asked
from memstudy.trackers.following import SECONDS, SHARE, follow, pause
from memstudy.trackers.live import Destination, told
from tests.kit.outcomes import whole
from tests.kit.runs import write_run

PLUGINS = '''
import json, os, sys, time
from pathlib import Path

from memstudy.trackers import Sent, Tracker


class Notes(Tracker):
    """Keeps what it is told in a file a run; a line an epoch."""

    def _path(self, run):
        return Path(self.into) / f"{run.name}.txt"

    def sent(self, run):
        path = self._path(run)
        lines = path.read_text().splitlines() if path.is_file() else []
        return Sent(len(lines) - 1, lines[0]) if lines else Sent()

    def send(self, run, first, study):
        path, epochs = self._path(run), range(run.epochs)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\\n" for line in [run.status, *(run.row(epoch) for epoch in epochs)]))


class Hangs(Notes):
    def send(self, run, first, study):
        os.system("sleep 1000 &")  # a process of its own that outlives nobody
        time.sleep(1000)


class Dies(Notes):
    def send(self, run, first, study):
        print("the tracker's library is out of order", file=sys.stderr, flush=True)
        os._exit(70)


class Down(Notes):
    def __init__(self, into):
        raise ConnectionError("connection refused")


class Prints(Notes):
    def send(self, run, first, study):
        print("hello from the tracker")
        super().send(run, first, study)
'''
KINDS = ("notes", "hangs", "dies", "down", "prints")


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """The package is there, for this process and those that it starts; on a busy machine they are served last."""
    monkeypatch.setattr(live, "LAST", 300.0)
    place = tmp_path / "site"
    info = place / "trackers_to_test-1.dist-info"
    info.mkdir(parents=True)
    (place / "trackers_to_test.py").write_text(PLUGINS)
    (info / "METADATA").write_text("Name: trackers-to-test\nVersion: 1\n")
    points = "\n".join(f"{kind} = trackers_to_test:{kind.capitalize()}" for kind in KINDS)
    (info / "entry_points.txt").write_text(f"[memstudy.trackers]\n{points}\n")
    monkeypatch.syspath_prepend(place)
    monkeypatch.setenv("PYTHONPATH", f"{place}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("MEMSTUDY_CACHE", str(tmp_path / "cache"))
    vars(TRACKERS).pop("_foreign", None)  # which other packages' there are, if a test before has asked
    yield place
    vars(TRACKERS).pop("_foreign", None)


def run(folder, *words):
    command = ["run", "--reg", "al2", "--epochs", "2", "--train-size", "200", "--runs-dir", str(folder), *words]
    result = CliRunner().invoke(main, command)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def living(group):
    """The processes of a group that have not ended, once those that were killed had time to."""
    deadline = time.monotonic() + 60
    while (found := at_work(group)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def at_work(group):
    """Those that have not ended at this moment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, of_group = path.read_text().rpartition(")")[2].split()[:3]
            if of_group == group and state != "Z":
                found.append(path.parent.name)
    return found


def only(folder):
    (path,) = folder.glob("mnist5k-*")
    return RunDirectory(path)


def test_training_is_byte_equal_whatever_happens_to_its_trackers(plugins, tmp_path):
    """Trackers that work, die, are down and print, at once; each is told of in one sentence."""
    alone = run(tmp_path / "alone")
    told = run(tmp_path / "told", *(word for kind in KINDS if kind != "hangs" for word in ("--track", kind)))
    assert alone.exit_code == told.exit_code == 0
    root = tmp_path / "told"
    assert whole(only(root)) == whole(only(tmp_path / "alone"))
    assert told.stdout == alone.stdout.replace("/alone/", "/told/")
    lines = told.output.splitlines()

    def said(kind):
        return next(line for line in reversed(lines) if line.startswith(f"{kind} ("))

    assert said("notes") == f"notes ({root / 'notes'}) has all of it."
    assert said("prints") == f"prints ({root / 'prints'}) has all of it."
    assert "the tracker's library is out of order" in said("dies")
    assert "connection refused" in said("down")
    name = only(root).name
    assert f"'memstudy track {name} --to down --runs-dir {root}' sends the rest" in said("down")
    for kind in ("notes", "prints"):
        rows = (root / kind / f"{name}.txt").read_text().splitlines()
        assert (rows[0], len(rows)) == ("finished", 3)


def test_a_tracker_that_hangs_is_ended_with_all_that_it_started(plugins, tmp_path, monkeypatch):
    for name, seconds in {"AT_ONCE": 1.0, "LAST": 1.0}.items():
        monkeypatch.setattr(live, name, seconds)
    started = []

    class Noted(subprocess.Popen):
        def __init__(self, *words, **more):
            super().__init__(*words, **more)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    lines: list[str] = []
    directory = write_run(tmp_path / "runs", presets.build(epochs=2), [{}])
    with told([Destination("hangs")], tmp_path / "runs", [directory.name], None, lines.append):
        pass
    assert "does not have all of it: it did not answer within 1 seconds" in lines[-1]
    assert living(str(started[0].pid)) == []


def test_a_tracker_may_be_told_at_a_place_of_its_own(plugins, tmp_path):
    assert run(tmp_path / "runs", "--track", f"notes={tmp_path / 'elsewhere'}").exit_code == 0
    assert len(list((tmp_path / "elsewhere").iterdir())) == 1


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("nots", "unknown tracker 'nots': did you mean notes"),
        ("mlflow", "pip install 'memstudy[mlflow]'"),
    ],
)
def test_what_cannot_be_told_is_said_before_anything_is_trained(plugins, tmp_path, monkeypatch, given, sentence):
    monkeypatch.setattr("memstudy.trackers.find_spec", lambda package: None)
    result = run(tmp_path / "runs", "--track", given)
    assert (result.exit_code, sentence in result.output) == (2, True)
    assert not (tmp_path / "runs").exists()


def test_a_study_that_is_left_to_slurm_cannot_be_followed(plugins, tmp_path):
    words = ["study", "quick", "--on", "slurm", "--detach", "--track", "notes", "--runs-dir", str(tmp_path)]
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, "after --detach, give 'memstudy track --follow'" in result.output) == (2, True)


def begun(folder, into, kind="notes", patience=300.0):
    """A follower of a run that another process trains, and that run."""
    rows = [{"test_accuracy": 0.5}, {"test_accuracy": 0.6}]
    directory = write_run(folder, presets.build(epochs=2), rows[:1])
    asked = Asked(kind, str(into), str(folder), (directory.name,), None, patience)
    code = "from memstudy.trackers import follower; follower.FIRST = 0.0; follower.main()"
    child = subprocess.Popen(
        [sys.executable, "-c", code], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    assert child.stdin
    child.stdin.write(f"{json.dumps(vars(asked))}\n")
    child.stdin.flush()
    return directory, child


def test_a_follower_whose_parent_was_killed_sends_the_rest_and_ends(plugins, tmp_path):
    """The end of its standard input is all that it sees of that."""
    directory, child = begun(tmp_path / "runs", tmp_path / "notes")
    directory.append_metrics(1, {name: 0.25 for name in directory.columns() if name != "epoch"})
    directory.update(status=Status.INTERRUPTED)
    out, _ = child.communicate(timeout=300)
    assert (json.loads(out.splitlines()[-1]), child.returncode) == ({"problem": ""}, 0)
    assert "0.25" in (tmp_path / "notes" / f"{directory.name}.txt").read_text().splitlines()[2]


def test_a_follower_that_hangs_ends_when_its_parent_has(plugins, tmp_path):
    _, child = begun(tmp_path / "runs", tmp_path / "x", "hangs", patience=0.5)
    child.communicate(timeout=300)
    assert child.returncode == -signal.SIGKILL


def test_looking_takes_no_more_than_its_share_of_a_core():
    for busy in (0.0, 0.001, 0.02, 0.5, 30.0):
        assert pause(busy) >= SECONDS
        assert busy / (busy + pause(busy)) <= SHARE * 1.000001


def test_following_looks_once_more_after_the_end(monkeypatch):
    monkeypatch.setattr(following, "SECONDS", 0.0)
    ended, looks = threading.Event(), []

    def look():
        looks.append(ended.is_set())
        if len(looks) == 3:
            ended.set()
        return True

    follow(look, ended)
    assert looks == [False, False, False, True]


@pytest.mark.parametrize("until_ended", [False, True])
def test_following_ends_with_the_runs_unless_they_may_be_tried_again(monkeypatch, until_ended):
    monkeypatch.setattr(following, "SECONDS", 0.0)
    ended, looks = threading.Event(), []

    def look():
        looks.append(1)
        if len(looks) == 5:
            ended.set()
        return False

    follow(look, ended, until_ended)
    assert len(looks) == (6 if until_ended else 1)
