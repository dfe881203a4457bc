"""Failing disks, in the size of every change (see `faults`)."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.reliability import faults
from tests.reliability.shim import FAULTS, Layer, failing
from tests.reliability.tally import Size

pytestmark = pytest.mark.reliability


def test_a_call_that_fails_loses_nothing_and_is_told():
    for row in faults.campaign(Size.CI, seed=0):
        assert row.tried == row.survived > 0, f"{row.case}, {row.what}, seed 0: {'; '.join(row.lost)}"


def test_a_torn_write_leaves_half_of_it_and_an_error(tmp_path: Path):
    path, outside = tmp_path / "in" / "file", tmp_path / "out"
    path.parent.mkdir()
    torn = next(fault for fault in FAULTS if fault.torn and not fault.lasting)
    with failing(Layer((os.fspath(path.parent),), torn, at=2)) as layer:
        outside.write_bytes(b"0123456789")
        with pytest.raises(OSError, match="Input/output") as caught, path.open("wb", buffering=0) as file:
            file.write(b"0123456789")
    assert caught.value.errno == errno.EIO
    assert (path.read_bytes(), outside.read_bytes()) == (b"01234", b"0123456789")
    assert [call.kind for call in layer.calls] == ["create", "write", "close"]
