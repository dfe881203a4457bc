"""One part of the campaign, or all: what was tried, and what survived it, a line each as it comes."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator

from tests.reliability.tally import Row, Size

PARTS = ("kills", "faults", "damage", "crowds", "fuzz", "resources", "terms")


def campaign(parts: list[str], size: Size, seed: int) -> Iterator[Row]:
    """The rows of some parts, in their order."""
    for part in parts:
        yield from importlib.import_module(f"tests.reliability.{part}").campaign(size, seed)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)}; all unless given")
    parser.add_argument("--long", action="store_true", help="the long size instead of CI's")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    unknown = set(given.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    lost = 0
    for row in campaign(given.parts or list(PARTS), Size.LONG if given.long else Size.CI, given.seed):
        print(f"{row.part}: {row.case}: {row.what}: {row.survived:,} of {row.tried:,}", flush=True)
        for sentence in row.lost:
            print(f"  LOST {sentence}", flush=True)
        lost += row.tried - row.survived
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
