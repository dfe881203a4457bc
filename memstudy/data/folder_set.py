"""An image set of the user's in folders, one a class, in the order of torchvision's ImageFolder.

NAME/train/CLASS/*.png and NAME/test/CLASS/*.png (or val): any usual image type, all of one size and square;
gray if every file is gray, else RGB. Classes in the order of the alphabet. What editors and systems leave in
folders is no part of a set: hidden files and folders (.ipynb_checkpoints, ._0.png, .DS_Store) and __MACOSX.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memstudy.data import room
from memstudy.data.assembly import checked_classes, image_set
from memstudy.data.images import ImageSet
from memstudy.errors import MemstudyError, reason
from memstudy.files import refusal

Files = list[tuple[str, int]]
"""Image files with their labels."""

FORMATS = ("BMP", "DIB", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What a file may be, whatever its ending says. Pillow has other programs read others (EPS: Ghostscript)."""
MOST_PIXELS = 2**24
"""Of one image: a file of some kilobytes may claim any number."""
IMAGES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""Endings of image files, torchvision's; others are ignored."""
LEFT_BEHIND = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
"""Folders that systems make without being asked, and whose names do not begin with a dot."""


def read(folder: Path, name: str) -> ImageSet:
    """Decode two image folders, `train` and `test` (or `val`)."""
    classes, train, test = _parts(folder)
    if not train or not test:
        raise MemstudyError(
            f"the {'test' if train else 'training'} part of {folder} is empty; put images into it."
        )
    labels = {"train": _labels(train), "test": _labels(test)}
    checked = checked_classes(folder, labels["train"], labels["test"], classes)
    every = [file for file, _ in (*train, *test)]
    room.check(folder, len(every), _shape(every[0]))
    pixels = _decoded(every)
    return image_set(name, {"train": pixels[: len(train)], "test": pixels[len(train) :]}, labels, checked)


def _parts(folder: Path) -> tuple[list[str], Files, Files]:
    """The classes, and the training and the test files with their labels."""
    (classes, train), (others, test) = _listed(folder / "train"), _listed(test_part(folder))
    if different := sorted({*classes} ^ {*others}):
        raise MemstudyError(
            f"the classes of the two parts of {folder} differ: only one has a folder {different[0]}; give both "
            "the same folders."
        )
    return classes, train, test


def listing(folder: Path) -> tuple[list[str], dict[str, Files]]:
    """The classes, and by part the files, as paths below `folder`, with their labels, in the samples' order."""
    classes, train, test = _parts(folder)
    parts = {"train": train, "test": test}
    return classes, {
        part: [(Path(file).relative_to(folder).as_posix(), label) for file, label in labeled]
        for part, labeled in parts.items()
    }


def files(folder: Path) -> dict[str, list[str]]:
    """The image files of each part, `train` and `test`, as paths below `folder`, in the samples' order."""
    return {part: [file for file, _ in labeled] for part, labeled in listing(folder)[1].items()}


def _labels(files: Files) -> NDArray[np.int64]:
    return np.array([label for _, label in files], np.int64)


def test_part(folder: Path) -> Path:
    """The folder of the test images; a MemstudyError if there is none."""
    for part in (folder / "test", folder / "val"):
        if part.is_dir():
            return part
    raise MemstudyError(f"{folder} has a folder train but neither test nor val; put the test images into one.")


def _listed(folder: Path) -> tuple[list[str], Files]:
    """The classes of an image folder, and its files, each with its label."""
    try:
        classes = sorted(
            path.name for path in folder.iterdir() if path.is_dir() and not _is_left_behind(path.name)
        )
        files = [(file, label) for label, word in enumerate(classes) for file in _images(folder / word)]
    except OSError as error:
        raise MemstudyError(f"{folder} cannot be read ({reason(error)}); make its folders readable.") from error
    if not classes:
        raise MemstudyError(f"{folder} holds no folders of classes; make one a class.")
    return classes, files


def _is_left_behind(name: str) -> bool:
    return name.startswith(".") or name in LEFT_BEHIND


def _images(folder: Path) -> list[str]:
    """The image files of a class at any depth, sorted by folder, then by name; no folder is entered twice."""

    def refuse(error: OSError) -> None:
        raise error

    walked, entered = [], {os.path.realpath(folder)}
    for parent, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        inner = {name: os.path.realpath(f"{parent}{os.sep}{name}") for name in folders}
        folders.clear()
        for name in sorted(inner):
            if inner[name] not in entered and not _is_left_behind(name):
                entered.add(inner[name])
                folders.append(name)
        images = [name for name in names if name.lower().endswith(IMAGES) and not _is_left_behind(name)]
        walked.append((parent, sorted(images)))
    return [f"{parent}{os.sep}{name}" for parent, images in sorted(walked) for name in images]


def _decoded(files: Sequence[str]) -> NDArray[np.uint8]:
    """All images, (N, H, W) if every one is gray, else (N, H, W, 3)."""
    first = _pixels(files[0])
    size = first.shape[:2]
    if size[0] != size[1]:
        raise MemstudyError(f"images must be square, but {files[0]} is {_size(size)}; crop all of them.")
    images = [first, *(_pixels(file, size, files[0]) for file in files[1:])]
    if any(image.ndim == 3 for image in images):
        images = [image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2) for image in images]
    return np.stack(images)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}×{shape[0]}"


def _shape(file: str) -> tuple[int, ...]:
    """(H, W) of a gray image file, (H, W, 3) of any other, by its header; empty if that cannot be read."""
    from PIL import Image

    try:
        with Image.open(_content(file), formats=FORMATS) as image:
            return (image.height, image.width, *(() if image.mode == "L" else (3,)))
    except Exception:  # told by who decodes it
        return ()


def _pixels(file: str, size: tuple[int, ...] = (), other: str = "") -> NDArray[np.uint8]:
    """An image file's pixels, (H, W) if it is gray, else (H, W, 3).

    A MemstudyError, before anything is decoded, if they are too many, or not of a `size` that `other` has.
    """
    from PIL import Image

    try:
        with Image.open(_content(file), formats=FORMATS) as image:
            _check_size(file, (image.height, image.width), size, other)
            deep = image.mode[0] in "IF"  # 16 or 32 bits: reduced to 8, they would be cut off rather than scaled
            pixels = np.asarray(image.convert("L" if image.mode == "L" else "RGB"))
    except MemstudyError:
        raise
    except Exception as error:  # each of Pillow's readers raises its own
        raise refusal(file, error) or MemstudyError(
            f"{file} cannot be read as an image ({reason(error)}); repair or remove it."
        ) from error
    if deep:
        raise MemstudyError(f"{file} has more than 8 bits a channel; save it with 8.")
    return pixels


def _content(file: str) -> io.BytesIO:
    """What a file holds, in memory: Pillow asks a file for as many bytes as a chunk of it claims to have."""
    if not Path(file).is_file():  # a pipe, say, from which nothing may ever come
        raise OSError("it is no file")
    return io.BytesIO(Path(file).read_bytes())


def _check_size(file: str, size: tuple[int, int], wanted: tuple[int, ...], other: str) -> None:
    if size[0] * size[1] > MOST_PIXELS:
        raise MemstudyError(
            f"{file} is {_size(size)}, more than {MOST_PIXELS:,} pixels, which no network here takes; resize it."
        )
    if wanted and size != wanted:
        raise MemstudyError(
            f"all images must be of one size, but {other} is {_size(wanted)} and {file} {_size(size)}; resize "
            "them."
        )
