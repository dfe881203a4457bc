"""Replayed steps equal eager ones. On a CPU nothing is captured, but all else is as on a GPU: the count of steps
is on the device, work goes in blocks, what Python decides is seen to change, and a graph is stood in for by a
recording that does not follow Python (tests/recorded.py). The capture itself: tests/test_gpu.py.
"""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass, field

import pytest
import torch

from memstudy import presets, regularizers
from memstudy.data import dataset
from memstudy.errors import Interrupted
from memstudy.randomness import torch_generator
from memstudy.recipe import Corruption
from memstudy.regularizers import Regularizer
from memstudy.store import Store
from memstudy.study.carry_out import Execution, carry_out
from memstudy.study.fleet import Fleet
from memstudy.training import CapturedSteps, DeviceData, Evaluation, Trainer, TrainingState, evaluate, train_epoch
from memstudy.training.replay import Replay
from tests.kit.recorded import RecordedReplay
from tests.kit.stopping import Stop

CPU = torch.device("cpu")
METHODS = sorted(set(regularizers.REGULARIZERS.names()) - {"nobn"})


@pytest.fixture(scope="module")
def corrupted(small):
    """200 images in batches of 19: ten whole ones, and one of 10."""
    return dataset.corrupt(small.part(torch.arange(0, 400, 2)), Corruption())


def trained(corrupted, data, captured, epochs=2, block=4, **choices):
    """Metrics of every epoch and the final state."""
    recipe = presets.build(epochs=epochs, batch_size=19, **choices)
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


@pytest.mark.parametrize("reg", ["olm", "bn+do+wd+al2", "do+loco+normloss+pilcro"])
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
    recipe = presets.build(epochs=1, batch_size=19)
    state = TrainingState.initial(recipe, corrupted.images, CPU)
    trainer = Trainer(state, data, recipe)
    trainer.begin()
    for number in range(trainer.steps - 1):
        trainer.step(number)
    trainer.end()
    assert not same(state, trained(corrupted, data, False, epochs=1)[1])


@pytest.fixture
def recorded(monkeypatch):
    """In the place of CUDA graphs: what is captured is recorded, and does not follow Python."""
    monkeypatch.setattr("memstudy.training.captured.Replay", RecordedReplay)
    monkeypatch.setattr("memstudy.training.evaluation.Replay", RecordedReplay)


@pytest.mark.parametrize(
    "choices",
    [{"reg": reg} for reg in [*sorted(set(METHODS) - {"olm", "oni"}), "bn+do+wd+al2", "do+loco+normloss+pilcro"]]
    + [
        pytest.param({"reg": "oni", "options": {"oni": {"iterations": 1}}}, marks=pytest.mark.slow),
        {"reg": "normloss", "options": {"normloss": {"decoupled": True}}},
        {"reg": "pilcro", "options": {"pilcro": {"of": "logits"}}},
        {"schedule": "cosine", "warmup": 1, "nesterov": True},
        {"reg": "al2", "schedule": "multistep", "milestones": (1,), "options": {"al2": {"advance": 30.0}}},
        {"augment": "flip-crop", "mixup": 0.2, "label_smoothing": 0.1, "clip": 1.0},
        {"precision": "bf16", "reg": "do"},
    ],
    ids=str,
)
def test_recorded_steps_are_the_eager_ones_bit_for_bit(corrupted, data, recorded, choices):
    """Three epochs: the first is eager in part, the second records, the third does nothing but replay."""
    eager, replayed = (trained(corrupted, data, captured, epochs=3, **choices) for captured in (False, True))
    assert replayed[0] == eager[0]
    assert same(replayed[1], eager[1])


@dataclass(frozen=True)
class FollowsPython(Regularizer):
    """Its strength is on the device and changes; its penalty follows a number that is not, and does not."""

    epochs: list[int] = field(default_factory=list)

    def strength(self, epoch):
        self.epochs.append(epoch)
        return 0.01

    def penalty(self, step):
        return step.features.square().mean() * len(self.epochs)


def test_what_follows_python_is_seen(corrupted, data, recorded):
    """A negative control of the recording: this is wrong when captured, and right on a CPU without it."""
    found = {}
    for captured in (False, True):
        recipe = presets.build(epochs=3, batch_size=19)
        state = TrainingState.initial(recipe, corrupted.images, CPU)
        state.regularizers["own"] = FollowsPython()
        trainer = Trainer(state, data, recipe)
        steps = CapturedSteps(trainer, 4) if captured else trainer
        for _ in range(3):
            trainer.begin()
            steps.run()
            trainer.end()
        found[captured] = state
    assert not same(found[False], found[True])


@pytest.mark.slow
def test_recorded_runs_interrupted_or_in_a_fleet_write_the_bytes_of_eager_ones(tmp_path, recorded, monkeypatch):
    execution = Execution(device="cpu")
    recipes = [
        presets.build(reg=reg, epochs=4, train_size=400, schedule=schedule, checkpoints=4)
        for reg, schedule in (("do+al2", "constant"), ("bn", "cosine"), ("loco+normloss", "constant"))
    ]
    eager = [carry_out(Store(tmp_path / "eager").open(recipe), execution) for recipe in recipes]
    monkeypatch.setattr("memstudy.study.carry_out.capturable", lambda trainer: True)
    with pytest.raises(Interrupted):
        carry_out(Store(tmp_path / "recorded").open(recipes[0]), execution, Stop(1))
    fleet = Fleet(execution, len(recipes))
    for recipe in recipes:
        fleet.add(Store(tmp_path / "recorded").open(recipe))
    ended = []
    while fleet.busy:
        ended += fleet.turn()
    assert [outcome.error for outcome in ended] == [None] * len(recipes)
    for one in eager:
        other = Store(tmp_path / "recorded").open(one.recipe)
        assert (other.path / "metrics.csv").read_bytes() == (one.path / "metrics.csv").read_bytes()
        assert [other.checkpoint_digest(e) for e in range(4)] == [one.checkpoint_digest(e) for e in range(4)]


def test_a_recorded_step_may_not_wait(corrupted, data, recorded):
    recipe = presets.build(reg="al2", epochs=1, batch_size=19, optimizer="adam")  # its counts are on the CPU there
    state = TrainingState.initial(recipe, corrupted.images, CPU)
    trainer = Trainer(state, data, recipe)
    trainer.begin()
    with pytest.raises(RuntimeError, match="not permitted"):
        CapturedSteps(trainer, 4).run()


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


@pytest.fixture(params=["replayed", "recorded"])
def either_way(request):
    """Work that is done again as a CPU does it, and as a graph would."""
    if request.param == "recorded":
        request.getfixturevalue("recorded")


def test_nothing_of_a_run_outlives_it(corrupted, data, either_way):
    """Its memory on a GPU is free for the next one at once, and not when Python next looks for cycles."""
    gc.disable()
    try:
        recipe = presets.build(reg="bn+do+wd+al2", epochs=2, batch_size=19)
        state = TrainingState.initial(recipe, corrupted.images, CPU)
        trainer = Trainer(state, data, recipe)
        steps, evaluation = CapturedSteps(trainer, 4), Evaluation(state.network, data, capture=True)
        for _ in range(2):
            trainer.begin()
            steps.run()
            evaluation.begin()
            trainer.end()
        held = [weakref.ref(value) for value in (trainer, steps, evaluation, *state.network.parameters())]
        del state, trainer, steps, evaluation
        assert [ref() is None for ref in held] == [True] * len(held)
    finally:
        gc.enable()


def test_an_evaluation_is_of_the_network_as_it_is_now(corrupted, data, either_way):
    recipe = presets.build(epochs=4, batch_size=19, reg="bn+do")
    state = TrainingState.initial(recipe, corrupted.images, CPU)
    evaluation = Evaluation(state.network, data, capture=True)
    for _ in range(4):
        train_epoch(state, data, recipe)
        evaluation.begin()
        assert evaluation.end() == evaluate(state.network, data)
        assert evaluation.train_logits.shape == (len(data.noisy), 10)
