"""Corrupted labels as a file: it says what they are, the same bytes everywhere, and is believed only if sound."""

from __future__ import annotations

import hashlib
import io
import math
import os
import subprocess
import sys
import zipfile
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy._core import _multiarray_umath  # type: ignore[attr-defined]

from memstudy import __version__, files
from memstudy.data import artifact, dataset, label_files
from memstudy.data.artifact import KINDS, Artifact
from memstudy.errors import MemstudyError
from memstudy.recipe import Corruption, Recipe, Training
from tests.kit.sentences import refused

GOLDEN = {
    ("symmetric", 0.75, 0): "70cfce849cfc988a6ff8f92165e394debdad9719df3f5e7737933e3718e202e8",
    ("asymmetric", 0.4, 0): "d593d58f399ee7c4590ef489e39057dbbbd200ea0a893724089ca96d07853c67",
    ("instance", 0.3, 1): "3cf7d249b087fe3990b75c275b503505006a500f9afb0e0326ac1dd392189dd4",
}
"""SHA-256 of the file of a corruption of mnist5k. They never change: papers name them."""

RULES = {
    "symmetric": Corruption("symmetric", 0.75, 2),
    "exact": Corruption("symmetric-exact", 0.2, 3),
    "instance": Corruption("instance", 0.3, 4),
    "random": Corruption("random-labels", None, 5),
    "matrix": Corruption("matrix", None, 6, matrix=tuple(map(tuple, np.roll(np.eye(10), 1, axis=1).tolist()))),
    "a long seed": Corruption("pair", 0.1, 2**127),
}


def write(path, data, **changed):
    """The file of a data set, or one that looks like it with other arrays; None leaves one out."""
    if not changed:
        path.write_bytes(artifact.content(data))
        return path
    arrays = dict(np.load(io.BytesIO(artifact.content(data)))) | changed
    kept = {name: np.asarray(array) for name, array in arrays.items() if array is not None}
    path.write_bytes(files.npz(**kept))
    return path


@pytest.fixture(params=RULES)
def data(request, small):
    return dataset.corrupt(small, RULES[request.param])


# What is in it


def test_what_was_written_is_read_back(data, tmp_path):
    made, corruption = artifact.read(write(tmp_path / "a.npz", data)), data.corruption
    assert np.array_equal(made.clean, data.images.train_labels.numpy())
    assert np.array_equal(made.noisy, data.noisy_labels.numpy())
    assert np.array_equal(made.mask, data.mask.numpy())
    assert np.array_equal(made.transition, data.transition)
    assert np.array_equal(made.positions, data.positions)
    assert (made.rule, made.seed) == (corruption.rule, corruption.seed)
    assert made.rate_asked == corruption.rate or (math.isnan(made.rate_asked) and corruption.rate is None)
    assert made.rate_realized == data.corrupted_share
    assert (made.dataset, made.class_names) == ("mnist5k", tuple("0123456789"))
    assert made.source_sha256 == data.source.content_hash()
    assert (made.train_size, made.version) == (0, 1)
    if data.expected is None:
        assert made.transition_asked.shape == (0, 0)
    else:
        assert np.array_equal(made.transition_asked, data.expected)


def test_what_it_says_of_its_labels_is_true(data, tmp_path):
    made = artifact.read(write(tmp_path / "a.npz", data))
    assert np.array_equal(made.mask, made.noisy != made.clean)
    assert made.rate_realized == made.mask.mean()
    assert made.labels_sha256 == hashlib.sha256(made.noisy.astype("<i8").tobytes()).hexdigest()
    counts = np.zeros((10, 10))
    np.add.at(counts, (made.clean, made.noisy), 1)
    np.testing.assert_allclose(made.transition, counts / counts.sum(axis=1, keepdims=True), rtol=1e-15)


def test_a_part_says_which_samples_it_is_of(small, tmp_path):
    found = dataset.prepare(small, recipe(train_size=50))
    made = artifact.read(write(tmp_path / "a.npz", found))
    assert (made.train_size, len(made.positions)) == (50, 50)
    assert np.array_equal(small.train_labels.numpy()[made.positions], made.clean)
    assert made.source_sha256 == small.content_hash() != found.images.content_hash()


def test_it_names_what_the_documentation_names(data):
    named = {field.name for field in fields(Artifact)}
    assert set(np.load(io.BytesIO(artifact.content(data)))) == named - {"distribution", "given_sha256"}
    voted = replace(data, distribution=np.eye(10)[data.noisy_labels])
    voted = replace(voted, corruption=Corruption("file", None, labels="ab" * 32))
    assert set(np.load(io.BytesIO(artifact.content(voted)))) == named
    assert all(name in str(artifact.__doc__) for name in named)


# The same bytes


@pytest.mark.parametrize("case", GOLDEN, ids=str)
def test_the_bytes_never_change(mnist5k, case):
    assert (
        hashlib.sha256(artifact.content(dataset.corrupt(mnist5k, Corruption(*case)))).hexdigest() == GOLDEN[case]
    )


PROGRAM = """
import hashlib
from memstudy.data import artifact, dataset, sources
from memstudy.recipe import Corruption
data = dataset.corrupt(sources.load("mnist5k"), Corruption("instance", 0.3, 1))
print(hashlib.sha256(artifact.content(data)).hexdigest())
"""


def test_an_older_processor_writes_the_same_bytes():
    """Numpy, its BLAS and torch with the instructions that every machine has: another order of additions."""
    newer = [name for name in _multiarray_umath.__cpu_dispatch__ if _multiarray_umath.__cpu_features__.get(name)]
    old = {
        "NPY_DISABLE_CPU_FEATURES": ",".join(newer),
        "OPENBLAS_CORETYPE": "Nehalem",
        "ATEN_CPU_CAPABILITY": "default",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ | old, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == GOLDEN["instance", 0.3, 1]


def test_the_same_corruption_gives_the_same_bytes(data):
    again = dataset.corrupt(replace(data.source), data.corruption)
    assert artifact.content(again) == artifact.content(data)


def test_another_seed_gives_other_bytes(small):
    one, other = (dataset.corrupt(small, Corruption(seed=seed)) for seed in (0, 1))
    assert artifact.content(one) != artifact.content(other)


def test_neither_date_nor_version_nor_place_is_in_the_bytes(data):
    content = artifact.content(data)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.create_system for entry in entries} == {3}
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
    words = __version__, np.__version__, torch.__version__, str(Path.cwd())
    assert not any(word.encode() in content for word in words)


# Read by others


def test_numpy_alone_reads_it(data, tmp_path):
    path = write(tmp_path / "a.npz", data)
    with np.load(path, allow_pickle=False) as arrays:
        assert np.array_equal(arrays["noisy"], data.noisy_labels.numpy())
        assert arrays["noisy"].dtype == np.int64
        assert arrays["mask"].dtype == bool
        assert arrays["transition"].dtype == np.float64
        assert str(arrays["rule"]) == data.corruption.rule
        assert not any(array.dtype.hasobject for array in arrays.values())
    assert zipfile.ZipFile(path).testzip() is None


def test_reading_it_needs_no_memstudy(data, tmp_path):
    path = write(tmp_path / "a.npz", data)
    code = f"import sys, numpy; print(numpy.load({str(path)!r})['mask'].sum(), 'memstudy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.split() == [str(int(data.mask.sum())), "False"]


# What is not believed


CONTRADICTIONS = {
    "another label": lambda arrays: {"noisy": (arrays["noisy"] + (np.arange(400) == 7)) % 10},
    "labels in another order": lambda arrays: {"noisy": arrays["noisy"][::-1], "mask": arrays["mask"][::-1]},
    "another mask": lambda arrays: {"mask": ~arrays["mask"]},
    "one bit of the mask": lambda arrays: {"mask": arrays["mask"] ^ (np.arange(400) == 7)},
    "other true labels": lambda arrays: {"clean": arrays["clean"][::-1]},
    "fewer true labels": lambda arrays: {"clean": arrays["clean"][1:]},
    "fewer positions": lambda arrays: {"positions": arrays["positions"][1:]},
    "a column of positions": lambda arrays: {"positions": arrays["positions"][:, None]},
    "another checksum": lambda arrays: {"labels_sha256": "0" * 64},
    "another matrix": lambda arrays: {"transition": arrays["transition"].T},
    "a smaller matrix": lambda arrays: {"transition": arrays["transition"][1:, 1:]},
    "another rate": lambda arrays: {"rate_realized": 0.5},
    "fewer classes": lambda arrays: {"class_names": arrays["class_names"][1:]},
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_file_that_contradicts_itself_is_refused(corrupted, tmp_path, name):
    arrays = dict(np.load(io.BytesIO(artifact.content(corrupted))))
    path = write(tmp_path / "a.npz", corrupted, **CONTRADICTIONS[name](arrays))
    refused(lambda: artifact.read(path), str(path), "damaged or was changed")


def test_the_untampered_file_is_accepted_after_the_same_way(corrupted, tmp_path):
    path = write(tmp_path / "a.npz", corrupted, rule="symmetric")
    assert artifact.read(path).rule == "symmetric"
    assert path.read_bytes() == artifact.content(corrupted)


@pytest.mark.parametrize("version", [2, 1000])
def test_a_later_version_is_refused(corrupted, tmp_path, version):
    path = write(tmp_path / "a.npz", corrupted, version=version)
    refused(lambda: artifact.read(path), f"format {version}", "newer")


NAMES = [field.name for field in fields(Artifact)]
TEXT = {"rule", "dataset", "source_sha256", "labels_sha256", "given_sha256"}


@pytest.mark.parametrize("name", [name for name in KINDS if name != "noisy"])
def test_a_file_without_one_of_its_parts_is_none_of_ours(corrupted, tmp_path, name):
    path = write(tmp_path / "a.npz", corrupted, **{name: None})
    refused(lambda: artifact.read(path), f"it has no {name}", "name the set")


WRONG_KINDS = {
    "no row": np.zeros((0, 3)),
    "a table": np.zeros((2, 2)),
    "two words": np.array(["one", "two"]),
    "a word": np.array("word"),
    "a fraction": np.array(0.5),
}


# Any text is a rule and a set's name, any number a rate, and nothing depends on the matrix that was asked for.
WRONG = [
    (name, kind)
    for name in NAMES
    for kind in WRONG_KINDS
    if not (name in TEXT and kind == "a word")
    and (name, kind) != ("rate_asked", "a fraction")
    and name != "transition_asked"
]


@pytest.mark.parametrize(("name", "kind"), WRONG)
def test_a_part_of_another_kind_is_refused(corrupted, tmp_path, name, kind):
    path = write(tmp_path / "a.npz", corrupted, **{name: WRONG_KINDS[kind]})
    refused(lambda: artifact.read(path), str(path))


def test_someone_s_labels_are_no_artifact(tmp_path):
    np.save(tmp_path / "labels.npy", np.array([1, 2]))
    refused(lambda: artifact.read(tmp_path / "labels.npy"), "memstudy run --labels")


@pytest.mark.parametrize("part", np.linspace(0, 0.999, 20).round(3))
def test_a_truncated_file_is_refused(corrupted, tmp_path, part):
    content = artifact.content(corrupted)
    path = tmp_path / "a.npz"
    path.write_bytes(content[: int(part * len(content))])
    refused(lambda: artifact.read(path), str(path), "truncated, damaged")


@pytest.mark.parametrize("place", np.linspace(0.01, 0.99, 40).round(4))
def test_a_wrong_byte_is_noticed_or_harmless(corrupted, tmp_path, place):
    """The archive's checksums cover its arrays; of the rest, some bytes mean nothing."""
    content = bytearray(artifact.content(corrupted))
    content[int(place * len(content))] ^= 0x55
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    try:
        found = artifact.read(path)
    except MemstudyError:
        return
    assert np.array_equal(found.noisy, corrupted.noisy_labels.numpy())


# Training on it


def recipe(labels=None, **more):
    training = Training(epochs=1, batch_size=64, learning_rate=0.1, momentum=0)
    named = Corruption() if labels is None else Corruption("file", None, labels=label_files.digest(labels))
    return Recipe(training, "mnist5k", corruption=named, **more)


def prepared(source, path, **more):
    """What a recipe that trains on the labels in a file makes of a set."""
    return dataset.prepare(source, recipe(label_files.read(path).noisy, **more), label_files=[path])


def test_its_labels_are_trained_on_as_they_are(data, tmp_path):
    found = prepared(data.source, write(tmp_path / "a.npz", data))
    assert torch.equal(found.noisy_labels, data.noisy_labels)
    assert torch.equal(found.mask, data.mask)
    assert np.array_equal(found.transition, data.transition)


def test_the_labels_of_a_part_are_trained_on_with_its_images(small, tmp_path):
    made = dataset.prepare(small, recipe(train_size=50))
    found = prepared(small, write(tmp_path / "a.npz", made), train_size=50)
    assert torch.equal(found.noisy_labels, made.noisy_labels)
    assert torch.equal(found.images.train_images, made.images.train_images)


def test_the_labels_of_the_whole_serve_a_part(corrupted, small, tmp_path):
    found = prepared(small, write(tmp_path / "a.npz", corrupted), train_size=50)
    assert torch.equal(found.noisy_labels, corrupted.noisy_labels[found.positions])


def test_labels_of_other_images_are_refused(corrupted, mnist5k, small, tmp_path):
    path = write(tmp_path / "a.npz", corrupted)
    refused(lambda: prepared(mnist5k, path), str(path), "other images", "mnist5k")
    changed = small.train_images.clone()
    changed[0, 0, 0, 0] += 1
    refused(lambda: prepared(replace(small, train_images=changed), path), "other images")


def test_labels_of_other_samples_are_refused(small, tmp_path):
    path = write(tmp_path / "a.npz", dataset.prepare(small, recipe(train_size=50)))
    refused(lambda: prepared(small, path), "50 chosen samples", "leave out --train-size")
    refused(lambda: prepared(small, path, train_size=60), "50 chosen samples")
    other = recipe(label_files.read(path).noisy, train_size=50)
    other = replace(other, corruption=replace(other.corruption, seed=1))
    refused(lambda: dataset.prepare(small, other, label_files=[path]), "50 chosen samples")


def test_changed_labels_are_not_those_of_the_recipe(corrupted, small, tmp_path):
    path = write(tmp_path / "a.npz", corrupted)
    wanted = recipe(label_files.read(path).noisy)
    write(path, corrupted, noisy=(corrupted.noisy_labels.numpy() + 1) % 10)
    refused(lambda: dataset.prepare(small, wanted, label_files=[path]), "in none of the files", str(path))


@pytest.mark.parametrize("size", [None, 50])
@pytest.mark.parametrize("name", ["labels.npy", "labels.txt"])
def test_plain_labels_are_for_the_whole_set_or_for_the_part(small, tmp_path, size, name):
    clean = small.train_labels.numpy()
    whole = np.where(np.arange(400) % 3, clean, (clean + 3) % 10)
    chosen = dataset.stratified(small.train_labels.numpy(), size, 0)
    for labels in (whole, whole[chosen]):
        path = tmp_path / name
        np.save(path, labels) if name.endswith("npy") else np.savetxt(path, labels, fmt="%d")
        found = prepared(small, path, train_size=size)
        assert np.array_equal(found.noisy_labels.numpy(), whole[chosen])
        assert np.array_equal(found.mask.numpy(), chosen % 3 == 0)


@pytest.mark.parametrize(("count", "size"), [(399, None), (401, None), (50, None), (1, None), (49, 50), (51, 50)])
def test_plain_labels_of_another_length_are_refused(small, tmp_path, count, size):
    np.save(tmp_path / "a.npy", np.arange(count) % 10)
    sentence = refused(
        lambda: prepared(small, tmp_path / "a.npy", train_size=size), f"{count} noisy labels", "400"
    )
    assert ("50 for the part" in sentence) == (size is not None)


def test_labels_beyond_the_classes_are_refused(small, tmp_path):
    np.save(tmp_path / "a.npy", np.arange(400) % 12)
    refused(
        lambda: prepared(small, tmp_path / "a.npy"),
        "0 to 9",
        "row 10 (the first is 0) is 10, the first of 66 of 400",
    )


def test_labels_counted_from_one_are_recognized(small, tmp_path):
    np.save(tmp_path / "a.npy", np.arange(400) % 10 + 1)
    assert "counted from 1?" in refused(lambda: prepared(small, tmp_path / "a.npy"))


OWNER = {
    "positions": [np.zeros((2, 2)), np.array(3), np.array("word")],
    "source_sha256": [np.array(["a", "b"]), np.array(0.5)],
    "dataset": [np.array([1, 2])],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in OWNER.items() for value in values])
def test_a_file_of_ours_with_strange_parts_is_refused_or_trained_on(corrupted, small, tmp_path, name, value):
    path = write(tmp_path / "a.npz", corrupted, **{name: value})
    try:
        found = prepared(small, path)
    except MemstudyError:
        refused(lambda: prepared(small, path))
    else:
        assert torch.equal(found.noisy_labels, corrupted.noisy_labels)
