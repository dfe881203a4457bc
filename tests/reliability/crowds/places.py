"""Stores in odd places: read-only, under a long path with blanks and Unicode, behind a link, after a chdir.

Each command gives there what it gives in a plain place. Where nothing can be written, what reads gives the same,
and what writes is refused in one sentence; nothing has changed afterwards.
"""

from __future__ import annotations

import ctypes
import filecmp
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.reliability.children import Command, Ended
from tests.reliability.crowds.world import Reference, recipe
from tests.reliability.same import content_of, differences
from tests.reliability.tally import Row, Size

STUDY = "four"
GRID = 'name = "{name}"\nseeds = [0, 1]\n[grid]\nreg = [{regs}]\nepochs = {epochs}\ntrain_size = 400\n'
NEW_MOUNTS = 0x00020000
"""CLONE_NEWNS of unshare(2): this process' mounts are its own."""
BLANKS, LETTERS = "a folder with blanks", "größe 中文 Ελλάδα".ljust(60, "ß")
MARKS = "100 % & #1 {tex}_$HOME ~^".ljust(90, "x")
LONG = Path(BLANKS, LETTERS, MARKS, "ru ns")
OF_PATHS = ("*/tensorboard/*", "*/report.html", "*.pdf", "*.png", "*.svg")
"""What has times or the command's own path in it."""

Words = tuple[str, ...]
READING: tuple[Words, ...] = (
    ("runs", "--json"), ("watch", "--once"), ("watch", "--json"), ("study", "status", "STUDY_FILE", "--all"),
    ("show", "RUN", "--json"), ("diff", "*-s0-*", "--json"), ("pack", "OUT/pack", "--study", STUDY),
    ("pack", "OUT/whole", "--study", STUDY, "--whole"), ("report", "--study", STUDY, "-o", "OUT/page.html"),
    ("export", "-o", "OUT/metrics.csv"), ("export", "RUN", "--cleanlab", "OUT/probabilities.npz"),
)  # fmt: skip
WRITING: tuple[Words, ...] = (
    ("table", "--study", STUDY), ("figures", "--study", STUDY), ("report", "--study", STUDY),
    ("filters", "--study", STUDY), ("dynamics", "--study", STUDY), ("svcca", "--study", STUDY),
    ("probe", "--study", STUDY), ("landscape", "--study", STUDY, "--images", "10"),
    ("track", "--study", STUDY, "--to", "tensorboard"), ("rerun", "RUN"),
    ("run", "--epochs", "1", "--train-size", "400", "--device", "cpu"),
    ("study", "NEW_STUDY", "--jobs", "2", "--device", "cpu", "--train-only"),
    ("move", "RUN", "OUT/moved"), ("rm", "RUN", "--yes"),
)  # fmt: skip
IN_CI = (READING[0], READING[7], WRITING[0], WRITING[10])


@dataclass(frozen=True)
class Place:
    """How a copy of the reference's store comes to be in a folder, and by which path it is called."""

    name: str
    make: Callable[[Path, Path], Path]
    is_read_only: bool = False
    is_relative: bool = False


def _plain(source: Path, root: Path) -> Path:
    return Path(shutil.copytree(source, root / "plain"))


def _long(source: Path, root: Path) -> Path:
    return Path(shutil.copytree(source, root / LONG))


def _linked(source: Path, root: Path) -> Path:
    shutil.copytree(source, root / "disk" / "runs")
    (root / "linked").symlink_to(Path("disk") / "runs")
    return root / "linked"


def _relative(source: Path, root: Path) -> Path:
    shutil.copytree(source, root / "work" / "my runs")
    return Path("..") / "work" / "my runs"


PLACES = (
    Place(f"under a path of {len(str(LONG))} characters and more", _long),
    Place("behind a symbolic link", _linked),
    Place("by a relative path, after a change of the working directory", _relative, is_relative=True),
    Place("on a read-only mount", _plain, is_read_only=True),
)


def mount_read_only(store: Path) -> None:
    """Mount it on itself so that nothing can be written, for this process alone."""
    if ctypes.CDLL(None).unshare(NEW_MOUNTS):
        raise OSError("no mounts of its own")
    mine, itself = ("--make-rprivate", "/"), ("--bind", str(store), str(store))
    for words in (mine, itself, ("-o", "remount,ro,bind", str(store))):
        subprocess.run(["mount", *words], check=True, capture_output=True)


def can_mount() -> bool:
    """Whether this user may: root, where the system allows it."""
    words = ["unshare", "--mount", "mount", "--bind", "/", "/mnt"]
    return (
        bool(shutil.which("unshare")) and subprocess.run(words, capture_output=True, check=False).returncode == 0
    )


@dataclass(frozen=True)
class Answer:
    """What a command gave on a copy of the reference's store: its end, and what is in the store and beside it."""

    ended: Ended
    store: Path
    out: Path

    @classmethod
    def of(cls, words: Words, folder: Path, place: Place, reference: Reference) -> Answer:
        """Give the command on a store that is made in a folder, from another working directory there."""
        out, study, new = folder / "out", folder / "four.toml", folder / "new.toml"
        out.mkdir(parents=True)
        study.write_text(GRID.format(name=STUDY, regs='"bare", "al2"', epochs=2))
        new.write_text(GRID.format(name="new", regs='"bare"', epochs=1))
        store = place.make(reference.store.root, folder)
        absolute = store if store.is_absolute() else Path(os.path.normpath(out / store))
        names = {"RUN": next(iter(reference.recipes)), "STUDY_FILE": str(study), "NEW_STUDY": str(new)}
        given = [names.get(word, word.replace("OUT/", f"{out}/")) for word in words]

        def prepare() -> None:
            os.chdir(out)
            if place.is_read_only:
                mount_read_only(absolute)

        return cls(Command(*given, "--runs-dir", store, prepare=prepare).end(), absolute, out)

    def told(self) -> str:
        """What it printed, if that was JSON, without where the store is; else nothing."""
        if not self.ended.out.startswith("{"):
            return ""
        text = json.dumps(json.loads(self.ended.out), ensure_ascii=False)
        for path, word in ((self.store, "STORE"), (self.out, "OUT")):
            for written in (shlex.quote(str(path)), str(path)):  # in a command, and by itself
                text = text.replace(json.dumps(written, ensure_ascii=False)[1:-1], word)
        return text


def _problem(words: Words, place: Place, plain: Answer, folder: Path, reference: Reference) -> str:
    """What was otherwise than in a plain place."""
    found = Answer.of(words, folder, place, reference)
    if found.ended.crashed or plain.ended.crashed or plain.ended.code:
        return f"it ended so: {found.ended} (in a plain place: {plain.ended})"
    if place.is_read_only:
        if content_of(found.store) != content_of(reference.store.root):
            return "it changed what could not be changed"
        if words in WRITING:
            refused = found.ended.code in (1, 2) and "Read-only file system" in found.ended.err
            return "" if refused else f"it is not refused: {found.ended}"
    elif unlike := differences(found.store, plain.store, OF_PATHS):
        return unlike[0]
    if found.ended.code:
        return f"it ended so: {found.ended}"
    if words[0] in ("runs", "show", "diff") and not place.is_relative and found.told() != plain.told():
        return f"it says something else: {_where_unlike(found.told(), plain.told())}"
    return _unlike_outputs(found.out, plain.out)


def _where_unlike(ours: str, theirs: str) -> str:
    """What two texts say where they part, and a little before and after it."""
    unlike = (number for number, (one, other) in enumerate(zip(ours, theirs, strict=False)) if one != other)
    at = max(next(unlike, min(len(ours), len(theirs))) - 60, 0)
    return f"{ours[at : at + 200]!r} and not {theirs[at : at + 200]!r}"


def _unlike_outputs(here: Path, there: Path) -> str:
    """Which file beside the store is otherwise; those with paths or sessions in them are only to be there."""
    ours, theirs = (
        {path.relative_to(folder).as_posix() for path in folder.rglob("*")} for folder in (here, there)
    )
    if ours != theirs:
        return f"{sorted(ours ^ theirs)} are only in one of the two places"
    for name in ("metrics.csv", "probabilities.npz"):
        if (here / name).is_file() and not filecmp.cmp(here / name, there / name, shallow=False):
            return f"{name} is otherwise"
    return ""


def campaign(size: Size, seed: int, root: Path) -> Iterator[Row]:
    """Every command in every place."""
    recipes = [recipe(reg, seed, 2) for reg in ("bare", "al2") for seed in (0, 1)]
    reference = Reference.of(root / "placed", recipes)
    reference.store.record_study(STUDY, [reference.store.open(one) for one in recipes], {})
    some = PLACES if size is Size.LONG else (PLACES[0], PLACES[3])
    places = [place for place in some if not place.is_read_only or can_mount()]
    lost: dict[str, list[str]] = {place.name: [] for place in places}
    chosen = (*READING, *WRITING) if size is Size.LONG else IN_CI
    for words in chosen:
        plain = Answer.of(words, root / "plainly", Place("plain", _plain), reference)
        for place in places:
            if problem := _problem(words, place, plain, root / "place", reference):
                lost[place.name].append(f"memstudy {' '.join(words)}: {problem}")
            shutil.rmtree(root / "place")
        shutil.rmtree(root / "plainly")
    for name, sentences in lost.items():
        survived = len(chosen) - len(sentences)
        yield Row("crowds", "every command", f"a store {name}", len(chosen), survived, tuple(sentences))
