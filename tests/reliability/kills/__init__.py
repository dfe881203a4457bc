"""The kill campaign: stopped at any moment, in any way, the same command ends with the same bytes.

Each case is carried out undisturbed first. Then it is begun anew, stopped once or several times in a row, given
again until it ends by itself, and every file is compared (`tests/reliability/same.py` names what may differ).
"""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.reliability.kills import cases, engines
from tests.reliability.kills.bench import Bench
from tests.reliability.kills.cases import Case
from tests.reliability.kills.stops import CHANGE, HALF, PLACES, SIGNALS, drawn
from tests.reliability.tally import Row, Size

Way = tuple[str, str]
"""A key of SIGNALS, and one of PLACES, or "" for a random moment."""
KILLS: tuple[Way, ...] = (("SIGKILL", ""), ("SIGKILL", CHANGE), ("SIGKILL", HALF))
GENTLER: tuple[Way, ...] = tuple((name, place) for name in SIGNALS if name != "SIGKILL" for place in ("", CHANGE))
CHOSEN: tuple[Way, ...] = tuple(
    (name, place) for name in SIGNALS for place in PLACES if place != HALF or signal.SIGKILL in SIGNALS[name]
)  # who is asked to stop writes the rest of a file first


LEAST = 20
"""Stops in the size of every change; a random moment that comes after the end, on a busy machine, is none."""


@dataclass(frozen=True)
class Plan:
    """What is tried with a case: each entry is how it is stopped, one after the other, before it may end."""

    case: Case
    trials: Sequence[Sequence[Way]]


FURTHER = tuple(Plan(case, [[("SIGKILL", CHANGE)]] * 2) for case in cases.RUNS)
"""What is tried until there were LEAST stops: a change of a file always comes."""


def planned(size: Size, random: Random) -> Iterator[Plan]:
    """What is tried, case by case."""

    def each(ways: Sequence[Way], count: int) -> list[list[Way]]:
        return [[way] for way in random.sample(ways, count)]

    if size is Size.CI:
        for case in random.sample(cases.RUNS, 3):
            yield Plan(case, [KILLS, *each(CHOSEN, 2)])
        yield Plan(cases.FLEET, [[random.choice(KILLS)], *each(CHOSEN, 1)])
        for case in (
            random.choice(cases.ANALYSES),
            *random.sample([s for s in cases.STEPS if s.begun != "derived"], 3),
        ):
            yield Plan(case, [random.sample(KILLS, 2), *each(GENTLER, 1)])
        return
    for case in cases.RUNS:
        yield Plan(case, [KILLS, KILLS, *each(CHOSEN, 3)])
    yield Plan(random.choice(cases.RUNS), [[way] for way in CHOSEN])
    for case in cases.NETWORKS_RUNS:
        yield Plan(case, [[*KILLS[:2], random.choice(CHOSEN)]])
    for case in cases.STUDIES:
        yield Plan(case, [*[KILLS] * 4, *each(CHOSEN, 4)])
    for case in (*cases.ANALYSES, *cases.STEPS):
        yield Plan(case, [*[KILLS] * 3, *each(GENTLER, 2)])
    yield Plan(cases.MLFLOW, [KILLS, *each(GENTLER, 1)])


def campaign(size: Size, seed: int) -> Iterator[Row]:
    """Stop commands; a row for each case and way to stop it."""
    folder = Path(tempfile.mkdtemp(prefix="kills-"))  # no TemporaryDirectory: a child that ends would remove it
    try:
        bench, count = Bench(folder), 0
        plans = [*planned(size, Random(seed))]
        for number, plan in enumerate([*plans, *FURTHER]):
            if number >= len(plans) and count >= LEAST:
                break
            for row in _rows(bench, plan, seed):
                count += row.tried
                yield row
        if size is Size.LONG:  # last: Ray starts threads in this process, which a fork does not copy
            yield from engines.campaign(folder, bench.data, seed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _rows(bench: Bench, plan: Plan, seed: int) -> Iterator[Row]:
    tried: Counter[str] = Counter()
    survived: Counter[str] = Counter()
    lost: dict[str, list[str]] = defaultdict(list)
    counts = bench.undisturbed(plan.case).counts
    for turn, ways in enumerate(plan.trials):
        random = Random(f"{seed} {plan.case.name} {turn}")
        came, wrong = bench.stopped(plan.case, [drawn(*way, counts, random) for way in ways])
        if wrong and not came:
            raise AssertionError(f"{plan.case.name}, not stopped at all: {'; '.join(wrong)}")
        tried.update(stop.what for stop in came)
        if wrong:
            lost[came[0].what] += [
                f"seed {seed}, trial {turn}, {', then '.join(map(str, came))}: {one}" for one in wrong
            ]
        else:
            survived.update(stop.what for stop in came)
    for what in tried:
        yield Row("kills", plan.case.name, what, tried[what], survived[what], tuple(lost[what]))
