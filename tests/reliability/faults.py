"""Failing disks: in each operation, each call of the operating system fails, in each way, and nothing is lost.

The calls that an operation makes below the store, the cache and the folder that it writes to are counted first
(see `shim`). Then it is carried out again and again, each time with another call that goes wrong.
What must hold each time, whatever it was:

- It ends with one sentence that names a file and says what to do, or in what it should have ended in, to the byte
  and the printed word, or with a warning that names what was left out. No traceback, nothing swallowed.
- Every file is then what it was, or what it becomes, or a part of a run that is continued: none is lost or half
  written, and the epochs that were done still are.
- When nothing fails any more, the same command ends in what it should have ended in, to the byte.
"""

from __future__ import annotations

import contextlib
import random
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import pytest

from memstudy import files
from memstudy.errors import MemstudyError
from memstudy.store import RunDirectory, Status, moving
from memstudy.store.layout import RECIPE
from memstudy.store.summary import run_summary
from tests.reliability import same, workshop
from tests.reliability.shim import FAULTS, TEMPORARY, Call, Fault, Layer, failing
from tests.reliability.tally import Row, Size
from tests.reliability.workshop import Said, Workshop

REMEDY = re.compile(
    r"\b(choose|make room|restore|remove|try|run|give|allow|wait|get|pack|take|point|check|add|correct)\b"
    r"|makes? it anew|the same command|did you mean|'memstudy [\w ]+'"
)
"""Words of a sentence that says what to do."""
GROWING = re.compile(
    r"/(metrics\.csv|dynamics/\w+\.npy|resume(-before)?\.safetensors|state\.json|recipe\.toml|labels\.npz)$"
)
"""Files of a run that change while it trains."""
CI_SHARE = 2
"""Injections of each operation in the size of every change."""


@dataclass(frozen=True)
class Operation:
    """A command on a store in some state.

    Attributes:
        name: what it is called.
        state: what makes the store.
        words: the command line.
        trains: whether it trains a run, whose files grow.
        each_call: whether the long size lets each call fail in each way; else, as these commands take longer and
            look at the same files again and again, the first call of each kind in each function of memstudy fails
            in each way, and the first one for each file there in one.
        within: what else is so while it is carried out.

    """

    name: str
    state: Callable[[Workshop], None]
    words: tuple[str, ...]
    trains: bool = False
    each_call: bool = True
    within: Callable[[], contextlib.AbstractContextManager[object]] = field(default=contextlib.nullcontext)


@contextlib.contextmanager
def across_file_systems() -> Iterator[None]:
    """As if the store that is moved to were on another file system."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moving, "_renamed", lambda source, place: False)
        yield


def operations() -> list[Operation]:
    """All that writes, and what only reads beside it."""
    train = workshop.run_words("al2")
    return [
        Operation("run", workshop.begun, train, trains=True, each_call=False),
        Operation("run, continued", workshop.stopped, train, trains=True, each_call=False),
        *(Operation(name, workshop.finished, (name,), each_call=False) for name in workshop.ANALYSES),
        *(Operation(f"{name}, again", workshop.derived, (name,), each_call=False) for name in ("svcca", "ablate")),
        Operation("table", workshop.finished, ("table",), each_call=False),
        *(Operation(name, workshop.derived, (name,), each_call=False) for name in ("figures", "report")),
        Operation("pack", workshop.derived, ("pack", "out/pack"), each_call=False),
        Operation("pack --whole", workshop.finished, ("pack", "--whole", "out/pack"), each_call=False),
        Operation("unpack", workshop.packed, ("unpack", "out/pack"), each_call=False),
        Operation("move", workshop.finished, ("move", "*", "out/moved")),
        Operation(
            "move to another disk", workshop.finished, ("move", "*", "out/moved"), within=across_file_systems
        ),
        Operation("rm", workshop.finished, ("rm", "--yes", "*-bare-*")),
        Operation("export", workshop.finished, ("export", "-o", "out/metrics.csv")),
        Operation("export --cleanlab", workshop.finished, ("export", "*-al2-*", "--cleanlab", "out/probs.npz")),
        Operation("runs", workshop.finished, ("runs",)),
        Operation("show", workshop.finished, ("show", "*-al2-*")),
        Operation(
            "data build",
            workshop.own_set,
            ("data", "build", "--dataset", "own", "--data-dir", "out", "-o", "out/l.npz"),
        ),
        Operation("data show", workshop.own_set, ("data", "show", "out/labels.npz", "--figures", "out")),
        Operation(
            "run --labels", workshop.own_set, (*train, "--labels=out/labels.npz"), trains=True, each_call=False
        ),
    ]  # fmt: skip


@dataclass(frozen=True)
class Trial:
    """An operation, what it says and leaves when nothing fails, and the calls it makes.

    Attributes:
        before: the content of the place before it.
        after: the same after it.
        again: the same when it was given twice, as an operation is given again after it failed at its very end.

    """

    shop: Workshop
    operation: Operation
    said: Said
    before: dict[str, bytes]
    after: dict[str, bytes]
    calls: Sequence[Call]

    @classmethod
    def of(cls, shop: Workshop, operation: Operation) -> Trial:
        """Carry it out twice: the first time it may make calls that only a process' first one makes."""
        calls: list[Call] = []
        before: dict[str, bytes] = {}
        for _ in range(2):
            shop.restore(operation.state.__name__)
            before = shop.content()
            with operation.within(), failing(Layer((str(shop.place),))) as layer:
                said = workshop.done(shop, *operation.words)
            calls = layer.calls
        return cls(shop, operation, said, before, shop.content(), calls)

    def injections(self, size: Size, random_: random.Random) -> list[tuple[int, Fault]]:
        """Which calls fail (from 1), and how."""
        every = [
            [(at, fault) for fault in FAULTS if call.kind in fault.kinds]
            for at, call in enumerate(self.calls, start=1)
        ]
        if size is Size.CI:
            return random_.sample([*chain(*every)], CI_SHARE)
        if self.operation.each_call:
            return [*chain(*every)]
        calls: dict[Call, int] = {}
        places: dict[tuple[str, str], int] = {}
        for number, call in enumerate(self.calls):
            calls.setdefault(call.alike, number)
            places.setdefault((call.kind, call.site), number)
        chosen = {one for number in places.values() for one in every[number]}
        chosen |= {random_.choice(every[number]) for number in calls.values()}
        return sorted(chosen, key=lambda one: (one[0], one[1].name))

    def loss(self, at: int, fault: Fault) -> str | None:
        """What does not hold after a fault, and what repeats it; None if all holds."""
        shop, words = self.shop, self.operation.words
        shop.restore(self.operation.state.__name__)
        with self.operation.within(), failing(Layer((str(shop.place),), fault, at)) as layer:
            said = shop.call(*words)
        if not layer.failed:
            return None
        try:
            why = self._ended(said, layer.failed) or self._survived(said) or self._again(said)
        except (MemstudyError, OSError, ValueError) as error:
            why = f"cannot be looked at: {error}"
        if not why:
            return None
        return f"{self.operation.name}: {fault.name} at call {at} ({layer.failed[0]}): {why}"

    def _ended(self, said: Said, failed: Sequence[Call]) -> str:
        """What is wrong with how it ended; empty if nothing is."""
        if said.crash:
            return f"it crashed: {said.crash}"
        if said.code == 0:
            if said.refusals:
                return f"it refused, and ended well: {said.told}"
            if self.shop.content() == self.after and said.plain == self.said.plain:
                return ""
            if any(_names(said.told, call) for call in failed):
                return ""  # it said what it did without
            return f"it ended well, and did not do what it should: {self._differences()} {said.told[-300:]!r}"
        if len(said.refusals) != 1:
            return f"it ended with {len(said.refusals)} refusals: {said.err!r}"
        (sentence,) = said.refusals
        if said.err.rstrip().splitlines()[-1] != sentence:
            return f"it did not end with its refusal: {said.err!r}"
        if not any(_names(sentence, call) for call in failed):
            return f"its refusal names no file that failed: {sentence}"
        if ".tmp-" in sentence and "remove" not in sentence:
            return f"its refusal names a temporary file: {sentence}"
        if not REMEDY.search(sentence):
            return f"its refusal says not what to do: {sentence}"
        return ""

    def _survived(self, said: Said) -> str:
        """What was lost or left half done; empty if nothing was."""
        now = self.shop.content()
        for name in self.before:
            if name not in now and name in self.after and not self._elsewhere(name, now):
                return f"{name} is gone"
        for name, content in now.items():
            if content in (self.before.get(name), self.after.get(name)) or _is_temporary(name):
                continue
            if said.code == 0 and name in self.after and not _is_of_run(name):
                continue  # made without what it said that it could not use
            if name in self.after and name.endswith(".csv") and _is_part(content, self.after[name]):
                continue  # what was measured so far, which is not measured again
            if name.endswith(".sha256") and _has_sum(name, now):
                continue  # of that, or of the table before it as well
            if not (self.operation.trains and GROWING.search(name)):
                return f"{name} is neither what it was nor what it becomes"
        return self._runs_survived(now) if self.operation.trains else ""

    def _elsewhere(self, name: str, now: dict[str, bytes]) -> bool:
        return any(other.endswith(name.partition("/")[2]) and now[other] == self.before[name] for other in now)

    def _runs_survived(self, now: dict[str, bytes]) -> str:
        """What is wrong with the runs as they are; empty if nothing is."""
        for name in {name.split("/")[1] for name in now if name.startswith("runs/") and name.endswith(RECIPE)}:
            run = RunDirectory(self.shop.place / "runs" / name)
            if not run.exists:
                continue
            done = run_summary(run)["epochs_done"]
            saved = run.load_resume()
            kept = done if run.status is Status.FINISHED else saved[0] if saved else 0
            had = self.before.get(f"runs/{name}/metrics.csv", b"").count(b"\n") - 1
            if kept < had:
                return f"{name} had {had} epochs, and can be continued after {kept}"
        return ""

    def _again(self, before: Said) -> str:
        """What is wrong after the same command, when nothing fails; empty if nothing is.

        What a refusal asked to be removed is removed first.
        """
        for name in re.findall(r"remove (\S*\.tmp-\S+) yourself", before.err):
            shutil.rmtree(self.shop.place / name)
        with self.operation.within(), workshop.as_another_process():
            said = self.shop.call(*self.operation.words)
        if said.crash:
            return f"the same command again crashed: {said.crash}"
        if said.code and not (self.operation.name == "rm" and "unknown run" in said.err):
            return f"the same command again ended with {said.told!r}"
        if differences := self._differences():
            return f"after the same command again: {differences} {said.told[-300:]!r}"
        return ""

    def _differences(self) -> str:
        now = self.shop.content()
        return "; ".join(same.differing(now, self.after))


def _is_part(rows: bytes, whole: bytes) -> bool:
    """Whether a table has the rows of another one, or some of them."""
    return rows.endswith(b"\n") and set(rows.splitlines()) <= set(whole.splitlines())


def _has_sum(name: str, now: Mapping[str, bytes]) -> bool:
    """Whether a file of check sums has that of the table beside it, or there is no table yet."""
    folder, _, table = name.rpartition("/")
    rows = now.get(f"{folder}/{table.removeprefix('.').removesuffix('.sha256')}")
    return rows is None or files.digest(rows).encode() in now[name].split()


def _is_of_run(name: str) -> bool:
    """Whether a file is in a run's directory."""
    return name.startswith("runs/") and not name.startswith("runs/studies/")


def _is_temporary(name: str) -> bool:
    return any(part.startswith(".tmp-") for part in name.split("/"))


def _names(text: str, call: Call) -> bool:
    """Whether a text names the file of a call, or the folder that it is in."""
    path = Path(TEMPORARY.sub("", call.path))
    names = [path.name, path.parent.name, path.parent.parent.name]
    flat = re.sub(r"\s+", "", text)
    return any(name in flat for name in names)


def campaign(size: Size, seed: int, done: Collection[str] = ()) -> Iterator[Row]:
    """Every operation but those that were `done`, a row for each kind of call."""
    with workshop.opened() as shop:
        several = [one for one in operations() if size is Size.LONG or one.state is not workshop.derived]
        several = [one for one in several if one.name not in done]
        workshop.prepare(shop, list(dict.fromkeys(one.state for one in several)))
        for operation in several:
            yield from tried(Trial.of(shop, operation), size, random.Random(f"{seed} {operation.name}"))


def tried(trial: Trial, size: Size, random_: random.Random) -> Iterator[Row]:
    """A row for each kind of fault."""
    results: dict[str, list[str | None]] = {}
    for at, fault in trial.injections(size, random_):
        results.setdefault(fault.name, []).append(trial.loss(at, fault))
    for name, losses in results.items():
        lost = tuple(loss for loss in losses if loss is not None)
        yield Row("faults", trial.operation.name, name, len(losses), len(losses) - len(lost), lost)
