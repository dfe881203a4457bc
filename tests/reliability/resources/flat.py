"""Hundreds of epochs and of analyses in one process: memory, file descriptors and threads stay as they are.

What is measured after each of them is fitted by a line (Theil and Sen's, which a few outliers do not move), once
the first third has filled caches. A leak that is made on purpose must be found.
"""

from __future__ import annotations

import gc
import json
import mmap
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from scipy.stats import theilslopes

from memstudy.derived import ANALYSES
from memstudy.derived.deriving import derive
from memstudy.derived.workbench import Workbench
from memstudy.report.table import Table
from memstudy.store import Store
from memstudy.store.store import Selection
from memstudy.study.carry_out import Execution, carry_out
from memstudy.study.choice import configured_of
from memstudy.study.reporting import make_page
from memstudy.study.tables import make_figures, make_tables
from memstudy.study.watcher import Watcher
from memstudy.training import numerics, resolve_device
from tests.reliability.children import in_child
from tests.reliability.crowds.world import recipe
from tests.reliability.tally import Row, Size

TOLERANCE = {
    "epoch": {"memory": 20_000.0, "descriptors": 0.01, "threads": 0.01},
    "analysis": {"memory": 200_000.0, "descriptors": 0.01, "threads": 0.01},
}
"""The steepest line that counts as flat: bytes, descriptors, threads, each for an epoch or an analysis."""
PATIENCE = 3600.0
"""Seconds for all of them, on a machine that is busy."""
CHEAP = ("filters", "dynamics", "svcca", "probe")

Sample = dict[str, float]


def status() -> dict[str, str]:
    """What the system says of this process, by its own names."""
    return dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())


def sample() -> Sample:
    """What this process has now."""
    gc.collect()
    found = status()
    return {
        "memory": 1024.0 * int(found["VmRSS"].split()[0]),
        "descriptors": float(len(os.listdir("/proc/self/fd"))),  # noqa: PTH208
        "threads": float(found["Threads"].strip()),
    }


def rising(samples: Sequence[Sample], per: str) -> list[str]:
    """What rises by more than is tolerated, a sentence each; none if all is flat."""
    later, found = samples[len(samples) // 3 :], []
    for name, tolerated in TOLERANCE[per].items():
        slope = float(theilslopes([one[name] for one in later])[0])
        if slope > tolerated:
            found.append(f"{name} rises by {slope:,.3g} for each {per} (tolerated: {tolerated:,.3g})")
    return found


class _Sampling(Watcher):
    """Samples after each epoch, and leaks, if asked to."""

    def __init__(self, into: list[Sample], leak: Callable[[], None] | None) -> None:
        self.into, self.leak = into, leak

    def epoch_done(self, epoch: int, metrics: dict[str, float]) -> None:
        if self.leak is not None:
            self.leak()
        self.into.append(sample())


def epochs(count: int, root: Path, leak: Callable[[], None] | None = None) -> list[Sample]:
    """A run of so many epochs, in a child."""

    def train(store: Store, found: list[Sample]) -> None:
        carry_out(store.open(recipe(epochs=count)), Execution(device="cpu"), _Sampling(found, leak))

    return _sampled(root, train)


def _sampled(root: Path, work: Callable[[Store, list[Sample]], None]) -> list[Sample]:
    """The samples that some work adds to a list, in a child with a store of its own."""
    samples, store = root / "samples.json", Store(root / "flat")

    def child() -> None:
        gc.freeze()  # what was imported need not be looked through again
        added: list[Sample] = []
        work(store, added)
        samples.write_text(json.dumps(added))

    ended = in_child(child, PATIENCE)
    shutil.rmtree(store.root, ignore_errors=True)
    if ended.code:
        raise RuntimeError(f"it did not end well: {ended}\n{ended.err}")
    found: list[Sample] = json.loads(samples.read_text())
    return found


class _Silent:
    """A voice that nobody hears."""

    def say(self, text: str) -> None:
        pass

    tell = say

    def show(self, table: Table, briefly: bool = False) -> None:
        pass

    def counted(self, doing: str) -> _Counted:
        return _Counted()


class _Counted:
    def __enter__(self) -> Callable[[int, int], None]:
        return lambda done, total: None

    def __exit__(self, *error: object) -> None:
        pass


def _jobs(selection: Selection, bench: Workbench) -> list[Callable[[], object]]:
    """What is derived in turns: cheap analyses, tables, figures, the page."""
    voice = _Silent()
    analyses = [configured_of(ANALYSES, name, selection) for name in CHEAP]
    return [
        *(lambda one=one: derive(one, selection, bench, voice) for one in analyses),
        lambda: make_tables(selection, voice),
        lambda: make_figures(selection, voice),
        lambda: make_page(selection, bench, voice),
    ]


def analyses(count: int, root: Path, leak: Callable[[], None] | None = None) -> list[Sample]:
    """So many analyses of two runs, each measured anew, in a child; a sample after each round of all kinds."""

    def work(store: Store, found: list[Sample]) -> None:
        with numerics():
            for reg in ("bare", "al2"):
                carry_out(store.open(recipe(reg, epochs=2)), Execution(device="cpu"))
            selection = replace(store.select(), path=store.folder("turn"))
            bench = Workbench(resolve_device("cpu"))
            jobs = _jobs(selection, bench)
            for _ in range(max(count // len(jobs), 6)):
                shutil.rmtree(selection.path, ignore_errors=True)  # else all is known already
                for job in jobs:
                    job()
                if leak is not None:
                    leak()
                found.append(sample())

    per_round = len(CHEAP) + 3
    return [{name: value / per_round for name, value in one.items()} for one in _sampled(root, work)]


def leaking() -> Callable[[], None]:
    """Something of each kind that is never given back."""
    kept: list[object] = []

    def leak() -> None:
        pages = mmap.mmap(-1, 200_000)  # new ones, whatever this process has let go of
        pages.write(bytes([1]) * 200_000)
        kept.append(pages)
        kept.append(os.open(os.devnull, os.O_RDONLY))
        threading.Thread(target=threading.Event().wait, daemon=True).start()

    return leak


def campaign(size: Size, seed: int, root: Path) -> Iterator[Row]:
    """Epochs, analyses, and that a leak would be found."""
    long = size is Size.LONG
    count = 500 if long else 40
    found = rising(epochs(count, root), "epoch")
    yield Row("resources", "memstudy run", f"{count} epochs in one process: flat", 1, int(not found), tuple(found))
    if long:
        found = rising(analyses(200, root), "analysis")
        what = "200 analyses, tables, figures and pages in one process: flat"
        yield Row("resources", "analyses", what, 1, int(not found), tuple(found))
    found = rising(epochs(20, root, leaking()), "epoch")
    missed = [name for name in TOLERANCE["epoch"] if not any(sentence.startswith(name) for sentence in found)]
    lost = tuple(f"a leak of {name} was not found" for name in missed)
    yield Row("resources", "leaks on purpose", "of memory, descriptors, threads: found", 3, 3 - len(lost), lost)
