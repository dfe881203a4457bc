"""Evaluation after some epochs alone: training is what it was, and nothing takes an empty cell for a number."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from memstudy.cli import main
from memstudy.data import dataset
from memstudy.derived.methods import figures, tables
from memstudy.errors import Interrupted, MemstudyError, RunFailed
from memstudy.papers.pilcro.tables import _first
from memstudy.recipe import Recipe, Training
from memstudy.regularizers import parse
from memstudy.report.comparison import compared
from memstudy.report.frames import evaluated
from memstudy.report.verdict import verdict, verdict_text
from memstudy.store import Status, Store
from memstudy.store.summary import run_summary
from memstudy.study.carry_out import Execution, carry_out
from memstudy.study.executors.local import Local
from memstudy.study.fleet import Outcome
from memstudy.training import DeviceData, EvaluatedEpochs, Evaluation, Placement, TrainingState
from memstudy.training.evaluation import MEASURED as EVALUATED
from tests.kit.runs import select, write_run
from tests.kit.sources import stand_in
from tests.kit.stopping import Stop

EPOCHS = 5
NOT = dict.fromkeys(EVALUATED, math.nan)


def recipe_of(reg="bare", epochs=EPOCHS, **more):
    training = Training(epochs=epochs, batch_size=50, learning_rate=0.05, momentum=0.5, checkpoints=(1,))
    return Recipe(training=training, dataset="mnist5k", regularizers=parse(reg, {}), train_size=100, **more)


def every(period, **more):
    return Execution(device="cpu", dynamics=False, evaluate_every=period, **more)


@pytest.fixture(autouse=True)
def _small(small):
    with stand_in(small, "mnist5k"):
        yield


def cells(run):
    """metrics.csv as it is written: texts."""
    return pd.read_csv(run.path / "metrics.csv", dtype=str, keep_default_na=False)


# Which epochs


@pytest.mark.parametrize(
    ("period", "at", "epochs"),
    [
        (1, (), [*range(12)]),
        (5, (), [0, 4, 7, 9, 11]),
        (5, (2, 3), [0, 2, 3, 4, 7, 9, 11]),
        (100, (), [0, 7, 11]),
    ],
)
def test_every_nth_the_kept_the_asked_for_and_the_last_epoch_are_evaluated(period, at, epochs):
    training = Training(epochs=12, batch_size=1, learning_rate=1, momentum=0, checkpoints=(7,))
    chosen = EvaluatedEpochs(training, period, at)
    assert [epoch for epoch in range(12) if epoch in chosen] == epochs
    assert chosen.count() == len(epochs)
    assert chosen.count(4) == sum(epoch >= 4 for epoch in epochs)


# Training does not notice


@pytest.mark.parametrize("reg", ["bare", "do", "bn+al2", "wn", "loco+normloss"])
def test_training_is_the_same_bit_for_bit_whatever_is_evaluated_and_wherever_it_was_stopped(reg, tmp_path):
    recipe = recipe_of(reg)
    whole = carry_out(Store(tmp_path / "1").open(recipe), every(1))
    seldom = carry_out(Store(tmp_path / "3").open(recipe), every(3))
    stopped = Store(tmp_path / "stopped").open(recipe)
    for epoch in (1, 3):  # the first one's next is evaluated, the second one's is the last
        with pytest.raises(Interrupted):
            carry_out(stopped, every(3) if epoch == 1 else Execution(device="cpu"), Stop(epoch))
    carry_out(stopped, Execution(device="cpu"))
    assert (stopped.path / "metrics.csv").read_bytes() == (seldom.path / "metrics.csv").read_bytes()
    for name in ("epoch-0000", "epoch-0001", "epoch-0004"):
        file = f"checkpoints/{name}.safetensors"
        kept = {(run.path / file).read_bytes() for run in (whole, seldom, stopped)}
        assert len(kept) == 1
    full, part = cells(whole), cells(seldom)
    assert list(full) == list(part)
    trained = [name for name in full if name not in EVALUATED]
    assert part[trained].equals(full[trained])
    rows = [0, 1, 2, 4]
    assert part.loc[rows].equals(full.loc[rows])
    assert (part.loc[3, list(EVALUATED)] == "").all()
    assert (full.loc[3, "test_accuracy"]) != ""


# What a run keeps to


def test_a_continued_run_keeps_what_it_was_begun_with(tmp_path):
    run = Store(tmp_path).open(recipe_of())
    with pytest.raises(Interrupted):
        carry_out(run, every(4, evaluate_at=(2,)), Stop(0))
    assert (run.evaluate_every, run.state()["evaluate_at"], run.has_records) == (4, [2], False)
    carry_out(run, Execution(device="cpu", evaluate_every=1))
    assert np.flatnonzero(~np.isnan(run.columns()["memorized"])).tolist() == [0, 1, 2, 3, 4]
    assert run.evaluate_every == 4


@pytest.mark.parametrize(("given", "recorded", "period"), [({}, True, 1), ({"evaluate_every": 2}, False, 2)])
def test_samples_are_recorded_by_default_only_where_each_epoch_is_evaluated(given, recorded, period, tmp_path):
    run = carry_out(Store(tmp_path).open(recipe_of(epochs=2)), Execution(device="cpu", **given))
    assert (run.has_records, run.evaluate_every) == (recorded, period)


def test_records_of_samples_are_refused_with_epochs_left_out():
    with pytest.raises(MemstudyError, match="leave --evaluate-every out, or give --no-dynamics"):
        Execution(evaluate_every=2, dynamics=True)
    assert Execution(evaluate_every=1, dynamics=True).dynamics
    assert Execution(evaluate_every=2, dynamics=False).evaluate_every == 2


# A network that diverges


def _broken(network, of):
    with torch.no_grad():
        next(iter(of(network))).view(-1)[0] = math.nan


@pytest.mark.parametrize("of", [lambda network: network.parameters(), lambda network: network.buffers()])
def test_a_network_that_is_not_finite_is_noticed_where_nothing_is_evaluated(of, small):
    recipe = recipe_of("bn")
    place = Placement.usual(torch.device("cpu"))
    state = TrainingState.initial(recipe, small, place)
    evaluation = Evaluation(state.network, DeviceData.of(dataset.build(recipe), place))
    evaluation.begin(measured=False)
    assert all(map(math.isnan, evaluation.end().values()))
    assert evaluation.sound
    _broken(state.network, of)
    evaluation.begin(measured=False)
    evaluation.end()
    assert not evaluation.sound


def test_the_last_steps_damage_fails_the_run_at_an_epoch_that_is_not_evaluated(tmp_path, monkeypatch):
    whole = Evaluation.begin

    def begin(evaluation, measured=True):
        if not measured:
            _broken(evaluation._network, lambda network: network.parameters())
        whole(evaluation, measured)

    monkeypatch.setattr(Evaluation, "begin", begin)
    run = Store(tmp_path).open(recipe_of())
    with pytest.raises(RunFailed, match=r"non-finite at epoch 2, step 1.*after epoch 1 is kept"):
        carry_out(run, every(5))
    assert run.epochs_done == 2


# Whoever reads metrics


def written(root, recipe, accuracies, **more):
    """A run with these test accuracies; None is an epoch that was not evaluated."""
    epochs = [NOT if value is None else {"test_accuracy": value, "memorized": value / 2} for value in accuracies]
    return write_run(root, recipe, epochs, evaluate_every=2, **more)


def test_summary_and_comparison_take_the_last_evaluated_epoch(tmp_path):
    one = written(tmp_path, recipe_of(), [0.1, 0.4, None, 0.3, None])
    other = written(tmp_path, recipe_of(seed=1), [0.1, 0.4, None])
    facts = run_summary(one)
    assert (facts["epochs_done"], facts["evaluate_every"], facts["best_test_accuracy"]) == (5, 2, 0.4)
    assert (facts["last"]["epoch"], facts["last"]["test_accuracy"], facts["last"]["memorized"]) == (3, 0.3, 0.15)
    between = compared([one, other])
    assert (between["epoch"], between["metrics"]["test_accuracy"]) == (1, [0.4, 0.4])


def test_the_verdict_is_on_the_last_evaluated_epoch(tmp_path):
    run = Store(tmp_path).open(recipe_of())
    with pytest.raises(Interrupted):
        carry_out(run, every(2), Stop(2))
    known = run.metrics().iloc[1]
    text = verdict_text(run)
    assert (
        f"after 3 of 5 epochs, evaluated last after epoch 1: test accuracy {100 * known['test_accuracy']:.1f} %"
        in text
    )
    assert "nan" not in text
    assert (judged := verdict(run).memorized) is not None
    assert judged.value == known["memorized"]
    assert verdict(run).train_cross_entropy == run.metrics()["train_cross_entropy"].iloc[-1]


def test_tables_and_figures_leave_out_what_was_not_evaluated(tmp_path):
    runs = [
        written(tmp_path, recipe_of(reg, seed=seed), accuracies, status=Status.FINISHED)
        for reg in ("bare", "do")
        for seed, accuracies in enumerate(([0.1, 0.4, None, 0.3, 0.2], [0.2, 0.5, 0.6, 0.3, 0.2]))
    ]
    selection = select(runs)
    (table,) = tables.training(selection, [2, 3])
    means = table.values[table.values["metric"] == "test accuracy, %"].set_index(["label", "epoch"])
    assert (means["mean"]["bare", 2], means["n"]["bare", 2]) == (60, 1)
    assert (means["mean"]["bare", 3], means["n"]["bare", 3]) == (30, 2)
    assert any("Trained but not evaluated" in note and runs[0].name in note for note in table.notes)
    (table,) = tables.methods(selection)
    at_end = table.values.set_index(["label", "metric"])["mean"]
    assert (at_end["bare", "test accuracy, %"], at_end["bare", "best epoch, %"]) == (20, 50)
    assert any("evaluated every 2 epochs" in note for note in table.notes)
    drawn = {drawing.name: drawing.data for drawing in figures.figures(selection)}
    assert sorted(set(drawn["accuracy"]["epoch"])) == [0, 1, 3, 4]  # at epoch 2 a line would be of one run
    assert sorted(set(drawn["memorization"]["epoch"])) == [0, 1, 3, 4]
    assert sorted(set(drawn["losses"]["epoch"])) == [0, 1, 2, 3, 4]


def test_the_first_epoch_to_reach_an_accuracy_is_one_that_was_evaluated(tmp_path):
    run = written(tmp_path, recipe_of(), [0.1, None, None, 0.5, None])
    assert (_first(run, 50), _first(run, 10)) == (4, 1)
    assert math.isnan(_first(run, 60))


def test_rows_of_evaluated_epochs():
    rows = pd.DataFrame({"line": list("aaab"), "epoch": [0, 1, 1, 1], "test_accuracy": [0.1, 0.2, math.nan, 0.3]})
    assert evaluated(rows).index.tolist() == [0, 1, 3]
    assert evaluated(rows, ["line"]).index.tolist() == [0, 3]


# From the command line


@pytest.fixture
def memstudy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*words):
        return CliRunner().invoke(main, [*map(str, words)])

    return call


def test_run_says_when_it_was_evaluated_last_and_keeps_to_its_choice(memstudy, tmp_path):
    words = ("run", "--epochs", 4, "--checkpoints", "0,3", "--train-size", 200, "--device", "cpu")
    done = memstudy(*words, "--evaluate-every", 3)
    assert done.exit_code == 0, done.output
    assert "its samples are not recorded, as it is evaluated every 3 epochs" in done.output
    assert "2/4 epochs  test" in done.output
    assert "(epoch 0)" in done.output
    assert "nan" not in done.output
    again = memstudy(*words, "--evaluate-every", 1)
    assert "it is evaluated after every 3 epochs, as it was begun" in again.output
    assert "as it was begun" not in memstudy(*words).output
    refused = memstudy(*words, "--seed", 1, "--evaluate-every", 3, "--dynamics")
    assert (refused.exit_code, len(list((tmp_path / "runs").glob("*-s1-*")))) == (2, 0)
    shown = json.loads(memstudy("runs", "--json").stdout)["runs"]
    assert [run["evaluate_every"] for run in shown] == [3]


def test_a_study_is_evaluated_at_the_epochs_of_its_report(memstudy, tmp_path, monkeypatch):
    """Here in this process, not in one of its own."""
    file = tmp_path / "mine.toml"
    grid = "[grid]\nepochs = 6\ncheckpoints = [[0, 5]]\ntrain_size = 100\n"
    file.write_text(f"{grid}[report]\nepochs = [2, 5]\nanalyses = []\n")

    def here(local, runs, execution, *rest):
        return [Outcome(carry_out(run, execution)) for run in runs]

    monkeypatch.setattr(Local, "carry_out", here)
    done = memstudy("study", file, "--evaluate-every", 4, "--device", "cpu", "--train-only")
    assert done.exit_code == 0, done.output
    assert "evaluated every 4 epochs, so no samples are recorded" in done.output
    (run,) = Store(tmp_path / "runs").select(study="mine").runs
    assert np.flatnonzero(~np.isnan(run.columns()["test_accuracy"])).tolist() == [0, 2, 3, 5]
    again = memstudy("study", file, "--evaluate-every", 1)
    assert again.exit_code == 0, again.output
    drawn = pd.read_csv(tmp_path / "runs" / "studies" / "mine" / "figures" / "accuracy.csv")
    assert drawn["epoch"].tolist() == [0, 2, 3, 5]
    assert "evaluated every 4 epochs" in memstudy("show", run.name).output
    assert "1 of these runs keep to the epochs that they were begun with" in again.output
    file.write_text(f'{grid}[report]\nanalyses = ["dynamics"]\n')
    refused = memstudy("study", file, "--evaluate-every", 4, "--seeds", "7,8")
    assert refused.exit_code == 2
    assert "the report of the study mine needs records of every sample" in refused.output
