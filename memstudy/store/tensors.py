"""Safetensors files, which only this module parses: they become tensors, or one sentence on what is wrong.

Torch is imported where tensors are made; a file's header is read without it.
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
    """Tensors as the bytes of a file. Equal tensors give equal bytes, if `metadata` has at most one entry."""
    from safetensors.torch import save

    content: bytes = save(dict(tensors), None if metadata is None else dict(metadata))
    return content


def decode(path: Path, content: bytes, cure: str = files.RUN_AGAIN) -> dict[str, Tensor]:
    """The tensors in the content of the file at `path`; a MemstudyError if it holds none."""
    from safetensors.torch import load

    try:
        tensors: dict[str, Tensor] = load(content)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, OverflowError) as error:
        raise files.damaged(path, error, cure) from error
    return tensors


def metadata(path: Path, content: BinaryIO, cure: str = files.RUN_AGAIN) -> dict[str, str]:
    """The texts beside the tensors in a file, from its first bytes; a MemstudyError if there are none."""
    length = int.from_bytes(content.read(8), "little")
    try:
        header = json.loads(content.read(length) if length <= LONGEST_HEADER else b"")
        texts = header["__metadata__"]
        if not all(isinstance(text, str) for text in texts.values()):
            raise TypeError("its texts are none")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise files.damaged(path, "it does not begin as it should", cure) from error
    return dict(texts)
