"""Layout and threads: the fastest is chosen, once, and a run keeps its own. Timers are made up: machines vary."""

from __future__ import annotations

import itertools

import pytest
import torch

from memstudy import presets
from memstudy.errors import Interrupted
from memstudy.store import Store
from memstudy.study.carry_out import Execution, carry_out
from memstudy.training import Placement, calibration
from memstudy.training.calibration import calibrated, measured
from memstudy.training.device import cores
from tests.stopping import Stop

CPU = torch.device("cpu")
USUAL = Placement.usual(CPU)
CONTIGUOUS = Placement(CPU, "contiguous")
TWO = Placement(CPU, "channels_last", 2)


def test_medians_are_of_alternating_rounds():
    order: list[str] = []
    values = {"a": itertools.cycle([1.0, 9.0, 2.0]), "b": itertools.repeat(5.0)}

    def timer(name):
        def say():
            order.append(name)
            return next(values[name])

        return say

    found = measured([timer("a"), timer("b")], budget=0.01)
    assert found[1] == 5.0
    assert found[0] in (1.0, 1.5, 2.0, 5.0)
    assert order == ["a", "b"] * (len(order) // 2)
    assert len(measured([lambda: 1.0], budget=0.0)) == 1  # once, however little time there is


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [
        ([1.0, 0.95, 0.95], USUAL),  # the measurement's own spread
        ([1.0, 0.8, 0.9], CONTIGUOUS),
        ([1.0, 1.2, 0.7], USUAL),  # 1.4 times as fast on two threads: two runs at once would be twice
        ([1.0, 1.2, 0.6], TWO),
        ([1.0, 0.8, 0.6], CONTIGUOUS),
    ],
)
def test_another_placement_must_be_worth_it(seconds, chosen):
    assert calibration._chosen([USUAL, CONTIGUOUS, TWO], seconds) == chosen


@pytest.fixture
def answers(monkeypatch, tmp_path):
    """An empty cache, and an answer instead of a measurement; how often it was asked."""
    monkeypatch.setenv("MEMSTUDY_CACHE", str(tmp_path / "cache"))
    asked: list[int] = []

    def timers(recipe, images, candidates):
        asked.append(len(candidates))
        return [lambda took=0.1 if place == CONTIGUOUS else 1.0: took for place in candidates]

    monkeypatch.setattr(calibration, "_timers", timers)
    monkeypatch.setattr(calibration, "BUDGET", 0.0)
    return asked


def test_it_is_measured_once_for_a_network_and_machine(answers, corrupted, tmp_path):
    bare, al2 = presets.build(), presets.build(reg="bn+al2", seed=3)
    assert calibrated(bare, corrupted.images, CPU, 1) == CONTIGUOUS
    assert calibrated(al2, corrupted.images, CPU, 1) == CONTIGUOUS  # regularizers share it
    assert answers == [2]
    calibrated(presets.build(network="resnet18"), corrupted.images, CPU, 1)
    calibrated(presets.build(batch_size=32), corrupted.images, CPU, 1)
    assert len(answers) == 3
    calibrated(bare, corrupted.images, CPU)
    assert answers[-1] > 2 or cores() == 1  # threads are free, too


def test_a_damaged_answer_is_measured_again(answers, corrupted, tmp_path):
    recipe = presets.build()
    calibrated(recipe, corrupted.images, CPU, 1)
    (kept,) = (tmp_path / "cache" / "calibration").iterdir()
    for content in ("", "[]", '{"layout": "spiral", "threads": 1}'):
        kept.write_text(content)
        assert calibrated(recipe, corrupted.images, CPU, 1) == CONTIGUOUS
    assert len(answers) == 4


def test_real_steps_are_timed(corrupted):
    """Every candidate's step takes some time, for a network with batch normalization and dropout."""
    recipe = presets.build(reg="bn+do")
    timers = calibration._timers(recipe, corrupted.images, [USUAL, CONTIGUOUS])
    assert all(0 < timer() < 60 for timer in timers)


def test_a_continued_run_keeps_its_layout_and_threads(answers, small_source, tmp_path):
    recipe = presets.build(epochs=2)
    run, free = Store(tmp_path / "runs").open(recipe), Execution(device="cpu", threads=None, calibrate=True)
    with pytest.raises(Interrupted):
        carry_out(run, free, Stop(0))
    (tmp_path / "cache").rename(tmp_path / "gone")
    before = len(answers)
    carry_out(run, Execution(device="cpu", threads=None))
    assert len(answers) == before
    first, second = run.state()["sessions"]
    assert (first["layout"], first["threads"]) == (second["layout"], second["threads"]) == ("contiguous", 1)


def test_the_layout_is_that_of_weights_and_images(corrupted, small_source):
    from memstudy.training import DeviceData, TrainingState

    recipe = presets.build()
    for place, expected in ((USUAL, torch.channels_last), (CONTIGUOUS, torch.contiguous_format)):
        state, data = TrainingState.initial(recipe, corrupted.images, place), DeviceData.of(corrupted, place)
        weight = state.network.get_parameter("trunk.3.weight")
        assert weight.is_contiguous(memory_format=expected)
        assert data.normalize(data.train_images[:2].repeat(1, 3, 1, 1)[:, :1]).is_contiguous(
            memory_format=expected
        )
