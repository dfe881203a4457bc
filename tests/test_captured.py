"""Replayed steps equal eager ones. On a CPU nothing is captured, but all else is as on a GPU: the count of steps
is on the device, work goes in blocks, and what Python decides is seen to change. The capture: tests/test_gpu.py.
"""

from __future__ import annotations

import pytest
import torch

from memstudy import presets, regularizers
from memstudy.randomness import torch_generator
from memstudy.training import CapturedSteps, DeviceData, Evaluation, Trainer, TrainingState, evaluate, train_epoch
from memstudy.training.replay import Replay

CPU = torch.device("cpu")
METHODS = sorted(set(regularizers.REGULARIZERS.names()) - {"nobn"})


def trained(corrupted, data, captured, epochs=2, block=4, **choices):
    """Metrics of every epoch and the final state."""
    recipe = presets.build(epochs=epochs, batch_size=39, **choices)  # 400 images: ten whole batches and one of 10
    state = TrainingState.initial(recipe, corrupted.images, CPU)
    if not captured:
        return [train_epoch(state, data, recipe) for _ in range(epochs)], state
    trainer, found = Trainer(state, data, recipe), []
    steps = CapturedSteps(trainer, block)
    for _ in range(epochs):
        trainer.begin()
        steps.run()
        found.append(trainer.end())
    return found, state


def same(one, other):
    ours, theirs = one.tensors(), other.tensors()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture(scope="module")
def data(corrupted):
    return DeviceData.of(corrupted, CPU)


@pytest.mark.parametrize("reg", [*METHODS, "bn+do+wd+al2", "do+loco+normloss+pilcro"])
def test_replayed_steps_are_the_eager_ones_bit_for_bit(corrupted, data, reg):
    eager, replayed = (trained(corrupted, data, captured, reg=reg) for captured in (False, True))
    assert replayed[0] == eager[0]
    assert same(replayed[1], eager[1])


@pytest.mark.parametrize(
    "choices",
    [
        {"optimizer": "adamw", "schedule": "cosine", "warmup": 1},
        {"augment": "flip-crop", "mixup": 0.2, "label_smoothing": 0.1, "clip": 1.0},
        {"precision": "bf16"},
        {"precision": "tf32"},
    ],
    ids=str,
)
def test_so_they_are_with_every_way_to_train(corrupted, data, choices):
    eager, replayed = (trained(corrupted, data, captured, reg="do+al2", **choices) for captured in (False, True))
    assert replayed[0] == eager[0]
    assert same(replayed[1], eager[1])


@pytest.mark.parametrize("block", [1, 3, 10, 16])
def test_blocks_of_any_size_take_each_sample_once(corrupted, data, block):
    eager, replayed = (trained(corrupted, data, captured, epochs=1, block=block) for captured in (False, True))
    assert same(replayed[1], eager[1])
    assert replayed[1].epochs_done == 1


def test_a_step_that_is_left_out_is_seen(corrupted, data):
    """The comparison can fail."""
    recipe = presets.build(epochs=1, batch_size=39)
    state = TrainingState.initial(recipe, corrupted.images, CPU)
    trainer = Trainer(state, data, recipe)
    trainer.begin()
    for number in range(trainer.steps - 1):
        trainer.step(number)
    trainer.end()
    assert not same(state, trained(corrupted, data, False, epochs=1)[1])


def captures(monkeypatch, corrupted, data, **choices):
    """How often steps would have been captured anew in four epochs."""
    made = []

    def counted(*given):
        made.append(1)
        return Replay(*given)

    monkeypatch.setattr("memstudy.training.captured.Replay", counted)
    trained(corrupted, data, True, epochs=4, **choices)
    return len(made) / 2  # a block and a single step, each time


def test_steps_are_captured_anew_only_when_python_decides_otherwise(monkeypatch, corrupted, data):
    assert captures(monkeypatch, corrupted, data, reg="do+al2") == 1  # λ changes on the device
    assert captures(monkeypatch, corrupted, data, schedule="cosine") == 4
    assert captures(monkeypatch, corrupted, data, schedule="multistep", milestones=(2,)) == 2
    assert captures(monkeypatch, corrupted, data, reg="normloss") == 1


def test_a_replay_on_a_cpu_does_the_work_again():
    total = torch.zeros(())

    def work():
        total.add_(torch.rand((), generator=draws))
        return total

    draws = torch_generator(0, "test")
    replay = Replay(work, CPU, [draws])
    for _ in range(3):
        assert replay() is total
    assert total.item() == pytest.approx(float(torch.rand(3, generator=torch_generator(0, "test")).sum()))


def test_an_evaluation_is_of_the_network_as_it_is_now(corrupted, data):
    recipe = presets.build(epochs=2, batch_size=39, reg="bn+do")
    state = TrainingState.initial(recipe, corrupted.images, CPU)
    evaluation = Evaluation(state.network, data, capture=True)
    for _ in range(2):
        train_epoch(state, data, recipe)
        evaluation.begin()
        assert evaluation.end() == evaluate(state.network, data)
        assert evaluation.train_logits.shape == (len(data.noisy), 10)
