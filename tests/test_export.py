"""What cleanlab makes of an export: it finds corrupted labels, and not from another sample's probabilities."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cleanlab.filter import find_label_issues  # type: ignore[import-untyped]
from click.testing import CliRunner

from memstudy import presets
from memstudy.cli import main
from memstudy.data import artifact, dataset
from memstudy.derived.export import default_epoch, memorizing_from
from memstudy.derived.workbench import Workbench
from memstudy.store import Store
from memstudy.study.carry_out import Execution, carry_out
from memstudy.training import DeviceData, predict

RATE = 0.4
EPOCHS = 5


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Five epochs on 1,000 real images, 40 % symmetric noise."""
    recipe = presets.build(corrupt=RATE, train_size=1000, epochs=EPOCHS, batch_size=32)
    return carry_out(Store(tmp_path_factory.mktemp("runs")).open(recipe), Execution(device="cpu"))


def export(run, path, *words):
    line = ["export", run.name, "--cleanlab", str(path), "--runs-dir", str(run.path.parent), *words]
    return CliRunner().invoke(main, line)


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("exports") / "probs.npz"
    answer = export(run, path)
    assert answer.exit_code == 0, answer.output
    with np.load(path) as found:
        return {name: found[name] for name in found.files}


def test_cleanlab_finds_corrupted_labels(exported):
    """Of what it names, 80 % at least is wrong, twice what naming at random gives; and it names half of them."""
    issues = find_label_issues(exported["labels"], exported["pred_probs"], n_jobs=1)
    corrupted = exported["corrupted"]
    assert corrupted.mean() == pytest.approx(RATE, abs=0.05)
    assert corrupted[issues].mean() > corrupted.mean() + 0.4
    assert issues[corrupted].mean() > 0.5


def test_it_does_not_with_other_samples_probabilities(exported):
    """The negative control: shuffled, they find no more than chance."""
    order = np.random.default_rng(0).permutation(len(exported["labels"]))
    issues = find_label_issues(exported["labels"], exported["pred_probs"][order], n_jobs=1)
    corrupted = exported["corrupted"]
    assert issues.any()
    assert abs(corrupted[issues].mean() - corrupted.mean()) < 0.1


def test_what_is_exported_is_what_the_network_predicts(run, exported):
    made, epoch = artifact.read(run.path / "labels.npz"), int(exported["epoch"])
    for name, expected in {
        "labels": made.noisy, "true_labels": made.clean, "corrupted": made.mask, "positions": made.positions,
    }.items():  # fmt: skip
        assert np.array_equal(exported[name], expected)
    assert str(exported["run"]) == run.name
    data = DeviceData.of(dataset.build(run.recipe), torch.device("cpu"))
    logits = predict(Workbench(torch.device("cpu")).network(run, epoch), data, data.train_images)
    assert np.array_equal(exported["pred_probs"], logits.double().softmax(dim=1).numpy())
    assert exported["pred_probs"].sum(axis=1) == pytest.approx(np.ones(1000), abs=1e-12)


def test_the_default_epoch_is_the_last_kept_before_memorization_is_proven(run, monkeypatch):
    losses = run.metrics()["train_cross_entropy"]
    state = run.state()

    def floored(floor):
        monkeypatch.setattr(run, "state", lambda: state | {"floor": floor})
        return memorizing_from(run), default_epoch(run)

    assert floored(losses.min() - 1) == (None, EPOCHS - 1)
    assert floored(losses.max() + 1) == (0, 0)
    assert floored((losses[2] + losses[3]) / 2) == (3, 2)  # the loss falls from epoch to epoch
    monkeypatch.setattr(run, "checkpoints", lambda: [0, 1, 4])
    assert default_epoch(run) == 1


def test_it_says_that_they_are_in_sample(run, tmp_path):
    answer = export(run, tmp_path / "probs.npz", "--epoch", "0")
    text = " ".join(answer.output.split())
    assert "In-sample" in text
    assert "after epoch 0 (counted from 0)" in text
    share = run.metrics()["memorized"].iloc[0]
    assert f"After epoch 0 it predicts {100 * share:.1f} % of the wrong labels." in text


@pytest.mark.parametrize(
    ("name", "words", "sentence"),
    [
        ("probs.npy", (), "does not end in .npz"),
        ("probs.npz", ("--epoch", "99"), "has no checkpoint of epoch 99; it has: 0, 1, 2, 3, 4"),
        ("probs.npz", ("--device", "tpu"), "unknown device"),
        ("there.npz", (), "is there already, with other content"),
    ],
)
def test_a_mistake_is_a_sentence_and_writes_nothing(run, tmp_path, name, words, sentence):
    (tmp_path / "there.npz").write_bytes(b"mine")
    answer = export(run, tmp_path / name, *words)
    assert answer.exit_code == 2
    assert sentence in " ".join(answer.output.split())
    assert [path.name for path in tmp_path.iterdir()] == ["there.npz"]
    assert (tmp_path / "there.npz").read_bytes() == b"mine"


def test_one_run_at_a_time(trained, tmp_path):
    words = ["export", "*", "--cleanlab", str(tmp_path / "probs.npz"), "--runs-dir", str(trained)]
    answer = CliRunner().invoke(main, words)
    assert answer.exit_code == 2
    assert "'*' names 8" in answer.output
