"""The store: run directories side by side, and the studies that name some of them.

ROOT/<run name>/…            see `run`
ROOT/studies/<study>/        study.json (its members), and what was derived from them
"""

from __future__ import annotations

import fnmatch
import math
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from memstudy import files
from memstudy.errors import Gone, MemstudyError, Unreadable, listed, quoted, unknown
from memstudy.recipe import Recipe
from memstudy.store import kinds, seals
from memstudy.store.kinds import Kind, are, is_count, is_number, is_positive, is_text
from memstudy.store.naming import DIGITS, identity, run_name
from memstudy.store.run import RunDirectory, directories, holds, may_be_run
from memstudy.store.seals import SEAL
from memstudy.store.summary import Listing, listing, ready

STUDIES, STUDY = "studies", "study.json"
WHOLE_STORE = "all"


@dataclass(frozen=True)
class Selection:
    """Some runs of a store, and the directory that what is derived from them goes to.

    `missing` names the study's members that are not in the store, or have no kept network yet; `damaged` says of
    those that cannot be trusted, and are left out, why; `by_name` is whether the runs were chosen by their names;
    `reference` the method that others are compared with, if it was named.
    """

    name: str
    runs: tuple[RunDirectory, ...]
    path: Path
    missing: tuple[str, ...] = ()
    damaged: Mapping[str, str] = field(default_factory=dict)
    by_name: bool = False
    reference: str = ""

    def command(self, verb: str) -> str:
        """The command line of a verb on this selection: `memstudy figures --study quick`."""
        chosen = [run.name for run in self.runs] if self.by_name else ["--study", self.name]
        return " ".join(["memstudy", verb, *chosen])

    def settings(self) -> dict[str, object]:
        """The study's `[report]` settings; empty for a selection that is no study."""
        path = self.path / STUDY
        return dict(_read_study(path).get("report", {})) if path.is_file() else {}


@dataclass(frozen=True)
class Store:
    """All runs under one root directory, which need not exist yet."""

    root: Path

    def open(self, recipe: Recipe) -> RunDirectory:
        """The directory of a recipe's run, existing or not.

        An existing one is found by the recipe's identity: its name may be one that an earlier version gave it.
        """
        return self._open(recipe, run_name(recipe))

    def open_all(self, recipes: Sequence[Recipe]) -> list[RunDirectory]:
        """As `open`, of many recipes: the store is looked through once."""
        named: dict[str, list[str]] = {}
        for name in self._entries():
            named.setdefault(identity(name), []).append(name)
        return [self._open_known(recipe, named.get(recipe.id[:DIGITS], [])) for recipe in recipes]

    def _open_known(self, recipe: Recipe, names: Sequence[str]) -> RunDirectory:
        """A recipe's directory, of which the names are known that may be its own: one, nearly always."""
        if len(names) == 1 and holds(self.root / names[0], recipe):
            return RunDirectory(self.root / names[0], recipe)  # a usual name takes longer to make
        return self._open(recipe, run_name(recipe), names)

    def place(self, run: RunDirectory) -> RunDirectory:
        """The directory for a copy of another store's run: its own name, unless the run is here under another."""
        return self._open(run.recipe, run.name)

    def _open(self, recipe: Recipe, usual: str, named: Sequence[str] | None = None) -> RunDirectory:
        """A recipe's directory; `named` are the names that are its own, if they are known."""
        if (named is None or usual in named) and holds(self.root / usual, recipe):
            return RunDirectory(self.root / usual, recipe)
        paths = directories(self.root, recipe) if named is None else [self.root / name for name in sorted(named)]
        there = (path for path in paths if holds(path, recipe))
        return RunDirectory(next(there, self.root / usual), recipe)

    def _entries(self) -> list[str]:
        """The names of all that is in the root; a MemstudyError if it is a file."""
        try:
            found = os.listdir(self.root)  # noqa: PTH208 (of a store with ten thousand runs)
            return [name for name in found if not name.startswith(files.TEMPORARY)]
        except FileNotFoundError:
            return []
        except NotADirectoryError as error:
            raise MemstudyError(
                f"{self.root} is no directory; choose one with --runs-dir (or MEMSTUDY_RUNS)."
            ) from error

    def names(self) -> list[str]:
        """The names of all run directories, damaged ones included; nothing is written."""
        root = os.fspath(self.root)
        return [name for name in self._folders() if may_be_run(f"{root}/{name}")]

    def _folders(self) -> list[str]:
        """The names of what may be run directories, sorted."""
        return sorted(name for name in self._entries() if name != STUDIES)

    def directories(self) -> list[RunDirectory]:
        """Every run directory, by name, damaged ones included."""
        runs = [RunDirectory(self.root / name) for name in self.names()]
        for run in runs:
            run.tidy()
        return runs

    def listing(self) -> Listing:
        """Every run in short, those that can be trusted and those that cannot be (see `summary.listing`)."""
        files.sweep(self.root)
        return listing((RunDirectory(self.root / name) for name in self._folders()), self.root)

    def runs(self) -> list[RunDirectory]:
        """Every run that can be trusted."""
        return [one.run for one in self.listing().runs]

    def find(self, patterns: Sequence[str]) -> list[RunDirectory]:
        """The runs that patterns name, in their order, whatever state they are in.

        A MemstudyError if a pattern names none, or there are none.
        """
        names = self.names()
        if not names:
            raise self._empty()
        found: dict[str, None] = {}
        for pattern in patterns:
            if not (matched := [name for name in names if matches(name, pattern)]):
                raise unknown("run", pattern, names)
            found |= dict.fromkeys(matched)
        return [RunDirectory(self.root / name) for name in found]

    def choose(self, patterns: Sequence[str], where: str = "") -> list[RunDirectory]:
        """As `find`, of those alone that a query is true of (see `query`); without patterns, of all there are.

        Damaged runs have no settings to ask for, so a query chooses none of them. A MemstudyError if none is left.
        """
        runs = self.find(patterns or ["*"])
        if not where:
            return runs
        from memstudy.store import query

        if not (found := query.chosen(listing(runs, self.root, whole=False).runs, where)):
            raise MemstudyError(f"no run is as {quoted(where)} says; 'memstudy runs' lists what there is.")
        return [one.run for one in found]

    def one(self, pattern: str) -> RunDirectory:
        """The run that a pattern names; a MemstudyError if it names several, or none."""
        run, *others = self.find([pattern])
        if others:
            raise MemstudyError(
                f"one run is wanted, and {quoted(pattern)} names {1 + len(others)}; choose of "
                f"{listed(each.name for each in (run, *others))}."
            )
        return run

    def _empty(self) -> MemstudyError:
        return MemstudyError(
            f"there are no runs in {self.root} yet; make one with 'memstudy run' "
            "or several with 'memstudy study quick'."
        )

    # Studies

    def folder(self, study: str) -> Path:
        """Where a study is recorded, and what is derived from its runs goes."""
        return self.root / STUDIES / study

    def record_study(self, name: str, members: Sequence[RunDirectory], report: dict[str, object]) -> None:
        """Remember which runs a study consists of; it becomes the newest one."""
        newest = max((record["updated"] for record in self._records().values()), default=0.0)
        record = {
            "updated": max(time.time(), math.nextafter(newest, math.inf)),  # also by a clock that was set back
            "runs": [run.name for run in members],
            "report": report,
        }
        files.write_json(self.folder(name) / STUDY, seals.sealed(record))

    def members(self, study: str) -> list[RunDirectory]:
        """The runs that a study consists of, begun or not; a MemstudyError if it was not recorded."""
        if not (self.folder(study) / STUDY).is_file():
            raise unknown("study", study, [*self.studies(), WHOLE_STORE])
        there = {identity(name): name for name in self.names()}
        names = self._record_of(study)["runs"]
        return [RunDirectory(self.root / there.get(identity(name), name)) for name in names]

    def asked_for(self, patterns: Sequence[str], study: str | None) -> tuple[str | None, list[RunDirectory]]:
        """The runs that `select` would choose from, begun or not, and the study's name if they are one's.

        A MemstudyError if a pattern names none, or there are none, or no such study was recorded.
        """
        if patterns:
            return None, self.find(patterns)
        study = study or self._newest()
        if study == WHOLE_STORE:
            return None, self.find(["*"])
        return study, self.members(study)

    def studies_of(self, run: RunDirectory) -> list[str]:
        """The studies that a run belongs to, the newest first."""
        return self.studies_among([run])

    def studies_among(self, runs: Sequence[RunDirectory]) -> list[str]:
        """The studies that any of these runs belongs to, the newest first."""
        there = {identity(run.name) for run in runs}
        return [
            name for name, record in self._records().items() if not there.isdisjoint(map(identity, record["runs"]))
        ]

    def record_derived(self, name: str) -> None:
        """Remember that everything was derived from a study's runs as they are now."""
        files.write_json(self.folder(name) / STUDY, seals.sealed(self._record_of(name) | {"derived": True}))

    def is_derived(self, name: str) -> bool:
        """Whether everything was derived since the study was last recorded."""
        try:
            return bool(self._record_of(name).get("derived"))
        except MemstudyError:
            return False

    def studies(self) -> list[str]:
        """The names of recorded studies, the newest first; damaged ones are left out.

        An Unreadable if the system does not let us look: the newest may be among those.
        """
        return list(self._records())

    def _newest(self) -> str:
        """The newest study, else WHOLE_STORE. A MemstudyError if one is damaged: it may be the newest."""
        records, damaged = self.studies_and_damaged()
        if damaged:
            raise MemstudyError(f"{damaged[0].removesuffix('.')}, or choose one with --study.")
        return next(iter(records), WHOLE_STORE)

    def _records(self) -> dict[str, dict[str, Any]]:
        """What was recorded of each study, as `studies` has them."""
        return self.studies_and_damaged()[0]

    def studies_and_damaged(self) -> tuple[dict[str, dict[str, Any]], list[str]]:
        """What was recorded of each study, as `studies` has them, and a sentence on each that is left out."""
        records: dict[str, dict[str, Any]] = {}
        damaged: list[str] = []
        for name in self._recorded():
            try:
                records[name] = self._record_of(name)
            except Unreadable:
                raise
            except MemstudyError as error:
                damaged.append(str(error))
        return dict(sorted(records.items(), key=lambda item: -item[1]["updated"])), damaged

    def _recorded(self) -> list[str]:
        """The names of recorded studies, damaged ones among them."""
        with files.answered():
            try:
                names = os.listdir(self.root / STUDIES)  # noqa: PTH208 (an error if it cannot be read)
            except files.ABSENT:
                return []
            whole = (name for name in names if not name.startswith("."))
            return sorted(name for name in whole if files.is_there(self.folder(name) / STUDY))

    def _record_of(self, name: str) -> dict[str, Any]:
        """What was recorded of a study; a MemstudyError if that cannot be trusted."""
        path = self.folder(name) / STUDY
        record = _read_study(path)
        for key in ("updated", "runs", "report"):
            if key not in record:
                raise files.damaged(path, f"it has no {quoted(key)}", REMADE)
        return record

    def select(self, patterns: Sequence[str] = (), study: str | None = None, reference: str = "") -> Selection:
        """Choose runs: by names or globs; else those of a study; else of the newest one; else all there are.

        Damaged ones are left out, and the selection says why. Raises a MemstudyError if there is nothing to choose
        from, or a pattern matches nothing, or damaged runs alone; an Unreadable if the system does not let us read
        a chosen one: what was derived from all of them is not replaced by what some of them give. reference: the
        method that others are compared with, by name.
        """
        return replace(self._select(patterns, study), reference=reference)

    def _select(self, patterns: Sequence[str], study: str | None) -> Selection:
        found = self.listing()
        damaged, available = found.damaged, [one.run.name for one in found.runs]
        every = sorted([*damaged, *available])
        if damaged and not available:
            raise MemstudyError(f"no run in {self.root} can be used: {next(iter(damaged.values()))}")
        if not available:
            raise self._empty()
        if patterns:
            members = [name for name in every if any(matches(name, pattern) for pattern in patterns)]
            for pattern in patterns:
                matched = [name for name in members if matches(name, pattern)]
                if not matched:
                    raise unknown("run", pattern, available)
                if damaged.keys() >= {*matched}:
                    raise found.errors[matched[0]]
            # Named by its members: another selection's derived files are not this one's.
            chosen = [name for name in members if name not in damaged]
            name = f"selection-{files.digest(chr(10).join(chosen).encode())[:8]}"
            return replace(self._selection(name, members, found), by_name=True)
        if study is None:
            study = self._newest()
        if study == WHOLE_STORE:
            return self._selection(WHOLE_STORE, every, found)
        if not (self.folder(study) / STUDY).is_file():
            raise unknown("study", study, [*self.studies(), WHOLE_STORE])
        return self._selection(study, self._record_of(study)["runs"], found)

    def _selection(self, name: str, members: Sequence[str], found: Listing) -> Selection:
        """Those of the members that have a kept network, or were recorded without; a MemstudyError if none is so.

        A member that was renamed since is found by its identity.
        """
        damaged, available = found.damaged, {one.run.name: one for one in found.runs}
        present = {identity(member): member for member in (*available, *damaged)}
        members = [member if member in available else present.get(identity(member), member) for member in members]
        for member in members:
            if isinstance(error := found.errors.get(member), Unreadable):
                raise error
        runs = {run.name: run for run in ready([available[member] for member in members if member in available])}
        trained = [member for member, run in runs.items() if _is_trained(run)]
        broken = {member: damaged[member] for member in members if member in damaged}
        known = {*trained, *broken}
        missing = tuple(member for member in members if member not in known)
        if not trained:
            absent = sum(member not in available for member in missing)
            raise MemstudyError(
                f"{name} has no network to look at: of its {len(members)} runs {absent} are not in {self.root}, "
                f"{len(broken)} are damaged, and the others have no finished epoch; run its command again."
            )
        return Selection(name, tuple(runs[member] for member in trained), self.folder(name), missing, broken)


def _is_trained(run: RunDirectory) -> bool:
    """Whether there is a network, or, of a run that memstudy only recorded, an epoch to look at."""
    try:
        return bool(run.checkpoints() or (run.recipe.trainer and run.epochs_done))
    except Gone:  # another process has just removed it
        return False


REMADE = "remove it; the study's command makes it anew"
KINDS: dict[str, Kind] = {
    "updated": (is_number, "a time"),
    "runs": (are(is_text), "a list of names"),
    "report": (lambda value: isinstance(value, dict), "a table"),
    "derived": (lambda value: isinstance(value, bool), "true or false"),
    SEAL: (is_text, "a text"),
}
REPORT: dict[str, Kind] = {
    "epochs": (are(is_count), "a list of epochs"),
    "analyses": (are(is_text), "a list of names"),
    "tables": (are(is_text), "a list of names"),
    "orders": (is_positive, "a whole number from 1 on"),
    "images": (is_positive, "a whole number from 1 on"),
    "reference": (is_text, "a method"),
    "figures": (lambda value: isinstance(value, dict), "a table"),
    "latex": (lambda value: isinstance(value, dict), "a table"),
}
"""The kinds of values in study.json and in its report. Not all keys need be there."""


def _read_study(path: Path) -> dict[str, Any]:
    """What a study.json holds; a MemstudyError if a value is not of its kind."""
    record = files.read_json(path, REMADE)
    kinds.check(path, record, KINDS, REMADE)
    kinds.check(path, record.get("report", {}), REPORT, REMADE)
    if not seals.fits(record):
        raise files.damaged(path, "its seal does not fit its content", REMADE)
    return record


def matches(name: str, pattern: str) -> bool:
    """Whether a pattern names a run: its name, a glob, the start of its name, or its identity (8 or 12 digits)."""
    whole = re.fullmatch("[0-9a-f]{12}", pattern) is not None and identity(name) == pattern[:DIGITS]
    return whole or fnmatch.fnmatchcase(name, pattern) or name.startswith(pattern) or name.endswith(f"-{pattern}")
