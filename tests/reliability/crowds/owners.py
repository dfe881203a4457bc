"""Who may write: clocks that are wrong, leases removed under a writer, hosts that died, numbers used again.

A process can pretend to be of another machine, and to have another clock, for all that memstudy asks of these.
"""

from __future__ import annotations

import datetime
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from memstudy import files, lease, processes
from memstudy.store.layout import METRICS
from memstudy.store.writer import LEASE
from tests.reliability.children import Command, Ended
from tests.reliability.crowds.shared import BUSY
from tests.reliability.crowds.world import Reference, recipe, words
from tests.reliability.tally import Row, Size

HOUR, YEAR = 3600.0, 365 * 86_400.0
EPOCHS = 8
"""Long enough to be met while it trains; a second or two."""
SENTENCES = ("it is gone", "its .lease is gone", "has taken it over", "cannot write", "was removed or moved", BUSY)


def quick() -> None:
    """Heartbeats and leases that a campaign can wait for."""
    lease.HEARTBEAT, lease.DURATION = 0.1, 1.0


def clock(ahead: Callable[[], float]) -> None:
    """From now on this process' clock, and the one by which it renews files, is ahead by so many seconds."""
    real, touch = time.time, os.utime
    time.time = lambda: real() + ahead()
    time.time_ns = lambda: int((real() + ahead()) * 1e9)

    def now() -> str:
        moment = datetime.datetime.fromtimestamp(time.time(), datetime.UTC)
        return moment.isoformat(timespec="seconds")

    def utime(path: Path, times: tuple[float, float] | None = None, **more: object) -> None:
        touch(path, times or (time.time(),) * 2, **more)  # type: ignore[arg-type]

    files.now, os.utime = now, utime  # type: ignore[assignment]


def jumping(seed: int) -> Callable[[], None]:
    """A clock that is set forth and back again and again."""

    def prepare() -> None:
        quick()
        chance, offset = random.Random(seed), [0.0]

        def ahead() -> float:
            if chance.random() < 0.1:
                offset[0] = chance.choice((-YEAR, -HOUR, -1.0, 0.0, 1.0, HOUR, YEAR))
            return offset[0]

        clock(ahead)

    return prepare


def elsewhere(ahead: float = 0.0) -> Callable[[], None]:
    """A process of another machine, whose clock is ahead by so many seconds."""

    def prepare() -> None:
        quick()
        socket.gethostname = lambda: "elsewhere"
        files._here.cache_clear()
        clock(lambda: ahead)

    return prepare


def campaign(size: Size, seed: int, root: Path) -> Iterator[Row]:
    """All of it."""
    long, chance = size is Size.LONG, random.Random(seed)
    reference = Reference.of(root / "owned", [recipe(epochs=EPOCHS)])
    cases: list[tuple[str, int, Callable[[Reference, Path, random.Random], str]]] = [
        ("the clock jumps while it trains, and while it is listed", 5 if long else 1, _jumps),
        ("its lease is removed or overwritten while it trains", 8 if long else 1, _loses_lease),
        ("its directory is removed while it trains", 8 if long else 1, _loses_all),
        ("it trains on another host, whose clock is wrong, and which dies", 6 if long else 1, _dies_elsewhere),
        ("its process died, and its number is another's", 5 if long else 1, _number_is_used_again),
    ]  # fmt: skip
    for what, tries, one in cases:
        lost = []
        for number in range(tries):
            store = root / "owners"
            turn = random.Random(chance.randrange(10**9))
            if problem := one(reference, store, turn) or reference.differs(store):
                lost.append(f"{problem} (seed {seed}, try {number})")
            shutil.rmtree(store, ignore_errors=True)
        yield Row("crowds", "memstudy run", what, tries, tries - len(lost), tuple(lost))


def _run(reference: Reference, store: Path, prepare: Callable[[], None] = quick) -> Command:
    (one,) = reference.recipes.values()
    return Command(*words(one), "--runs-dir", store, prepare=prepare)


def _place(reference: Reference, store: Path) -> Path:
    (name,) = reference.recipes
    return store / name


def _until_it_trains(child: Command, run: Path, epochs: int) -> bool:
    """Wait until so many epochs are done, or the process has ended; whether it is still at work."""
    metrics = run / METRICS
    return child.lives_until(lambda: metrics.is_file() and metrics.read_bytes().count(b"\n") > epochs)


def _jumps(reference: Reference, store: Path, chance: random.Random) -> str:
    child = _run(reference, store, jumping(chance.randrange(10**9)))
    _until_it_trains(child, _place(reference, store), 1)
    while child.lives:
        for command in (("runs", "--json"), ("watch", "--json"), ("watch", "--once")):
            reader = Command(*command, "--runs-dir", store, prepare=jumping(chance.randrange(10**9))).end()
            if reader.code or reader.crashed or "damaged" in reader.out or '"left": -' in reader.out:
                child.end()
                return f"memstudy {' '.join(command)} ended so: {reader}"
    return _wrong(child.end())


def _wrong(ended: Ended) -> str:
    return f"it ended so: {ended}" if ended.code or ended.crashed else ""


def _loses_lease(reference: Reference, store: Path, chance: random.Random) -> str:
    child, run = _run(reference, store), _place(reference, store)
    if _until_it_trains(child, run, chance.randrange(EPOCHS - 2)):
        marker = run / LEASE
        if chance.random() < 0.5:
            marker.unlink(missing_ok=True)
        else:
            marker.write_bytes(chance.choice((b"", b"{", marker.read_bytes()[:30])))
    return _told_or_done(child.end()) or _wrong(_run(reference, store).end())


def _told_or_done(ended: Ended) -> str:
    """What is wrong with the end of a process that lost what it wrote to: it may have been done, or says so."""
    if ended.code == 0 and not ended.crashed:
        return ""
    told = not ended.crashed and any(sentence in ended.err for sentence in SENTENCES)
    return "" if told else f"it ended so: {ended}"


def _loses_all(reference: Reference, store: Path, chance: random.Random) -> str:
    child, run = _run(reference, store), _place(reference, store)
    if _until_it_trains(child, run, chance.randrange(EPOCHS - 2)):
        shutil.rmtree(run, ignore_errors=True)
        shutil.rmtree(run, ignore_errors=True)  # a file may have come between
    if problem := _told_or_done(child.end()):
        return problem
    if (run / "state.json").exists() or not run.exists():
        return _wrong(_run(reference, store).end())
    shutil.rmtree(run)
    return _wrong(_run(reference, store).end())


def _dies_elsewhere(reference: Reference, store: Path, chance: random.Random) -> str:
    ahead = chance.choice((-YEAR, -HOUR, -90.0, 90.0, HOUR, YEAR))
    child, run = _run(reference, store, elsewhere(ahead)), _place(reference, store)
    if not _until_it_trains(child, run, chance.randrange(5)):
        return f"it ended so: {child.end()}"
    while not (run / LEASE).exists():
        time.sleep(0.005)
    here = _run(reference, store).end()
    lived = child.lives
    removal = Command("rm", run.name, "--yes", "--runs-dir", store, prepare=quick).end() if child.lives else None
    removed_alive = child.lives and removal is not None and removal.code == 0
    if lived and not (here.code == 2 and BUSY in here.err):
        return f"a run of another host, whose clock is {ahead:+,.0f} s, was taken from it: {here}"
    if removed_alive:
        return f"a run of another host, whose clock is {ahead:+,.0f} s, was removed"
    child.kill()
    return _wrong(_run(reference, store).end())  # which would be killed if it waited for the dead for ever


def _number_is_used_again(reference: Reference, store: Path, chance: random.Random) -> str:
    child, run = _run(reference, store), _place(reference, store)
    _until_it_trains(child, run, chance.randrange(EPOCHS - 2))
    child.kill()
    if not (run / LEASE).exists():
        return "" if reference.differs(store) == "" else "it left no lease"
    other = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    try:
        marker = json.loads((run / LEASE).read_text())
        (run / LEASE).write_text(json.dumps(marker | {"pid": other.pid}))
        dead = _wrong(_run(reference, store).end())
        if not dead and lease.owner(run / LEASE) is not None:
            return "it left its lease"
        if not dead:
            alive = marker | {"pid": other.pid, "start": processes.start(other.pid)}
            (run / LEASE).write_text(json.dumps(alive))
            held = Command("rm", run.name, "--yes", "--runs-dir", store, prepare=quick).end()
            if held.code != 2 or BUSY not in held.err.replace("being run", "is being run"):
                return f"a run of a living process was removed: {held}"
            (run / LEASE).unlink()
        return dead
    finally:
        other.communicate(b"\n")
