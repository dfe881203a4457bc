"""Human labels of CIFAR-10 and CIFAR-100, from the authors' original files, without executing a pickle.

Wei et al. 2022, "Learning with Noisy Labels Revisited: A Study Using Real-World Human Annotations" (CIFAR-10N,
CIFAR-100N). The files were saved by `torch.save`: a pickled dictionary of numpy arrays. They are read by torch's
own restricted machine (`weights_only`), which interprets the pickle itself and calls nothing that is not on its
list. We add what numpy needs to lay out an array of 64-bit whole numbers; any other content is refused.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memstudy.errors import MemstudyError, unknown

Labels = NDArray[np.int64]

FILES = {"cifar10": "CIFAR-10_human.pt", "cifar100": "CIFAR-100_human.pt"}
COLUMNS = {
    "cifar10": {
        "aggregate": "aggre_label",
        "random1": "random_label1",
        "random2": "random_label2",
        "random3": "random_label3",
        "worst": "worse_label",
    },
    "cifar100": {"fine": "noisy_label"},
}
"""Our names of the human labels, and the file's."""

CLEAN = "clean_label"
PLACES = ("cifar-n", ".", "data")
SITE = "github.com/UCSC-REAL/cifar-10-100n (CC BY-NC 4.0)"


def path(folder: Path, dataset: str) -> Path | None:
    """Where the file of a data set is in a data directory; None if it is not there."""
    candidates = (folder / place / FILES[dataset] for place in PLACES)
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def read(folder: Path, dataset: str, column: str, clean: Labels) -> Labels:
    """The human labels (N,) int64 of a data set's training images, in torchvision's order.

    `clean` are the true training labels of the set at hand, against which the file's own are checked. Raises a
    MemstudyError for a set without human labels, a column it does not have, a missing or foreign file, and a file
    for other images.
    """
    if dataset not in FILES:
        raise MemstudyError(
            f"there are human labels for {' and '.join(FILES)}, not for {dataset!r}; choose one of these with "
            "--dataset, or another corruption."
        )
    if column not in COLUMNS[dataset]:
        raise unknown(f"human labels of {dataset}", column, COLUMNS[dataset])
    found = path(folder, dataset)
    if found is None:
        raise MemstudyError(
            f"{FILES[dataset]} is not in {folder} (nor in its folders cifar-n and data); get it from the authors, "
            f"{SITE}, and put it there, or point --data-dir or MEMSTUDY_DATA at a folder that has it."
        )
    arrays = _arrays(found)
    classes = int(clean.max()) + 1
    own, labels = (_labels(found, arrays, name, classes) for name in (CLEAN, COLUMNS[dataset][column]))
    if not np.array_equal(own, clean):
        raise MemstudyError(
            f"{found} is for other images than those of {dataset!r} found here, or for another order of them: its "
            "own true labels differ; use the file and the set in their original order."
        )
    return labels


def _labels(found: Path, arrays: dict[str, Any], name: str, classes: int) -> Labels:
    """One array of a file, checked."""
    labels = arrays.get(name)
    if not isinstance(labels, np.ndarray) or labels.ndim != 1 or labels.dtype != np.int64:
        raise MemstudyError(
            f"{found} has no labels {name!r}, one whole number a sample; get the original from {SITE}."
        )
    if len(labels) == 0 or labels.min() < 0 or labels.max() >= classes:
        raise MemstudyError(
            f"labels {name!r} in {found} are not from 0 to {classes - 1}; get the original from {SITE}."
        )
    return labels


def _arrays(found: Path) -> dict[str, Any]:
    """The content of a file; a MemstudyError if it is damaged, or holds anything but arrays of whole numbers."""
    import torch

    # What a pickle of an int64 array names, under the module that numpy 1 had it in, and numpy 2 has it in.
    reconstruct = np._core.multiarray._reconstruct  # type: ignore[attr-defined]
    allowed: list[Any] = [
        (reconstruct, "numpy.core.multiarray._reconstruct"),
        (reconstruct, "numpy._core.multiarray._reconstruct"),
        np.ndarray,
        np.dtype,
        type(np.dtype(np.int64)),
    ]
    try:
        content = io.BytesIO(found.read_bytes())
        with torch.serialization.safe_globals(allowed):
            arrays = torch.load(content, map_location="cpu", weights_only=True)
    except OSError as error:
        raise MemstudyError(f"cannot read {found}: {error.strerror or error}.") from error
    except Exception as error:  # a file can be wrong in more ways than torch has errors for
        raise MemstudyError(
            f"{found} is truncated, or not the file of human labels that it is named for: it cannot be read as "
            f"arrays of whole numbers alone; get the original from {SITE}."
        ) from error
    if not isinstance(arrays, dict):
        raise MemstudyError(f"{found} holds no table of labels; get the original from {SITE}.")
    return arrays
