"""However a command ends, no process and no temporary file of its is left.

The campaign's own process takes the place of init for all that it starts: whoever lost its parent comes to it, and
is counted. After a SIGKILL the same command is given again, and what was left must be gone then.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pty
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from memstudy import files
from memstudy.store import Store
from memstudy.study.carry_out import Execution, carry_out
from tests.reliability.children import Command
from tests.reliability.crowds.world import recipe
from tests.reliability.tally import Row, Size

SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER, prctl(2)."""
GRACE = 45.0
"""Seconds for workers that have lost their parent to save and to end: they may still be importing torch."""
STAYS = 5.0
"""Seconds for which a process may be a zombie before that is a fault of its parent."""

STUDY = 'name = "ends"\nseeds = [0, 1]\n[grid]\nepochs = {epochs}\ntrain_size = 400\n'
RUN = ("run", "--device", "cpu", "--train-size", "400")


@dataclass(frozen=True)
class Case:
    """A command, and when it is at work."""

    name: str
    words: tuple[str, ...]
    at_work: Callable[[Path], bool]
    ends_itself: bool = True


def _trains(store: Path) -> bool:
    return any(store.glob("*/metrics.csv"))


def _serves(store: Path) -> bool:
    """Whether it has said where it serves, or shows its board: after a moment it does."""
    return time.time() - store.stat().st_ctime > 4


CASES = (
    Case("memstudy run", (*RUN, "--epochs", "30"), _trains),
    Case("memstudy run --track", (*RUN, "--epochs", "30", "--track", "tensorboard"), _trains),
    Case("memstudy study --jobs 2", ("study", "STUDY", "--jobs", "2", "--device", "cpu", "--train-only"), _trains),
    Case("memstudy report --live", ("report", "--live"), _serves, ends_itself=False),
    Case("memstudy watch", ("watch",), _serves, ends_itself=False),
)
ENDS = ("itself", "an error", "Ctrl-C", "SIGTERM", "SIGKILL")
IN_CI = {("memstudy run", "itself"), ("memstudy run", "Ctrl-C"), ("memstudy run", "SIGKILL"),
         ("memstudy run --track", "SIGKILL"), ("memstudy report --live", "SIGTERM")}  # fmt: skip


@contextlib.contextmanager
def adopting() -> Iterator[None]:
    """A block in which every descendant that has lost its parent comes to this process."""
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        ctypes.CDLL(None).prctl(SUBREAPER, 0, 0, 0, 0)


def descendants() -> dict[int, tuple[int, str, str]]:
    """The processes below this one: by number the parent's, the state (Z: a zombie) and the command's name."""
    found: dict[int, tuple[int, str, str]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            line = (folder / "stat").read_text(errors="replace")
            name, rest = line[line.index("(") + 1 : line.rindex(")")], line[line.rindex(")") + 2 :].split()
            found[int(folder.name)] = int(rest[1]), rest[0], name
    below = {os.getpid()}
    while more := {pid for pid, (parent, *_) in found.items() if parent in below} - below:
        below |= more
    return {pid: found[pid] for pid in below if pid in found and pid != os.getpid()}


def reaped() -> None:
    """Take note of the end of those that came to this process: init's part."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def campaign(size: Size, seed: int, root: Path) -> Iterator[Row]:
    """Every command, with every end; without TensorBoard's package none that tells it."""
    with adopting():
        yield from _every_end(size, root)


def _every_end(size: Size, root: Path) -> Iterator[Row]:
    before = set(descendants())
    for case in CASES:
        if "--track" in case.words and find_spec("tensorboard") is None:
            continue
        ends = [end for end in ENDS if size is Size.LONG or (case.name, end) in IN_CI]
        lost = []
        for end in ends:
            if end == "itself" and not case.ends_itself:
                ends = [one for one in ends if one != end]
                continue
            folder = root / "ends"
            folder.mkdir()
            lost += [f"{end}: {problem}" for problem in _problems(case, end, folder, before)]
            shutil.rmtree(folder, ignore_errors=True)
        if ends:
            what = f"ended by {', '.join(ends)}: no process and no temporary file is left"
            survived = len(ends) - len({problem.split(":")[0] for problem in lost})
            yield Row("resources", case.name, what, len(ends), survived, tuple(lost))


def _problems(case: Case, end: str, folder: Path, before: set[int]) -> list[str]:
    """What is left after a command that ended so."""
    temporary, store = folder / "tmp", folder / "runs"
    temporary.mkdir()
    if not case.ends_itself:
        carry_out(Store(store).open(recipe(epochs=1)), Execution(device="cpu"))
    store.mkdir(exist_ok=True)
    study = folder / "ends.toml"
    study.write_text(STUDY.format(epochs=4 if end == "itself" else 30))
    words = [str(study) if word == "STUDY" else word for word in case.words]
    if end == "an error":
        words += ["--no-such-option"] if not case.ends_itself else []
        words = [*words, "--lr", "1e30"] if words[0] == "run" else words
        study.write_text(study.read_text() + "lr = 1e30\n")
    command = _begun(words, store, temporary)
    if end in ("Ctrl-C", "SIGTERM", "SIGKILL"):
        if not command.lives_until(lambda: case.at_work(store)):
            return [f"it ended before it could be stopped: {command.end()}"]
        if end == "Ctrl-C":
            os.killpg(command.child.pid, signal.SIGINT)  # as a terminal does
        else:
            command.child.send(signal.SIGTERM if end == "SIGTERM" else signal.SIGKILL)
    zombies = _zombies_until_it_ends(command, before)
    ended = command.end()
    problems = [f"process {name} was a zombie while its parent lived" for name in zombies]
    if ended.crashed and end != "SIGKILL":
        problems.append(f"it ended so: {ended}")
    problems += [f"process {name} is left" for name in _left_processes(before)]
    if end == "SIGKILL" and case.ends_itself:
        again = _begun(words, store, temporary).end()
        problems += [f"the same command again: {again}"] if again.code else []
        problems += [f"process {name} is left by the second" for name in _left_processes(before)]
    problems += [f"{path.relative_to(folder)} is left" for path in sorted(store.rglob(f"{files.TEMPORARY}*"))]
    problems += [f"{path.relative_to(folder)} is left" for path in sorted(temporary.iterdir())]
    return problems


def _begun(words: list[str], store: Path, temporary: Path) -> Command:
    def prepare() -> None:
        import tempfile

        tempfile.tempdir = None  # it was asked for in the parent
        if words[0] == "watch":  # on a terminal of its own
            _, terminal = pty.openpty()
            for number in (0, 1):
                os.dup2(terminal, number)
            sys.stdin, sys.stdout = (open(number, mode, closefd=False) for number, mode in ((0, "r"), (1, "w")))  # noqa: SIM115

    environment = {"TMPDIR": str(temporary), "TERM": "xterm"}
    return Command(*words, "--runs-dir", store, prepare=prepare, environment=environment)


def _zombies_until_it_ends(command: Command, before: set[int]) -> list[str]:
    """The names of descendants that ended, and that their living parent took no note of for STAYS seconds."""
    since: dict[int, float] = {}
    found: dict[int, str] = {}
    while command.lives:
        now = time.monotonic()
        for pid, (parent, state, name) in descendants().items():
            if state != "Z" or pid in before or parent == os.getpid():
                since.pop(pid, None)
            elif now - since.setdefault(pid, now) > STAYS:
                found[pid] = name
        time.sleep(0.1)
    return list(found.values())


def _left_processes(before: set[int]) -> list[str]:
    """The names of processes that are still there after some time."""
    deadline = time.monotonic() + GRACE
    while True:
        reaped()
        left = [name for pid, (_, state, name) in descendants().items() if pid not in before and state != "Z"]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)
