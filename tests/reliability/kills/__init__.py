"""The kill campaign: stopped at any moment, in any way, the same command ends with the same bytes.

Each case is carried out undisturbed first. Then it is begun anew, stopped once or several times in a row, given
again until it ends by itself, and every file is compared (`tests/reliability/same.py` names what may differ).
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from random import Random

from tests.reliability.forked import Child, begin, warm
from tests.reliability.kills import cases
from tests.reliability.kills.cases import Case
from tests.reliability.kills.stops import DRAWN, PLACES, SIGNALS, Stop
from tests.reliability.same import differences
from tests.reliability.tally import Row, Size

MOST_STOPS = 3
"""In a row, before a command is let through to its end."""
LONG, CI = 330, 20
"""Stops of a campaign."""


class Bench:
    """Where cases are carried out: image sets, stores to begin with, and what each case gives undisturbed."""

    def __init__(self, root: Path) -> None:
        warm()
        self.root, self.data = root, root / "data"
        self.data.mkdir()
        cases.write_sets(self.data)
        self._undisturbed: dict[Case, tuple[Path, float]] = {}
        self._prepare = cases.preparing({}, root)
        trained, derived, packed = root / "trained", root / "derived", root / "packed"
        self._prepare(cases.WHOLE, trained)
        self._must([*cases.WHOLE.given(trained, self.data), "--train-only"])
        shutil.copytree(trained / "runs", derived)
        self._must(["study", str(trained / "out" / "tiny.toml"), "--jobs", "1", "--runs-dir", str(derived)])
        self._must(["pack", str(packed), "--whole", "--runs-dir", str(derived)])
        self._prepare = cases.preparing({"trained": trained / "runs", "derived": derived}, packed)

    def begin(self, words: Sequence[str], stop: Stop | None = None) -> Child:
        """Begin a command."""
        known = {"MEMSTUDY_DATA": str(self.data), "MEMSTUDY_CACHE": str(self.root / "cache"), "COLUMNS": "200"}
        return begin(words, self.root / "output.txt", known, None if stop is None else stop.arm)

    def _must(self, words: Sequence[str]) -> float:
        """Carry out a command, which must go well. Returns the seconds that it took."""
        begun = time.monotonic()
        child = self.begin(words)
        if child.wait():
            raise AssertionError(
                f"memstudy {' '.join(words)}, undisturbed, ended with {child.code}: {child.said()}"
            )
        return time.monotonic() - begun

    def undisturbed(self, case: Case) -> tuple[Path, float]:
        """A place in which the case was carried out, and the seconds that it took."""
        if case not in self._undisturbed:
            place = self.root / f"undisturbed-{len(self._undisturbed)}"
            self._prepare(case, place)
            self._undisturbed[case] = place, self._must(case.given(place, self.data))
        return self._undisturbed[case]

    def stopped(self, case: Case, stops: Iterable[Stop]) -> tuple[list[Stop], list[str]]:
        """Carry out a case with these stops in a row, then to its end.

        Returns those stops that came before it had ended, and sentences on what does not hold.
        """
        reference, seconds = self.undisturbed(case)
        place = self.root / "place"
        shutil.rmtree(place, ignore_errors=True)
        self._prepare(case, place)
        words, came, wrong = case.given(place, self.data), [], []
        for stop in stops:
            child = self.begin(words, stop)
            stop.strike(child, seconds)
            if child.wait() == 0:
                break
            came.append(stop)
            wrong += [f"{stop.what}: {sentence}" for sentence in stop.faults(child)]
        child = self.begin(words)
        if child.wait():
            wrong.append(f"given again it ended with {child.code}: {child.said()[-400:]}")
        return came, [*wrong, *differences(place, reference, cases.GIVEN)]


def stops_of(case: Case, random: Random) -> Iterator[Stop]:
    """Ways to stop a case, drawn: half of them at a random moment, half at a chosen one; mostly SIGKILL."""
    while True:
        signals = random.choices(list(SIGNALS), DRAWN)[0]
        chosen = [
            name for name, target in PLACES.items() if case.trains or target.partition(":")[0] in ("os", "pathlib")
        ]
        place = random.choice(["", random.choice(chosen)])
        if signals == "Ctrl-C twice":
            place = ""
        yield Stop(signals, place, random.choice((1, 1, 2, 3, 5)), random.random(), random.random() < 0.5)


def planned(size: Size) -> list[Case]:
    """The cases of a campaign, in turns."""
    if size is Size.LONG:
        return [*cases.RUNS, *cases.STEPS, *cases.NETWORKS_RUNS, *[cases.FLEET, cases.WHOLE] * 6]
    return [*cases.RUNS[:6], cases.FLEET, *cases.STEPS[:9:2]]


def campaign(size: Size, seed: int) -> Iterator[Row]:
    """Stop commands until so many stops came; a row for each case and way to stop it."""
    folder = Path(tempfile.mkdtemp(prefix="kills-"))  # no TemporaryDirectory: a child that ends would remove it
    try:
        yield from _rows(Bench(folder), planned(size), LONG if size is Size.LONG else CI, seed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _rows(bench: Bench, plan: Sequence[Case], wanted: int, seed: int) -> Iterator[Row]:
    tried: Counter[tuple[str, str]] = Counter()
    lost: dict[tuple[str, str], list[str]] = defaultdict(list)
    survived: Counter[tuple[str, str]] = Counter()
    for turn in count():
        case, random = plan[turn % len(plan)], Random(f"{seed}-{turn}")
        stops, wrong = bench.stopped(case, islice(stops_of(case, random), random.randint(1, MOST_STOPS)))
        keys = [(case.name, stop.what) for stop in stops]
        tried.update(keys)
        if wrong:
            lost[keys[0] if keys else (case.name, "nothing")] += [
                f"turn {turn} of seed {seed}: {one}" for one in wrong
            ]
        else:
            survived.update(keys)
        if tried.total() >= wanted and turn >= len(plan):
            break
    for key in sorted(tried):
        yield Row("kills", *key, tried[key], survived[key], tuple(lost[key]))
