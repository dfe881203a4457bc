"""Damaged files: each file of a store, in each region of its bytes, against each command that reads it.

A command on a store in which one file was damaged must end in one of these ways:

- with one sentence that names the file and says what to do;
- with a warning that names the file, and what it goes on without;
- as on the store that is whole: every file that it writes, and all that it prints, is the same.

A crash is a loss, a hang is one, and so is a number, a table or a figure that differs without a word.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from itertools import product
from pathlib import Path

import pytest

from memstudy import lease
from memstudy.errors import MemstudyError
from tests.reliability import same, workshop
from tests.reliability.faults import REMEDY
from tests.reliability.tally import Row, Size
from tests.reliability.workshop import Said, Workshop

REGIONS = 4
"""Equal parts of a file, in each of which it is damaged, at a place that is drawn."""
PIECE = 16
"""Bytes that are zeroed at once."""
SLOW_DRAWS = 1
"""Damages that are drawn for a file and a command that computes for seconds; other commands meet all of them."""
SECONDS = {signal.ITIMER_PROF: 30.0, signal.ITIMER_REAL: 600.0}
"""After so long a command counts as hung, of the processor and by the clock: each computes for less than five."""
SIZES = re.compile(r"[0-9][0-9,.]* (?:bytes|kB|MB|GB|files)")

Damage = Callable[[bytes, bytes, random.Random], bytes | None]
"""From a file's content and that of its like in another run: what is there instead; None if nothing is."""


def _place(content: bytes, region: int, random_: random.Random) -> int:
    """A byte of a region, which has one at least if the file has."""
    start, end = (len(content) * at // REGIONS for at in (region, region + 1))
    return random_.randrange(start, max(end, start + 1)) if content else 0


def flipped(region: int) -> Damage:
    """One bit, as memory or a wire flips it."""

    def damage(content: bytes, other: bytes, random_: random.Random) -> bytes:
        changed = bytearray(content)
        if changed:
            changed[min(_place(content, region, random_), len(content) - 1)] ^= 1 << random_.randrange(8)
        return bytes(changed)

    return damage


def zeroed(region: int) -> Damage:
    """Some bytes, as of a block that was never written."""

    def damage(content: bytes, other: bytes, random_: random.Random) -> bytes:
        start = max(0, min(_place(content, region, random_), len(content) - PIECE))
        return content[:start] + bytes(len(content[start : start + PIECE])) + content[start + PIECE :]

    return damage


def cut(region: int) -> Damage:
    """All from some byte on is gone."""

    def damage(content: bytes, other: bytes, random_: random.Random) -> bytes:
        return content[: _place(content, region, random_)]

    return damage


DAMAGES: tuple[tuple[str, Damage], ...] = (
    *(("a bit flipped", flipped(region)) for region in range(REGIONS)),
    *((f"{PIECE} bytes zeroed", zeroed(region)) for region in range(REGIONS)),
    *(("cut short", cut(region)) for region in range(REGIONS)),
    ("cut short", lambda content, other, random_: content[:-1]),
    ("emptied", lambda content, other, random_: b""),
    ("removed", lambda content, other, random_: None),
    ("another run's", lambda content, other, random_: other),
    ("extended", lambda content, other, random_: content + content[-100:]),
)
"""What each is called in the campaign's table, and what it does."""


@dataclass(frozen=True)
class Ground:
    """A store in some state, which of its files are damaged, and which commands are then given.

    Attributes:
        name: what it is called.
        state: what makes the store.
        files: patterns of the files, by their paths in the place.
        quick: command lines that meet each damage.
        slow: command lines that compute, and meet some of them.
        removable: whether the removal of these files is no damage: they may be removed at any time.
        unseen: whether the store was listed before, and the damage changes no file's time, as that of a disk.

    """

    name: str
    state: Callable[[Workshop], None]
    files: Sequence[str]
    quick: Sequence[tuple[str, ...]] = ()
    slow: Sequence[tuple[str, ...]] = ()
    removable: bool = field(default=False, kw_only=True)
    unseen: bool = field(default=False, kw_only=True)

    def holds(self, name: str) -> bool:
        """Whether a file is one of those that are damaged."""
        return any(fnmatch(name, pattern) for pattern in self.files)


LEFT_ALONE = {
    "runs/studies/*/tables/*": "nothing reads it: it is made of the numbers each time",
    "runs/studies/*/figures/*": "nothing reads it: it is made of the numbers each time",
    "runs/studies/*/report.html": "nothing reads it: it is made of the numbers each time",
    "out/tiny.toml": "a user's own words, which may be others each time",
    "out/own.npz": "a user's own images: nobody else knows what they should be, and runs note their content",
}
"""Files that are damaged in no ground, and why."""
OF_RUN = ("runs/*-al2-*/*",)
LOOKING = (
    ("show", "*-al2-*"), ("runs",), ("watch", "--once"), ("study", "status", "out/tiny.toml"),
)  # fmt: skip
TAKING = (
    ("diff", "*-al2-*", "*-bare-*"), ("export", "-o", "out/metrics.csv"),
    ("export", "*-al2-*", "--cleanlab", "out/probs.npz"), ("pack", "out/pack"), ("pack", "--whole", "out/pack"),
    ("rm", "--yes", "*-al2-*"), ("move", "*-al2-*", "out/moved"), ("doctor",),
)  # fmt: skip
TELLING = (("table",), ("figures",), ("report",))
COMPUTING = (
    ("table", "--cells"), ("rerun", "*-al2-*"), ("track", "--to", "tensorboard"),
    ("study", "out/tiny.toml", "--device", "cpu", "--jobs", "1", "--train-only"), *TELLING,
)  # fmt: skip
TABLES = {
    "svcca": "svcca", "ablation": "ablate", "probe": "probe", "filters": "filters", "landscape": "landscape",
    "dynamics": "dynamics",
}  # fmt: skip
"""The beginnings of the names of derived tables, and the analyses that make and read them."""


def grounds() -> list[Ground]:
    """All files of a store, and all commands that read them."""
    train = workshop.run_words("al2")
    labels = (*train, "--labels=out/labels.npz")
    computing = (*COMPUTING, *((name,) for name in workshop.ANALYSES))
    return [
        Ground("a finished run", workshop.finished, OF_RUN, (*LOOKING, *TAKING, train), computing),
        Ground("a stopped run", workshop.stopped, OF_RUN, LOOKING[:3], (train,)),
        Ground(
            "a run that was killed", workshop.killed, ("runs/*-al2-*/.lease",), (*LOOKING[:3], *TAKING[-3:]),
            (train,), removable=True,
        ),
        Ground(
            "a run that was listed before", workshop.finished, (*OF_RUN, "cache/stores/*"),
            (*LOOKING, TAKING[1]), TELLING, removable=True, unseen=True,
        ),
        Ground(
            "a study", workshop.finished, ("runs/studies/tiny/study.json",), (*LOOKING[:2], *TAKING),
            (*TELLING, ("svcca",)), removable=True,
        ),
        Ground(
            "some derived tables", workshop.compared, DERIVED_FILES,
            (("pack", "out/pack"),), (("svcca",), ("table", "--cells"), *TELLING), removable=True,
        ),
        *(
            Ground(
                f"derived tables {start}*", workshop.derived,
                (f"runs/studies/tiny/{start}*.csv", f"runs/studies/tiny/.{start}*"),
                (), ((name,), ("table", "--cells"), ("figures",), ("pack", "out/pack")), removable=True,
            )
            for start, name in TABLES.items()
        ),
        Ground(
            "a pack", workshop.packed, ("out/pack/*",), (("unpack", "out/pack"),),
        ),
        Ground(
            "a pack of results", workshop.packed_results, ("out/pack/*",), (("unpack", "out/pack"),),
            (("table", "--runs-dir", "out/pack"), ("figures", "--runs-dir", "out/pack")), removable=True,
        ),
        Ground(
            "a file of labels", workshop.own_set, ("out/labels.npz",), (("data", "show", "out/labels.npz"),),
            (labels,),
        ),
    ]  # fmt: skip


DERIVED_FILES = ("runs/studies/tiny/svcca*.csv", "runs/studies/tiny/.svcca*")


@dataclass(frozen=True)
class Reference:
    """What a command says and leaves on the store that is whole."""

    said: Said
    content: dict[str, bytes]


def restored(shop: Workshop, ground: Ground) -> None:
    """Let the place be as a ground has it."""
    shop.restore(ground.state.__name__)
    if ground.unseen:
        workshop.done(shop, "runs")


def files_of(shop: Workshop, ground: Ground) -> list[str]:
    """The files that are damaged, by their paths in the place."""
    restored(shop, ground)
    return [name for name in _files(shop.place) if ground.holds(name)]


def forgotten(shop: Workshop, several: Sequence[Ground]) -> list[str]:
    """Files of a kind that is damaged in no ground, though LEFT_ALONE does not say why."""
    kinds: set[str] = set()
    every: dict[str, str] = {}
    for ground in several:
        restored(shop, ground)
        for name in _files(shop.place):
            every[_kind(name)] = name
            if ground.holds(name) or any(fnmatch(name, pattern) for pattern in LEFT_ALONE):
                kinds.add(_kind(name))
    return [name for kind, name in every.items() if kind not in kinds]


def _files(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in sorted(root.rglob("*")) if path.is_file()]


def _kind(name: str) -> str:
    """A file's path, whichever run, epoch and study it is of."""
    return re.sub(r"[0-9]+", "N", re.sub(r"mnist5k-[^/]+", "RUN", name))


def loss(
    shop: Workshop, ground: Ground, file: str, what: int, command: tuple[str, ...], reference: Reference, seed: int
) -> str | None:
    """What does not hold for a damage and a command, and what repeats it; None if all holds."""
    restored(shop, ground)
    name, damage = DAMAGES[what]
    path = shop.place / file
    before = path.read_bytes()
    after = damage(
        before, _like(path).read_bytes(), random.Random(f"{seed} {ground.name} {file} {what} {command}")
    )
    if after == before or (after is None and ground.removable):
        return None
    times = path.stat()
    if after is None:
        path.unlink()
    else:
        path.write_bytes(after)
        if ground.unseen:
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    try:
        with _limited():
            said = shop.call(*command)
        why = _wrong(shop, file, said, reference)
    except (MemstudyError, OSError, ValueError) as error:
        why = f"cannot be compared: {error}"
    return f"{ground.name}: {file}, {name} ({what}), memstudy {' '.join(command[:3])}: {why}" if why else None


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Within it, what takes longer than SECONDS is ended by a TimeoutError."""

    def end(*_: object) -> None:
        raise TimeoutError("it hung")

    before = {number: signal.signal(number, end) for number in (signal.SIGPROF, signal.SIGALRM)}
    for timer, seconds in SECONDS.items():
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for timer in SECONDS:
            signal.setitimer(timer, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _like(path: Path) -> Path:
    """The same file of another run, else another file of its folder and kind, else itself."""
    others = [
        *path.parent.parent.parent.glob(f"*/{path.parent.name}/{path.name}"),
        *path.parent.parent.glob(f"*/{path.name}"),
        *sorted(path.parent.glob(f"*{path.suffix}")),
    ]  # fmt: skip
    return next((other for other in others if other != path and other.is_file()), path)


def _wrong(shop: Workshop, file: str, said: Said, reference: Reference) -> str:
    """What is wrong with how it ended; empty if nothing is."""
    if said.crash:
        return f"it crashed: {said.crash}"
    if said.code and said.code != reference.said.code:
        if len(said.refusals) != 1:
            return f"it ended with {len(said.refusals)} refusals: {said.told[-300:]!r}"
        (sentence,) = said.refusals if said.code > 1 else [said.told]  # 1: what it looked for and found, as doctor
        if not _named(sentence, file):
            return f"its refusal does not name the file: {sentence}"
        return "" if REMEDY.search(sentence) else f"its refusal says not what to do: {sentence}"
    if _named(said.told, file) > _named(reference.said.told, file):
        return ""
    if any("not here" in line and _named(line, file) for line in said.told.splitlines()):
        return ""  # in place of the line that it has in the list of files
    if (one := _text(said, file)) != (other := _text(reference.said, file)):
        return f"it says other things without a word: {_first_other(one, other)}"
    now = {name: content for name, content in shop.content().items() if name != file}
    then = {name: content for name, content in reference.content.items() if name != file}
    differences = [one for one in same.differing(now, then) if not _is_copy(one, file)]
    return f"it leaves other things without a word: {'; '.join(differences)}" if differences else ""


def _named(text: str, file: str) -> int:
    """How often a text names a file, or of a check sum beside a table the table."""
    joined = re.sub(r"\s+", "", text)  # without the blanks at which a terminal breaks it
    return joined.count(Path(file).name.removeprefix(".").removesuffix(".sha256"))


def _text(said: Said, file: str) -> str:
    """What it printed as its result, but what is no result: sizes, numbers and names of files that are there."""
    about = (Path(file).name, "checkpoints/")
    lines = (line for line in said.out.splitlines() if not any(name in line for name in about))
    return SIZES.sub("…", workshop.TIMES.sub(" ", "\n".join(lines)))


def _is_copy(difference: str, file: str) -> bool:
    """Whether what differs is the damaged file where it was moved or copied to, which any reader there notices."""
    return difference.split(" ")[0].endswith("/".join(Path(file).parts[-2:]))


def _first_other(one: str, other: str) -> str:
    at = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return f"{one[max(0, at - 40) : at + 40]!r} and not {other[max(0, at - 40) : at + 40]!r}"


CI_TRIALS = 90
"""In the size of every change, of all grounds together."""


@contextlib.contextmanager
def prepared(size: Size) -> Iterator[tuple[Workshop, list[Ground]]]:
    """A workshop, and the grounds of a size, whose states are made."""
    with workshop.opened() as shop, pytest.MonkeyPatch.context() as patch:
        patch.setattr(lease, "HEARTBEAT", 1.0)  # so that nobody waits a minute for who does not say who it is
        patch.setattr(lease, "DURATION", 0.3)
        every = grounds()
        several = [one for one in every if (one.state is not workshop.derived) or size is Size.LONG]
        workshop.prepare(shop, list(dict.fromkeys(one.state for one in several)))
        yield shop, several


def campaign(size: Size, seed: int, done: Collection[str] = ()) -> Iterator[Row]:
    """A row for each kind of store, but those that were `done`, and damage."""
    with prepared(size) as (shop, several):
        yield from rows(shop, several, size, seed, done)


def rows(
    shop: Workshop, several: Sequence[Ground], size: Size, seed: int, done: Collection[str] = ()
) -> Iterator[Row]:
    """The campaign on grounds whose states are made; an AssertionError if they leave out a kind of file."""
    if names := forgotten(shop, several):
        raise AssertionError(f"damaged in no ground: {', '.join(names)}")
    for ground in several:
        if ground.name not in done:
            random_ = random.Random(f"{seed} {ground.name}")
            yield from tried(shop, ground, trials(shop, ground, size, random_, len(several)), seed)


Trial = tuple[str, int, tuple[str, ...]]
"""A file, a damage by its number, and a command."""


def trials(shop: Workshop, ground: Ground, size: Size, random_: random.Random, share: int) -> list[Trial]:
    """What is tried on a ground."""
    names, every = files_of(shop, ground), range(len(DAMAGES))
    if size is Size.CI:
        quick = list(product(names, every, ground.quick))
        slow = list(product(names, every, ground.slow[:2]))
        count = CI_TRIALS // share
        chosen = random_.sample(quick, min(len(quick), count - 1)) + random_.sample(slow, min(len(slow), 1))
        return sorted(chosen, key=lambda one: one[1])
    chosen = list(product(names, every, ground.quick))
    for name, command in product(names, ground.slow):
        chosen += [(name, what, command) for what in random_.sample(every, SLOW_DRAWS)]
    return chosen


def tried(shop: Workshop, ground: Ground, several: Sequence[Trial], seed: int) -> Iterator[Row]:
    """A row for each kind of damage."""
    references: dict[tuple[str, ...], Reference] = {}
    for kind in dict.fromkeys(name for name, _ in DAMAGES):
        losses = []
        for file, what, command in several:
            if DAMAGES[what][0] != kind:
                continue
            if command not in references:
                restored(shop, ground)
                references[command] = Reference(workshop.done(shop, *command), shop.content())
            losses.append(loss(shop, ground, file, what, command, references[command], seed))
        if losses:
            lost = tuple(one for one in losses if one is not None)
            yield Row("damage", ground.name, kind, len(losses), len(losses) - len(lost), lost)
