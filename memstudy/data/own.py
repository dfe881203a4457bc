"""The user's own image sets, found by name in the data directory. Nothing in a file of them is ever run.

NAME.npz    train_images, test_images: uint8, (N, H, W) or (N, H, W, C), square, any number of channels;
            train_labels, test_labels: (N,) whole numbers from 0; class_names, if wanted: (K,) text.
NAME/       train/CLASS/*.png and test/CLASS/*.png (or val), as torchvision's ImageFolder reads them: any usual
            image type, all of one size and square; gray if every file is gray, else RGB. Classes in the order of
            the alphabet.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from memstudy.data.cache import Origin
from memstudy.data.images import ImageSet
from memstudy.errors import MemstudyError

KEYS = ("train_images", "train_labels", "test_images", "test_labels")
PARTS = ("train", "test")
LAYOUT = "(N, H, W) or (N, H, W, C), square and uint8"

Header = tuple[tuple[int, ...], np.dtype[Any]]
Files = list[tuple[str, int]]


def names(folder: Path) -> list[str]:
    """What could be an own set in the data directory, sorted; nothing if there is no such directory."""
    try:
        found = {path.stem if path.suffix == ".npz" else path.name for path in folder.iterdir() if _is_set(path)}
    except OSError:
        return []
    return sorted(found)


def _is_set(path: Path) -> bool:
    try:
        there = path.is_file() if path.suffix == ".npz" else (path / "train").is_dir()
    except OSError:  # one that may not be looked into
        return False
    return there and not path.name.startswith(".")


def find(name: str, folder: Path) -> Path | None:
    """Where the own set of a name is, None if there is none. Raises a MemstudyError if there are two."""
    if name not in names(folder):
        return None
    both = [path for path in (folder / f"{name}.npz", folder / name) if _is_set(path)]
    if len(both) > 1:
        raise MemstudyError(f"{both[0]} and {both[1]} are both the set {name!r}; rename one of them.")
    return both[0]


def origin(place: Path, folder: Path) -> Origin:
    """What the set at `place` is decoded from."""
    return Origin.of(folder, place, *(["pillow"] if place.is_dir() else []))


def describe(place: Path) -> str:
    """What the set at `place` holds, in a line, without decoding it; a MemstudyError if it looks broken."""
    if place.is_dir():
        _test_part(place)
        return "your own, a folder of images"
    headers = _headers(place)
    (train, height, width, *channels), test = headers["train_images"][0], _length(headers["test_images"])
    size = "×".join(map(str, (height, width, *channels)))
    return f"your own: {train:,} train / {test:,} test, {size}"


def read(place: Path, name: str) -> ImageSet:
    """Decode the set at `place`. Raises a MemstudyError, one sentence, for whatever is wrong with it."""
    return read_folder(place, name) if place.is_dir() else read_npz(place, name)


# NAME.npz


def read_npz(path: Path, name: str) -> ImageSet:
    """Decode an .npz of four arrays."""
    headers = _headers(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in headers}
    except Exception as error:  # numpy, zipfile and zlib each raise their own
        raise _unreadable(path, error) from error
    images, labels = ({part: arrays[f"{part}_{kind}"] for part in PARTS} for kind in ("images", "labels"))
    given = [str(word) for word in arrays["class_names"]] if "class_names" in arrays else None
    return _image_set(name, images, labels, _classes(path, labels["train"], labels["test"], given))


def _headers(path: Path) -> dict[str, Header]:
    """Shape and type of each array that is wanted, checked; their content is not read."""
    try:
        with zipfile.ZipFile(path) as archive:
            there = {entry.removesuffix(".npy") for entry in archive.namelist()}
            found = {key: _header(archive, key) for key in (*KEYS, "class_names") if key in there}
    except Exception as error:  # zipfile, zlib and numpy each raise their own
        raise _unreadable(path, error) from error
    if missing := [key for key in KEYS if key not in found]:
        raise MemstudyError(
            f"{path} has no {' and no '.join(missing)}; an image set has the arrays {', '.join(KEYS)} and may "
            "have class_names."
        )
    for key, (shape, kind) in found.items():
        _check_header(path, key, shape, kind)
    for part in PARTS:
        _check_lengths(path, part, *(_length(found[f"{part}_{kind}"]) for kind in ("images", "labels")))
    first, second = (found[f"{part}_images"][0][1:] for part in PARTS)
    if first != second:
        raise MemstudyError(
            f"the training images in {path} are {first}, but the test images {second}; all must be of one shape."
        )
    return found


def _length(header: Header) -> int:
    return header[0][0]


def _header(archive: zipfile.ZipFile, key: str) -> Header:
    with archive.open(f"{key}.npy") as file:
        old = np.lib.format.read_magic(file) == (1, 0)
        read_header = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
        shape, _, kind = read_header(file)
    return shape, kind


def _why(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _unreadable(path: Path, error: Exception) -> MemstudyError:
    return MemstudyError(
        f"{path} is truncated, damaged or no .npz file ({_why(error)}); write it again with numpy.savez."
    )


def _check_header(path: Path, key: str, shape: tuple[int, ...], kind: np.dtype[Any]) -> None:
    if key == "class_names":
        good, wanted = kind.kind == "U" and len(shape) == 1, "text, (K,), such as numpy.array(['cat', 'dog'])"
    elif key.endswith("labels"):
        good, wanted = kind.kind in "iu" and len(shape) == 1, "whole numbers, (N,)"
    else:
        square = len(shape) in (3, 4) and shape[1] == shape[2] and 0 not in shape[1:]
        good, wanted = kind == np.uint8 and square, f"images {LAYOUT}"
    if not good:
        objects = " (arrays of objects are never read, as that can run what is in them)" if kind.hasobject else ""
        raise MemstudyError(f"{key} in {path} is {kind}, {shape}{objects}; it must be {wanted}.")


def _check_lengths(path: Path, part: str, images: int, labels: int) -> None:
    if images != labels:
        raise MemstudyError(
            f"{path} has {images:,} {part}_images but {labels:,} {part}_labels; give one label each."
        )
    if not images:
        raise MemstudyError(f"{path} has no {part} images; there must be some.")


# NAME/train/CLASS/*.png


def read_folder(folder: Path, name: str) -> ImageSet:
    """Decode two image folders, `train` and `test` (or `val`)."""
    (classes, train), (others, test) = _listed(folder / "train"), _listed(_test_part(folder))
    if different := sorted({*classes} ^ {*others}):
        raise MemstudyError(
            f"the classes of the two parts of {folder} differ: only one has a folder {different[0]}; give both "
            "the same folders."
        )
    if not train or not test:
        raise MemstudyError(
            f"the {'test' if train else 'training'} part of {folder} is empty; put images into it."
        )
    labels = {"train": _labels(train), "test": _labels(test)}
    checked = _classes(folder, labels["train"], labels["test"], classes)
    pixels = _decoded([file for file, _ in (*train, *test)])
    return _image_set(name, {"train": pixels[: len(train)], "test": pixels[len(train) :]}, labels, checked)


def _labels(files: Files) -> NDArray[np.int64]:
    return np.array([label for _, label in files], np.int64)


def _test_part(folder: Path) -> Path:
    for part in (folder / "test", folder / "val"):
        if part.is_dir():
            return part
    raise MemstudyError(f"{folder} has a folder train but neither test nor val; put the test images into one.")


def _listed(folder: Path) -> tuple[list[str], Files]:
    """The classes of an image folder, and its files, each with its label."""
    from torchvision.datasets import ImageFolder

    try:
        found = ImageFolder(folder, allow_empty=True)
    except OSError as error:
        raise MemstudyError(
            f"{folder} holds no folders of classes that can be read ({_why(error)}); make one a class."
        ) from error
    return found.classes, found.samples


def _decoded(files: Sequence[str]) -> NDArray[np.uint8]:
    """All images, (N, H, W) if every one is gray, else (N, H, W, 3)."""
    images = [_one(file) for file in files]
    size = images[0].shape[:2]
    for file, image in zip(files, images, strict=True):
        if image.shape[:2] != size:
            raise MemstudyError(
                f"all images must be of one size, but {files[0]} is {_size(size)} and {file} {_size(image.shape)}"
                "; resize them."
            )
    if size[0] != size[1]:
        raise MemstudyError(f"images must be square, but {files[0]} and the others are {_size(size)}; crop them.")
    if any(image.ndim == 3 for image in images):
        images = [image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2) for image in images]
    return np.stack(images)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}×{shape[0]}"


def _one(file: str) -> NDArray[np.uint8]:
    """An image file's pixels, (H, W) if it is gray, else (H, W, 3)."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            deep = image.mode[0] in "IF"  # 16 or 32 bits: reduced to 8, they would be cut off rather than scaled
            pixels = np.asarray(image.convert("L" if image.mode == "L" else "RGB"))
    except Exception as error:  # each of Pillow's readers raises its own
        raise MemstudyError(f"{file} cannot be read as an image ({_why(error)}); repair or remove it.") from error
    if deep:
        raise MemstudyError(f"{file} has more than 8 bits a channel; save it with 8.")
    return pixels


# Both


def _classes(place: Path, train: NDArray[Any], test: NDArray[Any], given: Sequence[str] | None) -> tuple[str, ...]:
    """The names of the classes, their numbers if none are given. Labels must be 0 to K - 1, each trained on."""
    seen = [int(label) for label in np.unique(train)]
    classes = tuple(given) if given is not None else tuple(str(label) for label in range(len(seen)))
    lowest, highest = min(seen[0], int(test.min())), max(seen[-1], int(test.max()))
    if lowest < 0:
        raise MemstudyError(f"the labels in {place} go down to {lowest}; the classes are counted from 0.")
    if missing := sorted(set(range(len(classes))) - set(seen)):
        raise MemstudyError(
            f"no training image in {place} has the label {missing[0]} (class {classes[missing[0]]}); labels are "
            "counted from 0 without gaps, and every class needs training images."
        )
    if highest >= len(classes):
        raise MemstudyError(
            f"the labels in {place} go up to {highest}, but there are {len(classes)} classes to train on, 0 to "
            f"{len(classes) - 1}; correct the labels, class_names or the training part."
        )
    if len(set(classes)) < max(2, len(classes)):
        raise MemstudyError(
            f"{place} has the classes {', '.join(classes)}; there must be two or more, all different."
        )
    return classes


def _image_set(
    name: str,
    images: Mapping[str, NDArray[np.uint8]],
    labels: Mapping[str, NDArray[Any]],
    classes: tuple[str, ...],
) -> ImageSet:
    """Arrays that were checked, by part of the set, as tensors."""
    train, test = (_channels_first(images[part]) for part in PARTS)
    half = (0.5,) * train.shape[1]
    return ImageSet(
        name=name,
        train_images=train,
        train_labels=torch.from_numpy(labels["train"].astype(np.int64)),
        test_images=test,
        test_labels=torch.from_numpy(labels["test"].astype(np.int64)),
        class_names=classes,
        mean=half,
        std=half,
    )


def _channels_first(images: NDArray[np.uint8]) -> Tensor:
    """(N, H, W) or (N, H, W, C) as (N, C, H, W)."""
    tensor = torch.from_numpy(images)
    return (tensor[:, None] if tensor.ndim == 3 else tensor.permute(0, 3, 1, 2)).contiguous()
