"""Parts of the campaign: what was tried, and what survived it, a line each as it comes.

    python -m tests.reliability [PART …] [--long] [--seed 0] [--save [--continue]]

It ends with exit code 1 if anything was lost. What is saved is saved case by case, so that a part that was stopped
can be continued.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Iterable
from itertools import groupby

from tests.reliability import committed
from tests.reliability.tally import Row, Size

PARTS = ("kills", "faults", "damage", "crowds", "fuzz", "resources", "terms")
CONTINUED = ("faults", "damage", "fuzz")
"""Those that take so long that --continue leaves out what has been saved of them; others are carried out anew."""


def told(rows: Iterable[Row]) -> list[Row]:
    """The rows, each printed as it comes."""
    seen = []
    for row in rows:
        print(f"{row.part}: {row.case}: {row.what}: {row.survived:,} of {row.tried:,}", flush=True)
        for sentence in row.lost:
            print(f"  LOST {sentence}", flush=True)
        seen.append(row)
    return seen


def carried_out(part: str, size: Size, seed: int, save: bool, more: bool) -> list[Row]:
    """A part, saved case by case."""
    campaign = importlib.import_module(f"tests.reliability.{part}").campaign
    more = more and part in CONTINUED
    rows: list[Row] = []
    begun = time.monotonic()
    found = campaign(size, seed, committed.cases(part)) if more else campaign(size, seed)
    for _, of_case in groupby(found, key=lambda row: row.case):
        several = told(of_case)
        if save:
            committed.save(part, several, seed, time.monotonic() - begun, more=more or bool(rows))
            begun = time.monotonic()
        rows += several
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)}; all unless given")
    parser.add_argument("--long", action="store_true", help="the long size instead of CI's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", action="store_true", help=f"write the tables of {committed.FOLDER.name}")
    parser.add_argument("--continue", action="store_true", dest="more", help="leave out cases that are saved")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    lost = 0
    for part in given.parts or PARTS:
        begun = time.monotonic()
        size = Size.LONG if given.long else Size.CI
        rows = carried_out(part, size, given.seed, given.save, given.more)
        seconds = time.monotonic() - begun
        tried, survived = sum(row.tried for row in rows), sum(row.survived for row in rows)
        print(f"{part}: {survived:,} of {tried:,} in {seconds:.0f} s, seed {given.seed}", flush=True)
        lost += tried - survived
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
