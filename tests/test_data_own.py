"""The user's own sets: real images in the user's files, and one sentence for whatever is wrong with those."""

import os
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from memstudy.data import SOURCES, folder_set, npy, room, sources
from memstudy.errors import MemstudyError
from tests.kit import sentences
from tests.kit.image_folders import write_folder
from tests.reliability.shim import FAULTS, Layer, failing


@pytest.fixture(scope="module")
def arrays(small):
    """400 and 100 real digits as a user would save them."""
    return {
        "train_images": small.train_images[:, 0].numpy(),
        "train_labels": small.train_labels.numpy(),
        "test_images": small.test_images[:, 0].numpy(),
        "test_labels": small.test_labels.numpy(),
    }


def write_npz(folder, arrays, name="mine"):
    path = folder / f"{name}.npz"
    np.savez(path, **arrays)
    return path


def refused(folder, *words):
    """The sentence with which the set `mine` is refused; it must hold some words."""
    return sentences.refused(lambda: sources.load("mine", folder), *words)


# Room in memory


@pytest.mark.parametrize("kind", ["npz", "folder"])
def test_a_set_that_is_larger_than_memory_is_refused_before_it_is_read(tmp_path, arrays, monkeypatch, kind):
    if kind == "npz":
        write_npz(tmp_path, arrays)
    else:
        write_folder(tmp_path, arrays)
    monkeypatch.setattr(npy, "array_in", lambda *_: pytest.fail("it is read"))
    monkeypatch.setattr(folder_set, "_pixels", lambda *_: pytest.fail("it is read"))
    monkeypatch.setattr(room, "available", lambda: 3 * 400)
    count = "500" if kind == "npz" else "80"
    words = (
        f"has {count} images of 28×28, ",
        " MB, and reading it takes ",
        "of which 0 MB are free here; take fewer",
    )
    refused(tmp_path, *words)


def test_a_set_that_just_fits_is_read_and_one_that_was_kept_needs_no_room(tmp_path, arrays, monkeypatch):
    write_npz(tmp_path, arrays)
    need = room.PEAK * 500 * 28 * 28
    monkeypatch.setattr(room, "available", lambda: need - 1)
    refused(tmp_path, "are free here")
    monkeypatch.setattr(room, "available", lambda: need)
    first = sources.load("mine", tmp_path)
    monkeypatch.setattr(room, "available", lambda: 0)
    assert sources.load("mine", tmp_path).content_hash() == first.content_hash()


def test_a_header_that_claims_more_than_any_machine_has_is_refused(tmp_path, arrays):
    sizes = [room.amount(size) for size in (0, 999_999, 1_500_000_000, 10**11, 10**400)]
    assert sizes[:4] == ["0 MB", "1 MB", "1.5 GB", "100 GB"]
    with pytest.raises(MemstudyError, match=r"has 10,0.* images of 28×28"):
        room.check(tmp_path, 10**400, (28, 28))


GROUPS = {
    "0::/pod/job\n": {"pod/job/memory.max": "max", "pod/job/memory.current": "7000",
                      "pod/memory.max": "9000", "pod/memory.current": "8000",
                      "pod/memory.stat": "anon 1\ninactive_file 500\n"},
    "4:memory:/pod\n0::/\n": {"memory/pod/memory.limit_in_bytes": "9000",
                              "memory/pod/memory.usage_in_bytes": "8000",
                              "memory/pod/memory.stat": "inactive_file 1\ntotal_inactive_file 500\n"},
}  # fmt: skip


@pytest.mark.parametrize("membership", GROUPS)
def test_the_limit_of_a_container_or_job_counts(tmp_path, monkeypatch, membership):
    """https://docs.kernel.org/admin-guide/cgroup-v2.html#memory, and the same of version 1."""
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "cgroup").write_text(membership)
    (tmp_path / "meminfo").write_text("MemTotal: 90 kB\nMemAvailable:   50 kB\n")
    for name, content in GROUPS[membership].items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(room, "PROC", tmp_path)
    monkeypatch.setattr(room, "CONTROL_GROUPS", tmp_path)
    assert room.available() == 1500
    (tmp_path / "self" / "cgroup").write_text("")
    assert room.available() == 50 * 1024
    (tmp_path / "meminfo").unlink()
    assert room.available() is None


# NAME.npz


def test_an_npz_is_what_was_saved(tmp_path, arrays, small):
    write_npz(tmp_path, arrays)
    images = sources.load("mine", tmp_path)
    assert images.content_hash() == small.content_hash()
    assert images.name == "mine"
    assert images.class_names == tuple("0123456789")
    assert (images.mean, images.std, images.note) == ((0.5,), (0.5,), "")


@pytest.mark.parametrize("channels", [1, 2, 3, 7])
def test_channels_come_last_and_are_all_kept(tmp_path, arrays, channels):
    deep = {
        key: np.stack([value // (c + 1) for c in range(channels)], -1) if value.ndim == 3 else value
        for key, value in arrays.items()
    }
    write_npz(tmp_path, deep)
    images = sources.load("mine", tmp_path)
    assert images.channels == len(images.mean) == len(images.std) == len(images.statistics[0]) == channels
    assert np.array_equal(images.train_images.numpy(), deep["train_images"].transpose(0, 3, 1, 2))
    assert images.train_images.is_contiguous()


@pytest.mark.parametrize("kind", ["<i8", ">i8", "u1", "<u8", "i1"])
def test_labels_may_be_whole_numbers_of_any_kind(tmp_path, arrays, small, kind):
    write_npz(tmp_path, {k: v.astype(kind) if k.endswith("labels") else v for k, v in arrays.items()})
    assert sources.load("mine", tmp_path).content_hash() == small.content_hash()


@pytest.mark.parametrize("kind", [np.uint8, np.int64])
def test_labels_may_stand_in_one_column(tmp_path, arrays, small, kind):
    """As in every single-label set of MedMNIST, (N, 1) uint8, with a validation part besides."""
    columns = {k: v.astype(kind)[:, None] if k.endswith("labels") else v for k, v in arrays.items()}
    validation = {"val_images": arrays["test_images"], "val_labels": columns["test_labels"]}
    write_npz(tmp_path, {**columns, **validation})
    images = sources.load("mine", tmp_path)
    assert images.content_hash() == small.content_hash()
    assert images.train_labels.shape == (400,)


def test_names_may_be_bytes(tmp_path, arrays):
    words = [*"abcdefghi", "Größe"]
    write_npz(tmp_path, {**arrays, "class_names": np.array([word.encode() for word in words])})
    assert sources.load("mine", tmp_path).class_names == tuple(words)


def test_an_entry_that_is_no_array_is_not_taken_for_the_array_of_its_name(tmp_path, arrays, small):
    """`numpy.load` gives the bytes of an entry `train_images` where there is `train_images.npy`, too."""
    path = write_npz(tmp_path, arrays)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("train_images", b"no array")
    assert sources.load("mine", tmp_path).content_hash() == small.content_hash()


def test_an_npz_may_name_its_classes_and_hold_other_things(tmp_path, arrays):
    words = np.array(["nil", *"abcdefgh", "Größe"])
    np.savez_compressed(tmp_path / "mine.npz", **arrays, class_names=words, remark=np.array("mine"))
    assert sources.load("mine", tmp_path).class_names == tuple(words)


def test_arrays_may_lie_in_any_order_in_memory(tmp_path, arrays, small):
    write_npz(tmp_path, {key: np.asfortranarray(value) for key, value in arrays.items()})
    assert sources.load("mine", tmp_path).content_hash() == small.content_hash()


def with_label(arrays, part, old, new, kind=None):
    labels = arrays[f"{part}_labels"].astype(kind or np.int64)
    labels[labels == old] = new
    return {f"{part}_labels": labels}


BROKEN = {
    "pixels as fractions": (lambda a: {"train_images": a["train_images"] / 255}, ["float64", "uint8"]),
    "signed pixels": (lambda a: {"test_images": a["test_images"].astype(np.int8)}, ["test_images", "int8"]),
    "channels first": (
        lambda a: {"train_images": a["train_images"][:, None]},
        ["(400, 1, 28, 28)", "(N, H, W, C)"],
    ),
    "flat images": (lambda a: {"train_images": a["train_images"].reshape(400, -1)}, ["(400, 784)"]),
    "not square": (lambda a: {"train_images": a["train_images"][:, :, :20]}, ["(400, 28, 20)", "square"]),
    "no pixels": (lambda a: {"train_images": a["train_images"][:, :0, :0]}, ["(400, 0, 0)"]),
    "no channels": (lambda a: {"train_images": np.zeros((400, 28, 28, 0), np.uint8)}, ["(400, 28, 28, 0)"]),
    "parts of two sizes": (lambda a: {"test_images": a["test_images"][:, :20, :20]}, ["(28, 28)", "(20, 20)"]),
    "gray and color": (lambda a: {"test_images": np.stack([a["test_images"]] * 3, -1)}, ["(28, 28, 3)"]),
    "a label too few": (
        lambda a: {"train_labels": a["train_labels"][1:]},
        ["400 train_images", "399 train_labels"],
    ),
    "an image too few": (lambda a: {"test_images": a["test_images"][1:]}, ["99 test_images", "100 test_labels"]),
    "no test images": (
        lambda a: {"test_images": a["test_images"][:0], "test_labels": a["test_labels"][:0]},
        ["no test images"],
    ),
    "labels as fractions": (lambda a: {"train_labels": a["train_labels"] / 1}, ["train_labels", "float64"]),
    "labels as truths": (lambda a: {"train_labels": a["train_labels"] > 4}, ["bool", "whole numbers"]),
    "labels as words": (lambda a: {"train_labels": a["train_labels"].astype(str)}, ["<U", "whole numbers"]),
    "one-hot labels": (lambda a: {"train_labels": np.eye(10, dtype=int)[a["train_labels"]]}, ["(400, 10)"]),
    "labels of several kinds": (
        lambda a: {"train_labels": np.eye(14, dtype=np.uint8)[a["train_labels"]]},  # as in MedMNIST's ChestMNIST
        ["(400, 14)", "one class an image"],
    ),
    "labels as bytes": (lambda a: {"train_labels": a["train_labels"].astype("S1")}, ["|S1", "whole numbers"]),
    "labels as times": (lambda a: {"test_labels": a["test_labels"].astype("M8[s]")}, ["datetime64", "whole"]),
    "images as bytes": (lambda a: {"train_images": np.array([b"\x89PNG"] * 400)}, ["|S4", "images (N, H, W)"]),
    "images as records": (
        lambda a: {"test_images": np.zeros((100, 28, 28), [("red", "u1")])},
        ["test_images", "'red'"],
    ),
    "names that are no UTF-8": (lambda a: {"class_names": np.array([b"\xff"] * 10)}, ["utf-8"]),
    "a name of two lines": (lambda a: {"class_names": np.array([*"abcdefghi", "j\nk"])}, [r"'j\nk'", "rename"]),
    "half a character": (
        lambda a: {"class_names": np.array([*"abcdefghi", "\ud800"])},
        ["characters that do not exist"],
    ),
    "a single label": (lambda a: {"train_labels": np.array(3)}, ["train_labels", "()"]),
    "negative training labels": (lambda a: with_label(a, "train", 3, -1), ["go down to -1", "counted from 0"]),
    "negative test labels": (lambda a: with_label(a, "test", 3, -7), ["go down to -7"]),
    "a class without training images": (lambda a: with_label(a, "train", 3, 4), ["has the label 3", "gaps"]),
    "labels from 1": (lambda a: with_label(a, "train", 0, 10), ["has the label 0", "counted from 0"]),
    "an enormous label": (lambda a: with_label(a, "train", 9, 2**64 - 1, np.uint64), ["has the label 9"]),
    "a test label that is not trained on": (lambda a: with_label(a, "test", 9, 10), ["go up to 10", "10 classes"]),
    "too few names": (lambda a: {"class_names": np.array([*"abcdefghi"])}, ["go up to 9", "9 classes"]),
    "too many names": (lambda a: {"class_names": np.array([*"abcdefghijk"])}, ["has the label 10 (class k)"]),
    "one name twice": (lambda a: {"class_names": np.array([*"abcdefghia"])}, ["all different"]),
    "names as numbers": (lambda a: {"class_names": np.arange(10)}, ["class_names", "text"]),
    "one class": (
        lambda a: {"train_labels": 0 * a["train_labels"], "test_labels": 0 * a["test_labels"]},
        ["two or more"],
    ),
    "objects": (lambda a: {"train_images": np.array([{}] * 400, object)}, ["object", "never read"]),
    "names as objects": (
        lambda a: {"class_names": np.array([*"abcdefghij"], object)},
        ["class_names", "never read"],
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_an_npz_with_a_mistake_is_answered_with_a_sentence(tmp_path, arrays, what):
    change, words = BROKEN[what]
    path = write_npz(tmp_path, {**arrays, **change(arrays)})
    refused(tmp_path, str(path), *words)


@pytest.mark.parametrize("key", ["train_images", "train_labels", "test_images", "test_labels"])
def test_an_npz_without_an_array_says_which(tmp_path, arrays, key):
    path = write_npz(tmp_path, {k: v for k, v in arrays.items() if k != key})
    refused(tmp_path, f"{path} has no {key}; an image set has the arrays train_images, ")


@pytest.mark.parametrize("keep", [0, 1, 100, 0.1, 0.5, 0.9, -1, -10])
def test_a_truncated_npz_is_told(tmp_path, arrays, keep):
    path = write_npz(tmp_path, arrays)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    refused(tmp_path, f"{path} is truncated, damaged or no .npz file", "numpy.savez")


@pytest.mark.parametrize("place", [0.02, 0.3, 0.5, 0.9])
def test_a_changed_npz_is_told(tmp_path, arrays, place):
    path = write_npz(tmp_path, arrays)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 0xFF
    path.write_bytes(content)
    refused(tmp_path, f"{path} is truncated, damaged or no .npz file")


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"\x80\x04N."])
def test_a_foreign_file_is_told(tmp_path, content):
    (tmp_path / "mine.npz").write_bytes(content)
    refused(tmp_path, "truncated, damaged or no .npz file")


def test_a_header_that_lies_is_told(tmp_path, arrays):
    """More images than any memory holds, in a few bytes."""
    path = write_npz(tmp_path, {k: v for k, v in arrays.items() if k != "train_images"})
    with zipfile.ZipFile(path, "a") as archive:
        header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (400, 9999999, 9999999), }".ljust(117) + b"\n"
        archive.writestr("train_images.npy", b"\x93NUMPY\x01\x00\x76\x00" + header)
    refused(tmp_path, str(path))


# NAME/train/CLASS/*.png


@pytest.mark.parametrize("second", ["test", "val"])
@pytest.mark.parametrize("ending", ["png", "bmp"])
def test_a_folder_of_gray_images_is_what_was_saved(tmp_path, arrays, small, second, ending):
    write_folder(tmp_path, arrays, second=second, ending=ending)
    images = sources.load("mine", tmp_path)
    assert images.class_names == tuple("abcdefghij")
    assert images.channels == 1
    for label in range(10):
        assert torch.equal(
            images.train_images[images.train_labels == label], small.train_images[small.train_labels == label][:4]
        )
        assert torch.equal(
            images.test_images[images.test_labels == label], small.test_images[small.test_labels == label][:4]
        )


def test_one_image_in_color_makes_all_of_three_channels(tmp_path, arrays):
    folder = write_folder(tmp_path, arrays)
    gray = sources.load("mine", tmp_path)
    one = folder / "train" / "c" / "1.png"
    Image.open(one).convert("RGB").save(one)
    color = sources.load("mine", tmp_path)
    assert (gray.channels, color.channels) == (1, 3)
    assert torch.equal(color.train_images, gray.train_images.repeat(1, 3, 1, 1))
    assert torch.equal(color.test_images, gray.test_images.repeat(1, 3, 1, 1))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "1", "LA", "CMYK"])
def test_other_kinds_of_images_are_read_as_color(tmp_path, arrays, mode):
    ending = "tif" if mode == "CMYK" else "png"
    write_folder(tmp_path, arrays, per_class=1, ending=ending, change=lambda image: image.convert(mode))
    assert sources.load("mine", tmp_path).channels == 3


def test_test_goes_before_val_and_other_files_are_ignored(tmp_path, arrays):
    folder = write_folder(tmp_path, arrays)
    before = sources.load("mine", tmp_path).content_hash()
    (folder / "val" / "x").mkdir(parents=True)
    (folder / "train" / "a" / "notes.txt").write_text("not an image")
    assert sources.load("mine", tmp_path).content_hash() == before


def test_images_of_different_sizes_are_named(tmp_path, arrays):
    folder = write_folder(tmp_path, arrays)
    odd = folder / "test" / "d" / "1.png"
    Image.open(odd).resize((20, 30)).save(odd)
    refused(tmp_path, f"{folder / 'train' / 'a' / '0.png'} is 28×28", f"{odd} 20×30", "resize")


def test_images_that_are_not_square_are_refused(tmp_path, arrays):
    write_folder(tmp_path, arrays, change=lambda image: image.resize((20, 30)))
    refused(tmp_path, "must be square", "20×30", "crop")


def test_images_of_16_bits_are_refused_rather_than_cut_off(tmp_path, arrays):
    folder = write_folder(tmp_path, arrays)
    deep = folder / "train" / "a" / "2.png"
    Image.fromarray(np.full((28, 28), 1000, np.uint16)).save(deep)
    refused(tmp_path, str(deep), "8 bits")


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>", None])
def test_an_unreadable_image_is_named(tmp_path, arrays, content):
    bad = write_folder(tmp_path, arrays) / "test" / "e" / "3.png"
    bad.write_bytes(bad.read_bytes()[:80] if content is None else content)
    refused(tmp_path, f"{bad} cannot be read as an image", "repair or remove it")


@pytest.mark.parametrize("part", ["train", "test"])
def test_classes_that_differ_are_named(tmp_path, arrays, part):
    (write_folder(tmp_path, arrays) / part / "zebra").mkdir()
    refused(tmp_path, "only one has a folder zebra")


def test_a_class_without_training_images_is_named(tmp_path, arrays):
    folder = write_folder(tmp_path, arrays)
    for file in (folder / "train" / "c").iterdir():
        file.unlink()
    refused(tmp_path, "no training image", "label 2 (class c)")


@pytest.mark.parametrize("part", ["train", "test"])
def test_an_empty_part_is_named(tmp_path, arrays, part):
    folder = write_folder(tmp_path, arrays)
    for file in (folder / part).glob("*/*"):
        file.unlink()
    refused(tmp_path, str(folder), "is empty")


def test_a_part_that_is_missing_is_named(tmp_path, arrays):
    (write_folder(tmp_path, arrays) / "test").rename(tmp_path / "mine" / "tests")
    refused(tmp_path, "neither test nor val")


def test_a_part_without_folders_of_classes_is_named(tmp_path):
    (tmp_path / "mine" / "train").mkdir(parents=True)
    (tmp_path / "mine" / "test").mkdir()
    refused(tmp_path, "holds no folders of classes")


def test_what_editors_and_systems_leave_in_folders_is_no_part_of_a_set(tmp_path, arrays):
    """Jupyter's checkpoints, macOS's, Windows' and a NAS's files, beside the classes, in them and below."""
    folder = write_folder(tmp_path, arrays)
    before = sources.load("mine", tmp_path)
    content = (folder / "train" / "a" / "0.png").read_bytes()
    for part in ("train", "test"):
        (folder / part / "c" / "deeper").mkdir()
        for place in (folder / part, folder / part / "a", folder / part / "c" / "deeper"):
            for name in (".ipynb_checkpoints", "__MACOSX", "@eaDir", ".cache/nested"):
                (place / name).mkdir(parents=True)
                (place / name / "0-checkpoint.png").write_bytes(content)
            (place / "._0.png").write_bytes(b"\x00\x05\x16\x07 resource fork")
            for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
                (place / name).write_bytes(b"\x00")
    after = sources.load("mine", tmp_path)
    assert after.class_names == before.class_names == tuple("abcdefghij")
    assert after.content_hash() == before.content_hash()


def test_the_order_is_that_of_torchvision(tmp_path, arrays):
    """Also where folders lie in folders, and their names are such that paths sort otherwise than names."""
    from torchvision.datasets import ImageFolder

    folder = write_folder(tmp_path, arrays)
    for number, place in enumerate(("a/x", "a/x-y", "a/x/z", "j/B", "j/a")):
        (folder / "train" / place).mkdir()
        for ending in ("PNG", "Jpg", "txt"):
            file = folder / "train" / place / f"{number}.{ending}"
            file.write_bytes((folder / "train" / "b" / f"{number % 4}.png").read_bytes())
    theirs = ImageFolder(folder / "train")
    images = sources.load("mine", tmp_path)
    assert images.class_names == tuple(theirs.classes)
    assert images.train_labels.tolist() == theirs.targets
    assert torch.equal(
        images.train_images[:, 0],
        torch.stack([torch.from_numpy(np.array(image.convert("L"))) for image, _ in theirs]),
    )


def test_a_folder_that_leads_back_to_itself_is_read_once(tmp_path, arrays):
    folder = write_folder(tmp_path, arrays)
    before = sources.load("mine", tmp_path).content_hash()
    (folder / "train" / "a" / "again").symlink_to(folder / "train" / "a")
    (folder / "train" / "b" / "up").symlink_to(folder / "train" / "b")
    assert sources.load("mine", tmp_path).content_hash() == before


def test_a_pipe_is_no_image(tmp_path, arrays):
    bad = write_folder(tmp_path, arrays) / "train" / "a" / "9.png"
    os.mkfifo(bad)
    refused(tmp_path, f"{bad} cannot be read as an image", "no file")


# Names


def test_a_built_in_name_wins(tmp_path, arrays, mnist5k):
    write_npz(tmp_path, arrays, "mnist5k")
    assert sources.load("mnist5k", tmp_path).content_hash() == mnist5k.content_hash()
    assert [one.name for one in sources.survey(tmp_path)].count("mnist5k") == 1


def test_two_sets_of_one_name_are_told(tmp_path, arrays):
    write_folder(tmp_path, arrays, per_class=1)
    write_npz(tmp_path, arrays)
    refused(tmp_path, "both the set 'mine'", "rename")


def test_own_sets_are_among_the_known_names(tmp_path, arrays):
    write_npz(tmp_path, arrays, "pets")
    (tmp_path / "birds" / "train").mkdir(parents=True)
    with pytest.raises(
        MemstudyError, match=r"did you mean pets.*Known are birds, cifar10, .*mnist5k, pets"
    ) as caught:
        sources.load("pet", tmp_path)
    assert re.search(rf"looked for in {re.escape(str(tmp_path))}", str(caught.value))


@pytest.mark.parametrize("name", ["", ".", "..", "../mine", "sub/mine", ".hidden", "mine.npz", "MNIST"])
def test_a_name_is_never_a_path(tmp_path, arrays, name):
    data = tmp_path / "data"
    (data / "sub").mkdir(parents=True)
    (data / "MNIST" / "raw").mkdir(parents=True)
    (data / ".hidden" / "train").mkdir(parents=True)
    for folder in (tmp_path, data, data / "sub"):
        write_npz(folder, arrays)
    with pytest.raises(MemstudyError, match="unknown dataset"):
        sources.load(name, data)


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_without_a_data_directory_there_are_no_own_sets(tmp_path, kind):
    folder = tmp_path / "none"
    if kind == "file":
        folder.write_text("in the way")
    refused(folder, "unknown dataset 'mine'")
    assert [one.name for one in sources.survey(folder)] == SOURCES.names()


def test_the_list_has_own_sets_and_says_which_are_broken(tmp_path, arrays):
    write_npz(tmp_path, arrays)
    write_folder(tmp_path / "more", arrays, per_class=1).rename(tmp_path / "pets")
    (tmp_path / "bad.npz").write_bytes(b"PK")
    (tmp_path / "worse" / "train").mkdir(parents=True)
    (tmp_path / "object.npz").write_bytes(
        write_npz(tmp_path / "more", {"train_images": np.array({})}).read_bytes()
    )
    sources.load("mine", tmp_path)
    found = {one.name: one for one in sources.survey(tmp_path)[len(SOURCES.names()) :]}
    assert list(found) == ["bad", "mine", "object", "pets", "worse"]
    assert found["mine"].about == "your own: 400 train / 100 test, 28×28"
    assert found["mine"].size == (tmp_path / "mine.npz").stat().st_size
    assert [name for name, one in found.items() if one.installed] == ["mine", "pets"]
    assert [name for name, one in found.items() if one.cached] == ["mine"]
    assert found["pets"].size == sum(file.stat().st_size for file in Path(tmp_path / "pets").rglob("*.png"))
    for name in ("bad", "object", "worse"):
        assert str(found[name].about).startswith("not readable: ")


def test_a_set_that_the_disk_does_not_give_is_not_to_be_written_again(tmp_path, arrays):
    path = write_npz(tmp_path, arrays)
    silent = next(fault for fault in FAULTS if fault.name == "stale handle")
    with failing(Layer((str(path),), replace(silent, kinds=frozenset({"read"}), lasting=True), at=1)):
        refused(tmp_path, f"cannot read {path}: ", "try again")
