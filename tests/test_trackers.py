"""Trackers: what each package reads back is metrics.csv, and nothing is sent twice."""

import json
import math
import os
import socket
import sqlite3
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from memstudy import presets
from memstudy.cli import main
from memstudy.registry import Registry
from memstudy.store import Status, Store
from memstudy.trackers import Sent, Snapshot, Tracker, connect, group
from memstudy.trackers.sending import Sender
from tests.kit.runs import write_run
from tests.kit.wandb_server import serving

pytestmark = [
    pytest.mark.trackers,
    pytest.mark.filterwarnings("ignore"),
]  # warnings of these packages, by the dozen
RECIPES = [presets.build(reg=reg, seed=seed, epochs=4) for reg in ("bare", "al2") for seed in (0, 1)]
ROWS = [{"test_accuracy": 1 / (3 + epoch), "train_cross_entropy": math.exp(-epoch)} for epoch in range(4)]


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MEMSTUDY_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def store(tmp_path):
    runs = [write_run(tmp_path / "runs", recipe, ROWS[:2], status=Status.INTERRUPTED) for recipe in RECIPES]
    store = Store(tmp_path / "runs")
    store.record_study("tiny", runs, {})
    return store


def finish(run):
    for epoch, values in enumerate(ROWS[2:], 2):
        others = {name: 0.5 for name in run.columns() if name not in (*values, "epoch")}
        run.append_metrics(epoch, {**values, **others, "memorized": math.nan})
    run.finish()


def scalars(folder):
    loaders = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    accumulator = loaders.EventAccumulator(str(folder)).Reload()
    return {
        tag: {event.step: event.value for event in map_}
        for tag in accumulator.Tags()["scalars"]
        if len(map_ := accumulator.Scalars(tag)) == len({event.step for event in map_})
    }


def tracked(store, to, *words):
    return _said(["track", "--to", to, "--runs-dir", str(store.root), *words])


def _said(words):
    result = CliRunner().invoke(main, words)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output, result.exit_code


def test_tensorboard_reads_back_float32_of_metrics_and_nothing_twice(store):
    pytest.importorskip("tensorboard")
    output, code = tracked(store, "tensorboard")
    assert code == 0, output
    assert output.startswith("8 epochs of 4 runs sent")
    assert tracked(store, "tensorboard")[0].startswith("nothing to send: ")
    run = store.open(RECIPES[0])
    finish(run)
    assert tracked(store, "tensorboard")[0].startswith("2 epochs of 1 run sent")
    found, columns = scalars(store.root / "tensorboard" / run.name), run.columns()
    assert set(found) == set(columns) - {"epoch"}
    for name, values in found.items():
        finite = {epoch: float(np.float32(value)) for epoch, value in enumerate(columns[name]) if value == value}
        assert values == finite, name
    assert set(found["memorized"]) == {0, 1}  # what is not finite is left out


def test_tensorboard_cuts_off_what_a_killed_process_left(store):
    pytest.importorskip("tensorboard")
    tracked(store, "tensorboard")
    run = store.open(RECIPES[0])
    (file,) = (store.root / "tensorboard" / run.name).iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-3])
    tracked(store, "tensorboard")
    finish(run)
    tracked(store, "tensorboard")
    assert list(scalars(file.parent)["test_accuracy"]) == [0, 1, 2, 3]


def test_mlflow_reads_back_metrics_exactly_and_nothing_twice(store):
    mlflow = pytest.importorskip("mlflow")
    output, code = tracked(store, "mlflow")
    assert code == 0, output
    run, words = store.open(RECIPES[0]), (f"sqlite:///{store.root}/mlflow/mlflow.db",)
    assert tracked(store, "mlflow")[0].startswith("nothing to send: ")
    finish(run)
    assert tracked(store, "mlflow")[0].startswith("2 epochs of 1 run sent")
    client = mlflow.MlflowClient(tracking_uri=words[0])
    experiment = client.get_experiment_by_name("memstudy").experiment_id
    every = client.search_runs([experiment])
    (parent,) = [each for each in every if "memstudy.study" in each.data.tags]
    children = [each for each in every if each.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert sorted(each.info.run_name for each in children) == sorted(store.names())
    assert len({each.data.tags["memstudy.group"] for each in children}) == 2
    (found,) = [each for each in children if each.info.run_name == run.name]
    assert found.info.status == "FINISHED"
    assert {each.info.status for each in children} == {"FINISHED", "KILLED"}
    assert found.data.params["lr"] == str(Snapshot.of(run).settings["lr"])
    for name, values in run.columns().items():
        history = client.get_metric_history(found.info.run_id, name)
        assert {one.step: one.value for one in history} == {
            epoch: float(value) for epoch, value in enumerate(values) if value == value
        }, name
        assert len(history) == sum(values == values)


def test_mlflow_goes_on_wherever_a_killed_process_stopped(store, tmp_path):
    """Half of the tables were never taken up again, and a run that had just begun never got its settings."""
    mlflow = pytest.importorskip("mlflow")
    whole, half = store.root / "mlflow" / "mlflow.db", tmp_path / "half"
    assert tracked(store, "mlflow")[1] == 0
    half.mkdir()
    aside = half / ".tmp-00000000-1-2-3-mlflow.db"  # half made, by another machine, a day ago
    sqlite3.connect(aside).execute("create table datasets (name text)").connection.commit()
    os.utime(aside, (0, 0))
    assert tracked(store, "mlflow", "--into", str(half))[1] == 0
    assert [path.name for path in half.iterdir()] == ["mlflow.db"]
    database = sqlite3.connect(whole)
    database.executescript("delete from params; delete from metrics; delete from latest_metrics")
    database.close()
    output, code = tracked(store, "mlflow")
    assert (code, output.startswith("8 epochs of 4 runs sent")) == (0, True)
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{whole}")
    experiment = client.get_experiment_by_name("memstudy").experiment_id
    settings = [run.data.params for run in client.search_runs([experiment]) if "memstudy.id" in run.data.tags]
    assert [len(params) > 10 for params in settings] == [True] * 4


def synced(folder, server, home):
    """Give wandb's own command a folder to send to a server."""
    words = {"WANDB_BASE_URL": server.address, "WANDB_API_KEY": "0" * 40, "WANDB_ERROR_REPORTING": "false"}
    result = subprocess.run(
        [sys.executable, "-m", "wandb", "sync", str(folder)],
        env=os.environ | words | {"HOME": str(home)}, cwd=home, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stderr


@pytest.mark.slow
def test_wandb_sync_sends_metrics_exactly_and_each_epoch_once_though_the_run_grew(tmp_path):
    pytest.importorskip("wandb")
    recipe, rows = (
        presets.build(reg="al2", epochs=200),
        [{"test_accuracy": 1 / (3 + epoch)} for epoch in range(199)],
    )
    run = write_run(tmp_path / "runs", recipe, rows, status=Status.INTERRUPTED)
    store = Store(tmp_path / "runs")
    store.record_study("tiny", [run], {})
    folder = store.root / "wandb"
    with serving() as server:
        assert tracked(store, "wandb")[0].startswith("199 epochs of 1 run sent")
        assert "Finished syncing" in synced(folder, server, tmp_path)
        assert len(server.history(recipe.id)) == 199
        assert (server.exits, server.summary(recipe.id)["memstudy/status"]) == ({recipe.id: 1}, "interrupted")
        assert "Skipped 1 synced" in synced(folder, server, tmp_path)
        others = {name: 0.5 for name in run.columns() if name not in ("test_accuracy", "epoch", "memorized")}
        run.append_metrics(199, {"test_accuracy": 0.25, "memorized": math.nan, **others})
        run.finish()
        assert tracked(store, "wandb")[0].startswith("1 epoch of 1 run sent")
        assert "Finished syncing" in synced(folder, server, tmp_path)
    assert max(path.stat().st_size for path in folder.rglob("*.wandb")) > 2 * 32768  # records across blocks
    columns = run.columns()
    expected = [
        {"_step": epoch}
        | {name: each[epoch] for name, each in columns.items() if name != "epoch" and each[epoch] == each[epoch]}
        for epoch in range(200)
    ]
    assert server.history(recipe.id) == expected
    assert server.exits == {recipe.id: 0}
    assert server.summary(recipe.id)["memstudy/status"] == "finished"
    told = server.runs[recipe.id]
    assert (told["displayName"], told["groupName"], told["tags"]) == (run.name, group(recipe), ["tiny"])
    assert {name: value["value"] for name, value in json.loads(told["config"]).items()}.items() >= Snapshot.of(
        run
    ).settings.items()


def logged(store, run):
    """The steps and values that wandb's records have, in order, and the kinds of the last two."""
    module = pytest.importorskip("memstudy.trackers.wandb")
    (file,) = (store.root / "wandb" / f"offline-run-{run.name}-1").glob("*.wandb")
    records = [module.protocol.Record.FromString(data) for data, _ in module._whole_records(file.read_bytes())]
    assert [record.num for record in records] == list(range(1, len(records) + 1))
    rows = [
        {item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
        for record in records
        if record.WhichOneof("record_type") == "history"
    ]
    return file, rows, [record.WhichOneof("record_type") for record in records[-2:]]


def test_wandb_is_told_nothing_twice_of_four_runs_at_once(store):
    pytest.importorskip("wandb")
    assert tracked(store, "wandb")[0].startswith("8 epochs of 4 runs sent")
    assert tracked(store, "wandb")[0].startswith("nothing to send: ")
    run = store.open(RECIPES[0])
    finish(run)
    assert tracked(store, "wandb")[0].startswith("2 epochs of 1 run sent")
    assert tracked(store, "wandb")[0].startswith("nothing to send: ")
    for each in store.members("tiny"):
        _, rows, last = logged(store, each)
        assert [row["_step"] for row in rows] == list(range(4 if each.name == run.name else 2))
        assert ("exit" in last) == (each.name == run.name)
        assert [row["test_accuracy"] for row in rows] == list(each.columns()["test_accuracy"])


def test_wandb_has_each_epoch_once_wherever_a_killed_process_stopped_writing(store):
    pytest.importorskip("wandb")
    tracked(store, "wandb")
    run, runs = store.open(RECIPES[0]), store.members("tiny")[:1]
    assert run.name == runs[0].name
    file, before, _ = logged(store, run)
    finish(run)
    tracked(store, "wandb")
    whole, expected = file.read_bytes(), logged(store, run)[1:]
    assert len(expected[0]) == len(before) + 2
    for size in range(0, len(whole), 13):
        file.write_bytes(whole[:size])
        Sender(connect("wandb", None, store.root)).send(runs)
        assert logged(store, run)[1:] == expected, size
    file.write_bytes(whole[:500] + b"\xff" + whole[501:])  # a damaged one: all from there on is written anew
    Sender(connect("wandb", None, store.root)).send(runs)
    assert logged(store, run)[1:] == expected


def test_a_failed_run_of_wandb_that_is_tried_again_ends_once(store):
    pytest.importorskip("wandb")
    run = store.open(RECIPES[0])
    run.update(status=Status.FAILED, failure="no memory")
    tracked(store, "wandb")
    assert logged(store, run)[2] == ["summary", "exit"]
    finish(run)
    tracked(store, "wandb")
    file, rows, last = logged(store, run)
    assert ([row["_step"] for row in rows], last) == ([0, 1, 2, 3], ["summary", "exit"])
    assert file.read_bytes().count(b"memstudy/failure") == 2


@pytest.mark.parametrize("length", [0, 1, 32000, 32768 - 14, 32768 - 13, 32768 - 8, 32768 - 7, 32768, 100_000])
def test_records_of_wandb_of_any_length_are_read_back(length):
    module = pytest.importorskip("memstudy.trackers.wandb")
    content, ends = bytearray(module.MAGIC), []
    records = [bytes([number]) * length for number in range(1, 8)]
    for record in records:
        for piece in module._pieces(record, len(content)):
            content += piece
        ends.append(len(content))
    assert list(module._whole_records(bytes(content))) == list(zip(records, ends, strict=True))


def test_wandb_starts_nothing_reaches_nothing_and_writes_to_its_folder_alone(store, tmp_path, monkeypatch):
    pytest.importorskip("wandb")

    def never(*given, **named):
        raise AssertionError(given)

    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    monkeypatch.setattr(socket.socket, "connect", never)
    monkeypatch.setattr(subprocess, "Popen", never)
    before = set(tmp_path.rglob("*"))
    assert tracked(store, "wandb", "--into", str(tmp_path / "there"))[1] == 0
    new = {path.relative_to(tmp_path).parts[0] for path in set(tmp_path.rglob("*")) - before}
    assert new <= {"there", "cache"}
    assert len(list((tmp_path / "there").rglob("*.wandb"))) == 4


class Noting(Tracker):
    """A tracker in memory; it is down while `down`."""

    def __init__(self, into):
        super().__init__(into)
        self.has, self.down = {}, False

    def sent(self, run):
        if self.down:
            raise ConnectionError("refused")
        return self.has.get(run.id, Sent())

    def send(self, run, first, study):
        assert first == self.sent(run).epochs
        self.has[run.id] = Sent(run.epochs, str(run.status))


def test_a_tracker_that_was_down_gets_all_of_it_later(store, tmp_path):
    tracker = Noting(str(tmp_path))
    sender, runs = Sender(tracker), store.members("tiny")
    tracker.down = True
    assert sender.send(runs)
    assert len(sender.problems) == 4
    assert "refused" in next(iter(sender.problems.values()))
    tracker.down = False
    sender.send(runs)
    assert (sender.epochs, sender.problems) == (8, {})
    sender.send(runs)
    assert (len(sender.runs), sender.epochs) == (4, 8)
    finish(runs[0])
    sender.send(runs)
    assert (len(sender.runs), sender.epochs) == (4, 10)  # four runs still


def test_a_damaged_run_does_not_keep_others_from_being_sent(store, tmp_path):
    runs = store.members("tiny")
    (runs[0].path / "metrics.csv").write_text("nonsense\n1\n2\n")
    sender = Sender(Noting(str(tmp_path)))
    sender.send(runs)
    assert (len(sender.runs), list(sender.problems)) == (3, [runs[0].name])


def test_the_run_directory_is_left_as_it_is(store, tmp_path):
    def content():
        return {path: path.read_bytes() for name in store.names() for path in (store.root / name).rglob("*.*")}

    before = content()
    Sender(Noting(str(tmp_path))).send(store.members("tiny"))
    assert content() == before


def test_a_group_is_a_recipe_without_its_seeds():
    assert group(RECIPES[0]) == group(RECIPES[1]) != group(RECIPES[2])
    assert group(RECIPES[0]) != group(presets.build(reg="bare", epochs=5))


def test_a_snapshot_leaves_out_what_is_not_finite(store):
    run = store.open(RECIPES[0])
    finish(run)
    assert "memorized" not in Snapshot.of(run).row(2)


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_a_missing_package_answers_with_the_install_line(store, name, monkeypatch):
    monkeypatch.setattr("memstudy.trackers.find_spec", lambda package: None)
    output, code = tracked(store, name)
    assert code == 2
    assert f"pip install 'memstudy[{name}]'" in output


def test_a_misspelt_tracker_answers_with_the_nearest(store):
    output, code = tracked(store, "mflow")
    assert (code, "did you mean mlflow" in output) == (2, True)


@pytest.mark.parametrize(("name", "instead"), [("tensorboard", "--logdir"), ("wandb", "wandb sync FOLDER")])
def test_what_keeps_a_folder_takes_no_address_and_says_what_to_do(store, name, instead, monkeypatch):
    monkeypatch.chdir(store.root)
    for output, code in (
        tracked(store, name, "--into", "https://api.wandb.ai"),
        _said(["run", "--track", f"{name}=https://api.wandb.ai", "--runs-dir", str(store.root)]),
    ):
        assert (code, instead in " ".join(output.split())) == (2, True), output
    assert not (store.root / "https:").exists()


def test_an_address_that_does_not_answer_is_said_once(store):
    pytest.importorskip("mlflow")
    output, code = tracked(store, "mlflow", "--into", "http://127.0.0.1:9")
    assert code != 0
    assert output.count("127.0.0.1") <= 3
    assert "Traceback" not in output


def test_another_package_may_add_a_tracker():
    assert Registry("tracker").group == "memstudy.trackers"
