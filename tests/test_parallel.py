"""One run in several processes: the parts of a batch make the whole, and two processes train what one does."""

from __future__ import annotations

import os
import subprocess
import sys

import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from memstudy import presets
from memstudy.store import Status, Store
from memstudy.study.carry_out import Execution, carry_out
from memstudy.training import Ranks


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [1, 2, 8, 39])
def test_the_parts_means_by_their_weights_are_the_whole_s_mean(corrupted, size, count):
    """Cross-entropy of pixels as logits of real labels; in float64."""
    images, labels = corrupted.images.train_images, corrupted.noisy_labels
    whole = torch.arange(count)

    def loss(part):
        logits = images[part].double().flatten(1)[:, 300:310] / 255
        return F.cross_entropy(logits, labels[part])

    found = [Ranks(rank, size).part(whole) for rank in range(size)]
    mean = sum(weight * loss(part) for part, weight in found) / size
    assert float(mean) == pytest.approx(float(loss(whole)), rel=1e-12)
    taken = torch.cat([part for part, weight in found if weight])
    assert torch.equal(taken, whole)
    assert sum(Ranks(0, size).samples(whole, weight) for _, weight in found) == pytest.approx(count)


def test_processes_draw_apart_and_the_first_as_if_alone():
    assert Ranks(0, 4).purpose("dropout") == Ranks().purpose("dropout") == "dropout"
    assert len({Ranks(rank, 4).purpose("dropout") for rank in range(4)}) == 4


def test_one_process_unless_torchrun_says_otherwise(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert Ranks.from_environment() == Ranks()
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert Ranks.from_environment() == Ranks(3, 4, 1)
    assert not Ranks.from_environment().leads


def test_a_study_is_not_for_torchrun(command, monkeypatch, tmp_path):
    (tmp_path / "s.toml").write_text('name = "one"\n[grid]\nepochs = 1\n')
    monkeypatch.setenv("WORLD_SIZE", "2")
    result = command("study", "s.toml")
    assert result.exit_code == 2
    assert "torchrun is for 'memstudy run'" in result.output


def torchrun(folder, *words):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "-m", "memstudy", "run", "--device", "cpu", "--threads", "1", *words],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_two_processes_train_what_one_does(tmp_path):
    """Without dropout and batch normalization, to float32's rounding: seven steps an epoch, the last one smaller.

    At a learning rate at which rounding does not grow: at .03 two layouts on one device differ by 1e-4, too.
    """
    words = ("--epochs", "2", "--train-size", "400", "--reg", "al2+loco+wd", "--lr", "0.001")
    printed = torchrun(tmp_path, *words)
    assert printed.count("preset quick") == printed.count("verdict:") == 1
    recipe = presets.build(epochs=2, train_size=400, reg="al2+loco+wd", lr=0.001)
    two = Store(tmp_path / "runs").open(recipe)
    one = carry_out(Store(tmp_path / "one").open(recipe), Execution(device="cpu"))
    assert two.status is Status.FINISHED
    assert two.state()["sessions"][-1]["processes"] == 2
    names = ["train_cross_entropy", "train_activation_loss", "penalty_loco", "test_cross_entropy"]
    pd.testing.assert_frame_equal(two.metrics()[names], one.metrics()[names], rtol=2e-6)
    assert not two.metrics()[names].equals(one.metrics()[names])  # they did sum in another order
