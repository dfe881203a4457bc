"""Hundreds of epochs and analyses, every kind of end, ten thousand runs, a thousand classes, too many images."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reliability import forked
from tests.reliability.tally import Row, Size


def campaign(size: Size, seed: int) -> Iterator[Row]:
    """All of it, in a folder that is removed."""
    from tests.reliability.resources import ends, flat, large

    forked.warm()
    root = Path(
        tempfile.mkdtemp(prefix="memstudy-resources-")
    )  # no TemporaryDirectory: each child would remove it
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MEMSTUDY_CACHE", str(root / "cache"))
            for part in (ends, large, flat):
                yield from part.campaign(size, seed, root)
    finally:
        shutil.rmtree(root, ignore_errors=True)
