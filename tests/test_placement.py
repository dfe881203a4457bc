"""Layout and threads follow from network and machine: run, study and a continued run give the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import torch

from memstudy import presets
from memstudy.errors import Interrupted
from memstudy.models import NETWORKS
from memstudy.recipe import Recipe
from memstudy.store import RunDirectory, Store
from memstudy.study.carry_out import Execution, carry_out
from memstudy.training import DeviceData, Placement, TrainingState, placement
from memstudy.training.placement import LAYOUTS, usual_threads
from tests.kit.stopping import Stop

CPU, META = torch.device("cpu"), torch.device("meta")
STUDY = """
name = "two"
about = "two runs"
preset = "quick"
seeds = 1

[grid]
reg = ["bare", "bn"]
epochs = 2
train_size = 400
"""


@pytest.fixture
def many_cores(monkeypatch):
    """A machine of 32 cores, whatever this one is."""
    monkeypatch.setattr(placement, "cores", lambda: 32)


def session(run: RunDirectory) -> tuple[str, int]:
    """Layout and threads of a run's newest session."""
    newest = run.state()["sessions"][-1]
    return newest["layout"], newest["threads"]


def written(run: RunDirectory) -> dict[str, bytes]:
    """What training a run has left."""
    kept = [
        run.path / "metrics.csv",
        *sorted(run.path.glob("checkpoints/*")),
        *sorted(run.path.glob("dynamics/*")),
    ]
    return {path.name: path.read_bytes() for path in kept}


def test_the_table_knows_networks_of_ours():
    assert set(placement.SMALL) <= set(NETWORKS.names())
    assert {preset.recipe.network for preset in presets.PRESETS.values()} <= set(placement.SMALL)


def test_a_layout_follows_from_the_device(many_cores):
    assert [Placement.usual(CPU, threads).layout for threads in (1, 4)] == ["channels_last"] * 2
    assert Placement.usual(torch.device("cuda")).layout == "contiguous"


def test_threads_follow_from_network_device_and_cores(many_cores, monkeypatch):
    assert usual_threads("smallnet", CPU) == 1
    assert usual_threads("resnet18", CPU) == placement.MOST_THREADS
    assert usual_threads("resnet18", torch.device("cuda")) == 1
    monkeypatch.setattr(placement, "cores", lambda: 2)
    assert usual_threads("resnet18", CPU) == 2


@pytest.mark.slow
def test_run_study_and_continued_run_give_the_same_bits(command, tmp_path, many_cores):
    """Of a preset's network, and without a word about threads or layout."""
    file = tmp_path / "two.toml"
    file.write_text(STUDY)
    for reg in ("bare", "bn"):
        command("run", "--reg", reg, "--epochs", "2", "--train-size", "400", "--runs-dir", str(tmp_path / "alone"))
    command("study", str(file), "--train-only", "--runs-dir", str(tmp_path / "study"), "--jobs", "1")
    for recipe in (presets.build(reg=reg, epochs=2, train_size=400) for reg in ("bare", "bn")):
        continued = Store(tmp_path / "continued").open(recipe)
        with pytest.raises(Interrupted):
            carry_out(continued, Execution(device="cpu", threads="auto"), Stop(0))
        carry_out(continued, Execution(device="cpu"))
        found = [Store(tmp_path / place).open(recipe) for place in ("alone", "study")]
        assert [session(run) for run in (*found, continued)] == [("channels_last", 1)] * 3
        assert written(found[0]) == written(found[1]) == written(continued)


def begun(recipe: Recipe, root: Path, threads: Literal["auto"] | int | None) -> RunDirectory:
    """A run that stopped after its first epoch."""
    run = Store(root).open(recipe)
    with pytest.raises(Interrupted):
        carry_out(run, Execution(device="cpu", threads=threads), Stop(0))
    return run


def test_a_continued_run_keeps_its_threads_unless_told(small_source, tmp_path):
    run = begun(presets.build(epochs=4), tmp_path, threads=2)
    sessions: list[tuple[Literal["auto"] | int | None, int]] = [(None, 2), ("auto", 2), (1, 1)]
    for threads, kept in sessions:
        with pytest.raises(Interrupted):
            carry_out(run, Execution(device="cpu", threads=threads), Stop(run.epochs_done))
        assert session(run) == ("channels_last", kept)


def test_a_continued_run_keeps_its_layout(small_source, tmp_path):
    """Whatever is usual in a later version."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Placement, "usual", lambda device, threads: Placement(device, "contiguous", threads))
        run = begun(presets.build(epochs=2), tmp_path, threads=None)
    assert session(run) == ("contiguous", 1)
    carry_out(run, Execution(device="cpu"))
    assert session(run) == ("contiguous", 1)


def test_more_threads_are_recorded_and_said(small_source, tmp_path, command):
    told = command("run", "--epochs", "1", "--threads", "2")
    assert "2 CPU threads" in told.output
    assert "last digits" in told.output
    (run,) = Store(tmp_path / "runs").runs()
    assert session(run)[1] == 2
    alone = command("run", "--epochs", "1", "--seed", "1")
    assert "threads" not in alone.output


@pytest.mark.parametrize("word", ["0", "-1", "many", "1.5"])
def test_threads_are_a_number_or_auto(word, command):
    told = command("run", "--threads", word)
    assert told.exit_code == 2
    assert "--threads" in told.output


def test_the_layout_is_that_of_weights_and_images(corrupted, small_source):
    recipe = presets.build()
    for layout, expected in LAYOUTS.items():
        place = Placement(CPU, layout)
        state, data = TrainingState.initial(recipe, corrupted.images, place), DeviceData.of(corrupted, place)
        weight = state.network.get_parameter("trunk.3.weight")
        assert weight.is_contiguous(memory_format=expected)
        assert data.normalize(data.train_images[:2].repeat(1, 3, 1, 1)[:, :1]).is_contiguous(
            memory_format=expected
        )
