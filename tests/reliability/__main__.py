"""Parts of the campaign: what was tried, and what survived it, a line each as it comes.

    python -m tests.reliability [PART …] [--long] [--seed 0] [--save]

It ends with exit code 1 if anything was lost.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Iterator

from tests.reliability import committed
from tests.reliability.tally import Row, Size

PARTS = ("kills", "faults", "damage", "crowds", "fuzz", "resources", "terms")


def told(rows: Iterator[Row]) -> list[Row]:
    """The rows, each printed as it comes."""
    seen = []
    for row in rows:
        print(f"{row.part}: {row.case}: {row.what}: {row.survived:,} of {row.tried:,}", flush=True)
        for sentence in row.lost:
            print(f"  LOST {sentence}", flush=True)
        seen.append(row)
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)}; all unless given")
    parser.add_argument("--long", action="store_true", help="the long size instead of CI's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", action="store_true", help=f"write the tables of {committed.FOLDER.name}")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    lost = 0
    for part in given.parts or PARTS:
        begun = time.monotonic()
        campaign = importlib.import_module(f"tests.reliability.{part}").campaign
        rows = told(campaign(Size.LONG if given.long else Size.CI, given.seed))
        seconds = time.monotonic() - begun
        tried, survived = sum(row.tried for row in rows), sum(row.survived for row in rows)
        print(f"{part}: {survived:,} of {tried:,} in {seconds:.0f} s, seed {given.seed}", flush=True)
        if given.save:
            committed.save(part, rows, given.seed, seconds)
        lost += tried - survived
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
