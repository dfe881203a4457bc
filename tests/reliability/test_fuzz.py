"""Strangers' files, in the size of every change (see `fuzz`)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from memstudy.errors import MemstudyError
from tests.reliability import fuzz
from tests.reliability.fuzz import guided
from tests.reliability.fuzz.targets import readers
from tests.reliability.fuzz.trying import Reader, Trial, carry_out
from tests.reliability.tally import Size

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.reliability


def test_every_reader_gives_a_value_or_one_clear_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where inputs that did harm are kept
    rows = [*fuzz.campaign(Size.CI, seed=0)]
    assert {row.case for row in rows} == {reader.name for reader in readers()}
    for row in rows:
        assert row.tried == row.survived > 0, f"{row.case}, seed 0: {'; '.join(row.lost)}"


@pytest.mark.parametrize("reader", readers(), ids=lambda reader: reader.name)
def test_good_inputs_are_read(reader, tmp_path):
    """Else nothing behind a refusal would be tried."""
    refused = 0
    for content in reader.seeds:
        try:
            reader.read(tmp_path, content)
        except MemstudyError:
            refused += 1
    assert refused < len(reader.seeds)


@pytest.mark.skipif(not guided.is_there(), reason="atheris is not installed")
def test_what_is_guided_by_coverage_reaches_more_than_what_is_blind(tmp_path):
    """A branch behind three bytes is found in 200,000 inputs only if each byte that is right is told."""
    code = (
        "import gc, os, sys\n"
        "gc.freeze()\n"
        "from tests.reliability.fuzz import guided\n"
        "def read(content):\n"
        "    if content[:1] == b'\\x91':\n"
        "        if content[1:2] == b'\\x37':\n"
        "            if content[2:3] == b'\\xc4':\n"
        "                os._exit(55)\n"
        "read.__module__ = 'memstudy.files'\n"
        "guided.by_coverage((b'abcdef',), (), 1)(200_000, lambda content: read(content))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert ended.returncode == 55


def harm(kind):
    """What a bad reader does."""
    import pickle
    import time

    def read(folder, content):
        if content == b"harm":
            {
                "crash": os.abort,
                "hang": lambda: [time.process_time() for _ in iter(int, 1)],
                "grow": lambda: bytearray(2**31),
                "raise": lambda: "".index("x"),
                "write": lambda: Path("/tmp/memstudy-none/x").write_text("x"),
                "run": lambda: pickle.loads(pickle.dumps(pickle.dumps)),
                "say": lambda: (_ for _ in ()).throw(MemstudyError("no sentence")),
            }[kind]()

    return read


@pytest.mark.parametrize("kind", ["crash", "hang", "grow", "raise", "write", "run", "say"])
def test_a_reader_that_does_harm_is_found_by_its_input(kind):
    def source(child, tried):
        return lambda count, attempt: [attempt(content) for content in (b"good", b"harm", b"good")[tried:]]

    starts = iter([lambda: Trial(Reader("bad", harm(kind), (b"good",)), source, 3)])
    (trial,) = carry_out(starts, together=1)
    assert [loss.content for loss in trial.losses] == [b"harm"]
    assert trial.tried == 3
