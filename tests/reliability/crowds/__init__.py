"""Many processes, other clocks, dead hosts and odd places: what is asked for at once is still right."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.reliability.tally import Row, Size


def campaign(size: Size, seed: int) -> Iterator[Row]:
    """All of it, in a folder that is removed."""
    from tests.reliability.crowds import readers, same

    with tempfile.TemporaryDirectory(prefix="memstudy-crowds-") as folder:
        root = Path(folder)
        before = os.environ.get("MEMSTUDY_CACHE")
        os.environ["MEMSTUDY_CACHE"] = str(root / "cache")
        try:
            yield from same.same_run(size, seed, root)
            yield from same.shared_runs(size, seed, root)
            yield from readers.campaign(size, seed, root)
        finally:
            if before is None:
                del os.environ["MEMSTUDY_CACHE"]
            else:
                os.environ["MEMSTUDY_CACHE"] = before
