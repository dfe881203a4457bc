"""The well-known sets, read (and downloaded) by torchvision from their original files in the data directory.

Torchvision unpickles the batches of CIFAR. That is acceptable here, and nowhere else in memstudy, because it
compares each file's MD5 with that of the original first, and nobody can make another file with a given MD5.
MNIST's files are plain numbers; what they decode to is compared with a digest. The pickles that earlier versions
of torchvision made of them are not looked at.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass, replace
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch

from memstudy import files, lease
from memstudy.data import class_names, npz_set, room
from memstudy.data.cache import Origin
from memstudy.data.images import ImageSet
from memstudy.data.sources import Source
from memstudy.errors import MemstudyError, listed, reason

IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


@dataclass(frozen=True)
class Known:
    """What is known of a set.

    Attributes:
        kind: the name of torchvision's class for it, and of the set in sentences.
        place: where torchvision keeps it, below the data directory.
        needed: the files in `place` that must exist for the set to be there; "" is the folder itself.
        megabytes: the size of the download.
        shape: (C, H, W) of an image.
        train, test: numbers of images.
        mean, std: AL2's, the same for every channel.
        copy: a .npz in the data directory that is read if `place` is missing; empty if there is none such.

    """

    kind: str
    place: str
    needed: tuple[str, ...]
    megabytes: int
    class_names: tuple[str, ...]
    shape: tuple[int, int, int]
    train: int
    test: int
    mean: float = 0.5
    std: float = 0.5
    copy: str = ""

    def is_in(self, folder: Path) -> bool:
        """Whether the original files are in a data directory."""
        return all((folder / self.place / name).exists() for name in self.needed)

    @property
    def ways(self) -> str:
        """How to get it, a clause."""
        return f"add --download (about {self.megabytes} MB); {self.offline_ways}"

    @property
    def offline_ways(self) -> str:
        """How to get it without a network here, a clause."""
        example = f"{self.place}/{self.needed[0]} and its three companions" if self.needed[1:] else self.place
        copy = f" (or {self.copy}, with the arrays {', '.join(npz_set.KEYS)})" if self.copy else ""
        return (
            f"point --data-dir or MEMSTUDY_DATA at a folder that holds {example}, unpacked{copy}; or use an "
            "embedded set: --dataset mnist5k"
        )


_28 = ((1, 28, 28), 60_000, 10_000)
_32 = ((3, 32, 32), 50_000, 10_000)
KNOWN = {
    "mnist": Known("MNIST", "MNIST/raw", IDX, 11, class_names.DIGITS, *_28, mean=0.1307, std=0.3081),
    "fashion": Known("FashionMNIST", "FashionMNIST/raw", IDX, 30, class_names.CLOTHES, *_28),
    "cifar10": Known("CIFAR10", "cifar-10-batches-py", ("",), 170, class_names.CIFAR10, *_32, copy="cifar10.npz"),
    "cifar100": Known("CIFAR100", "cifar-100-python", ("",), 170, class_names.CIFAR100, *_32, copy="cifar100.npz"),
}

DIGESTS = {
    "mnist": "35914650c8beaeed4429263376775b71ac05b224ab7d958a603bb5feac95afaf",
    "fashion": "c2df23e9d135ade7af62bf6273886728f606f79e67e066d2485f52ee9d597534",
}
"""`content_hash` of the sets whose files torchvision does not check, and whose shapes are the same."""

CIFAR10_LABELS = "5083e6dd0895f94970ae8513f046bf3004b333931aad82b619d23ab76f2e1845"
"""SHA-256 over CIFAR-10's training and test labels, as little-endian int64."""


def _load(folder: Path, download: bool, *, name: str) -> ImageSet:
    """Read a set, from its copy if only that is there. Raises a MemstudyError if it is missing or damaged."""
    known = KNOWN[name]
    if not known.is_in(folder):
        if known.copy and (folder / known.copy).is_file():
            return _copied(name, known, folder / known.copy)
        if not download:
            raise MemstudyError(f"{known.kind} is not in {folder}. Three ways to get it: {known.ways}.")
        _download(known, folder)
    room.check(folder / known.place, known.train + known.test, known.shape)
    images = _read(name, known, folder)
    _check(images, known, folder / known.place)
    if name in DIGESTS and images.content_hash() != DIGESTS[name]:
        raise MemstudyError(
            f"the files in {folder / known.place} are not {known.kind}'s: well formed, but their images or labels "
            "are others; remove them and get the set again."
        )
    return images


def _read(name: str, known: Known, folder: Path) -> ImageSet:
    """Both halves, as torchvision reads them."""
    from torchvision import datasets

    reader, place = _originals_of(getattr(datasets, known.kind)), folder / known.place
    try:
        train, test = (reader(folder, train=half) for half in (True, False))
    except OSError as error:
        raise MemstudyError(
            f"{known.kind} could not be read from {error.filename or place}: {error.strerror or error}; point "
            "--data-dir or MEMSTUDY_DATA at another folder."
        ) from error
    except Exception as error:  # whatever torchvision trips over in a file that is not the original
        raise MemstudyError(
            f"the files in {place} are truncated or not {known.kind}'s "
            f"({_why(error)}); remove them and get the set again."
        ) from error
    return ImageSet(
        name=name,
        train_images=_channels_first(train.data),
        train_labels=torch.as_tensor(train.targets).long(),
        test_images=_channels_first(test.data),
        test_labels=torch.as_tensor(test.targets).long(),
        class_names=known.class_names,
        mean=(known.mean,) * known.shape[0],
        std=(known.std,) * known.shape[0],
    )


def _originals_of(reader: type) -> type:
    """Torchvision's reader of a set, which looks at the original files alone.

    It would prefer what its earlier versions left in MNIST/processed: pickles, which nothing vouches for.
    """
    return type(reader.__name__, (reader,), {"_check_legacy_exist": lambda self: False})


def _why(error: Exception) -> str:
    """What torchvision says is wrong, in a line and without its advice, which is for programmers."""
    return reason(str(error).partition(" You can use download")[0].strip(". \n") or type(error).__name__)


def _channels_first(images: Any) -> torch.Tensor:
    """Torchvision's images, a tensor (N, H, W) or an array (N, H, W, C), as (N, C, H, W)."""
    tensor = torch.as_tensor(images)
    return tensor.permute(0, 3, 1, 2).contiguous() if tensor.ndim == 4 else tensor[:, None]


def _check(images: ImageSet, known: Known, place: Path) -> None:
    """Numbers, shapes and labels are the known set's."""
    parts = images.train_images, images.train_labels, images.test_images, images.test_labels
    shapes = [tuple(part.shape) for part in parts]
    good = shapes == [(known.train, *known.shape), (known.train,), (known.test, *known.shape), (known.test,)]
    highest = len(known.class_names) - 1
    if not good or any(labels.min() < 0 or labels.max() > highest for labels in parts[1::2]):
        raise MemstudyError(
            f"{place} does not hold {known.kind}: expected {known.train:,} and {known.test:,} images of "
            f"{known.shape[1]}×{known.shape[2]} and labels from 0 to {highest}, found images {shapes[0]} and "
            f"{shapes[2]}, and {shapes[1][0]:,} and {shapes[3][0]:,} labels; remove it and get the set again."
        )


def _copied(name: str, known: Known, path: Path) -> ImageSet:
    """CIFAR from someone's .npz: its labels are checked, its images cannot be, and the set says so."""
    images = npz_set.read(path, name)
    _check(images, known, path)
    labels = images.train_labels, images.test_labels
    if name == "cifar10":
        content = b"".join(part.numpy().astype("<i8").tobytes() for part in labels)
        good = hashlib.sha256(content).hexdigest() == CIFAR10_LABELS
    else:
        good = all((part.bincount() == len(part) // images.classes).all() for part in labels)
    if not good:
        raise MemstudyError(
            f"the labels in {path} are not {known.kind}'s, in their order; remove it and get the set again."
        )
    note = f"read from {path.name}, not from the original files, so its images are not verified"
    return replace(images, class_names=known.class_names, note=note)


# Downloading


def _download(known: Known, folder: Path) -> None:
    """Put the original files into a data directory, all of them or none. One process at a time downloads there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with lease.held(folder / f"{files.TEMPORARY}download.lease"):
            if not known.is_in(folder):  # by another process, meanwhile
                _fetch(known, folder)
    except (OSError, RuntimeError, HTTPException) as error:
        raise _not_downloaded(known, folder, error) from error


def _not_downloaded(known: Known, folder: Path, error: Exception) -> MemstudyError:
    from torchvision import datasets

    reader = getattr(datasets, known.kind)
    tried = listed(reader.mirrors if hasattr(reader, "mirrors") else [reader.url])
    offline = re.search(r"urlopen error (?:\[Errno -?\d+\] )?([^>]+)>", str(error))
    why = _why(error) if offline is None else f"there is no connection to {tried} ({reason(offline[1])})"
    again = "try again" if offline is None else "try again where there is a network"
    return MemstudyError(
        f"{known.kind} could not be downloaded into {folder}: {why}. Ways to get it: {again} (about "
        f"{known.megabytes} MB); {known.offline_ways}."
    )


def _fetch(known: Known, folder: Path) -> None:
    """Download beside the place and move there what is finished. What a killed process left is removed."""
    from torchvision import datasets

    temporary = folder / f"{files.TEMPORARY}download"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        getattr(datasets, known.kind)(temporary, download=True)
        _move(temporary / known.place, folder / known.place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _move(finished: Path, place: Path) -> None:
    """The whole folder at once; if there is one already, file by file."""
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        finished.rename(place)
    except OSError:
        if not place.is_dir():
            raise
        for file in finished.iterdir():
            file.replace(place / file.name)


def _origin(folder: Path, *, name: str) -> Origin | None:
    known = KNOWN[name]
    if known.is_in(folder):
        return Origin.of(folder, folder / known.place)
    if known.copy and (folder / known.copy).is_file():
        return Origin.of(folder, folder / known.copy)
    return None


def _source(name: str, about: str) -> Source:
    known = KNOWN[name]
    return Source(about, partial(_load, name=name), partial(_origin, name=name), known.ways, known.train)


MNIST = _source("mnist", "MNIST: 60,000 train / 10,000 test, 28×28, 10 digits")
FASHION = _source("fashion", "Fashion-MNIST: 60,000 train / 10,000 test, 28×28, 10 kinds of clothes")
CIFAR10 = _source("cifar10", "CIFAR-10: 50,000 train / 10,000 test, 32×32 in color, 10 classes")
CIFAR100 = _source("cifar100", "CIFAR-100: 50,000 train / 10,000 test, 32×32 in color, 100 classes")


def _load_coarse(folder: Path, download: bool) -> ImageSet:
    """CIFAR-100 with its superclasses for labels."""
    images, coarse = CIFAR100.load(folder, download), torch.tensor(class_names.COARSE)
    return replace(
        images,
        name="cifar100-coarse",
        train_labels=coarse[images.train_labels],
        test_labels=coarse[images.test_labels],
        class_names=class_names.CIFAR100_COARSE,
    )


CIFAR100_COARSE = Source(
    "CIFAR-100 by its 20 superclasses: 50,000 train / 10,000 test, 32×32 in color",
    _load_coarse,
    CIFAR100.origin,
    CIFAR100.get,
    CIFAR100.samples,
)
