"""One input after another for one reader, in a forked child that is watched: native code may crash, hang or grow.

The child writes what it is about to try to memory that it shares with its parent. A child that dies, or that works
on one input for too long, is thereby known by that input; another one goes on behind it. Losses that leave the
child alive (a traceback, a file opened that is none of the reader's) are told through a file.
"""

from __future__ import annotations

import gc
import json
import mmap
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from memstudy.errors import MemstudyError
from tests.reliability import scratch

LONGEST = 2**20
"""Bytes of an input; no more are kept of a longer one."""
SECONDS = 5.0
"""Of processor time: what takes longer hangs."""
CLOCK = 120.0
"""Seconds by the clock after which it hangs as well, as it waits for nothing: machines are busy, or pause."""
MEMORY = 2**30
"""Bytes that a reader may take beyond what the process has when it begins."""
FULL = "a gigabyte did not suffice"
LONGEST_SENTENCE = 3000
MOST_LOSSES = 20
"""A reader that has lost so often is not tried further."""

BUSY = 7
"""The byte of the shared memory that tells whether an input is being tried: the highest of their number."""
EXITED = "fuzz target exited"
"""What libFuzzer says when it ends of its own, between inputs or beside one; of a crash it says otherwise."""

Read = Callable[[Path, bytes], object]
"""Put an input where the reader looks for it, in a folder, and read it."""


@dataclass(frozen=True)
class Reader:
    """A reader of strangers' files: good inputs to begin with, and words that its inputs are made of."""

    name: str
    read: Read
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...] = ()
    anywhere: bool = False
    """Whether its file may name others, of labels, that it then reads. Nothing is ever written."""


Source = Callable[[int, Callable[[bytes], None]], None]
"""In the child: give so many inputs, each to a function."""


# In the child


class _Watched:
    """What a reader must not do, told by Python's audit events once it is armed."""

    RUNS = (
        "os.system",
        "os.exec",
        "os.posix_spawn",
        "os.fork",
        "subprocess.Popen",
        "pickle.find_class",
        "socket.connect",
    )
    READ = (
        *(
            str(Path(place).resolve())
            for place in (sys.prefix, sys.base_prefix, "/proc", "/sys/fs/cgroup", "/dev/null")
        ),
        *(str(Path(__file__).parents[3]), "/usr/share/zoneinfo", "/etc/localtime"),
    )
    """What may be read besides: the interpreter, packages, this project, and what the system says of memory."""

    def __init__(self, folder: Path, anywhere: bool) -> None:
        self._read = ("/",) if anywhere else self.READ
        self.armed, self.seen = False, ""
        self._folder = str(folder)
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.armed:
            return
        if event in self.RUNS:
            self.seen = f"{event} {arguments!r:.200}"
        elif event in ("open", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.symlink", "os.truncate"):
            self._opened(event, arguments)

    def _opened(self, event: str, arguments: tuple[object, ...]) -> None:
        place = arguments[0]
        if not isinstance(place, str | bytes | os.PathLike):
            return
        path = os.path.abspath(os.fsdecode(place))  # noqa: PTH100 (nothing is asked of the disk)
        flags = arguments[2] if event == "open" and len(arguments) > 2 else os.O_WRONLY
        writes = not isinstance(flags, int) or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if not path.startswith(self._folder) and (writes or not path.startswith(self._read)):
            self.seen = f"{event} {path!r:.200}"


def _loss(read: Read, folder: Path, content: bytes, watched: _Watched) -> str:
    """What was lost with an input; empty if there was a value or one clear sentence."""
    watched.seen, watched.armed = "", True
    try:
        read(folder, content)
    except MemstudyError as error:
        watched.armed = False
        return watched.seen or _unclear(error)
    except BaseException as error:
        watched.armed = False
        lines = traceback.format_exception(error)
        if isinstance(error, MemoryError):
            return f"{FULL}: {''.join(lines)[-1500:]}"
        return f"{type(error).__name__}: {''.join(lines)[-1500:]}"
    finally:
        watched.armed = False
    return watched.seen


def _unclear(error: MemstudyError) -> str:
    """What is wrong with a refusal: it is one sentence, of what a terminal shows, and not what memory said."""
    sentence, cause = str(error), error.__cause__ or error.__context__
    if isinstance(cause, MemoryError):
        return f"{FULL}: {sentence}"
    if not sentence.endswith(".") or len(sentence) > LONGEST_SENTENCE or any(map(_is_obeyed, sentence)):
        return f"no clear sentence: {sentence!r:.600}"
    return ""


def _is_obeyed(mark: str) -> bool:
    """Whether a terminal does something at a character, or a line ends or turns there."""
    turns = ("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI")
    return unicodedata.category(mark) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(mark) in turns


def _child(reader: Reader, source: Source, count: int, shared: mmap.mmap, losses: Path, folder: Path) -> None:
    """Try so many inputs; the last word of a process that never returns."""
    code = 1
    try:
        gc.freeze()
        os.chdir(folder.parent)
        torch.set_num_threads(1)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        warnings.simplefilter("ignore")
        np.seterr(all="ignore")
        watched = _Watched(folder, reader.anywhere)
        for seed in reader.seeds:  # what is imported late is imported now, and no longer a file that is opened
            _loss(reader.read, folder, seed, watched)
        sizes = Path("/proc/self/statm").read_text(encoding="utf-8").split()
        most = int(sizes[0]) * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))

        again = folder.parent / "again"

        def tried() -> int:
            return int.from_bytes(shared[:BUSY], "little")

        def attempt(content: bytes) -> None:
            try:
                lost = attempted(content)
            except MemoryError:  # in what tries it
                lost = FULL
            if lost.startswith(FULL) and tried() > 1:
                shared[:BUSY] = (tried() - 1).to_bytes(BUSY, "little")
                again.write_bytes(content)  # for a new child: was it this input, or all before it?
                os._exit(0)
            if lost:
                with losses.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"lost": lost, "content": content[:LONGEST].hex()}) + "\n")

        def attempted(content: bytes) -> str:
            shared[:BUSY] = (tried() + 1).to_bytes(BUSY, "little")
            kept = content[:LONGEST]
            shared[8:16] = len(kept).to_bytes(8, "little")
            shared[16 : 16 + len(kept)] = kept
            shared[BUSY] = 1
            lost = _loss(reader.read, folder, content, watched)
            shared[BUSY] = 0  # what mutates inputs may take its time
            return lost

        if again.exists():
            content = again.read_bytes()
            again.unlink()
            attempt(content)
            count -= 1
        source(count, attempt)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


# In the parent


@dataclass
class Loss:
    """An input that did harm, and which."""

    content: bytes
    lost: str


@dataclass
class Trial:
    """A reader being tried, by one child after another."""

    reader: Reader
    source: Callable[[int, int], Source]
    """Of the n-th child, when so many inputs were tried by those before it."""
    count: int
    losses: list[Loss] = field(default_factory=list)
    tried: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self._place = Path(tempfile.mkdtemp(prefix="fuzz-", dir=scratch.PLACE))
        (self._place / "in").mkdir()
        self._shared = mmap.mmap(-1, LONGEST + 16)
        self._children = 0
        self._begun = time.monotonic()
        self._start()

    def _start(self) -> None:
        self._shared[:16] = bytes(16)
        self._count_seen, self._cpu_seen, self._clock_seen = 0, 0.0, time.monotonic()
        self._children += 1
        again = (self._place / "again").exists()  # an input that the last child had no memory left for
        source, left = self.source(self._children, self.tried + again), self.count - self.tried
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            log = os.open(self._place / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            _child(self.reader, source, left, self._shared, self._place / "losses", self._place / "in")

    def is_over(self) -> bool:
        """Look after the child; whether all inputs were tried."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            if self._hangs():
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                self._ended(f"more than {SECONDS:g} s")
                return self._goes_on()
            return False
        code = os.waitstatus_to_exitcode(status)
        if code and EXITED in self._log() and self._again():
            self._ended("")
        else:
            self._ended("" if code == 0 else f"the process ended with {code}: {self._log()}")
        return self._goes_on()

    def _again(self) -> bool:
        """Leave the last input to a new child, which says whether it was that; not if it was its first."""
        count = int.from_bytes(self._shared[:BUSY], "little")
        if count < 2:
            return False
        size = int.from_bytes(self._shared[8:16], "little")
        (self._place / "again").write_bytes(self._shared[16 : 16 + size])
        self._shared[:BUSY] = (count - 1).to_bytes(BUSY, "little")
        (self._place / "log").unlink()
        return True

    def _goes_on(self) -> bool:
        if self.tried < self.count and len(self.losses) < MOST_LOSSES:
            self._start()
            return False
        self.seconds = time.monotonic() - self._begun
        shutil.rmtree(self._place, ignore_errors=True)
        return True

    def _ended(self, why: str) -> None:
        count = int.from_bytes(self._shared[:BUSY], "little")
        self.tried += count
        if why:
            size = int.from_bytes(self._shared[8:16], "little")
            self.losses.append(Loss(self._shared[16 : 16 + size] if count else b"", why))
        if not count:
            self.tried = self.count  # it cannot even begin
            if not why:
                self.losses.append(Loss(b"", f"nothing was tried: {self._log()}"))
        told = self._place / "losses"
        if told.exists():
            for line in told.read_text(encoding="utf-8").splitlines():
                record = json.loads(line)
                self.losses.append(Loss(bytes.fromhex(record["content"]), record["lost"]))
            told.unlink()

    def _hangs(self) -> bool:
        """Whether the child has been at one input for too long."""
        count, cpu, clock = int.from_bytes(self._shared[:BUSY], "little"), _cpu(self.pid), time.monotonic()
        if count != self._count_seen or not count or not self._shared[BUSY]:
            self._count_seen, self._cpu_seen, self._clock_seen = count, cpu, clock
            return not count and clock - self._begun > 300
        return cpu - self._cpu_seen > SECONDS or clock - self._clock_seen > CLOCK

    def _log(self) -> str:
        try:
            return (self._place / "log").read_text(encoding="utf-8", errors="replace")[-1500:]
        except OSError:
            return ""


def _cpu(pid: int) -> float:
    """Seconds of processor time that a process has had."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def carry_out(starts: Iterator[Callable[[], Trial]], together: int) -> Iterator[Trial]:
    """Carry out trials, so many at a time, each given as soon as it is over."""
    running: list[Trial] = []
    waiting = True
    while waiting or running:
        while waiting and len(running) < together:
            start = next(starts, None)
            if start is None:
                waiting = False
            else:
                running.append(start())
        for trial in list(running):
            if trial.is_over():
                running.remove(trial)
                yield trial
        time.sleep(0.005)
