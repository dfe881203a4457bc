"""An image set of the user's in an .npz file. Nothing in it is ever run.

train_images, test_images: uint8, (N, H, W) or (N, H, W, C), square, any number of channels; train_labels,
test_labels: (N,) or (N, 1) whole numbers from 0; class_names, if wanted: (K,) text. Other arrays are ignored.
MedMNIST's files are such sets.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from memstudy import files
from memstudy.data import npy, room
from memstudy.data.assembly import PARTS, checked_classes, image_set
from memstudy.data.images import ImageSet
from memstudy.data.npy import Header
from memstudy.errors import MemstudyError, reason, shortened

KEYS = ("train_images", "train_labels", "test_images", "test_labels")
LAYOUT = "(N, H, W) or (N, H, W, C), square and uint8"


def is_one(path: Path) -> bool:
    """Whether a file looks like an image set, rather than like labels or no .npz at all."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "train_images.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def describe(path: Path) -> str:
    """What the file holds, in a line, without decoding it; a MemstudyError if it looks broken."""
    headers = _headers(path)
    (train, height, width, *channels), test = headers["train_images"][0], _length(headers["test_images"])
    size = "×".join(map(str, (height, width, *channels)))
    return f"your own: {train:,} train / {test:,} test, {size}"


def read(path: Path, name: str) -> ImageSet:
    """Decode an .npz of four arrays."""
    headers = _headers(path)
    room.check(path, sum(_length(headers[f"{part}_images"]) for part in PARTS), headers["train_images"][0][1:])
    try:
        with path.open("rb") as file, npy.opened(file) as archive:
            arrays = {key: npy.array_in(archive, key) for key in headers}
        given = [_word(word) for word in arrays["class_names"].tolist()] if "class_names" in arrays else None
    except Exception as error:  # zipfile, zlib and numpy each raise their own
        raise _unreadable(path, error) from error
    images = {part: arrays[f"{part}_images"] for part in PARTS}
    labels = {part: arrays[f"{part}_labels"].reshape(-1) for part in PARTS}
    return image_set(name, images, labels, checked_classes(path, labels["train"], labels["test"], given))


def _word(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _headers(path: Path) -> dict[str, Header]:
    """Shape and type of the four arrays and, if it is there, of class_names, checked; no values are read."""
    try:
        with path.open("rb") as file, npy.opened(file) as archive:
            entries = {*archive.namelist()}
            headers = {
                key: npy.header_in(archive, key) for key in (*KEYS, "class_names") if f"{key}.npy" in entries
            }
    except Exception as error:  # zipfile, zlib and numpy each raise their own
        raise _unreadable(path, error) from error
    if missing := [key for key in KEYS if key not in headers]:
        raise MemstudyError(
            f"{path} has no {' and no '.join(missing)}; an image set has the arrays {', '.join(KEYS)} and may "
            "have class_names."
        )
    for key, (shape, kind) in headers.items():
        _check_header(path, key, shape, kind)
    for part in PARTS:
        _check_lengths(path, part, *(_length(headers[f"{part}_{kind}"]) for kind in ("images", "labels")))
    train, test = (headers[f"{part}_images"][0][1:] for part in PARTS)
    if train != test:
        raise MemstudyError(
            f"the training images in {path} are {train}, but the test images {test}; all must be of one shape."
        )
    return headers


def _length(header: Header) -> int:
    return header[0][0]


def _unreadable(path: Path, error: Exception) -> MemstudyError:
    return files.refusal(path, error) or MemstudyError(
        f"{path} is truncated, damaged or no .npz file ({reason(error)}); write it again with numpy.savez."
    )


def _check_header(path: Path, key: str, shape: tuple[int, ...], kind: np.dtype[Any]) -> None:
    if key == "class_names":
        good, wanted = kind.kind in "US" and len(shape) == 1, "text, (K,), such as numpy.array(['cat', 'dog'])"
    elif key.endswith("labels"):
        good = kind.kind in "iu" and (len(shape) == 1 or shape[1:] == (1,))
        wanted = "whole numbers, (N,) or (N, 1), one class an image"
    else:
        square = len(shape) in (3, 4) and shape[1] == shape[2] and 0 not in shape[1:]
        good, wanted = kind == np.uint8 and square, f"images {LAYOUT}"
    if not good:
        objects = " (arrays of objects are never read, as that can run what is in them)" if kind.hasobject else ""
        raise MemstudyError(f"{key} in {path} is {shortened(str(kind))}, {shape}{objects}; it must be {wanted}.")


def _check_lengths(path: Path, part: str, images: int, labels: int) -> None:
    if images != labels:
        raise MemstudyError(
            f"{path} has {images:,} {part}_images but {labels:,} {part}_labels; give one label each."
        )
    if not images:
        raise MemstudyError(f"{path} has no {part} images; there must be some.")
