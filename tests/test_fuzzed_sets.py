"""Damaged files of image sets, seeded: every reader gives the set or one sentence, and nothing else escapes."""

import io
import warnings
import zipfile

import numpy as np
import pytest
from PIL import Image

from memstudy.data import npz_set, sources
from memstudy.errors import MemstudyError
from tests.kit.contents import npz
from tests.kit.sources import idx

DTYPES = ["?", "i1", ">u4", "f2", "g", "c16", "S3", "U2", "O", "M8[s]", "m8[D]", "V4", [("a", "i4")], "(2,)u1"]
SHAPES = [(), (0,), (20,), (20, 1), (8,), (4,), (20, 8, 8), (8, 8, 8, 1), (1,) * 5]


@pytest.fixture
def generator():
    return np.random.default_rng(13)


@pytest.fixture
def arrays(small):
    """20 and 8 images of real digits, cut to 8×8: what is damaged is the files."""
    return {
        "train_images": small.train_images[:20, 0, 10:18, 10:18].numpy(),
        "train_labels": np.arange(20) % 4,
        "test_images": small.test_images[:8, 0, 10:18, 10:18].numpy(),
        "test_labels": np.arange(8) % 4,
        "class_names": np.array([*"abcd"]),
    }


def damaged(content, generator):
    """A file with some bytes changed, removed or put in, or cut off."""
    found = bytearray(content)
    for _ in range(generator.integers(1, 5)):
        place, length = int(generator.integers(len(found))), int(generator.integers(1, 20))
        kind = generator.integers(4)
        if kind == 0:
            found[place] ^= int(generator.integers(1, 256))
        elif kind == 1:
            del found[place : place + length]
        elif kind == 2:
            found[place:place] = generator.bytes(length)
        else:
            del found[place + 1 :]
        found = found or bytearray(b"x")
    return bytes(found)


def answer(read):
    """None if there is a set, else the sentence; anything else that is raised fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's and Pillow's, of odd headers
        try:
            read()
        except MemstudyError as error:
            sentence = str(error)
        else:
            return None
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert len(sentence) < 800
    return sentence


def test_damaged_npz_files(tmp_path, arrays, generator):
    path, whole = tmp_path / "mine.npz", npz(**arrays)
    answers = []
    for _ in range(150):
        path.write_bytes(damaged(whole, generator))
        answers.append(answer(lambda: npz_set.read(path, "mine")))
    assert sum(text is not None for text in answers) > 100


def test_npz_files_whose_check_sums_fit_and_whose_headers_are_damaged(tmp_path, arrays, generator):
    path = tmp_path / "mine.npz"
    with zipfile.ZipFile(io.BytesIO(npz(**arrays))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    answers = []
    for count in range(200):
        name = list(members)[count % len(members)]
        changed = damaged(members[name][:128], generator) + members[name][128:]
        with zipfile.ZipFile(path, "w") as archive:
            for member, content in (members | {name: changed}).items():
                archive.writestr(member, content)
        answers.append(answer(lambda: npz_set.read(path, "mine")))
        answer(lambda: npz_set.describe(path))
    assert sum(text is not None for text in answers) > 100


@pytest.mark.parametrize("key", ["train_images", "train_labels", "class_names"])
def test_npz_files_of_every_kind_of_array(tmp_path, arrays, key):
    path = tmp_path / "mine.npz"
    for kind in DTYPES:
        for shape in SHAPES:
            np.savez(path, **{**arrays, key: np.zeros(shape, kind)})
            sentence = answer(lambda: npz_set.read(path, "mine"))
            assert sentence is not None, (kind, shape)
            assert str(path) in sentence


@pytest.mark.parametrize("content", [b"", b"abc", b"\x93NUMPY", b"\x93NUMPY\x03\x00" + b"\xff" * 10])
def test_npz_files_with_bytes_instead_of_an_array(tmp_path, arrays, content):
    path = tmp_path / "mine.npz"
    for key in arrays:
        for ending in ("", ".npy"):
            path.write_bytes(npz(**{name: value for name, value in arrays.items() if name != key}))
            with zipfile.ZipFile(path, "a") as archive:
                archive.writestr(f"{key}{ending}", content)
            sentence = answer(lambda: npz_set.read(path, "mine"))
            assert (sentence is None) == (key == "class_names" and not ending)  # then there are no names


def test_damaged_image_files(tmp_path, arrays, generator):
    for part in ("train", "test"):
        for word in "ab":
            (tmp_path / "mine" / part / word).mkdir(parents=True)
            Image.fromarray(arrays["train_images"][0]).save(tmp_path / "mine" / part / word / "0.png")
    for ending in ("png", "jpg", "bmp", "ppm", "webp"):
        victim = tmp_path / "mine" / "train" / "a" / f"1.{ending}"
        Image.fromarray(arrays["train_images"][1]).save(victim)
        whole = victim.read_bytes()
        for _ in range(15):
            victim.write_bytes(damaged(whole, generator))
            answer(lambda: sources.load("mine", tmp_path))
        victim.unlink()


def test_damaged_idx_files(tmp_path, generator):
    """Of 3 images each: well formed or not, they are not MNIST's."""

    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    files = {
        f"{part}-{kind}-ubyte": idx(shape)
        for part in ("train", "t10k")
        for kind, shape in (("images-idx3", (3, 28, 28)), ("labels-idx1", (3,)))
    }
    for name, content in files.items():
        (raw / name).write_bytes(content)
    for count in range(60):
        name = list(files)[count % len(files)]
        (raw / name).write_bytes(damaged(files[name][:16], generator) + files[name][16:])
        assert answer(lambda: sources.load("mnist", tmp_path)) is not None
        (raw / name).write_bytes(files[name])


def test_damaged_cached_sets_are_decoded_again(tmp_path, arrays, generator, monkeypatch):
    monkeypatch.setenv("MEMSTUDY_CACHE", str(tmp_path / "cache"))
    (tmp_path / "mine.npz").write_bytes(npz(**arrays))
    right = sources.load("mine", tmp_path).content_hash()
    kept = next((tmp_path / "cache" / "sets").iterdir())
    whole = kept.read_bytes()
    for _ in range(60):
        kept.write_bytes(damaged(whole, generator))
        images = sources.load("mine", tmp_path)
        assert images.content_hash() == right
        assert images.class_names == tuple("abcd")
