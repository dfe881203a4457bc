"""Per-sample dynamics: closed forms, invariances, slow oracles, the records on disk, and the command line."""

from __future__ import annotations

import io
import itertools
import json
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from memstudy import presets
from memstudy.analysis import dynamics
from memstudy.analysis.dynamics import (
    SCORES,
    area_under_margin,
    auc,
    first_learned,
    forgetting_events,
    learned_for_good,
    mixture,
    scores_over_epochs,
    shares,
)
from memstudy.analysis.records import LARGEST, record
from memstudy.cli import main
from memstudy.data import artifact, dataset
from memstudy.derived import dynamics as derived
from memstudy.derived.analysis import Watch
from memstudy.derived.dynamics import figures, measure, tables
from memstudy.derived.workbench import Workbench
from memstudy.errors import Interrupted
from memstudy.recipe import spread
from memstudy.report.frames import Setting
from memstudy.report.look import Look
from memstudy.store import Store
from memstudy.store.records import KINDS, MOST, Dynamics, Records, usual
from memstudy.study.carry_out import Execution, carry_out
from memstudy.training import DeviceData, predict
from tests.kit.arithmetic import traced
from tests.kit.drawing import draw, fit_for_print
from tests.kit.runs import select
from tests.kit.sentences import refused
from tests.kit.stopping import Stop

CPU = torch.device("cpu")

# Predictions of four epochs for five samples whose label is 1: what happens to each, by hand.
BY_HAND = np.array([[1, 0, 1, 0, 1], [1, 1, 0, 0, 0], [1, 1, 1, 0, 1], [1, 1, 0, 0, 1]])
LABELS = np.ones(5, dtype=int)


def test_learned_and_forgotten_by_hand():
    assert first_learned(BY_HAND, LABELS).tolist() == [0, 1, 0, 4, 0]  # 4 epochs: never
    assert learned_for_good(BY_HAND, LABELS).tolist() == [0, 1, 4, 4, 2]
    assert forgetting_events(BY_HAND, LABELS).tolist() == [0, 0, 2, 0, 1]


def test_one_epoch_has_no_forgetting():
    assert forgetting_events(BY_HAND[:1], LABELS).tolist() == [0] * 5
    assert learned_for_good(BY_HAND[:1], LABELS).tolist() == [0, 1, 0, 1, 0]


predictions = st.integers(1, 8).flatmap(
    lambda epochs: st.lists(st.lists(st.integers(0, 2), min_size=6, max_size=6), min_size=epochs, max_size=epochs)
)


@settings(max_examples=60, deadline=None)
@given(predictions, st.permutations(range(3)), st.permutations(range(6)))
def test_laws_of_learning(rows, names, order):
    """Names of classes do not matter, nor does the order of samples; and what stays learned was learned first."""
    found, labels = np.array(rows), np.array([0, 1, 2, 0, 1, 2])
    for function in (first_learned, learned_for_good, forgetting_events):
        values = function(found, labels)
        assert (function(np.array(names)[found], np.array(names)[labels]) == values).all()
        assert (function(found[:, order], labels[order]) == values[list(order)]).all()
    first, stays = first_learned(found, labels), learned_for_good(found, labels)
    forgotten = forgetting_events(found, labels)
    assert (first <= stays).all()
    assert ((forgotten == 0) == ((first == stays) | (stays == len(rows)) & (forgotten == 0))).all()
    assert (forgotten[first == stays] == 0).all()
    assert (forgotten <= len(rows) // 2).all()


def test_the_area_under_the_margin_is_a_mean_over_epochs():
    margin = np.array([[1, -2], [3, 0.5], [5, 0]], dtype=np.float16)
    assert area_under_margin(margin).tolist() == [3, -0.5]
    assert area_under_margin(np.full((3, 1), 60000, dtype=np.float16)).tolist() == [60000]  # sums leave float16


def random_records(seed=0, epochs=6, samples=40):
    draw = np.random.default_rng(seed)
    loss = draw.exponential(size=(epochs, samples)).astype(np.float16)
    margin = draw.normal(size=(epochs, samples)).astype(np.float16)
    return loss, margin, draw.integers(0, 3, (epochs, samples)).astype(np.uint8), draw.integers(0, 3, samples)


def test_scores_in_one_pass_are_those_of_whole_arrays():
    loss, margin, prediction, noisy = random_records()
    for epoch, scores in enumerate(scores_over_epochs(loss, margin, prediction, noisy)):
        done = slice(epoch + 1)
        assert set(scores) == set(SCORES) - {"el2n", "mixture"}
        assert (scores["loss"] == loss[epoch]).all()
        assert (scores["margin"] == -margin[epoch]).all()
        assert scores["mean_loss"] == pytest.approx(loss[done].mean(axis=0, dtype=float))
        assert scores["aum"] == pytest.approx(-area_under_margin(margin[done]))
        assert (scores["forgetting"] == forgetting_events(prediction[done], noisy)).all()
        assert (scores["first_learned"] == first_learned(prediction[done], noisy)).all()


# ROC AUC


def brute(score, corrupted):
    pairs = list(itertools.product(score[corrupted], score[~corrupted]))
    return sum((a > b) + 0.5 * (a == b) for a, b in pairs) / len(pairs)


@pytest.mark.parametrize("seed", range(5))
def test_the_auc_is_a_share_of_pairs(seed):
    draw = np.random.default_rng(seed)
    score, corrupted = draw.integers(0, 5, 60), draw.random(60) < 0.4  # with ties
    assert auc(score, corrupted) == pytest.approx(brute(score, corrupted))
    assert auc(-score, corrupted) == pytest.approx(1 - brute(score, corrupted))
    assert auc(score**3 + 1, corrupted) == auc(score, corrupted)


def test_without_both_kinds_there_is_no_auc():
    for mask in (np.zeros(5, dtype=bool), np.ones(5, dtype=bool)):
        assert np.isnan(auc(np.arange(5), mask))


# The mixture


def test_a_planted_mixture_is_found():
    draw = np.random.default_rng(0)
    corrupted = draw.random(4000) < 0.4
    loss = np.where(corrupted, draw.normal(4, 0.5, 4000), draw.normal(1, 0.25, 4000))
    found = mixture(loss)
    assert found is not None
    assert found.means == pytest.approx([1, 4], abs=0.05)
    assert found.deviations == pytest.approx([0.25, 0.5], abs=0.1)  # the least variance adds to both
    assert found.weights == pytest.approx([0.6, 0.4], abs=0.03)
    assert found.accuracy(corrupted) > 0.999
    assert auc(-found.clean, corrupted) > 0.999
    grid = np.linspace(-3, 9, 2001)
    assert found.densities(grid).sum() * (grid[1] - grid[0]) == pytest.approx(1, abs=1e-3)


def test_a_mixture_does_not_depend_on_units_or_order():
    draw = np.random.default_rng(1)
    loss, order = draw.exponential(size=500), draw.permutation(500)
    found, scaled, moved = mixture(loss), mixture(7 * loss + 3), mixture(loss[order])
    assert found is not None
    assert scaled is not None
    assert moved is not None
    assert scaled.clean == pytest.approx(found.clean)
    assert scaled.means == pytest.approx(7 * found.means + 3)
    assert moved.clean == pytest.approx(found.clean[order])


def test_equal_losses_are_no_mixture():
    assert mixture(np.full(9, 2.5)) is None


# Records of logits

LOGITS = torch.tensor([[2.0, 1.0, 0.0], [0.0, 5.0, 1.0], [1.0, 1.0, 1.0]])


def test_a_record_by_hand():
    found = record(LOGITS, torch.tensor([0, 2, 1]))
    assert found["margin"].tolist() == [1, -4, 0]
    assert found["prediction"].tolist() == [0, 1, 0]
    shares = np.exp(LOGITS.numpy()) / np.exp(LOGITS.numpy()).sum(axis=1, keepdims=True)
    losses = -np.log(shares[[0, 1, 2], [0, 2, 1]])
    errors = np.sqrt(((shares - np.eye(3)[[0, 2, 1]]) ** 2).sum(axis=1))
    assert found["loss"].numpy() == pytest.approx(losses, rel=1e-3)
    assert found["el2n"].numpy() == pytest.approx(errors, rel=1e-3)
    assert {name: values.dtype for name, values in found.items()} == {
        "loss": torch.float16, "margin": torch.float16, "el2n": torch.float16, "prediction": torch.uint8,
    }  # fmt: skip


def test_more_classes_than_a_byte_holds():
    logits = torch.zeros(1, 300)
    logits[0, 299] = 1
    assert record(logits, torch.tensor([0]))["prediction"].tolist() == [299]


@pytest.mark.parametrize(("other", "loss"), [(1e6, LARGEST), (float("inf"), LARGEST), (float("nan"), LARGEST)])
def test_no_record_is_infinite(other, loss):
    found = record(torch.tensor([[0.0, other]]), torch.tensor([0]))
    assert found["loss"].tolist() == [loss]
    assert found["margin"].tolist() == [-LARGEST]
    sure = record(torch.tensor([[1e6, 0.0]]), torch.tensor([0]))
    assert (sure["loss"].tolist(), sure["margin"].tolist()) == ([0], [LARGEST])


# Records on disk


@pytest.mark.parametrize(("preset", "samples"), [("quick", 4000), ("al2", 60_000)])
def test_every_preset_is_recorded(preset, samples):
    assert presets.PRESETS.keys() == {"quick", "al2"}
    assert usual(presets.build(preset).training.epochs, samples)
    assert not usual(1001, 50_000)


def test_the_paper_s_protocol_stays_under_250_megabytes(tmp_path):
    """The files have their final size after the first epoch; all quantities of 60,000 samples over 701 epochs."""
    training = presets.build("al2").training
    records = Records(tmp_path / "dynamics", training.epochs, training.checkpoints)
    logits = torch.zeros(60_000, 10)
    found = record(logits, torch.zeros(60_000, dtype=torch.long))
    records.write(0, {name: values.numpy() for name, values in found.items()})
    size = sum(path.stat().st_size for path in records.folder.iterdir())
    assert size < MOST


@pytest.mark.parametrize("kind", ["missing", "short", "another shape", "another type", "no array", "objects"])
def test_a_damaged_file_is_named(tmp_path, kind):
    records = Records(tmp_path, 2, (0, 1))
    values = record(LOGITS, torch.tensor([0, 2, 1]))
    records.write(0, {name: row.numpy() for name, row in values.items()})
    path = records.path("margin")
    if kind == "missing":
        path.unlink()
    elif kind == "short":
        path.write_bytes(path.read_bytes()[:-3])
    elif kind == "no array":
        path.write_bytes(b"")
    else:
        arrays: dict[str, np.ndarray] = {
            "another shape": np.zeros((2, 4), dtype=np.float16),
            "another type": np.zeros((2, 3)),
            "objects": np.array([[None] * 3] * 2),
        }
        buffer = io.BytesIO()
        np.save(buffer, arrays[kind])
        path.write_bytes(buffer.getvalue())
    refused(lambda: records.read(3, 1), "margin.npy is damaged")


# Runs


@pytest.fixture
def selection(store_copy):
    """The study `tiny`: four recipes, two seeds, three epochs, every one kept; a copy of its own."""
    return store_copy.select(study="tiny")


def test_what_is_recorded_is_what_the_kept_networks_predict(selection, small_source):
    run = next(run for run in selection.runs if run.recipe.options("do") is not None)
    bench = Workbench(CPU)
    data = DeviceData.of(dataset.build(run.recipe), CPU)
    found = run.dynamics(400)
    assert found.kept == (0, 1, 2)
    for epoch in found.kept:
        again = record(predict(bench.network(run, epoch), data, data.train_images), data.noisy)
        assert (again["prediction"].numpy() == found.prediction[epoch]).all()
        for name in ("loss", "margin", "el2n"):
            assert np.array_equal(again[name].numpy(), getattr(found, name)[epoch])
    assert (found.loss[0] != found.loss[1]).any()  # it can tell


def test_the_records_agree_with_the_metrics(selection):
    for run in selection.runs:
        made, found, metrics = artifact.read(run.path / "labels.npz"), run.dynamics(400), run.metrics()
        memorized = (found.prediction == made.noisy)[:, made.mask].mean(axis=1)
        assert memorized == pytest.approx(metrics["memorized"].to_numpy())
        for name, values in shares(found.prediction, made.clean, made.noisy).items():
            assert values == pytest.approx(metrics[name].to_numpy(), abs=1e-12)


def carried(root, dynamics=None, stop=None):
    """A run of the session's store, carried out again."""
    recipe = presets.build(seed=0, epochs=3)
    run = Store(root).open(recipe)
    with nullcontext() if stop is None else pytest.raises(Interrupted):
        carry_out(run, Execution(device="cpu", dynamics=dynamics), None if stop is None else Stop(stop))
    return run


def content(run, *names):
    return {path.name: path.read_bytes() for name in names for path in run.path.glob(name)}


TRAINED = ("metrics.csv", "labels.npz", "recipe.toml", "checkpoints/*")


def test_recording_changes_nothing_else(selection, tmp_path, small_source):
    plain = carried(tmp_path / "plain", dynamics=False)
    assert not (plain.path / "dynamics").exists()
    (recorded,) = [run for run in selection.runs if run.name == plain.name]
    assert content(plain, *TRAINED) == content(recorded, *TRAINED)
    assert set(content(recorded, "dynamics/*")) == {f"{name}.npy" for name in KINDS}
    refused(lambda: plain.dynamics(400), plain.name, "--dynamics")


def test_a_continued_run_keeps_its_choice(selection, tmp_path, small_source):
    carried(tmp_path / "on", dynamics=True, stop=0)
    on = carried(tmp_path / "on", dynamics=False)
    (whole,) = [run for run in selection.runs if run.name == on.name]
    assert content(on, *TRAINED, "dynamics/*") == content(whole, *TRAINED, "dynamics/*")
    carried(tmp_path / "off", dynamics=False, stop=0)
    assert not carried(tmp_path / "off", dynamics=True).has_records


def test_an_interruption_between_two_files_is_repaired(selection, tmp_path, small_source, monkeypatch):
    """Only the loss of the second epoch is written when the process is told to stop, and half of the margin."""
    write = Records.write

    def interrupted(records, epoch, values):
        if epoch < 1:
            write(records, epoch, values)
            return
        write(records, epoch, {"loss": values["loss"]})
        with records.path("margin").open("r+b") as file:
            file.seek(-300, 2)
            file.write(b"x" * 300)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Records, "write", interrupted)
        with pytest.raises(Interrupted):
            carry_out(Store(tmp_path / "cut").open(presets.build(seed=0, epochs=3)), Execution(device="cpu"))
    run = Store(tmp_path / "cut").open(presets.build(seed=0, epochs=3))
    assert len(run.dynamics(400).loss) == 1  # what is not done does not show
    assert content(carried(tmp_path / "cut"), "dynamics/*") == content(
        next(each for each in selection.runs if each.name == run.name), "dynamics/*"
    )


def test_a_run_whose_records_are_damaged_is_not_continued(tmp_path, small_source):
    run = carried(tmp_path, stop=1)
    run.records.path("prediction").unlink()
    before = content(run, "metrics.csv")
    refused(lambda: carry_out(run, Execution(device="cpu")), "prediction.npy is damaged")
    assert content(run, "metrics.csv") == before


def test_one_changed_byte_of_a_finished_run_is_noticed(selection):
    run = selection.runs[0]
    path = run.records.path("loss")
    changed = bytearray(path.read_bytes())
    changed[-1] ^= 1
    path.write_bytes(changed)
    refused(lambda: run.dynamics(400), "loss.npy is damaged", "checksum")


# The study


def test_derived_numbers_against_the_records(selection):
    left_out: list[str] = []
    measure.measure(selection, Watch(left_out=left_out.append))
    assert left_out == []
    found = pd.read_csv(selection.path / measure.AUCS)
    assert list(found.columns) == ["run", "records", "epoch", "score", "auc", "accuracy"]
    assert len(found) == len(selection.runs) * 3 * len(SCORES)
    run = selection.runs[0]
    made, records = artifact.read(run.path / "labels.npz"), run.dynamics(400)
    own = found[found["run"] == run.name].set_index(["epoch", "score"])["auc"]
    assert own[1, "loss"] == pytest.approx(brute(records.loss[1].astype(float), made.mask))
    assert own[2, "el2n"] == pytest.approx(brute(records.el2n[2].astype(float), made.mask))
    assert own[2, "aum"] == pytest.approx(brute(-area_under_margin(records.margin), made.mask))
    counts = pd.read_csv(selection.path / measure.COUNTS)
    totals = counts.groupby(["run", "quantity"])["count"].sum()
    assert (totals == 400).all()
    events = counts[(counts["run"] == run.name) & (counts["quantity"] == "forgetting_events")]
    assert (events["value"] * events["count"]).sum() == forgetting_events(records.prediction, made.noisy).sum()


def test_of_a_long_run_some_epochs_are_judged(selection):
    """So many spread over it, and the kept ones."""
    loss, margin, prediction, noisy = random_records(epochs=90)
    el2n, kept = np.zeros((2, 40), dtype=np.float16), (3, 89)
    made = replace(artifact.read(selection.runs[0].path / "labels.npz"), noisy=noisy, mask=noisy == 0)
    found = measure._aucs(Dynamics(loss, margin, prediction, el2n, kept), made)
    assert set(found["epoch"]) == {*spread(90, measure.SCORED_EPOCHS), *kept}
    assert set(found.loc[found["score"] == "el2n", "epoch"]) == set(kept)


def test_what_is_there_is_not_computed_again(selection, monkeypatch):
    measure.measure(selection)
    before = content_of(selection)
    monkeypatch.setattr(dynamics, "auc", None)
    measure.measure(selection)
    assert content_of(selection) == before


def content_of(selection):
    return {path.name: path.read_bytes() for path in selection.path.glob("dynamics*.csv")}


def test_the_loss_tells_corrupted_samples_and_shuffled_labels_do_not(selection):
    """After an epoch or two on 400 images; the control is a mask of as many samples at other places."""
    run = selection.runs[0]
    made, records = artifact.read(run.path / "labels.npz"), run.dynamics(400)
    *_, scores = scores_over_epochs(records.loss, records.margin, records.prediction, made.noisy)
    moved = np.random.default_rng(0).permutation(made.mask)
    assert auc(scores["aum"], made.mask) > 0.6
    assert abs(auc(scores["aum"], moved) - 0.5) < 0.1


def test_every_sample_s_scores(selection):
    measure.measure(selection)
    measure.write_samples(selection)
    (path, *_) = measure.samples_paths(selection)
    table = pd.read_csv(path)
    records = selection.runs[0].dynamics(400)
    assert len(table) == 400
    assert table["corrupted"].tolist() == (table["clean"] != table["noisy"]).tolist()
    assert table["aum"].to_numpy() == pytest.approx(area_under_margin(records.margin))
    never = ~(records.prediction == table["noisy"].to_numpy()).any(axis=0)
    assert table["first_learned"].isna().tolist() == never.tolist()
    assert table["clean_posterior"].between(0, 1).all()


def test_tables_and_figures(selection):
    measure.measure(selection)
    aucs, learned = tables.tables(selection)
    assert len(aucs.cells) == 2 * 4  # last and best, of four regularizers
    assert aucs.values["n"].eq(2).all()
    last = aucs.values[aucs.values["at"] == tables.LAST].set_index(["label", "score"])["mean"]
    best = aucs.values[aucs.values["at"] == tables.BEST].set_index(["label", "score"])["mean"]
    assert (best >= last.reindex(best.index)).all()
    assert learned.cells["corrupted, %"].str.startswith("7").all()
    for sheet, keys in ((aucs, ["score", "at"]), (learned, ["quantity", "group"])):
        means = sheet.values.set_index(["label", *keys])["mean"]
        held: Any = sheet.values.dropna(subset="difference").set_index(["label", *keys])
        assert set(held.index.get_level_values("label")) == {"al2", "do", "do+al2"}
        bare = means["bare"].reindex(held.index.droplevel("label")).to_numpy()
        assert held["difference"].to_numpy() == pytest.approx(held["mean"].to_numpy() - bare)
        assert "fewer than 3 seeds" in sheet.notes[2]  # two here
        assert not sheet.values["p"].count()
    names = {path.name for path in draw(derived.Dynamics(), selection)}
    assert {"dynamics_auc.png", "dynamics_learned.svg", "dynamics_losses.csv"} <= names
    assert len(names) == 12
    assert [traced(sheet, selection) for sheet in (aucs, learned)] == [64, 20]


def test_scores_that_coincide_are_told_apart_by_their_difference_to_the_loss(selection):
    measure.measure(selection)
    aucs, learned, losses = fit_for_print(lambda: figures.figures(selection), [3.25, 6.75])
    wide = aucs.data.pivot(index=["run", "epoch"], columns="score", values="auc")
    found = aucs.data.pivot(index=["run", "epoch"], columns="score", values="difference")
    assert found.to_numpy() == pytest.approx(wide.sub(wide["loss"], axis=0).to_numpy(), nan_ok=True)
    above, below = aucs.figure.axes[0], aucs.figure.axes[4]
    drawn: list[Any] = below.lines[:-1]
    curves = {tuple(np.round(line.get_xydata(), 6).ravel()) for line in drawn}
    assert len(curves) == len(below.lines) - 1 > 5
    assert below.get_yscale() == "symlog"
    assert above.get_ylabel() == "ROC AUC"
    for drawing in (aucs, learned):
        assert "n = 2 " in drawing.caption
    assert "n = 1, seed 0" in losses.caption


def test_histograms_of_losses_have_whole_bins_and_nothing_of_them_is_cut(selection):
    """Both ends of the lowest and of the highest bin, and the highest density of samples and of the mixture."""
    measure.measure(selection)
    with Look(width=3.25).applied():
        (drawn,) = [drawing for drawing in figures.figures(selection) if drawing.name == "dynamics_losses"]
    first = drawn.data[(drawn.data["label"] == "bare") & (drawn.data["epoch"] == 0)]
    axis = drawn.figure.axes[0]
    bars: Any = axis.patches[0]
    values, edges, _ = bars.get_data()
    assert len(values) == measure.LOSS_BINS
    width = edges[1] - edges[0]
    centers = first.loc[first["part"] == measure.CLEAN, "loss"].to_numpy()
    assert (edges[0], edges[-1]) == pytest.approx((centers[0] - width / 2, centers[-1] + width / 2), abs=1e-4)
    low, high = axis.get_ylim()
    assert (
        low
        < first.loc[
            first["part"].isin([measure.CLEAN, measure.CORRUPTED]) & (first["density"] > 0), "density"
        ].min()
    )
    assert high > first["density"].max()
    assert axis.get_xlim()[0] <= edges[0] < edges[-1] <= axis.get_xlim()[1]
    plt.close("all")


def test_a_narrow_figure_shows_fewer_epochs_and_its_data_have_all(selection):
    measure.measure(selection)
    shown = {}
    for width in (3.25, 6.75):
        with Look(width=width).applied():
            (drawn,) = [drawing for drawing in figures.figures(selection) if drawing.name == "dynamics_losses"]
        shown[width] = [axis.get_title() for axis in drawn.figure.axes if axis.get_title()]
        assert set(drawn.data["epoch"]) == {0, 1, 2}
    assert shown == {3.25: ["epoch 0", "epoch 2"], 6.75: ["epoch 0", "epoch 1", "epoch 2"]}
    plt.close("all")


def test_a_diverged_run_and_one_of_equal_losses_are_drawn():
    """The largest recordable loss, one bin, no mixture."""
    rows = pd.DataFrame(
        [
            ("r", 0, "bare", 0, part, LARGEST, density)
            for part, density in ((measure.CLEAN, 0.0), (measure.CORRUPTED, 1.0))
        ],
        columns=["run", "seed", "label", "epoch", "part", "loss", "density"],
    )
    setting = Setting(presets.build(), (), 0.0)
    assert fit_for_print(lambda: [figures._losses(rows, setting, "")], [3.25])


def test_without_corruption_there_is_nothing_to_tell_apart(tmp_path, small_source):
    """And the table says so; learning and forgetting are there all the same."""
    run = Store(tmp_path).open(presets.build(corrupt=0.0, epochs=1, batch_size=8))
    carry_out(run, Execution(device="cpu"))
    selection = select([run])
    measure.measure(selection)
    aucs, learned = tables.tables(selection)
    assert set(aucs.cells["loss"]) == {"–"}
    assert f"none of the labels are corrupted: {run.name}" in aucs.markdown()
    assert learned.cells["learned: clean"].item() != learned.cells["learned: corrupted as noisy"].item() == "–"
    assert {path.stem for path in draw(derived.Dynamics(), selection)} == {"dynamics_learned", "dynamics_losses"}


# The command line


def test_the_command(selection, tmp_path, small_source):
    """Of two runs, one without records: it is left out, and named with how to make them."""
    plain = next(run for run in selection.runs if "-bare-s0-" in run.name)
    shutil.rmtree(plain.path)
    carried(tmp_path / "runs", dynamics=False)
    words = ["dynamics", "*-bare-s*", "--samples", "--runs-dir", str(tmp_path / "runs"), "--json"]
    answer = CliRunner().invoke(main, words)
    assert answer.exit_code == 0, answer.output
    summary = json.loads(answer.stdout)
    assert {"dynamics", "dynamics_learned", "figures"} <= set(summary)
    (left_out,) = summary["left_out"]
    assert left_out.startswith(f"{plain.name}, of whose samples there are no records")
    assert "--dynamics" in left_out
    assert len(summary["samples"]) == 1
    assert all(Path(path).is_file() for path in (*summary["written"], *summary["samples"], *summary["figures"]))


def test_without_any_records_the_command_says_so(tmp_path, small_source):
    carried(tmp_path, dynamics=False)
    answer = CliRunner().invoke(main, ["dynamics", "--runs-dir", str(tmp_path)])
    text = " ".join(answer.output.split())
    assert answer.exit_code == 0
    assert "of whose samples there are no records" in text
    assert "figures:" not in text


def test_a_finished_run_says_that_it_was_not_recorded(command, small_source):
    words = ("run", "--epochs", "1", "--device", "cpu")
    assert command(*words, "--no-dynamics").exit_code == 0
    answer = command(*words, "--dynamics")
    assert answer.exit_code == 0
    assert "there are no records of its samples" in " ".join(answer.output.split())


def test_recording_is_no_part_of_a_recipe(command, small_source):
    command("run", "--epochs", "1", "--device", "cpu", "--dynamics")
    command("run", "--epochs", "1", "--device", "cpu", "--no-dynamics")
    (run,) = Store(Path("runs")).runs()
    assert run.has_records
