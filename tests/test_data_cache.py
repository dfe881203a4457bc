"""The cache of decoded sets: the same set, sooner; never a wrong one, and never a reason to fail."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from memstudy import files
from memstudy.data import cache, embedded, own_sets, sources
from memstudy.data.cache import Origin


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    """A cache of its own for each test; gives its folder."""
    monkeypatch.setenv("MEMSTUDY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "sets"


@pytest.fixture
def data(tmp_path, small):
    """A data directory with a set of real images, `mine`."""
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder, small)
    return folder


def write(folder, images, name="mine", **changed):
    arrays = {
        "train_images": images.train_images[:, 0].numpy(),
        "train_labels": images.train_labels.numpy(),
        "test_images": images.test_images[:, 0].numpy(),
        "test_labels": images.test_labels.numpy(),
    }
    np.savez(folder / f"{name}.npz", **{**arrays, **changed})


@pytest.fixture
def decoded(monkeypatch):
    """The names of the sets that were decoded, as it happens."""
    names, read = [], own_sets.read

    def counted(place, name):
        names.append(name)
        return read(place, name)

    monkeypatch.setattr(own_sets, "read", counted)
    return names


def same(one, other):
    fields = ("name", "class_names", "mean", "std", "note", "statistics")
    return one.content_hash() == other.content_hash() and all(getattr(one, f) == getattr(other, f) for f in fields)


def test_a_set_is_decoded_once(data, decoded, kept):
    first, second = sources.load("mine", data), sources.load("mine", data)
    assert decoded == ["mine"]
    assert same(first, second)
    assert [file.name.split("-")[0] for file in kept.iterdir()] == ["mine"]


def test_statistics_come_with_it(data):
    sources.load("mine", data)
    images = sources.load("mine", data)
    known = images.__dict__.pop("statistics")
    assert images.statistics == known
    assert isinstance(known, tuple)
    assert all(isinstance(part, tuple) for part in known)


def test_a_note_comes_with_it(data, small, kept):
    from dataclasses import replace

    origin = Origin.of(data, data / "mine.npz")
    noted = replace(small, name="mine", note="not quite: “the original”")
    cache.save(noted, origin)
    assert same(cache.load("mine", origin), noted)


def rewritten(data, small):
    write(data, small, test_labels=small.test_labels.numpy()[::-1])


def touched(data, small):
    os.utime(data / "mine.npz", ns=(0, 0))


def grown(data, small):
    before = (data / "mine.npz").stat()
    write(data, small, remark=np.arange(9))
    os.utime(data / "mine.npz", ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [rewritten, touched, grown])
def test_a_changed_file_is_decoded_again_and_its_older_cache_replaced(data, small, decoded, kept, change):
    sources.load("mine", data)
    change(data, small)
    images = sources.load("mine", data)
    assert decoded == ["mine", "mine"]
    assert same(images, own_sets.read(data / "mine.npz", "mine"))
    assert same(sources.load("mine", data), images)
    assert decoded == ["mine", "mine", "mine"]  # the third was the test's
    assert len(list(kept.iterdir())) == 1


def test_a_new_format_or_another_version_of_a_package_is_decoded_again(monkeypatch):
    def fingerprint(folder):
        origin = embedded.MNIST5K.decoded_from(folder)
        assert origin is not None
        return origin.fingerprint

    before = fingerprint(Path())
    assert fingerprint(Path("elsewhere")) == before
    monkeypatch.setattr(cache, "version", lambda package: "0.0.1")
    other = fingerprint(Path())
    assert other != before
    monkeypatch.setattr(cache, "FORMAT", cache.FORMAT + 1)
    assert fingerprint(Path()) not in (before, other)


def test_a_file_more_or_less_in_a_folder_is_seen(tmp_path):
    folder = tmp_path / "pets"
    (folder / "train" / "cat").mkdir(parents=True)
    (folder / "train" / "cat" / "1.png").write_bytes(b"1")
    prints = [Origin.of(tmp_path, folder).fingerprint]
    (folder / "train" / "cat" / "2.png").write_bytes(b"2")
    prints.append(Origin.of(tmp_path, folder).fingerprint)
    (folder / "train" / "cat" / "2.png").rename(folder / "train" / "cat" / "3.png")
    prints.append(Origin.of(tmp_path, folder).fingerprint)
    assert len(set(prints)) == 3
    (folder / "train" / "cat" / "3.png").unlink()
    assert Origin.of(tmp_path, folder).fingerprint == prints[0]


def test_sets_of_one_name_in_two_folders_are_kept_apart(tmp_path, data, small, decoded):
    other = tmp_path / "other"
    other.mkdir()
    write(other, small, test_labels=small.test_labels.numpy()[::-1].copy())
    for _ in range(2):
        assert not same(sources.load("mine", data), sources.load("mine", other))
    assert decoded == ["mine", "mine"]


def test_a_folder_is_the_same_by_whatever_path(data, decoded, monkeypatch):
    sources.load("mine", data)
    (data.parent / "link").symlink_to(data)
    sources.load("mine", data.parent / "link")
    monkeypatch.chdir(data.parent)
    sources.load("mine", Path("data"))
    assert decoded == ["mine"]


def test_the_cache_is_no_source(data):
    from memstudy.errors import MemstudyError

    sources.load("mine", data)
    (data / "mine.npz").unlink()
    with pytest.raises(MemstudyError, match="unknown dataset 'mine'"):
        sources.load("mine", data)


# Damage


@pytest.mark.parametrize("position", [0, 3, 9, 40, 200, 500, 900, 1500, 5000, 100_000, 300_000, -5000, -100, -1])
def test_a_changed_byte_is_found_and_the_set_decoded_again(data, decoded, kept, position):
    first = sources.load("mine", data)
    [file] = kept.iterdir()
    good = file.read_bytes()
    damaged = bytearray(good)
    damaged[position] ^= 0x01
    file.write_bytes(damaged)
    assert same(sources.load("mine", data), first)
    assert decoded == ["mine", "mine"]
    assert file.read_bytes() == good
    sources.load("mine", data)
    assert decoded == ["mine", "mine"]


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff" * 9, bytes(9), 0.5, -1, "other tensors", "a folder"])
def test_a_foreign_or_truncated_file_is_replaced(data, decoded, kept, content):
    first = sources.load("mine", data)
    [file] = kept.iterdir()
    good = file.read_bytes()
    file.unlink()
    if content == "a folder":
        file.mkdir()
    elif content == "other tensors":
        file.write_bytes(safetensors.torch.save({"train_images": torch.zeros(3)}))
    elif isinstance(content, bytes):
        file.write_bytes(content)
    else:
        file.write_bytes(good[: int(content * len(good)) if content > 0 else content])
    origin = Origin.of(data, data / "mine.npz")
    assert not cache.has("mine", origin) or content in (0.5, -1)
    assert same(sources.load("mine", data), first)
    assert decoded == ["mine", "mine"]
    assert content == "a folder" or file.read_bytes() == good


def test_well_formed_files_with_other_labels_are_not_believed(data, decoded, kept):
    """Only the content hash can tell."""
    first = sources.load("mine", data)
    [file] = kept.iterdir()
    with safetensors.safe_open(file, framework="pt") as opened:
        tensors, metadata = {key: opened.get_tensor(key).clone() for key in opened.keys()}, opened.metadata()  # noqa: SIM118
    tensors["train_labels"][0] += 1
    file.write_bytes(safetensors.torch.save(tensors, metadata))
    assert same(sources.load("mine", data), first)
    assert decoded == ["mine", "mine"]


@pytest.mark.parametrize("where", ["a file", "below a file", "/proc/none"])
def test_a_cache_that_cannot_be_written_costs_only_time(data, decoded, tmp_path, monkeypatch, where):
    (tmp_path / "a file").write_text("in the way")
    place = {"a file": tmp_path / "a file", "below a file": tmp_path / "a file" / "cache"}.get(where, Path(where))
    monkeypatch.setenv("MEMSTUDY_CACHE", str(place))
    assert same(sources.load("mine", data), sources.load("mine", data))
    assert decoded == ["mine", "mine"]


def test_a_full_disk_costs_only_time(data, decoded, kept, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    sources.load("mine", data)
    assert list(kept.iterdir()) == []


def test_a_killed_writer_leaves_no_half_file(data, kept):
    """A process that saves over and over is killed; what is in place is whole."""
    code = (
        "import sys; from pathlib import Path; from memstudy.data import cache, sources\n"
        "data = Path(sys.argv[1]); images = sources.load('mine', data)\n"
        "origin = cache.Origin.of(data, data / 'mine.npz')\n"
        "print('ready', flush=True)\n"
        "while True: cache.save(images, origin)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, data], stdout=subprocess.PIPE, env=os.environ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.3)
        process.send_signal(signal.SIGKILL)
    origin = Origin.of(data, data / "mine.npz")
    images = cache.load("mine", origin)
    assert images is not None
    assert same(images, own_sets.read(data / "mine.npz", "mine"))


# Mapped memory


def test_tensors_may_be_changed_and_the_file_stays_as_it_is(data, kept):
    sources.load("mine", data)
    [file] = kept.iterdir()
    before = file.read_bytes()
    images = sources.load("mine", data)
    images.train_images.add_(1)
    images.train_labels.numpy()[:] = 0
    assert file.read_bytes() == before
    again = sources.load("mine", data)
    assert torch.equal(again.train_images + 1, images.train_images)
    assert again.train_labels.any()


def test_a_set_in_use_stays_as_it_is_when_its_file_is_replaced(data, small, kept):
    sources.load("mine", data)
    images = sources.load("mine", data)
    expected = images.train_images.clone()
    write(data, small, train_images=255 - small.train_images[:, 0].numpy())
    newer = sources.load("mine", data)
    assert torch.equal(images.train_images, expected)
    assert torch.equal(newer.train_images, 255 - expected)


def test_it_is_loaded_where_the_environment_says(tmp_path, monkeypatch):
    assert files.cache_directory() == tmp_path / "cache"
    monkeypatch.delenv("MEMSTUDY_CACHE")
    assert files.cache_directory().name == "memstudy"


@pytest.mark.parametrize(
    ("name", "place"), [("mnist", "MNIST/raw"), ("fashion", "FashionMNIST/raw"), ("cifar10", "cifar10.npz")]
)
def test_a_real_set_is_loaded_in_well_under_a_second(name, place):
    folder = Path(os.environ.get("MEMSTUDY_DATA") or "none")
    if not (folder / place).exists():
        pytest.skip(f"{place} is not in the directory that MEMSTUDY_DATA names")
    first = sources.load(name, folder)
    start = time.perf_counter()
    images = sources.load(name, folder)
    assert time.perf_counter() - start < 0.8
    assert same(first, images)
