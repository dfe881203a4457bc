"""Which of a file's columns are its noisy labels: by their names, in tables and archives; never the clean ones."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from memstudy import files
from memstudy.data import given, sources
from memstudy.data.label_files import LabelSource, read
from memstudy.data.label_words import Kind, kind
from tests.kit.sentences import refused

CLEAN = np.arange(60) % 6
NOISY = np.where(np.arange(60) % 3 == 0, (CLEAN + 1) % 6, CLEAN)
MASK = (NOISY != CLEAN).astype(int)

PAIRS = [
    ("label", "label_noisy"),  # idn_mnist_0.4.csv
    ("label", "noise_label"),
    ("label", "noisy_label"),
    ("labels", "observed_labels"),
    ("y", "y_noisy"),
    ("y_train", "y_train_noisy"),
    ("label", "human"),
    ("label", "human_label"),
    ("label", "given_label"),
    ("label", "worse_label"),
    ("label", "corrupted_label"),
    ("clean_label", "label"),
    ("true_label", "label"),
    ("label", "noisy"),
    ("labels", "noisyLabels"),
    ("target", "noisy_target"),
    ("class", "annotated_class"),
    ("gt", "label"),
    ("ground_truth", "given_label"),
    ("y_true", "y_observed"),
    ("y_true", "y"),
    ("original_label", "crowd_label"),
    ("clean", "noisy"),
    ("train_labels", "train_labels_noisy"),
    ("label", "random_label1"),
    ("label", "aggre_label"),
    ("label", "noise"),
    ("Label", "Noisy-Label"),
]
"""A clean column and the noisy one, whose names say so."""

UNDECIDED = [
    ("label", "y"),
    ("label", "label2"),
    ("label_a", "label_b"),
    ("fine_label", "coarse_label"),
    ("target", "class"),
    ("label", "sym40"),  # a name that says nothing, but the same classes
    ("clean_label", "true_label"),
    ("noisy_label", "human_label"),
    ("aggre_label", "worse_label"),
]


def csv(path, columns):
    """A table of (name, values), in which a name may be there twice."""
    table = pd.DataFrame({place: values for place, (_, values) in enumerate(columns)})
    table.columns = pd.Index([name for name, _ in columns])
    path.write_text(table.to_csv(index=False), encoding="utf-8")
    return path


def written(folder, form, columns):
    if form == "csv":
        return csv(folder / "a.csv", columns)
    (folder / "a.npz").write_bytes(files.npz(**{name: np.asarray(values) for name, values in columns}))
    return folder / "a.npz"


def orders(*columns):
    return [list(columns), list(columns)[::-1]]


@pytest.mark.parametrize("form", ["csv", "npz"])
@pytest.mark.parametrize(("clean", "noisy"), PAIRS)
def test_of_two_columns_the_noisy_one_is_taken(tmp_path, form, clean, noisy):
    for columns in orders((clean, CLEAN), (noisy, NOISY)):
        found = read(written(tmp_path, form, columns))
        assert np.array_equal(found.noisy, NOISY)
        assert found.names == (noisy,)
        assert found.truth is not None
        assert np.array_equal(found.truth, CLEAN)


@pytest.mark.parametrize("form", ["csv", "npz"])
@pytest.mark.parametrize(("one", "other"), UNDECIDED)
def test_where_names_do_not_say_both_are_named(tmp_path, form, one, other):
    for columns in orders((one, CLEAN), (other, NOISY)):
        path = written(tmp_path, form, columns)
        refused(lambda: read(path), one, other, "--label-column", str(path))  # noqa: B023
        for name, labels in columns:
            assert np.array_equal(read(LabelSource(path, name)).noisy, labels)


def test_a_name_that_is_there_twice_is_told_apart_as_pandas_does(tmp_path):
    path = csv(tmp_path / "a.csv", [("label", CLEAN), ("label", NOISY)])
    refused(lambda: read(path), "label, label.1", "--label-column")
    assert np.array_equal(read(LabelSource(path, "label")).noisy, CLEAN)
    assert np.array_equal(read(LabelSource(path, "label.1")).noisy, NOISY)
    again = tmp_path / "pandas.csv"
    pd.read_csv(path).to_csv(again, index=False)  # which has the names written out
    assert np.array_equal(read(LabelSource(again, "label.1")).noisy, NOISY)
    refused(lambda: read(again), "--label-column")


# Masks


@pytest.mark.parametrize("form", ["csv", "npz"])
@pytest.mark.parametrize("mask", [MASK, MASK.astype(bool), 1 - MASK])
@pytest.mark.parametrize("name", ["noisy", "is_noisy", "noise_or_not", "clean", "is_label_issue", "mask"])
def test_a_mask_is_not_taken_for_labels(tmp_path, form, mask, name):
    for columns in orders((name, mask), ("noisy_label", NOISY)):
        found = read(written(tmp_path, form, columns))
        assert np.array_equal(found.noisy, NOISY)
        assert found.truth is None
    for columns in orders((name, mask), ("label", CLEAN), ("noisy_label", NOISY)):
        found = read(written(tmp_path, form, columns))
        assert np.array_equal(found.noisy, NOISY)
        assert found.truth_name == "label"


@pytest.mark.parametrize("form", ["csv", "npz"])
def test_with_two_classes_a_mask_looks_like_labels_and_the_full_name_goes_before(tmp_path, form):
    two = NOISY % 2
    for columns in orders(("noisy", MASK), ("noisy_label", two)):
        assert np.array_equal(read(written(tmp_path, form, columns)).noisy, two)


@pytest.mark.parametrize("form", ["csv", "npz"])
@pytest.mark.parametrize(
    ("name", "labels"),
    [("noisy", CLEAN), ("noise", CLEAN), ("label_noise", CLEAN), ("noisy", CLEAN % 2), ("noise", CLEAN % 2)],
)
def test_a_mask_beside_labels_that_no_word_calls_noisy_is_undecided(tmp_path, form, name, labels):
    path = written(tmp_path, form, [("label", labels), (name, MASK)])
    refused(lambda: read(path), "label", name, "--label-column")
    assert np.array_equal(read(LabelSource(path, "label")).noisy, labels)


# Kin


@pytest.mark.parametrize(
    "name",
    [
        "label_quality", "is_label_issue", "test_labels", "y_test", "val_label", "label_prob", "predicted_label",
        "pred", "confidence", "class_names", "noise_rate", "images", "text", "train", "label_count", "42", "",
    ],
)  # fmt: skip
def test_what_is_named_otherwise_is_no_labels(name):
    assert kind(name) is None


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("label", Kind.LABELS), ("trainLabels", Kind.LABELS), ("y", Kind.LABELS), ("label_id", Kind.LABELS),
        ("noisy", Kind.NOISY), ("train_noisy_label", Kind.NOISY), ("worse_label", Kind.NOISY),
        ("clean_label", Kind.CLEAN), ("not_noisy_truth", None), ("gt", Kind.CLEAN), ("true", Kind.CLEAN),
        ("annotator_1", Kind.ANNOTATOR), ("annotator_id", None),
    ],
)  # fmt: skip
def test_what_names_mean(name, means):
    assert kind(name) is means


@pytest.mark.parametrize("form", ["csv", "npz"])
def test_only_clean_labels_are_not_taken_unless_chosen(tmp_path, form):
    path = written(tmp_path, form, [("clean_label", CLEAN), ("x", np.linspace(0, 9, 60))])
    refused(lambda: read(path), "clean_label", "true ones", "--label-column")
    assert np.array_equal(read(LabelSource(path, "clean_label")).noisy, CLEAN)


@pytest.mark.parametrize("form", ["csv", "npz"])
def test_numbers_and_names_of_the_same_classes_are_one_and_the_same(tmp_path, form):
    names = np.array(["ant", "bee", "cat", "dog", "eel", "fox"])[NOISY]
    for columns in orders(("label", NOISY), ("label_name", names)):
        assert np.array_equal(read(written(tmp_path, form, columns)).noisy, NOISY)
    other = np.roll(names, 1)
    refused(lambda: read(written(tmp_path, form, [("label", NOISY), ("label_name", other)])), "--label-column")


def test_an_image_set_with_noisy_labels_beside(tmp_path):
    arrays = [
        ("train_images", np.zeros((60, 2, 2), np.uint8)), ("train_labels", CLEAN), ("test_labels", np.arange(9)),
        ("noisy_labels", NOISY), ("class_names", np.array(list("abcdef"))), ("rate", np.array(0.3)),
    ]  # fmt: skip
    found = read(written(tmp_path, "npz", arrays))
    assert np.array_equal(found.noisy, NOISY)
    assert found.truth_name == "train_labels"


@pytest.mark.parametrize("form", ["csv", "npz"])
def test_a_column_that_is_not_there_is_answered_with_those_that_are(tmp_path, form):
    path = written(tmp_path, form, [("label", CLEAN), ("label_noisy", NOISY)])
    refused(lambda: read(LabelSource(path, "label_nosy")), "did you mean label_noisy", "label")


def test_what_has_no_columns_has_none_to_choose(tmp_path):
    np.save(tmp_path / "a.npy", NOISY)
    refused(lambda: read(LabelSource(tmp_path / "a.npy", "noisy")), "leave --label-column out")


def test_a_great_many_columns_make_a_short_sentence(tmp_path):
    path = csv(tmp_path / "a.csv", [(f"pixel{place}", [0, 7]) for place in range(784)])
    assert len(refused(lambda: read(path), "784 in all")) < 600


# Real files


def test_instance_noise_of_mnist_has_its_40_percent():
    """idn_mnist_0.4.csv: columns `label,label_noisy`. Read by the first, it was 0.0 % wrong."""
    folder = Path(os.environ.get("MEMSTUDY_DATA") or "none")
    path = folder / "foreign" / "idn_mnist_0.4.csv"
    if not path.is_file() or not (folder / "MNIST").is_dir():
        pytest.skip("idn_mnist_0.4.csv or MNIST is not in the directory that MEMSTUDY_DATA names")
    images = sources.load("mnist", folder)
    labels = given.of(read(path), images, lambda: None)
    assert labels.labels is not None
    assert (labels.labels != images.train_labels.numpy()).sum() == 24_000
    assert labels.truth is not None
    assert np.array_equal(labels.truth, images.train_labels.numpy())
