"""Noisy labels in files: every usual form is read, and anything else is one sentence and never executed."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memstudy import files
from memstudy.data import artifact, label_files
from memstudy.data.label_files import digest, read
from memstudy.data.label_fit import find
from memstudy.data.label_tables import READERS
from memstudy.errors import MemstudyError
from tests.kit.contents import Trap, header, npy, npz, pt, write
from tests.kit.sentences import refused

some = settings(deadline=None, derandomize=True, max_examples=60)
many = settings(some, max_examples=300)

labels_ = st.lists(st.integers(0, 99), min_size=1, max_size=50)


def csv(labels, column="given_label"):
    return pd.DataFrame({column: labels}).to_csv().encode()


def contents(labels):
    """The same labels in every form, by the name of the file."""
    array = np.array(labels)
    return {
        "ours.npz": files.npz(noisy=array),
        "foreign.npz": npz(noisy_labels=array, images=np.zeros(3)),
        "packed.npz": npz(np.savez_compressed, y_train=array),
        "alone.npz": npz(whatever=array),
        "array.npy": npy(array),
        "divide_mix.json": json.dumps([int(label) for label in labels]).encode(),
        "cleanlab.csv": csv(labels),
        "tabs.tsv": pd.DataFrame({"text": "a", "label": labels}).to_csv(sep="\t", index=False).encode(),
        "tensor.pt": pt(torch.from_numpy(array)),
        "list.pth": pt({"noisy_labels": [int(label) for label in labels], "epoch": 3}),
        "lines.txt": "".join(f"{label}\n" for label in labels).encode(),
    }


# Every form


@some
@given(labels=labels_)
def test_every_form_gives_the_same_labels_and_the_same_identity(tmp_path_factory, labels):
    folder = tmp_path_factory.mktemp("labels")
    found = [read(write(folder, name, content)) for name, content in contents(labels).items()]
    assert all(file.noisy.tolist() == labels for file in found)
    assert all(file.noisy.dtype == np.int64 for file in found)
    assert {file.digest for file in found} == {digest(np.array(labels))}


def test_every_form_that_is_read_is_tested():
    assert {Path(name).suffix for name in contents([1])} == set(READERS)


def test_the_identity_is_that_of_the_numbers():
    """Written down as bytes, so that it is the same for ever."""
    content = struct.pack("<3q", 3, 1, 2)
    assert digest(np.array([3, 1, 2], dtype=np.int64)) == hashlib.sha256(content).hexdigest()


@some
@given(one=labels_, other=labels_)
def test_other_labels_have_another_identity(one, other):
    assert (digest(np.array(one)) == digest(np.array(other))) == (one == other)


USUAL = ("noisy", "noisy_labels", "noisy_label", "given_labels", "given_label", "labels", "label", "y", "y_train")


@pytest.mark.parametrize("name", USUAL)
def test_every_usual_name_is_known_in_an_archive_and_in_a_table(tmp_path, name):
    others = {"images": np.zeros((3, 2)), "train_labels_true": np.zeros(3)}
    assert read(write(tmp_path, "a.npz", npz(**{name: np.array([3, 1, 2])}, **others))).noisy.tolist() == [
        3,
        1,
        2,
    ]
    table = pd.DataFrame({"text": ["a", "b", "c"], name: [3, 1, 2]})
    assert read(write(tmp_path, "a.csv", table.to_csv(index=False))).noisy.tolist() == [3, 1, 2]


def test_the_clearest_name_wins(tmp_path):
    """`label` may be the true one where `noisy_label` stands beside it."""
    both = {"label": np.array([0, 0]), "noisy_label": np.array([1, 2])}
    assert read(write(tmp_path, "a.npz", npz(**both))).noisy.tolist() == [1, 2]
    assert read(write(tmp_path, "a.csv", pd.DataFrame(both).to_csv())).noisy.tolist() == [1, 2]


def test_what_else_is_in_an_archive_is_kept(tmp_path):
    found = read(write(tmp_path, "a.npz", npz(noisy=np.array([1]), clean=np.array([0]))))
    assert set(found.arrays) == {"clean"}
    assert found.arrays["clean"].tolist() == [0]
    assert not found.ours


@pytest.mark.parametrize("kind", ["u1", "i2", ">i4", "<i8", "u8", "f2", "f4", ">f8"])
def test_numbers_of_any_width_are_labels(tmp_path, kind):
    labels = np.array([3, 0, 9], dtype=kind)
    for name, content in {"a.npy": npy(labels), "a.npz": npz(noisy=labels)}.items():
        found = read(write(tmp_path, name, content))
        assert found.noisy.tolist() == [3, 0, 9]
        assert found.noisy.dtype == np.dtype("i8")
        assert found.digest == digest(np.array([3, 0, 9]))


@pytest.mark.parametrize("text", ["3\n0\n9", "3\r\n0\r\n9\r\n", "3 0 9", "3.0\n0.0\n9.0\n", "\n3\n\n0\n9\n"])
def test_text_may_be_written_in_many_ways(tmp_path, text):
    assert read(write(tmp_path, "a.txt", text)).noisy.tolist() == [3, 0, 9]


# What is refused


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def encrypted():
    """An archive whose member says that it is encrypted."""
    content = bytearray(npz(noisy=np.array([1])))
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + place] |= 1
    return bytes(content)


def unknown_compression():
    content = bytearray(npz(noisy=np.array([1])))
    for signature, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        content[content.index(signature) + place] = 77
    return bytes(content)


TRAPPED = np.array([Trap()], dtype=object)
HUGE = "{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000000,), }"

BAD = {
    "empty.npz": b"",
    "pickle.npz": pickle.dumps(Trap()),
    "objects.npz": npz(noisy=TRAPPED),
    "objects beside.npz": npz(noisy=np.array([1]), images=TRAPPED),
    "array.npz": npy(np.array([1, 2])),
    "nothing.npz": zipped(),
    "no arrays.npz": zipped(noisy="1 2 3"),
    "pickle inside.npz": zipped(**{"noisy.npy": pickle.dumps(Trap())}),
    "no name.npz": npz(one=np.array([1]), two=np.array([2])),
    "encrypted.npz": encrypted(),
    "unknown compression.npz": unknown_compression(),
    "huge.npz": zipped(**{"noisy.npy": header(HUGE)}),
    "no end.npz": zipped(**{"noisy.npy": header("{'descr': '<i8', 'shape': ((((2, 2), }")}),
    "empty.pt": b"",
    "pickle.pt": pickle.dumps(Trap()),
    "trap.pt": pt({"noisy": Trap()}),
    "number.pt": pt(3),
    "soft.pt": pt(torch.full((2, 2), 0.5)),
    "empty.npy": b"",
    "pickle.npy": pickle.dumps(Trap()),
    "objects.npy": npy(TRAPPED),
    "archive.npy": npz(noisy=np.array([1])),
    "huge.npy": header(HUGE),
    "no end.npy": header("{'descr': '<i8', 'fortran_order': False, 'shape': ((((2, 2), }"),
    "table.npy": npy(np.zeros(2, dtype=[("x", "i8"), ("y", "i8")])),
    "dates.npy": npy(np.zeros(2, dtype="M8[s]")),
    "complex.npy": npy(np.array([1 + 0j])),
    "truths.npy": npy(np.array([True, False])),
    "words.npy": npy(np.array(["1", "b"])),
    "number.npy": npy(np.array(1)),
    "columns.npy": npy(np.array([[1, 2], [2, 0]])),
    "three dimensions.npy": npy(np.zeros((2, 2, 2), dtype=np.int64)),
    "soft.npy": npy(np.array([[0.5, 0.5], [0.1, 0.9]])),
    "not quite soft.npy": npy(np.array([[0.5, 0.5], [0.1, 0.8]])),
    "none.npy": npy(np.array([], dtype=np.int64)),
    "fractions.npy": npy(np.array([1.0, 2.5])),
    "negative.npy": npy(np.array([1, -1])),
    "negative fractions.npy": npy(np.array([1.0, -1.0])),
    "nan.npy": npy(np.array([1.0, np.nan])),
    "infinite.npy": npy(np.array([1.0, np.inf])),
    "beyond classes.npy": npy(np.array([2**40])),
    "beyond int64.npy": npy(np.array([2**63], dtype=np.uint64)),
    "empty.json": b"",
    "empty table.json": b"{}",
    "words for words.json": b'{"labels": "cat"}',
    "number.json": b"3",
    "none.json": b"[]",
    "words.json": b'["cat", "dog"]',
    "mixed.json": b'[1, "dog"]',
    "nothing.json": b"[1, null]",
    "truths.json": b"[true, false]",
    "fractions.json": b"[1, 2.5]",
    "nan.json": b"[1, NaN]",
    "infinite.json": b"[1, Infinity]",
    "huge.json": b"[1, 100000000000000000000000]",
    "too many digits.json": b"[1, " + b"9" * 5000 + b"]",
    "nested.json": b"[[1, 2], [3, 4]]",
    "ragged.json": b"[1, [2]]",
    "deep.json": b"[" * 100_000,
    "broken.json": b"[1, 2",
    "no text.json": b"\xff\xfe\xff",
    "empty.csv": b"",
    "no rows.csv": b"label\n",
    "no name.csv": b"text,truth\na,1\n",
    "words.csv": b"label\ncat\ndog\n",
    "gap.csv": b"text,label\na,1\nb,\n",
    "fractions.csv": b"label\n1.5\n",
    "negative.csv": b"label\n-1\n",
    "ragged.csv": b"text,label\na,1\nb,2,3\n",
    "no text.csv": b"label\n\xff\xfe\n",
    "open quote.csv": b'text,label\n"a,1\n',
    "empty.txt": b"",
    "blank.txt": b" \n\n",
    "words.txt": b"cat\ndog\n",
    "fractions.txt": b"1.5\n",
    "negative.txt": b"-1\n",
    "nan.txt": b"nan\n",
    "infinite.txt": b"1e999\n",
    "no text.txt": b"\xff\xfe1\n",
    "NUL.txt": b"1\x00\n",
}


@pytest.mark.parametrize("name", BAD)
def test_what_holds_no_labels_is_refused_and_never_executed(tmp_path, name):
    path = write(tmp_path, name, BAD[name])
    refused(lambda: read(path).noisy, str(path))


def test_the_trap_does_spring():
    with pytest.raises(pytest.fail.Exception, match="a pickle was executed"):
        pickle.loads(pickle.dumps(Trap()))


@pytest.mark.parametrize("name", ["labels", "labels.doc", "labels.pkl", "labels.npz.bak"])
def test_another_ending_is_refused_with_those_that_are_read(tmp_path, name):
    refused(lambda: read(write(tmp_path, name, b"1\n")), *READERS)


@pytest.mark.parametrize("name", [f"gone{suffix}" for suffix in READERS])
def test_a_missing_file_is_said_to_be_missing(tmp_path, name):
    refused(lambda: read(tmp_path / name), "cannot read the labels", "No such file")


def test_a_folder_holds_no_labels(tmp_path):
    (tmp_path / "labels.npz").mkdir()
    refused(lambda: read(tmp_path / "labels.npz"), "cannot read the labels")


WHOLE = contents(list(range(100)))


@pytest.mark.parametrize("name", [name for name in WHOLE if not name.endswith((".csv", ".tsv", ".txt"))])
@pytest.mark.parametrize("part", [0, 0.02, 0.1, 0.3, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_refused(tmp_path, name, part):
    content = WHOLE[name]
    path = write(tmp_path, name, content[: int(part * len(content))])
    refused(lambda: read(path), str(path))


@many
@given(name=st.sampled_from(sorted(WHOLE)), place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
@example(name="packed.npz", place=0.3, value=0)
def test_a_file_with_a_wrong_byte_is_read_or_refused(tmp_path_factory, name, place, value):
    content = bytearray(WHOLE[name])
    content[int(place * len(content))] = value
    sound_or_refused(write(tmp_path_factory.mktemp("labels"), name, bytes(content)))


@many
@given(name=st.sampled_from(sorted(WHOLE)), content=st.binary(max_size=80))
def test_a_file_of_anything_is_read_or_refused(tmp_path_factory, name, content):
    sound_or_refused(write(tmp_path_factory.mktemp("labels"), name, content))


def sound_or_refused(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = read(path).noisy
        except MemstudyError:
            refused(lambda: read(path).noisy)
        else:
            assert found.dtype == np.int64
            assert found.ndim == 1
            assert found.min() >= 0


# Found by their identity


def positions(images):
    return np.arange(len(images.train_labels))


def test_labels_are_found_in_the_first_file_that_holds_them(tmp_path, small):
    wanted = np.where(np.arange(400) % 4, small.train_labels, 3)
    other = write(tmp_path, "other.npy", npy(wanted[::-1].copy()))
    right = write(tmp_path, "right.json", json.dumps(wanted.tolist()))
    found = find(digest(wanted), [tmp_path / "gone.npy", other, right], small, positions(small))
    assert found.labels is not None
    assert np.array_equal(found.labels, wanted)


@pytest.mark.parametrize("names", [[], ["gone.npz"], ["other.npy"]])
def test_labels_that_are_nowhere_are_asked_for(tmp_path, small, names):
    write(tmp_path, "other.npy", npy(np.array([1])))
    sentence = refused(
        lambda: find("ab" * 32, [tmp_path / name for name in names], small, positions(small)), "abab", "--labels"
    )
    assert ("none)" in sentence) == (not names)


def test_memstudy_s_own_file_is_known_as_such(tmp_path, corrupted):
    found = read(write(tmp_path, "labels.npz", artifact.content(corrupted)))
    assert found.ours
    assert found.text("dataset") == "mnist5k"
    assert label_files.digest(found.noisy) == found.text("labels_sha256")
