"""Runs that take turns in one process: each is what it is alone, and ends alone. Real images."""

from __future__ import annotations

import weakref

import pytest
import torch

from memstudy import presets, regularizers
from memstudy.errors import Interrupted, MemstudyError, RunFailed
from memstudy.store import Status, Store
from memstudy.study import carry_out as module
from memstudy.study.carry_out import Execution, carry_out
from memstudy.study.executors.processes import FLEET, carry_out_all, default_fleet
from memstudy.study.fleet import Fleet, Outcome
from memstudy.training import Trainer, TrainingState

CPU = Execution(device="cpu")


def recipe_of(**choices):
    return presets.build(**{"epochs": 2} | choices)


@pytest.fixture(autouse=True)
def _small(small_source):
    """400 images; a process of its own has all of them."""


def alone(tmp_path, recipe):
    return carry_out(Store(tmp_path / "alone").open(recipe), CPU)


def together(tmp_path, recipes, size=8, execution=CPU, until=lambda turns: False):
    """Carry out in turns. The outcomes by run name, and how many turns it took."""
    fleet, store, turns = Fleet(execution, size), Store(tmp_path / "together"), 0
    outcomes: dict[str, Outcome] = {}
    for recipe in recipes:
        fleet.add(store.open(recipe))
    while fleet.busy and not until(turns):
        outcomes |= {outcome.run.name: outcome for outcome in fleet.turn()}
        turns += 1
    return fleet, outcomes, turns


def content(run):
    return (run.path / "metrics.csv").read_bytes(), [run.checkpoint_digest(epoch) for epoch in run.checkpoints()]


def test_every_member_is_what_it_is_alone_bit_for_bit(tmp_path):
    """Every regularizer, other seeds, rates, corruptions, lengths, and one with float32's coarser sister."""
    recipes = [
        recipe_of(reg=name, train_size=100) for name in sorted(set(regularizers.REGULARIZERS.names()) - {"nobn"})
    ]
    recipes += [recipe_of(seed=1), recipe_of(corrupt=0.25), recipe_of(lr=0.1), recipe_of(epochs=3, reg="do+al2")]
    recipes += [recipe_of(precision="bf16"), recipe_of(optimizer="adam", batch_size=30)]
    _, outcomes, _ = together(tmp_path, recipes, size=len(recipes))
    assert len(outcomes) == len(recipes)
    for outcome in outcomes.values():
        assert outcome.error is None
        assert content(outcome.run) == content(alone(tmp_path, outcome.run.recipe)), outcome.run.name


def test_one_that_diverges_fails_alone(tmp_path):
    good, bad = recipe_of(), recipe_of(lr=1e6)
    _, outcomes, _ = together(tmp_path, [bad, good])
    errors = {outcome.run.recipe.training.learning_rate: outcome.error for outcome in outcomes.values()}
    assert isinstance(errors[1e6], RunFailed)
    assert errors[good.training.learning_rate] is None


def test_what_one_held_is_free_when_it_has_ended(tmp_path, monkeypatch):
    """Finished or failed: on a GPU the others need its memory, and errors hold on to where they were raised."""
    held = {}
    real = TrainingState.__dict__["initial"].__func__

    def watched(cls, recipe, *given):
        state = real(cls, recipe, *given)
        held[recipe] = [weakref.ref(parameter) for parameter in state.network.parameters()]
        return state

    monkeypatch.setattr(TrainingState, "initial", classmethod(watched))
    short, bad, long = recipe_of(epochs=1), recipe_of(lr=1e20), recipe_of(epochs=6)
    fleet, outcomes, _ = together(tmp_path, [short, bad, long], until=lambda done: done == 4)
    assert {run.recipe for run in fleet.members} == {long}
    assert isinstance(next(o for o in outcomes.values() if o.run.recipe == bad).error, RunFailed)
    alive = {recipe: sum(ref() is not None for ref in refs) for recipe, refs in held.items()}
    assert (alive[short], alive[bad]) == (0, 0)
    assert alive[long]
    fleet.stop()


def test_one_that_breaks_is_a_failure_of_its_own(tmp_path, monkeypatch):
    real = module.Work.of
    broken = recipe_of(seed=1)

    def breaks(run, execution):
        if run.recipe == broken:
            raise ZeroDivisionError("as a bug would")
        return real(run, execution)

    monkeypatch.setattr(module.Work, "of", staticmethod(breaks))
    _, outcomes, _ = together(tmp_path, [broken, recipe_of()])
    errors = {outcome.run.recipe.seed: outcome.error for outcome in outcomes.values()}
    assert "ZeroDivisionError: as a bug would" in str(errors[1])
    assert errors[0] is None


def test_members_start_one_a_turn_and_no_more_than_its_size(tmp_path):
    recipes = [recipe_of(seed=seed, epochs=4) for seed in range(4)]
    fleet, outcomes, _ = together(tmp_path, recipes, size=2, until=lambda turns: turns == 1)
    assert (len(fleet.members), len(fleet.waiting)) == (1, 3)
    fleet.turn()
    fleet.turn()
    assert (len(fleet.members), len(fleet.waiting)) == (2, 2)
    assert not outcomes
    fleet.stop()


@pytest.mark.parametrize("turns", [*(pytest.param(turns, marks=pytest.mark.slow) for turns in (1, 2)), 3])
def test_stopped_it_saves_all_and_the_same_command_continues(tmp_path, turns):
    recipes = [recipe_of(seed=seed, epochs=5, reg="do") for seed in range(3)]
    fleet, _, _ = together(tmp_path, recipes, until=lambda done: done == turns)
    stopped = fleet.stop()
    assert len(stopped) == 3
    assert all(isinstance(outcome.error, Interrupted) for outcome in stopped)
    assert not fleet.busy
    first = Store(tmp_path / "together").open(recipes[0])
    assert first.status is Status.INTERRUPTED
    assert not first.locked
    _, outcomes, _ = together(tmp_path, recipes)
    for outcome in outcomes.values():
        assert outcome.error is None
        assert content(outcome.run) == content(alone(tmp_path, outcome.run.recipe))


def test_ctrl_c_within_one_member_stops_all(tmp_path, monkeypatch):
    recipes = [recipe_of(seed=seed, epochs=5) for seed in range(2)]
    fleet, _, _ = together(tmp_path, recipes, until=lambda done: done == 2)
    calls = []

    def pressed(*given, **named):
        calls.append(1)
        raise KeyboardInterrupt

    monkeypatch.setattr("memstudy.training.epoch.train_step", pressed)
    ended = fleet.turn()
    assert calls == [1]
    assert len(ended) == 2
    assert all(isinstance(outcome.error, Interrupted) for outcome in ended)


def test_the_deadline_stops_all(tmp_path):
    recipes = [recipe_of(seed=seed, epochs=5) for seed in range(2)]
    _, outcomes, _ = together(tmp_path, recipes, execution=Execution(device="cpu", deadline=0.0))
    assert [str(outcome.error)[:7] for outcome in outcomes.values()] == ["stopped", "not sta"]


def test_what_does_not_fit_into_memory_waits_and_goes_on(tmp_path, monkeypatch):
    recipes = [recipe_of(seed=seed, epochs=3, reg="do") for seed in range(3)]
    real = Trainer.run
    failed: list[int] = []

    def full(trainer, on_step=None):
        if trainer.recipe.seed == 1 and trainer.state.epochs_done == 1 and not failed:
            failed.append(1)
            raise torch.OutOfMemoryError("CUDA out of memory")
        real(trainer, on_step)

    monkeypatch.setattr(Trainer, "run", full)
    fleet, outcomes, _ = together(tmp_path, recipes)
    assert failed
    assert fleet.size < 3
    assert len(outcomes) == 3
    for outcome in outcomes.values():
        assert outcome.error is None
        assert content(outcome.run) == content(alone(tmp_path, outcome.run.recipe))


def test_one_alone_that_does_not_fit_is_told(tmp_path, monkeypatch):
    def full(trainer, on_step=None):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Trainer, "run", full)
    _, outcomes, _ = together(tmp_path, [recipe_of()])
    (outcome,) = outcomes.values()
    assert isinstance(outcome.error, RunFailed)
    assert "out of memory" in str(outcome.error)


def test_a_user_s_mistake_is_said_as_it_is(tmp_path):
    _, outcomes, _ = together(tmp_path, [recipe_of()], execution=Execution(device="tpu"))
    (outcome,) = outcomes.values()
    assert isinstance(outcome.error, MemstudyError)
    assert "unknown device 'tpu'" in str(outcome.error)


@pytest.mark.slow
def test_a_process_takes_a_fleet(tmp_path):
    """Five runs in two processes of two at a time."""
    store = Store(tmp_path / "fleet")
    runs = [store.open(recipe_of(seed=seed, epochs=1, train_size=100)) for seed in range(5)]
    outcomes = carry_out_all(runs, CPU, jobs=2, fleet=2)
    assert sorted(outcome.run.name for outcome in outcomes) == sorted(run.name for run in runs)
    assert [outcome.error for outcome in outcomes] == [None] * 5
    assert {run.status for run in runs} == {Status.FINISHED}


def test_small_networks_share_a_gpu_and_large_ones_do_not():
    cuda = torch.device("cuda")
    small, large = presets.build(), presets.build(network="resnet18")
    assert default_fleet(cuda, [small]) == FLEET
    assert default_fleet(cuda, [small, large]) == 1
    assert default_fleet(torch.device("cpu"), [small]) == 1
