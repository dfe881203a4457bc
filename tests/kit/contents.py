"""What files hold, as numpy and torch write them, and what is in the place of it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch


def write(folder: Path | str, name: str, content: str | bytes) -> Path:
    """A file in a folder."""
    path = Path(folder) / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def npy(array: np.ndarray) -> bytes:
    """An array, in numpy's form."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def header(text: str) -> bytes:
    """What an .npy file says of its array, and no array."""
    line = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(line).to_bytes(2, "little") + line


def npz(save: Callable[..., None] = np.savez, /, **arrays: np.ndarray) -> bytes:
    """Arrays by name, in numpy's form."""
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


def pt(value: Any) -> bytes:
    """A value, in torch's form."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def pt_of_pickle(pickle: bytes, beside: Mapping[str, bytes] | None = None) -> bytes:
    """Any pickle in a zip as torch.save makes it, with other entries by name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in {"version": b"3\n", "data.pkl": pickle, **(beside or {})}.items():
            archive.writestr(f"archive/{name}", content)
    return buffer.getvalue()


class Trap:
    """Its pickle fails the test that executes it."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return pytest.fail, ("a pickle was executed",)
