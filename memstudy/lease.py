"""One writer at a time, on any file system that machines share: a marker file that its owner renews.

The marker says who the owner is, and its time of change is the owner's newest heartbeat. Who else wants it goes by
these rules, in which no clock of another machine matters:

- A process of this machine that is dead (its number may be another process' now) is succeeded at once; one that
  lives never is, be it stopped.
- A process of another machine is succeeded when its marker was seen without a heartbeat for DURATION seconds. As
  soon as a heartbeat is seen, it is known to live.
- Of several successors one wins: who creates the claim named after the marker's content, alone. Renaming the claim
  to the marker is the succession, so there is no moment without a marker. A claim whose maker died is passed over
  for one of the next number.

An owner that was stopped for longer may have been succeeded meanwhile, so it asks `Lease.check` before it writes.

Only creation (O_EXCL), renaming and removal are asked of the file system, which NFS has, too. Locks of the kernel
are not kept on all of them, and an exchange of two names, which `filelock` 4.3 needs to succeed an owner, is
refused by NFS.
A marker is always opened to look at it: NFS then asks the server, where a bare look may be a minute old.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

from memstudy import files, processes

HEARTBEAT, DURATION = 10.0, 60.0
"""Seconds: how often an owner renews its marker, and how long it counts without that."""
PATIENCE = 1.0
"""Seconds in which a living process of this machine may end what it does."""
POLL = 0.1
LARGEST = 4096
"""Bytes of a marker."""


@dataclass(frozen=True)
class Owner:
    """Who writes: host, process, since when (ISO 8601, UTC), and its newest heartbeat.

    `heartbeat` is in seconds since the epoch, on the clock of the file system. `machine` is empty where it is not
    known what tells machines of one name apart, `start` where it is not known when a process started.
    """

    host: str
    pid: int
    since: str
    heartbeat: float
    machine: str = ""
    start: str = ""

    @property
    def here(self) -> bool:
        """Whether it is a process of this machine, and we can ask whether it lives."""
        return sys.platform != "win32" and (self.host, self.machine) == (socket.gethostname(), processes.machine())

    @property
    def dead(self) -> bool:
        """Whether it is known to be no more."""
        return self.here and not processes.lives(self.pid, self.start)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


class Held(Exception):
    """Somebody else is the owner; `owner` is None where the marker does not say who."""

    def __init__(self, owner: Owner | None) -> None:
        super().__init__(str(owner))
        self.owner = owner


class Lost(Exception):
    """Somebody else became the owner; `owner` is None if there is none now."""

    def __init__(self, owner: Owner | None) -> None:
        super().__init__(str(owner))
        self.owner = owner


@dataclass(frozen=True)
class _Marker:
    """A marker as it was seen. Any difference to what was seen before is a heartbeat or another owner."""

    content: bytes
    changed: int  # ns

    def owner(self) -> Owner | None:
        """Who it names; None if it is half written, or not by us."""
        try:
            record = json.loads(self.content)
            kinds = {"host": str, "pid": int, "since": str, "machine": str, "start": str}
            known = {name: record[name] for name in kinds}
            if not all(type(known[name]) is kind for name, kind in kinds.items()) or known["pid"] < 1:
                return None
            return Owner(**known, heartbeat=self.changed / 1e9)
        except (ValueError, KeyError, TypeError, RecursionError):
            return None


@dataclass(frozen=True)
class _Look:
    """A marker, since when it was seen like that (on the monotonic clock), and whether it was another before."""

    marker: _Marker
    since: float
    changed: bool

    @property
    def is_over(self) -> bool:
        """Whether who wrote it may be succeeded."""
        owner = self.marker.owner()
        return owner.dead if owner is not None and owner.here else time.monotonic() - self.since >= DURATION


@dataclass(frozen=True)
class _Known:
    """A marker that this process has seen, since when (monotonic clock), and whether it was renewed then."""

    marker: _Marker
    since: float
    renewed: bool


_KNOWN: dict[Path, _Known] = {}
"""Markers that this process has seen at all: one dead machine's are waited for together."""


def _known(path: Path, marker: _Marker) -> _Known:
    """What this process knows of a marker that it sees now."""
    known = _KNOWN.get(path)
    if known is None or known.marker != marker:
        renewed = known is not None and known.marker.content == marker.content
        known = _KNOWN[path] = _Known(marker, time.monotonic(), renewed)
    return known


def owner(path: Path) -> Owner | None:
    """Who holds the marker at `path` now, at a glance; None if nobody. Nothing is written.

    Who looks again and again has seen whether an owner of another machine renews it. At a first look there is no
    time to wait for that, so here, and only here, the clock decides: a heartbeat that is older than DURATION is no
    owner's. Where clocks differ by more that may be wrong, and `living` is not.
    """
    try:
        marker = _seen(path)
    except OSError:  # in a directory that we may not look into nobody here can write
        return None
    if marker is None:
        return None
    known, found = _known(path, marker), marker.owner()
    if found is None or found.dead:
        return None
    if found.here:
        return found
    if time.monotonic() - known.since >= DURATION:
        return None
    return found if known.renewed or time.time() - found.heartbeat < DURATION else None


def living(paths: Iterable[Path]) -> dict[Path, Owner | None]:
    """Which of these markers are held for certain, whatever clocks say, and by whom (None: they do not say).

    Those of other machines are watched until one of them is renewed, or DURATION has passed: up to a minute.
    """
    undecided = {path: marker for path in paths if (marker := _seen(path)) is not None}
    lives: dict[Path, Owner | None] = {}
    while undecided:
        for path, before in list(undecided.items()):
            marker = _seen(path)
            if (held := _is_held(path, before, marker)) is not None:
                del undecided[path]
                if held and marker is not None:
                    lives[path] = marker.owner()
        if lives:
            break
        if undecided:
            time.sleep(HEARTBEAT / 10)
    return lives


def _is_held(path: Path, before: _Marker, now: _Marker | None) -> bool | None:
    """Whether somebody holds a marker that was another one, or the same, before; None if that is not known yet."""
    if now is None:
        return False
    owner = now.owner()
    if owner is not None and owner.here:
        return not owner.dead
    if now != before:
        return True
    return False if time.monotonic() - _known(path, now).since >= DURATION else None


class Lease:
    """The right to write, from `acquire` to `release`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._content = b""
        self._looks: dict[Path, _Look] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._process = 0

    def acquire(self, patience: float = PATIENCE) -> None:
        """Become the owner. Raises Held as soon as it is known that another one lives, and OSError.

        A living process of this machine is given `patience` seconds first.
        """
        self._process, self._content = os.getpid(), _introduction()
        self._looks.clear()
        begun = time.monotonic()
        try:
            while not self._attempt(waited := time.monotonic() - begun >= patience):
                time.sleep(HEARTBEAT / 10 if waited else POLL)
            files.tidy(self.path.parent.glob(f"{self.path.name}.*"))  # claims of those who died or came too late
            self._beat()
        except BaseException:
            self.release()
            raise

    def check(self) -> None:
        """Raise Lost if this is not the owner any more, and an OSError if that cannot be found out."""
        marker = _seen(self.path)
        if marker is None or marker.content != self._content:
            raise Lost(marker.owner() if marker else None)

    def release(self) -> bool:
        """Be the owner no longer; whether it was until now.

        A marker that is another one's by now is left alone, and so is ours in a forked child, which is no owner.
        """
        if self._process != os.getpid():
            return False
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=1)
        try:
            self.check()
            self.path.unlink()
        except (OSError, Lost):
            return False
        return True

    def _beat(self) -> None:
        """Renew the marker from time to time, in a thread that ends with the lease or the process."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._thread.start()

    def _renew(self) -> None:
        while not self._stop.wait(HEARTBEAT):
            try:
                self.check()
                os.utime(self.path)
            except Lost:
                return
            except OSError:  # a file server that is away for a moment
                continue

    def _attempt(self, waited: bool) -> bool:
        """Make the marker, or succeed its owner; whether it is ours now. Raises Held if the owner lives."""
        if _create(self.path, self._content):
            return True
        look = self._look(self.path)
        if look is None:  # it has just been released
            return False
        if look.is_over:
            return self._succeed(look.marker)
        owner = look.marker.owner()
        if waited if owner is not None and owner.here else look.changed:
            raise Held(owner)
        return False

    def _succeed(self, before: _Marker) -> bool:
        """Claim the marker of an owner that is no more; whether it is ours now."""
        for number in count():
            claim = self.path.with_name(f"{self.path.name}.{files.digest(before.content)[:16]}.{number}")
            if _create(claim, self._content):
                return self._rename(claim, before)
            other = self._look(claim)
            if other is None or not other.is_over:
                return False
        raise AssertionError("numbers do not end")

    def _rename(self, claim: Path, before: _Marker) -> bool:
        """Let our claim be the marker, if that is still the one we saw; whether it is ours now."""
        try:
            if _seen(self.path) == before:
                claim.replace(self.path)
                return True
        except FileNotFoundError:  # another one was faster, and has tidied
            return False
        finally:
            files.tidy([claim])
        return False

    def _look(self, path: Path) -> _Look | None:
        """A marker or claim as it is, and since when it was seen like that; None if there is none."""
        marker, earlier = _seen(path), self._looks.get(path)
        if marker is None:
            return None
        if earlier is None or earlier.marker != marker:
            self._looks[path] = _Look(marker, _known(path, marker).since, changed=earlier is not None)
        return self._looks[path]


@contextlib.contextmanager
def held(path: Path) -> Iterator[Lease]:
    """Own the marker at `path`, however long it takes until others have let it go."""
    lease = Lease(path)
    while True:
        try:
            lease.acquire()
            break
        except Held:
            time.sleep(POLL)
    try:
        yield lease
    finally:
        lease.release()


def _seen(path: Path) -> _Marker | None:
    """A marker as it is now; None if there is none."""
    try:
        with path.open("rb") as file:
            return _Marker(file.read(LARGEST), os.fstat(file.fileno()).st_mtime_ns)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _create(path: Path, content: bytes) -> bool:
    """Make a file that is not there; whether it was not."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    try:
        os.write(handle, content)
    except OSError:  # a full disk
        files.tidy([path])
        raise
    finally:
        os.close(handle)
    return True


def _introduction() -> bytes:
    """Who we are, and a token that no other owner has."""
    here = Owner(
        socket.gethostname(), os.getpid(), files.now(), 0, processes.machine(), processes.start(os.getpid())
    )
    record = asdict(here) | {"token": secrets.token_hex(16)}
    del record["heartbeat"]
    return (json.dumps(record) + "\n").encode()
