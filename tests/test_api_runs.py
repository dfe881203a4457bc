"""Whole runs and studies from Python: as the commands do them, and as data frames."""

import sys
from typing import Any

import pandas as pd
import pytest

import memstudy
from memstudy import presets
from memstudy.data.dataset import prepare
from memstudy.store import Status, Store, tidy
from tests.kit.runs import write_run
from tests.kit.sentences import refused

STUDY = """
preset = "quick"
seeds = 2
[common]
epochs = 1
[grid]
reg = ["bare", "al2"]
[report]
analyses = []
"""


@pytest.fixture
def store(tmp_path):
    """Two runs with metrics written by hand, one without an epoch, one damaged."""
    for reg, epochs in (("bare", 2), ("al2", 2), ("do", 0)):
        write_run(tmp_path / "runs", presets.build(reg=reg), [{"memorized": 0.25}] * epochs)
    broken = write_run(tmp_path / "runs", presets.build(reg="wd"), [{}])
    (broken.path / "metrics.csv").write_text("epoch\n0\n")
    return tmp_path / "runs"


def test_runs_are_a_table(store):
    opened = memstudy.open(store)
    runs = opened.runs()
    assert sorted(runs["reg"]) == ["al2", "bare", "do"]
    assert runs.set_index("reg").loc["al2", "memorized"] == 0.25
    assert list(runs["memorized"].isna()) == list(runs["reg"] == "do")
    assert list(opened.runs("reg=al2 and memorized>0.2")["al2.advance"]) == [5.0]
    assert len(opened.runs("reg=nobody")) == 0
    assert "has no column" in "".join(opened.damaged().values())
    assert len(opened) == 4
    assert [run.recipe.regularizers for run in opened]
    assert opened.studies() == []


def test_metrics_are_those_that_are_exported(store):
    opened = memstudy.open(store)
    found = opened.metrics("reg in (bare, al2)")
    expected = tidy.metrics_of(Store(store).choose((), "reg in (bare, al2)"))
    pd.testing.assert_frame_equal(found, expected)
    assert len(found) == 4


def test_what_is_not_there_is_said(store, tmp_path):
    opened = memstudy.open(store)
    refused(lambda: memstudy.open(tmp_path / "none"), "there is no store")
    refused(lambda: opened.runs("regg=al2"), "did you mean reg")
    refused(lambda: opened.records(), "no run in", "--dynamics")
    refused(lambda: opened.run("nobody"), "unknown run")
    refused(lambda: opened.metrics("reg=nobody"), "no run is as")


def test_a_run_is_the_commands(small_source, command, tmp_path):
    """The same options are the same run: what Python has trained, the command finds finished."""
    run = memstudy.run(
        store=tmp_path / "runs", reg=memstudy.AL2(initial=1.0), epochs=1, corrupt=0.5, seed=3, device="cpu"
    )
    words = [
        "--reg",
        "al2",
        "--set",
        "al2.initial=1",
        "--set",
        "al2.advance=1",
        "--epochs",
        "1",
        "--corrupt",
        "0.5",
        "--seed",
        "3",
    ]
    state = (run.path / "state.json").read_bytes()
    done = command("run", *words, "--runs-dir", str(tmp_path / "runs"), "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [run.name]
    assert (run.path / "state.json").read_bytes() == state
    assert str(run) in done.output
    assert (run.status, len(run.metrics()), run.summary()["seed"]) == ("finished", 1, 3)
    labels = prepare(small_source, run.recipe)
    assert (run.labels().noisy == labels.noisy_labels.numpy()).all()
    drawn = memstudy.corrupt(labels.images.train_labels, "symmetric", 0.5, images=memstudy.Images(small_source))
    assert (run.labels().noisy == drawn.noisy.numpy()).all()
    samples = memstudy.open(tmp_path / "runs").records()
    assert (samples["corrupted"] == drawn.mask.numpy()).all()
    memorized = (samples["prediction"] == samples["noisy"])[samples["corrupted"]].mean()
    assert memorized == pytest.approx(run.metrics()["memorized"].iloc[-1])
    judged = run.verdict().memorized
    assert judged is not None
    assert judged.value == pytest.approx(memorized)
    assert "finished" in repr(run)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"preset": "quik"}, "did you mean quick"),
        ({"epoch": 1}, "did you mean epochs"),
        ({"reg": "al3"}, "did you mean al2"),
        ({"reg": memstudy.AL2(), "options": {"al2": {"advance": 1}}}, "have their own"),
        ({"corrupt": 75}, "write 0.75"),
        ({"reg": [memstudy.AL2(), memstudy.AL2(advance=5)]}, "regularizer 'al2' is given twice"),
        ({"reg": 3}, "or penalties such as memstudy.AL2(), not 3"),
        ({"reg": [3]}, "or penalties such as memstudy.AL2(), not [3]"),
        ({"store": 3}, "store must be the path of a folder, not 3"),
        ({"data_dir": 3}, "data_dir must be the path of a folder, not 3"),
        ({"recipe": presets.build(), "epochs": 3}, "leave out reg, options"),
        ({"label_column": "noisy"}, "give the file with --labels"),
        ({"dataset": "./none.npz"}, "there is no image set at"),
        ({"device": "tpu"}, "tpu"),
    ],
)
def test_a_wrong_run_is_refused_and_leaves_nothing(tmp_path, given, sentence):
    refused(lambda: memstudy.run(**({"store": tmp_path / "runs"} | given)), sentence)
    assert list(tmp_path.iterdir()) == []


def test_a_study_from_a_file(small_source, tmp_path):
    (tmp_path / "mine.toml").write_text(STUDY)
    told: list[str] = []
    done = memstudy.study(tmp_path / "mine.toml", store=tmp_path / "runs", seeds=1, device="cpu", say=told.append)
    assert [run.status for run in done.runs] == ["finished", "finished"]
    assert sorted(done.metrics()["reg"]) == ["al2", "bare"]
    assert {"memorization", "table1"} <= {*done.numbers()["table"]}
    assert any(str(done.path / "figures") in sentence for sentence in told)
    assert memstudy.open(tmp_path / "runs").studies() == ["mine"]
    failed = done.runs[0].directory
    failed.update(status=Status.FAILED, failure="the loss became non-finite")
    again = lambda: memstudy.study(tmp_path / "mine.toml", store=tmp_path / "runs", seeds=1, train_only=True)  # noqa: E731
    refused(again, "1 of 2 runs failed", "the loss became non-finite")


def test_a_wrong_study_is_refused(tmp_path):
    refused(lambda: memstudy.study("quik", store=tmp_path), "did you mean quick")
    refused(lambda: memstudy.study(tmp_path / "none.toml", store=tmp_path), "cannot read the study")
    refused(lambda: memstudy.study("quick", scale="huge", store=tmp_path), "no scales")
    assert list(tmp_path.iterdir()) == []


def test_the_package_of_studies_is_the_verb_too():
    """Python binds the subpackage to the name that the API has for its verb."""
    package: Any = sys.modules["memstudy.study"]
    assert getattr(memstudy, "study") is package  # noqa: B009
    refused(lambda: package("quik"), "did you mean quick")


def test_a_store_stays_where_it_was_when_the_working_directory_changes(tmp_path, monkeypatch):
    """As in a notebook, and by Hydra."""
    write_run(tmp_path / "here" / "runs", presets.build(), [{}], status=Status.FINISHED)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    opened = memstudy.open("runs")
    (run,) = opened
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len(run.metrics()) == len(opened.runs()) == 1
