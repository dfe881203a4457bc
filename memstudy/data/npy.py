"""Arrays in numpy's form that may be a stranger's: nothing is run, and no memory taken that they do not fill.

numpy makes an array of the size that its header claims before it reads a byte of it, and takes whatever 32 bits
stand in text for a character, which Python then refuses wherever the text is looked at.
"""

from __future__ import annotations

import io
import math
import zipfile
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from memstudy.errors import quoted

ENDING = ".npy"
BOMB, RATIO = 2**28, 100
"""A zip that unpacks to more than so many bytes, and to so many times its own size, holds no measurements."""
MOST_TIMES = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: 1040}
"""How numpy packs arrays, and how many times its own size an entry can unpack to at most."""
LONGEST = 2**20
"""Bytes of one value: text of a name, or of a path."""
LAST, HALVES = 0x10FFFF, (0xD800, 0xDFFF)
"""The last of Unicode's characters, and halves of characters, which are none."""

Header = tuple[tuple[int, ...], np.dtype[Any]]
"""An array's shape and type."""


def read(content: bytes) -> NDArray[Any]:
    """The array in a file. A ValueError if it is none, is cut off, holds objects or text that is none."""
    return _array(io.BytesIO(content), len(content))


def opened(content: IO[bytes]) -> zipfile.ZipFile:
    """The zip of an .npz. A ValueError if it would unpack to more than a file of this size could mean."""
    archive = zipfile.ZipFile(content)
    size = content.seek(0, io.SEEK_END)
    for entry in archive.infolist():
        if entry.compress_type not in MOST_TIMES:
            raise ValueError(f"{quoted(entry.filename)} is packed as numpy does not pack")
        if entry.file_size > MOST_TIMES[entry.compress_type] * min(entry.compress_size, size):
            raise ValueError(f"{quoted(entry.filename)} claims more bytes than can be in it")
    unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > max(BOMB, RATIO * size):
        raise ValueError(f"{size:,} bytes that unpack to {unpacked:,}")
    return archive


def names(archive: zipfile.ZipFile) -> list[str]:
    """The names of an .npz' arrays. A ValueError for an entry that is none."""
    entries = archive.namelist()
    if strange := [name for name in entries if not name.endswith(ENDING)]:
        raise ValueError(f"{quoted(strange[0])} is no array")
    return [name.removesuffix(ENDING) for name in entries]


def header_in(archive: zipfile.ZipFile, name: str) -> Header:
    """Shape and type of an array of an .npz; no value is read."""
    with archive.open(f"{name}{ENDING}") as file:
        return _header(file)


def array_in(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """An array of an .npz; errors as those of `read`."""
    with archive.open(f"{name}{ENDING}") as file:
        return _array(file, archive.getinfo(f"{name}{ENDING}").file_size)


def _header(file: IO[bytes]) -> Header:
    version = np.lib.format.read_magic(file)
    old = np.lib.format.read_array_header_1_0
    shape, _, kind = (old if version == (1, 0) else np.lib.format.read_array_header_2_0)(file)
    return shape, kind


def _array(file: IO[bytes], size: int) -> NDArray[Any]:
    shape, kind = _header(file)
    if kind.hasobject:
        raise ValueError("it holds objects, which are never read, as that can run what is in them")
    if kind.names is not None or not 0 < kind.itemsize <= LONGEST or any(length < 0 for length in shape):
        raise ValueError(f"it holds {kind} of the shape {shape}")
    values = math.prod(shape) or math.prod(max(1, length) for length in shape) // 2**31
    if values * kind.itemsize > size - file.tell():
        raise ValueError(f"its header claims {quoted(shape)} of {kind}, more than the file has")
    file.seek(0)
    array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    if array.dtype.kind == "U" and array.size and not _is_text(array):  # of "1U4", `kind` is an array's: V
        raise ValueError("it holds text of characters that do not exist")
    return array


def _is_text(array: NDArray[Any]) -> bool:
    """Whether the characters of an array of text are Unicode's."""
    points = np.ascontiguousarray(array).reshape(-1).view(np.dtype("u4").newbyteorder(array.dtype.byteorder))
    low, high = HALVES
    return not ((points > LAST) | ((points >= low) & (points <= high))).any()
