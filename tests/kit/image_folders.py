"""Folders of real digits, as torchvision's ImageFolder has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from PIL import Image


def write_folder(
    folder: Path,
    arrays: Mapping[str, NDArray[Any]],
    names: Iterable[str] = "abcdefghij",
    per_class: int = 4,
    second: str = "test",
    ending: str = "png",
    change: Callable[[Image.Image], Image.Image] = lambda image: image,
) -> Path:
    """The set `mine` of some of the images, which are changed by a function.

    arrays: {train,test}_images (n, height, width), uint8, and {train,test}_labels (n,).
    """
    for part, place in (("train", "train"), ("test", second)):
        for label, word in enumerate(names):
            chosen = arrays[f"{part}_images"][arrays[f"{part}_labels"] == label][:per_class]
            (folder / "mine" / place / word).mkdir(parents=True)
            for index, pixels in enumerate(chosen):
                change(Image.fromarray(pixels)).save(folder / "mine" / place / word / f"{index}.{ending}")
    return folder / "mine"
