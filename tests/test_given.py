"""Labels for a set: rows in its order, names as classes, votes as a majority, and what does not fit refused."""

from __future__ import annotations

import codecs
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from memstudy.data import artifact, dataset, given, human, label_fit, sources
from memstudy.data.given import Given
from memstudy.data.images import ImageSet
from memstudy.data.label_files import LabelSource, digest, read
from memstudy.randomness import numpy_generator
from memstudy.recipe import Corruption
from memstudy.report import noise
from tests.kit.contents import npy, write
from tests.kit.image_folders import write_folder
from tests.kit.sentences import refused

WORDS = ("circle", "Square", "star")


def shapes(count=12, names=WORDS, train=None, test=6):
    """A set without images to speak of."""
    labels = np.arange(count) % len(names) if train is None else np.asarray(train)
    return ImageSet(
        "shapes", torch.zeros(len(labels), 1, 1, 1, dtype=torch.uint8), torch.from_numpy(labels),
        torch.zeros(test, 1, 1, 1, dtype=torch.uint8), torch.arange(test) % len(names), tuple(names), (0.5,),
        (0.5,),
    )  # fmt: skip


CLEAN = shapes().train_labels.numpy()
NOISY = np.where(np.arange(12) % 4 == 1, (CLEAN + 1) % 3, CLEAN)
ORDER = np.argsort(numpy_generator(3, "test").random(12))
FILES = [f"train/{WORDS[label]}/{number:02}.png" for number, label in enumerate(CLEAN)]
PARTS = {"train": FILES, "test": [f"test/circle/t{number}.png" for number in range(6)]}


def equal(one, other):
    return one is not None and np.array_equal(one, other)


def of(path, images=None, files=None, **more):
    return given.of(read(path), images or shapes(), lambda: files, **more)


def labels_of(path, *args, **more):
    found = of(path, *args, **more).labels
    assert found is not None
    return found.tolist()


def csv(folder, **columns):
    path = folder / "a.csv"
    path.write_text(pd.DataFrame(columns).to_csv(index=False), encoding="utf-8")
    return path


# Rows by their index


@pytest.mark.parametrize(
    "name", ["index", "id", "idx", "Unnamed: 0", "sample_id", "image_id", "image", "row", "Index"]
)
@pytest.mark.parametrize("start", [0, 1])
def test_an_index_in_another_order_puts_rows_in_order(tmp_path, name, start):
    path = csv(tmp_path, **{name: ORDER + start, "label": NOISY[ORDER]})
    assert labels_of(path) == NOISY.tolist()
    assert read(path).noisy.tolist() == NOISY.tolist()
    assert any("order" in note for note in of(path).notes)


def test_an_index_without_a_name_as_pandas_writes_it(tmp_path):
    table = pd.DataFrame({"noisy_label": NOISY, "label": CLEAN}).iloc[ORDER]
    path = write(tmp_path, "a.csv", table.to_csv())
    assert path.read_text().startswith(",noisy_label")
    found = of(path)
    assert found.labels is not None
    assert found.truth is not None
    assert found.labels.tolist() == NOISY.tolist()
    assert found.truth.tolist() == CLEAN.tolist()


def test_an_index_is_known_in_every_form(tmp_path):
    rows = [{"id": int(row), "label": int(NOISY[row])} for row in ORDER]
    by_index = {str(row): int(NOISY[row]) for row in ORDER}
    table = pd.DataFrame({"label": NOISY}).iloc[ORDER]
    np.savez(tmp_path / "a.npz", index=ORDER, noisy=NOISY[ORDER])
    for name, content in {
        "records.json": json.dumps(rows),
        "by index.json": json.dumps(by_index),
        "nested.json": json.dumps({"labels": by_index}),
        "pandas.json": table.to_json(),
        "pandas records.json": table.to_json(orient="index"),
        "numbers.csv": "".join(f"{row},{NOISY[row]}\n" for row in ORDER),
        "a.npz": (tmp_path / "a.npz").read_bytes(),
    }.items():
        assert labels_of(write(tmp_path, name, content)) == NOISY.tolist(), name


@pytest.mark.parametrize(
    ("index", "says"),
    [
        (np.r_[ORDER[:-1], ORDER[0]], "more than one label for sample"),
        (ORDER + 7, "from sample 7 to 18"),
        (ORDER * 2, "are a part of a set"),
        (ORDER + 0.5, "from sample 0.5"),
    ],
)
def test_an_index_that_is_no_order_is_refused(tmp_path, index, says):
    refused(lambda: of(csv(tmp_path, index=index, label=NOISY)), says, "'index'")


# Rows by their files


@pytest.mark.parametrize(
    "name", ["filename", "file", "path", "image", "image_path", "img", "File Name", "id", "x"]
)
@pytest.mark.parametrize(
    "written_as",
    [
        lambda path: path,
        lambda path: path.split("/", 1)[1],
        lambda path: path.rsplit("/", 1)[1],
        lambda path: f"/home/me/shapes/{path}",
        lambda path: f"./{path}",
        lambda path: "C:\\data\\" + path.replace("/", "\\"),
    ],
)
def test_files_are_matched_by_any_suffix_that_only_one_has(tmp_path, name, written_as):
    path = csv(tmp_path, **{name: [written_as(FILES[row]) for row in ORDER], "label": NOISY[ORDER]})
    assert labels_of(path, files=PARTS) == NOISY.tolist()


def test_files_and_labels_in_other_forms(tmp_path):
    pairs = [(FILES[row], int(NOISY[row])) for row in ORDER]
    for name, content in {
        "a.json": json.dumps(dict(pairs)),
        "b.json": json.dumps({"labels": pairs}),
        "c.json": json.dumps(pairs),
        "d.json": json.dumps({file: {"label": label, "split": "train"} for file, label in pairs}),
        "clothing1m.txt": "".join(f"{file} {label}\n" for file, label in pairs),
        "a.tsv": "file\tlabel\n" + "".join(f"{file}\t{WORDS[label]}\n" for file, label in pairs),
    }.items():
        path = write(tmp_path, name, content)
        assert labels_of(path, files=PARTS) == NOISY.tolist(), name
        refused(lambda: read(path).digest, "names of classes or files")  # noqa: B023


def test_rows_of_test_files_are_left_out_and_that_is_said(tmp_path):
    path = csv(tmp_path, file=PARTS["test"] + FILES, label=[0] * 6 + NOISY.tolist())
    assert labels_of(path, files=PARTS) == NOISY.tolist()
    assert "6 rows of test files are left out" in of(path, files=PARTS).notes[0]


def test_files_of_both_parts_may_have_the_same_names(tmp_path):
    """Paths below a part are then those of the training files, as labels are for these."""
    parts = {"train": FILES, "test": [file.replace("train", "test") for file in FILES]}
    path = csv(tmp_path, file=[FILES[row].removeprefix("train/") for row in ORDER], label=NOISY[ORDER])
    assert labels_of(path, files=parts) == NOISY.tolist()
    both = csv(tmp_path, file=[f"/data/{file}" for file in parts["test"] + FILES], label=[0] * 12 + NOISY.tolist())
    assert labels_of(both, files=parts) == NOISY.tolist()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda names: ["nowhere.png", *names[1:]], "row 0 (the first is 0)"),
        (lambda names: [names[1], *names[1:]], "more than one label for train/Square/01.png"),
        (lambda names: names[:-1], "no label for 1 of the 12 training files, the first train/star/11.png"),
        (
            lambda names: [name.replace("03", "00") for name in names],
            "more than one label for train/circle/00.png",
        ),
    ],
)
def test_files_that_do_not_match_one_to_one_are_refused(tmp_path, change, says):
    names = change(FILES)
    refused(lambda: of(csv(tmp_path, file=names, label=NOISY[: len(names)]), files=PARTS), says)


def test_a_suffix_that_several_files_have_is_refused(tmp_path):
    parts = {"train": [f"train/{word}/1.png" for word in WORDS], "test": ["test/circle/1.png"]}
    path = csv(tmp_path, file=["star/1.png", "1.png", "Square/1.png"], label=[0, 1, 2])
    refused(lambda: of(path, shapes(3), parts), "'1.png'", "more than one file", "--files")
    right = csv(tmp_path, file=["star/1.png", "train/circle/1.png", "Square/1.png"], label=[0, 1, 2])
    assert labels_of(right, shapes(3), parts) == [1, 2, 0]


def test_files_for_a_set_without_files_are_refused_unless_an_index_has_a_name(tmp_path):
    refused(lambda: of(csv(tmp_path, file=FILES, label=NOISY)), "no files to match", "'shapes'")
    assert labels_of(csv(tmp_path, index=ORDER, file=FILES, label=NOISY[ORDER])) == NOISY.tolist()
    unnamed = write(tmp_path, "a.csv", pd.DataFrame({"file": FILES, "label": NOISY}).to_csv())
    refused(lambda: of(unnamed), "no files to match")


def test_a_folder_of_real_images(tmp_path, mnist5k):
    """Files in another order than the set's, and classes by name: nothing is wrong, where it was 89.8 %."""
    arrays = {
        f"{part}_{kind}": getattr(mnist5k, f"{part}_{kind}").numpy().squeeze()
        for part in ("train", "test")
        for kind in ("images", "labels")
    }
    place = write_folder(tmp_path, arrays, per_class=8)
    images = sources.load("mine", tmp_path)
    listed = sources.files("mine", tmp_path)
    assert listed is not None
    assert listed["train"][0] == "train/a/0.png"
    assert len(listed["train"]) == len(images.train_labels) == 80
    paths = numpy_generator(0, "test").permutation([str(place / file) for file in listed["train"]])
    path = csv(tmp_path, image=paths, label=[Path(file).parent.name for file in paths])
    found = given.of(read(path), images, lambda: sources.files("mine", tmp_path))
    assert equal(found.labels, images.train_labels.numpy())
    assert "nothing is corrupted" in found.notes[-1]
    assert sources.files("mnist5k", tmp_path) is None


# Names of classes


def test_names_of_classes_are_labels_in_every_form(tmp_path):
    words = [WORDS[label] for label in NOISY]
    np.save(tmp_path / "a.npy", np.array(words))
    np.save(tmp_path / "b.npy", np.array(words, dtype="S"))
    for name, content in {
        "a.json": json.dumps(words),
        "a.txt": "\n".join(words),
        "lower.txt": "\n".join(words).lower(),
        "a.csv": "label\n" + "\n".join(words),
        "mixed.csv": "label\n" + "\n".join([*words[:-1], str(NOISY[-1])]),
        "a.npy": (tmp_path / "a.npy").read_bytes(),
        "b.npy": (tmp_path / "b.npy").read_bytes(),
    }.items():
        path = write(tmp_path, name, content)
        assert labels_of(path) == NOISY.tolist(), name
    assert of(tmp_path / "a.npy").identity(tmp_path) == digest(NOISY)


def test_names_with_spaces_a_line_each(tmp_path):
    images = shapes(names=("sea horse", "sea lion", "star"))
    words = [images.class_names[label] for label in NOISY]
    assert labels_of(write(tmp_path, "a.txt", "\n".join(words)), images) == NOISY.tolist()


def test_a_name_of_no_class_is_named_by_its_row(tmp_path):
    words = [WORDS[label] for label in NOISY]
    words[4] = words[7] = "cirlce"
    refused(
        lambda: of(csv(tmp_path, label=words)),
        "row 4 (the first is 0) is 'cirlce', the first of 2 of 12",
        "circle",
    )


@pytest.mark.parametrize("seed", range(3))
def test_classes_with_numbers_for_names(tmp_path, seed):
    """Folders 0, 1, 10, 11, 2, ... in the order of the alphabet: a 2 may be the class called 2, or the third."""
    names = sorted(map(str, range(12)))
    truth = numpy_generator(seed, "test").permutation(np.arange(240) % 12)
    images = shapes(names=names, train=truth)
    noisy = np.where(np.arange(240) % 5 == 0, (truth + 1) % 12, truth)
    by_name = np.array([int(names[label]) for label in noisy])
    for written_as, says in ((by_name, "as the names of the classes"), (noisy, "as the classes counted from 0")):
        path = csv(tmp_path, label=written_as)
        assert labels_of(path, images) == noisy.tolist()
        assert says in of(path, images).notes[0]


def test_classes_named_by_numbers_from_1_on(tmp_path):
    """MNIST-like folders 1 to 3: a 3 can only be meant as a name, and a 0 only as a number."""
    images = shapes(names=("1", "2", "3"))
    assert labels_of(csv(tmp_path, label=NOISY + 1), images) == NOISY.tolist()
    assert labels_of(csv(tmp_path, label=NOISY), images) == NOISY.tolist()


# Votes


VOTES = np.stack([NOISY, CLEAN, np.where(np.arange(12) < 3, (CLEAN + 2) % 3, CLEAN)], axis=1)


def chosen(votes, classes=3) -> Any:
    """Which class each annotator chose, (N, A, K)."""
    return np.asarray(votes)[..., None] == np.arange(classes)


@pytest.mark.parametrize(
    "names",
    [
        ("random_label1", "random_label2", "random_label3"),
        ("annotator_a", "annotator_b", "annotator_c"),
        ("label_1", "label_2", "label_3"),
        ("rater 1", "rater 2", "rater 3"),
    ],
)
def test_of_several_annotators_the_majority_counts(tmp_path, names):
    path = csv(tmp_path, **dict(zip(names, VOTES.T, strict=True)))
    found = of(path)
    shares = chosen(VOTES).mean(axis=1)
    assert found.distribution is not None
    assert found.labels is not None
    assert np.allclose(found.distribution, shares)
    assert (np.take_along_axis(shares, found.labels[:, None], axis=1)[:, 0] == shares.max(axis=1)).all()
    assert "1 of 12 are ties, decided by the corruption's seed 0" in found.notes[0]
    assert read(LabelSource(path, names[0])).noisy.tolist() == NOISY.tolist()


def test_ties_are_drawn_by_the_seed(tmp_path):
    images = shapes(3000, train=np.zeros(3000, np.int64))
    path = csv(tmp_path, worker1=np.zeros(3000, int), worker2=np.ones(3000, int), worker3=np.full(3000, 2))
    first, again, other = (np.array(labels_of(path, images, seed=seed)) for seed in (0, 0, 1))
    assert equal(first, again)
    assert not equal(first, other)
    assert np.abs(np.bincount(first) / 3000 - 1 / 3).max() < 0.05


def test_annotators_who_gave_no_label_do_not_count(tmp_path):
    text = "annotator1,annotator2,annotator3\n0,,0\n1,-1,1\n,2,\nnan,1,1\n"
    assert labels_of(write(tmp_path, "a.csv", text), shapes(4)) == [0, 1, 2, 1]
    words = "annotator1,annotator2,annotator3\ncircle,,Circle\nSQUARE,-1,1\n,star,\nnan,1,square\n"
    assert labels_of(write(tmp_path, "words.csv", words), shapes(4)) == [0, 1, 2, 1]
    wrong = write(tmp_path, "wrong.csv", words + "star,moon,\n")
    refused(lambda: of(wrong, shapes(5)), "row 4 (the first is 0)", "moon", "it alone of 5")
    empty = write(tmp_path, "b.csv", text + ",,\n")
    refused(lambda: of(empty, shapes(5)), "row 4", "given by somebody")


def test_an_array_of_annotators_or_of_counts(tmp_path):
    np.save(tmp_path / "a.npy", VOTES[:, :2])
    assert of(tmp_path / "a.npy").distribution.shape == (12, 3)
    counts = chosen(VOTES).sum(axis=1)
    np.save(tmp_path / "b.npy", counts)
    assert np.allclose(of(tmp_path / "b.npy").distribution, counts / 3)
    np.save(tmp_path / "c.npy", VOTES)
    refused(lambda: of(tmp_path / "c.npy"), "3 whole numbers a sample", "3 annotators")


def test_the_artifact_keeps_the_votes(tmp_path, small):
    clean = small.train_labels.numpy()
    votes = np.stack([np.roll(clean, 40), clean, clean], axis=1)
    path = csv(tmp_path, **{f"annotator{number}": votes[:, number] for number in range(3)})
    wanted = Corruption("file", None, labels=given.of(read(path), small, lambda: None).identity(path))
    labels = label_fit.find(wanted.labels, [path], small, np.arange(400))
    data = dataset.corrupt(small, wanted, labels)
    made = artifact.read(write(tmp_path, "made.npz", artifact.content(data)))
    assert made.distribution is not None
    assert "of the classes for each sample" in noise.describe(made)["shares"]
    assert np.allclose(made.distribution, (votes[..., None] == np.arange(10)).mean(axis=1))
    again = label_fit.find(
        labels.identity(path, soft=True), [tmp_path / "made.npz"], small, np.arange(400), soft=True
    )
    assert equal(again.distribution, labels.distribution)


# Soft labels


SOFT = numpy_generator(0, "test").random((12, 3))
SOFT /= SOFT.sum(axis=1, keepdims=True)


def test_soft_labels_in_every_form(tmp_path):
    np.savez(tmp_path / "a.npz", probs=SOFT, images=np.zeros((12, 2, 2)))
    torch.save(torch.from_numpy(SOFT), tmp_path / "a.pt")
    for name, content in {
        "a.npy": npy(SOFT),
        "a.json": json.dumps(SOFT.tolist()),
        "a.csv": pd.DataFrame(SOFT, columns=list(WORDS)).to_csv(),
        "order.csv": pd.DataFrame(SOFT, columns=list(WORDS))[["star", "circle", "Square"]].to_csv(index=False),
        "numbers.csv": pd.DataFrame(SOFT).to_csv(index=False),
        "class_0.csv": pd.DataFrame(SOFT, columns=[f"class_{k}" for k in range(3)]).to_csv(index=False),
        "rows.csv": pd.DataFrame(SOFT, columns=list(WORDS)).iloc[ORDER].to_csv(),
        "a.npz": (tmp_path / "a.npz").read_bytes(),
        "a.pt": (tmp_path / "a.pt").read_bytes(),
    }.items():
        found = of(write(tmp_path, name, content))
        assert found.distribution is not None, name
        assert np.allclose(found.distribution, SOFT), name
        assert np.allclose(found.distribution.sum(axis=1), 1, atol=1e-15)
        assert found.labels is None
        refused(lambda: found.identity(tmp_path), "soft labels alone", "--noise soft")  # noqa: B023


@pytest.mark.parametrize("kind", ["f2", "f4", ">f8"])
def test_soft_labels_of_any_width_add_up_to_one(tmp_path, kind):
    found = of(write(tmp_path, "a.npy", npy(SOFT.astype(kind))))
    assert found.distribution is not None
    assert np.allclose(found.distribution.sum(axis=1), 1, atol=1e-15)


def test_one_hot_rows_are_labels(tmp_path):
    for kind in (np.int64, np.float32):
        found = of(write(tmp_path, "a.npy", npy(np.eye(3, dtype=kind)[NOISY])))
        assert found.labels is not None
        assert found.labels.tolist() == NOISY.tolist()


def test_soft_labels_of_other_classes_are_refused(tmp_path):
    path = write(tmp_path, "a.npy", npy(np.full((12, 4), 0.25)))
    refused(lambda: of(path), "of 4 classes", "has 3")
    named = write(tmp_path, "a.csv", pd.DataFrame(SOFT, columns=["circle", "star", "moon"]).to_csv(index=False))
    refused(lambda: of(named), "circle, star, moon", "Square")


def test_a_row_that_does_not_add_up_is_named(tmp_path):
    bad = SOFT.copy()
    bad[5] *= 0.5
    refused(lambda: of(write(tmp_path, "a.npy", npy(bad))), "row 5", "one of 1 such of 12")


# Encodings


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"), (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_every_encoding_that_says_what_it_is(tmp_path, mark, encoding, separator):
    images = shapes(names=("Käfer", "Ölfaß", "鳥"))
    words = [images.class_names[label] for label in NOISY]
    table = pd.DataFrame({"label": CLEAN, "label_noisy": words}).to_csv(index=False, sep=separator)
    for name, text in {
        "a.csv": table,
        "b.csv": table.replace("\n", "\r\n"),
        "a.json": json.dumps(words, ensure_ascii=False),
        "a.txt": "\r\n".join(words),
    }.items():
        assert labels_of(write(tmp_path, name, mark + text.encode(encoding)), images) == NOISY.tolist(), name


@pytest.mark.parametrize("encoding", ["utf-16-le", "latin-1"])
def test_an_encoding_that_does_not_say_so_is_refused(tmp_path, encoding):
    content = "label\nKäfer\n".encode(encoding)
    refused(lambda: read(write(tmp_path, "a.csv", content)), "a.csv")


# Entries


@pytest.mark.parametrize(
    ("bad", "shown"),
    [("x", "'x'"), ("", "''"), ("1.5", "1.5"), ("-1", "-1.0"), ("nan", "'nan'"), ("9" * 389_065, "'9999")],
)
@pytest.mark.parametrize("form", ["csv", "json"])
def test_one_bad_entry_among_50_000_is_named(tmp_path, bad, shown, form):
    labels: list[object] = [str(row % 10) for row in range(50_000)]
    labels[41_234] = bad
    if form == "csv":
        path = write(tmp_path, "a.csv", "id,label\n" + "".join(f"{i},{x}\n" for i, x in enumerate(labels)))
    else:
        path = write(tmp_path, "a.json", json.dumps(labels))
    if len(bad) > 100_000 and form == "csv":
        assert len(refused(lambda: read(path))) < 400  # more than a field may hold
        return
    sentence = refused(lambda: read(path), "row 41,234 (the first is 0)", shown, "it alone of 50,000")
    assert len(sentence) < 500
    for row in (7, 49_999):
        labels[row] = bad
    path = write(tmp_path, "b.json", json.dumps(labels))
    refused(lambda: read(path), "row 7 (the first is 0)", "the first of 3 of 50,000")


def test_a_label_beyond_the_classes_is_named_by_its_row_in_the_file(tmp_path):
    labels = NOISY[ORDER].copy()
    labels[3] = 7
    path = csv(tmp_path, index=ORDER, label=labels)
    refused(lambda: of(path), "0 to 2", "row 3 (the first is 0) is 7, it alone of 12")
    refused(lambda: of(csv(tmp_path, label=CLEAN + 1)), "are they counted from 1?")


# Whether they fit


def check(folder, labels, images, positions=None, anyway=False):
    path = write(folder, "a.npy", npy(np.asarray(labels)))
    where = np.arange(len(images.train_labels)) if positions is None else positions
    return label_fit.find(digest(np.asarray(labels)), [LabelSource(path, anyway=anyway)], images, where)


@pytest.mark.parametrize(
    ("count", "says"),
    [
        (399, "1 too few"), (401, "1 too many"), (100, "as many as its test part has"),
        (500, "for the training and the test part together"), (1, "399 too few"),
    ],
)  # fmt: skip
def test_another_length_says_by_how_many_and_of_which_part(tmp_path, small, count, says):
    refused(lambda: check(tmp_path, np.arange(count) % 10, small), f"{count} noisy labels", "400 training", says)


def test_labels_in_another_order_ask_and_go_on_anyway(tmp_path, small):
    labels = np.roll(small.train_labels.numpy(), 45)
    labels = numpy_generator(0, "test").permutation(labels)
    refused(
        lambda: check(tmp_path, labels, small), "another order, or of another set?", "--anyway", "anyway = true"
    )
    assert equal(check(tmp_path, labels, small, anyway=True).labels, labels)


def test_classes_in_another_order_are_told_from_samples_in_another(tmp_path, small):
    refused(lambda: check(tmp_path, 9 - small.train_labels.numpy(), small), "are the classes in another order?")


def test_true_labels_beside_prove_the_order_whatever_the_noise(tmp_path, small):
    """90 % symmetric noise of ten classes agrees by chance alone, and is right."""
    data = dataset.corrupt(small, Corruption(rate=0.9))
    clean, noisy = small.train_labels.numpy(), data.noisy_labels.numpy()
    path = csv(tmp_path, clean_label=clean, noisy_label=noisy)
    assert equal(label_fit.find(digest(noisy), [path], small, np.arange(400)).labels, noisy)
    ours = write(tmp_path, "ours.npz", artifact.content(data))
    assert equal(label_fit.find(digest(noisy), [ours], small, np.arange(400)).labels, noisy)
    alone = csv(tmp_path, noisy_label=noisy)
    refused(lambda: label_fit.find(digest(noisy), [alone], small, np.arange(400)), "no better than by chance")


def test_other_true_labels_beside_are_counted(tmp_path, small):
    clean = small.train_labels.numpy().copy()
    clean[:7] = (clean[:7] + 1) % 10
    path = csv(tmp_path, label=clean, noisy_label=small.train_labels.numpy())
    wanted = digest(small.train_labels.numpy())
    refused(lambda: label_fit.find(wanted, [path], small, np.arange(400)), "'label'", "7 of 400", "--anyway")
    assert len(label_fit.find(wanted, [LabelSource(path, anyway=True)], small, np.arange(400))) == 400


def test_labels_of_a_part_are_compared_with_that_part(tmp_path, small):
    positions = np.arange(3, 400, 4)
    labels = small.train_labels.numpy()[positions]
    assert len(check(tmp_path, labels, small, positions)) == 100
    refused(lambda: check(tmp_path, np.roll(labels, 15), small, positions), "no better than by chance")


def test_a_file_for_another_set_does_not_stand_in_the_way(tmp_path, small):
    other = write(tmp_path, "other.json", json.dumps(["circle", "star"]))
    right = write(tmp_path, "right.npy", npy(small.train_labels.numpy()))
    wanted = digest(small.train_labels.numpy())
    assert len(label_fit.find(wanted, [other, right], small, np.arange(400))) == 400
    refused(lambda: label_fit.find("ab" * 32, [other, right], small, np.arange(400)), "'circle'")


def test_a_part_of_given_labels_is_a_part_of_all_that_is_given():
    whole = Given(NOISY, SOFT, CLEAN, ("said",))
    part = whole.part(np.array([4, 2]))
    assert part.labels is not None
    assert part.distribution is not None
    assert part.truth is not None
    assert (part.labels.tolist(), part.truth.tolist()) == (NOISY[[4, 2]].tolist(), CLEAN[[4, 2]].tolist())
    assert equal(part.distribution, SOFT[[4, 2]])
    assert replace(part, notes=()) != part


# Real files


@pytest.fixture(scope="module")
def cifar10():
    folder = Path(os.environ.get("MEMSTUDY_DATA") or "none")
    needed = [
        folder / "cifar10.npz",
        folder / "cifar-n" / "CIFAR-10_human.pt",
        folder / "foreign/image_order_c10.npy",
    ]
    if not all(path.is_file() for path in needed):
        pytest.skip("CIFAR-10, its human labels or image_order_c10.npy is not where MEMSTUDY_DATA says")
    return sources.load("cifar10", folder), folder


def test_cifar10n_in_the_order_of_tensorflow_datasets_is_asked_about(tmp_path, cifar10):
    images, folder = cifar10
    clean = images.train_labels.numpy()
    right = human.read(folder, "cifar10", "aggregate", clean)
    order = np.load(folder / "foreign" / "image_order_c10.npy")
    assert (right != clean).mean() == pytest.approx(0.0901, abs=1e-4)
    assert (right[order] != clean).mean() == pytest.approx(0.9021, abs=1e-4)
    refused(lambda: check(tmp_path, right[order], images), "another order, or of another set?", "--anyway")
    by_index = csv(tmp_path, index=order, label=right[order])
    assert equal(of(by_index, images).labels, right)


def test_the_authors_own_file_is_read_by_its_columns(cifar10):
    images, folder = cifar10
    clean, path = images.train_labels.numpy(), folder / "cifar-n" / "CIFAR-10_human.pt"
    refused(lambda: read(path), "worse_label", "aggre_label", "--label-column")
    worst = given.of(read(LabelSource(path, "worse_label")), images, lambda: None)
    assert round(100 * (worst.labels != clean).mean(), 2) == 40.21
    assert equal(worst.truth, clean)
