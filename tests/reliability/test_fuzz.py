"""Strangers' files, in the size of every change (see `fuzz`)."""

from __future__ import annotations

import pytest

from memstudy.errors import MemstudyError
from tests.reliability import fuzz
from tests.reliability.fuzz.targets import readers
from tests.reliability.fuzz.trying import Reader, Trial, carry_out
from tests.reliability.tally import Size

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


def harm(kind):
    """What a bad reader does."""
    import os
    import pickle
    import time
    from pathlib import Path

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
