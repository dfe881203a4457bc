"""Strangers' files: every reader gives a value or one clear sentence, whatever the bytes are.

No crash, no hang, no gigabyte, no code run, no file opened but its own. Each reader is tried with the inputs that
did harm once (`corpus/`), with those that were made to (`bombs`), and with very many near good ones: mutated from
a seed for every change, guided by coverage in the long size where atheris is installed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from memstudy import files
from tests.reliability.fuzz import bombs, guided, mutation
from tests.reliability.fuzz.targets import readers
from tests.reliability.fuzz.trying import Reader, Source, Trial, carry_out
from tests.reliability.tally import Row, Size

CORPUS = Path(__file__).parent / "corpus"
INPUTS = {Size.CI: 2000, Size.LONG: 100_000}
"""Of each reader."""


def campaign(size: Size, seed: int, done: Collection[str] = ()) -> Iterator[Row]:
    """All readers but those that were `done`, two at a time."""
    by_coverage = size is Size.LONG and guided.is_there()
    several = [reader for reader in readers() if reader.name not in done]
    trials = (_starting(reader, INPUTS[size], seed, by_coverage) for reader in several)
    for trial in carry_out(trials, together=2):
        how = "guided by coverage" if by_coverage else "mutated"
        what = f"inputs, {how}"
        yield Row("fuzz", trial.reader.name, what, trial.tried, trial.tried - len(trial.losses), _told(trial))


def known(reader: Reader) -> list[Path]:
    """Inputs that did harm once."""
    return sorted(CORPUS.glob(f"{_word(reader.name)}-*"))


def _word(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_")


def _starting(reader: Reader, count: int, seed: int, by_coverage: bool) -> Callable[[], Trial]:
    def source(child: int, tried: int) -> Source:
        if by_coverage:
            near = guided.by_coverage(reader.seeds, reader.words, 1000 * seed + child)
        else:
            near = mutation.near(reader.seeds, reader.words, f"{reader.name} {seed} {child}")

        def give(inputs: int, attempt: Callable[[bytes], None]) -> None:
            before = [*(path.read_bytes() for path in known(reader)), *bombs.inputs(reader)]
            first = before[tried : tried + inputs]
            for content in first:
                attempt(content)
            near(inputs - len(first), attempt)

        return give

    return lambda: Trial(reader, source, count)


def _told(trial: Trial) -> tuple[str, ...]:
    """A sentence for each loss, with its input kept where it can be tried again."""
    sentences = []
    for loss in trial.losses:
        place = Path("fuzz-losses") / f"{_word(trial.reader.name)}-{files.digest(loss.content)[:12]}"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(loss.content)
        sentences.append(f"{place}: {loss.lost}")
    return tuple(sentences)
