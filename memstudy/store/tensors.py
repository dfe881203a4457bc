"""Files of tensors (safetensors): what they hold becomes tensors, or a sentence. Only here are they parsed.

Torch is needed for tensors alone, and imported when they are: what a file's header says is read without.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from safetensors import SafetensorError

from memstudy import files

if TYPE_CHECKING:
    from torch import Tensor

LONGEST_HEADER = 100_000_000
"""Bytes; safetensors allows no more."""


def encode(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """Tensors as the bytes of a file. Equal ones, with at most one text beside them, give equal bytes."""
    from safetensors.torch import save

    content: bytes = save(dict(tensors), None if metadata is None else dict(metadata))
    return content


def decode(path: Path, content: bytes, cure: str = files.RUN_AGAIN) -> dict[str, Tensor]:
    """The tensors in the content of the file at `path`; a MemstudyError if it holds none."""
    from safetensors.torch import load

    try:
        found: dict[str, Tensor] = load(content)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, OverflowError) as error:
        raise files.damaged(path, error, cure) from error
    return found


def metadata(path: Path, content: BinaryIO, cure: str = files.RUN_AGAIN) -> dict[str, str]:
    """The texts beside the tensors in a file, from its first bytes; a MemstudyError if there are none."""
    length = int.from_bytes(content.read(8), "little")
    try:
        header = json.loads(content.read(length) if length <= LONGEST_HEADER else b"")
        found = header["__metadata__"]
        if not all(isinstance(text, str) for text in found.values()):
            raise TypeError("its texts are none")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise files.damaged(path, "it does not begin as it should", cure) from error
    return dict(found)
