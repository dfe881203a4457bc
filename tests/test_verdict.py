"""The verdict on a run: by its predictions first, its loss second; on metrics written by hand, and a real run."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest

from memstudy import presets
from memstudy.data import artifact, dataset
from memstudy.data.given import Given
from memstudy.errors import MemstudyError
from memstudy.recipe import Corruption
from memstudy.report.verdict import verdict, verdict_text
from memstudy.store import Status, Store
from tests.kit.runs import write_run

EPOCHS = 10
EARLY = {"test_accuracy": 0.9, "clean_accuracy": 0.9, "memorized": 0.01, "recovered": 0.9, "other": 0.09}


@pytest.fixture
def write(tmp_path, mnist5k):
    """Write a run of 4,000 MNIST images whose last epoch measured so and so."""

    def write(last, losses, corruption=None, given=None, predicted=None, images=mnist5k, status=Status.FINISHED):
        corruption = corruption or Corruption()
        data = dataset.corrupt(images, corruption, given)
        recipe = replace(presets.build(epochs=EPOCHS), corruption=corruption)
        shares = [EARLY] * (len(losses) - 1) + [last]
        measured = [{"train_cross_entropy": loss} | row for loss, row in zip(losses, shares, strict=False)]
        records = []
        if predicted is not None:
            blank = np.zeros(len(data.mask), dtype=np.float16)
            row = {"loss": blank, "margin": blank, "prediction": predicted.astype(np.uint8), "el2n": blank}
            records = [row] * len(losses)
        labels, state = artifact.content(data), {"failure": "the loss is nan", "floor": data.floor}
        shutil.rmtree(Store(tmp_path).open(recipe).path, ignore_errors=True)
        run = write_run(tmp_path, recipe, measured, status=status, labels=labels, records=records, **state)
        return run, data

    return write


def shares(memorized, recovered, clean=0.9, test=0.5):
    other = 1 - memorized - recovered
    return {
        "test_accuracy": test, "clean_accuracy": clean, "memorized": memorized, "recovered": recovered,
        "other": other,
    }  # fmt: skip


def measured(predicted, data, test=0.5):
    """The shares of predictions, as training measures them."""
    clean, noisy = data.images.train_labels.numpy(), data.noisy_labels.numpy()
    wrong = noisy != clean
    clean_accuracy = (predicted == clean)[~wrong].mean() if (~wrong).any() else math.nan
    if not wrong.any():
        return shares(math.nan, math.nan, clean_accuracy, test)
    return shares((predicted == noisy)[wrong].mean(), (predicted == clean)[wrong].mean(), clean_accuracy, test)


# The two contradictions that were found


def test_seven_tenths_memorized_is_memorization_though_the_loss_stays_above_the_floor(write):
    run, data = write(shares(memorized=0.706, recovered=0.254), [2.4] * EPOCHS)
    found, text = verdict(run), verdict_text(run)
    assert found.memorizes
    assert "verdict: it memorizes most of the corrupted labels: 70.6 % (95 % interval 69.0 to 72.2 %)" in text
    assert "confusing classes alone gives 0.5 % (0.4 to 0.6 %)" in text  # other / 8
    assert f"does not show it: L_c is 2.4000, above the floor, {data.floor:.4f}" in text
    assert "no memorization" not in text
    assert "70.6 % are taken for the wrong label (memorized), 25.4 % for the true class (recovered)" in text


def test_a_sixteenth_memorized_is_no_more_than_confusion_gives_though_the_loss_is_below_the_floor(write):
    run, data = write(shares(memorized=0.063, recovered=0.433), [2.3, 2.25] + [2.0] * 8)
    found, text = verdict(run), verdict_text(run)
    assert found.memorizes is False
    assert "verdict: it shows no memorization of corrupted labels: 6.3 % (95 % interval 5.5 to 7.2 %)" in text
    assert "confusing classes alone gives 6.3 % (6.1 to 6.5 %)" in text  # 50.4 % / 8
    assert f"knows some labels beyond their classes: L_c is 2.0000, below the floor, {data.floor:.4f}" in text
    assert "it first was at epoch 2." in text
    assert "it memorizes" not in text


def test_a_sixteenth_memorized_where_confusion_gives_less_is_few(write):
    text = verdict_text(write(shares(memorized=0.063, recovered=0.92), [2.0] * EPOCHS)[0])
    assert "verdict: it memorizes few of the corrupted labels: 6.3 %" in text
    assert "The training loss says so, too: L_c is 2.0000, below the floor" in text


@pytest.mark.parametrize(
    ("losses", "words", "first"),
    [
        ([2.4] * 10, "L_c is 2.4000, above the floor", None),
        ([2.4] * 9 + [2.0], "L_c is 2.0000, below the floor, FLOOR, the lowest on these labels without "
         "memorization; it first was at epoch 9.", 9),
        ([2.4, 2.0] + [2.4] * 8, "L_c is 2.4000, but at epoch 1 it was below the floor", 1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("memorized", [0.01, 0.5])
def test_the_loss_is_said_second_and_its_epochs_are_those_of_the_metrics(write, losses, words, first, memorized):
    run, data = write(shares(memorized, recovered=0.4), losses)
    text = verdict_text(run)
    assert words.replace("FLOOR", f"{data.floor:.4f}") in text
    assert text.index("of them are predicted") < text.index("L_c is")
    assert verdict(run).first_below_floor == first
    assert "(best: 90.0 %, epoch 0, counted from 0)" in text


# Noise of every kind


def confused(data, to, memorized=0.0):
    """Predictions of a network that takes a fifth of each class for another, and knows a share by heart."""
    generator = np.random.default_rng(0)
    clean = data.images.train_labels.numpy()
    predicted = np.where(generator.random(len(clean)) < 0.2, to[clean], clean)
    return np.where(generator.random(len(clean)) < memorized, data.noisy_labels.numpy(), predicted)


PAIR = Corruption("pair", 0.45)
NEXT = (np.arange(10) + 1) % 10


@pytest.mark.parametrize(("memorized", "memorizes"), [(0.0, False), (0.3, True)])
def test_a_class_that_is_mistaken_for_the_one_noise_makes_of_it_is_no_memorization(
    write, mnist5k, memorized, memorizes
):
    predicted = confused(dataset.corrupt(mnist5k, PAIR), NEXT, memorized)
    run, _ = write(measured(predicted, dataset.corrupt(mnist5k, PAIR)), [1.0] * EPOCHS, PAIR, predicted=predicted)
    found = verdict(run)
    assert found.memorized is not None
    assert found.expected is not None
    assert found.by == "confusion"
    assert found.memorizes is memorizes
    assert found.expected.low < 0.2 * (1 - memorized) < found.expected.high
    assert found.memorized.value == pytest.approx(0.2 + 0.8 * memorized, abs=0.03)


def test_without_records_uneven_noise_leaves_it_open_and_says_what_would_tell(write, mnist5k):
    predicted = confused(dataset.corrupt(mnist5k, PAIR), NEXT)
    run, _ = write(measured(predicted, dataset.corrupt(mnist5k, PAIR)), [1.0] * EPOCHS, PAIR)
    assert (verdict(run).by, verdict(run).memorizes) == ("errors", None)
    assert "verdict: these numbers do not tell whether it memorizes corrupted labels: " in verdict_text(run)
    assert "--dynamics" in verdict_text(run)


def test_without_records_errors_may_be_too_few_for_what_is_predicted(write):
    run, _ = write(shares(memorized=0.6, recovered=0.4, clean=0.98), [1.0] * EPOCHS, PAIR)
    assert verdict(run).memorizes
    assert "it memorizes most of the corrupted labels: 60.0 %" in verdict_text(run)
    assert "confusing classes gives at most" in verdict_text(run)


def test_where_the_label_follows_from_the_class_there_is_nothing_to_tell(write, mnist5k):
    always = Corruption("pair", 1.0)
    data = dataset.corrupt(mnist5k, always)
    predicted = data.noisy_labels.numpy()
    for records in (predicted, None):
        run, _ = write(measured(predicted, data), [0.1] * EPOCHS, always, predicted=records)
        assert verdict(run).memorizes is None
        assert "all samples of a class carry the same label" in verdict_text(run)


@pytest.mark.parametrize("rule", ["instance", "human-worst"])
def test_labels_that_depend_on_images_may_be_seen_there(write, mnist5k, rule):
    given = Given(dataset.corrupt(mnist5k, Corruption()).noisy_labels.numpy()) if rule == "human-worst" else None
    corruption = Corruption(rule, None if given is not None else 0.4)
    run, _ = write(shares(memorized=0.8, recovered=0.1), [0.1] * EPOCHS, corruption, given)
    text = verdict_text(run)
    assert "it memorizes most of the corrupted labels" in text
    assert "(Some may be seen in the image: these labels may depend on it.)" in text
    assert ("without memorization if they do not depend on the images" in text) is (rule == "human-worst")


def test_two_classes(write, mnist5k):
    def part(images, labels):
        chosen = labels < 2
        return images[chosen], labels[chosen]

    (train, train_labels), (test, test_labels) = (
        part(mnist5k.train_images, mnist5k.train_labels), part(mnist5k.test_images, mnist5k.test_labels),
    )  # fmt: skip
    two = replace(
        mnist5k, train_images=train, train_labels=train_labels, test_images=test, test_labels=test_labels,
        class_names=("0", "1"),
    )  # fmt: skip
    corruption = Corruption(rate=0.3)
    data = dataset.corrupt(two, corruption)
    flipped = np.array([1, 0])
    for memorized in (0.0, 0.5):
        predicted = confused(data, flipped, memorized)
        run, _ = write(measured(predicted, data), [0.5] * EPOCHS, corruption, predicted=predicted, images=two)
        assert verdict(run).memorizes is (memorized > 0)


# No corruption


def test_without_corruption_there_is_no_wrong_label_to_memorize(write):
    text = verdict_text(write(shares(math.nan, math.nan, 0.99, 0.96), [0.1] * EPOCHS, Corruption(rate=0.0))[0])
    assert "no label is corrupted, so there is no wrong one to memorize" in text
    assert "of the training labels 99.0 % are predicted, of the test labels 96.0 %" in text
    assert "nan" not in text


@pytest.mark.parametrize("rule", ["shuffled-pixels", "random-pixels", "gaussian"])
def test_with_replaced_images_what_only_training_labels_show_is_memorized(write, small, rule):
    run, data = write(shares(math.nan, math.nan, 0.99, 0.1), [0.1] * EPOCHS, Corruption(rule, None), images=small)
    text = verdict_text(run)
    assert "no label is corrupted, but the images are replaced" in text
    assert (
        "of the training labels 99.0 % are predicted, of the test labels 10.0 %; the difference is memorized"
        in text
    )
    assert ("below the floor" in text) is (rule == "gaussian")  # whose images say nothing: it has one above 0
    assert verdict(run).floor == data.floor


def test_random_labels_are_held_against_chance(write):
    text = verdict_text(write(shares(0.1, 0.1, 0.1, 0.1), [2.4] * EPOCHS, Corruption("random-labels", None))[0])
    assert "it shows no memorization of corrupted labels: 10.0 %" in text
    assert "alone gives 10.0 %" in text


# Ends of other kinds


def test_a_network_that_answers_always_the_same_has_learned_nothing(write, mnist5k):
    predicted = np.full(len(mnist5k.train_labels), 3)
    data = dataset.corrupt(mnist5k, Corruption())
    text = verdict_text(write(measured(predicted, data, 0.1), [2.4] * EPOCHS, predicted=predicted)[0])
    assert "it has learned nothing: it takes every training image for 3." in text
    assert "it shows no memorization" in text


def test_a_run_that_failed_says_so_and_how_far_it_came(write):
    run, _ = write(shares(0.1, 0.8), [2.3] * 4, status=Status.FAILED)
    text = verdict_text(run)
    assert text.startswith("after 4 of 10 epochs: ")
    assert "it failed: the loss is nan." in text


def test_a_run_without_an_epoch_has_no_verdict(write):
    run, _ = write({}, [], status=Status.INTERRUPTED)
    with pytest.raises(MemstudyError, match="no finished epoch"):
        verdict(run)


# Everywhere the same


def test_floor_and_epochs_are_the_same_wherever_a_run_speaks(command, small_source):
    words = ["run", "--epochs", "2", "--corrupt", "0.75", "--lr", "0.1"]
    text = command(*words).output
    found = json.loads(command(*words, "--json").stdout)
    floor = found["floor"]
    assert floor == dataset.corrupt(small_source, Corruption()).floor
    assert floor != found["expected_floor"] == pytest.approx(2.2103, abs=5e-5)
    assert text.count(f"floor {floor:.3f}") == 2  # two lines of progress
    assert f"the floor, {floor:.4f}" in text
    assert found["verdict"]["floor"] == floor
    assert set(found["verdict"]["memorized"]) == {"value", "low", "high"}
    assert found["verdict"]["by"] == "confusion"


def test_the_floor_of_a_run_of_an_earlier_version_is_that_of_its_labels_too(write):
    run, data = write(shares(0.1, 0.8), [2.0] * EPOCHS, status=Status.INTERRUPTED)
    assert (run.floor, run.expected_floor) == (data.floor, data.floor)
    run.update(floor=2.2103, realized_floor=2.1978)
    assert (run.floor, run.expected_floor) == (2.1978, 2.2103)
    assert verdict(run).floor == 2.1978
