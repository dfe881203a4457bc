"""A gallery of samples on the page: their images in one embedded PNG, and what each run predicts of them."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from memstudy.report.page.safety import json_text

COLUMNS = 40
"""Images side by side in the PNG."""
DIGITS = 2
"""Characters of a predicted class, in base 36: more than a thousand classes."""
NONE = "-" * DIGITS


@dataclass(frozen=True)
class Gallery:
    """Samples to look at.

    Attributes:
        name, title: as a chart's.
        notes: plain sentences: which samples these are, and what is shown of them.
        index: of each sample in the training set, (n,).
        given, true: the numbers of its classes, (n,).
        memorized: the share of runs that predict its given label after the last epoch, (n,).
        images: (n, C, H, W) uint8, C 1 or 3; None if they are not here.
        classes: their words.
        epochs: those that `predicted` is of.
        runs: the method and the seeds of each.
        predicted: the number of the predicted class, (runs, epochs, n); -1 for an epoch that a run has not.

    """

    name: str
    title: str
    notes: tuple[str, ...]
    index: NDArray[np.int64]
    given: NDArray[np.int64]
    true: NDArray[np.int64]
    memorized: NDArray[np.float64]
    images: NDArray[np.uint8] | None
    classes: Sequence[str]
    epochs: Sequence[int]
    runs: Sequence[tuple[str, str]]
    predicted: NDArray[np.int64]


def element(gallery: Gallery) -> Mapping[str, Any]:
    """What the template shows of a gallery."""
    codes = np.array([*map(_coded, range(len(gallery.classes))), NONE])  # the last is that of -1
    return {
        "kind": "gallery",
        "id": f"gallery-{gallery.name}",
        "title": gallery.title,
        "notes": gallery.notes,
        "classes": list(enumerate(gallery.classes)),
        "data": json_text({
            "sprite": None if gallery.images is None else sprite(gallery.images),
            "columns": COLUMNS,
            "index": gallery.index.tolist(),
            "given": gallery.given.tolist(),
            "true": gallery.true.tolist(),
            "memorized": np.round(gallery.memorized, 3).tolist(),
            "classes": list(gallery.classes),
            "epochs": list(gallery.epochs),
            "runs": [{"method": method, "seed": seed} for method, seed in gallery.runs],
            "digits": DIGITS,
            "predicted": [["".join(row) for row in of_run] for of_run in codes[gallery.predicted].tolist()],
        }),
    }  # fmt: skip


def sprite(images: NDArray[np.uint8]) -> dict[str, Any]:
    """All images in one PNG, row by row: its address as data, and the size of an image."""
    count, channels, height, width = images.shape
    rows = -(-count // COLUMNS)
    sheet = np.zeros((rows * COLUMNS, height, width, channels), np.uint8)
    sheet[:count] = images.transpose(0, 2, 3, 1)
    sheet = sheet.reshape(rows, COLUMNS, height, width, channels).swapaxes(1, 2)
    pixels = sheet.reshape(rows * height, COLUMNS * width, channels)
    content = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(content, "PNG", optimize=True)
    address = f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
    return {"address": address, "width": width, "height": height}


def _coded(number: int) -> str:
    """A class in base 36, of DIGITS characters."""
    return np.base_repr(number, 36).lower().rjust(DIGITS, "0")
