"""The store: run directories side by side, and the studies that name some of them.

ROOT/<run name>/…            see `run`
ROOT/studies/<study>/        study.json (its members), and what was derived from them
"""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from memstudy.errors import MemstudyError, unknown
from memstudy.recipe import Recipe
from memstudy.store import files
from memstudy.store.run import RECIPE, STATE, RunDirectory, run_name

STUDIES = "studies"
WHOLE_STORE = "all"


@dataclass(frozen=True)
class Selection:
    """Some runs of a store, and the directory that what is derived from them goes to."""

    name: str
    runs: tuple[RunDirectory, ...]
    path: Path

    def settings(self) -> dict[str, object]:
        """The study's `[report]` settings; empty for a selection that is no study."""
        path = self.path / "study.json"
        return dict(files.read_json(path).get("report", {})) if path.is_file() else {}


@dataclass(frozen=True)
class Store:
    """All runs under one root directory, which need not exist yet."""

    root: Path

    def open(self, recipe: Recipe) -> RunDirectory:
        """The directory of a recipe's run, existing or not."""
        return RunDirectory(self.root / run_name(recipe), recipe)

    def directories(self) -> list[RunDirectory]:
        """Every run directory, by name, damaged ones included."""
        if not self.root.is_dir():
            return []
        found = (path for path in self.root.iterdir() if (path / RECIPE).is_file() or (path / STATE).is_file())
        return [RunDirectory(path) for path in sorted(found)]

    def runs(self) -> list[RunDirectory]:
        """Every run whose recipe can be trusted."""
        return [run for run in self.directories() if not problem(run)]

    # Studies

    def record_study(self, name: str, members: Sequence[RunDirectory], report: dict[str, object]) -> None:
        """Remember which runs a study consists of; it becomes the newest one."""
        files.write_json(
            self.root / STUDIES / name / "study.json",
            {"updated": time.time(), "runs": [run.name for run in members], "report": report},
        )

    def studies(self) -> list[str]:
        """The names of recorded studies, the newest first."""
        found = {p.parent.name: p for p in (self.root / STUDIES).glob("*/study.json")}
        return sorted(found, key=lambda name: -float(files.read_json(found[name])["updated"]))

    def select(self, patterns: Sequence[str] = (), study: str | None = None) -> Selection:
        """Choose runs: by names or globs; else those of a study; else of the newest one; else all there are.

        Raises a MemstudyError if there is nothing to choose from or a pattern matches nothing.
        """
        available = {run.name: run for run in self.runs()}
        if not available:
            raise MemstudyError(
                f"there are no runs in {self.root} yet; make one with 'memstudy run' "
                "or several with 'memstudy study studies/quick.toml'."
            )
        if patterns:
            chosen = [name for name in available if any(matches(name, pattern) for pattern in patterns)]
            for pattern in patterns:
                if not any(matches(name, pattern) for name in available):
                    raise unknown("run", pattern, available)
            return self._selection("selection", [available[name] for name in chosen])
        if study is None:
            study = next(iter(self.studies()), WHOLE_STORE)
        if study == WHOLE_STORE:
            return self._selection(WHOLE_STORE, list(available.values()))
        if study not in self.studies():
            raise unknown("study", study, [*self.studies(), WHOLE_STORE])
        members = files.read_json(self.root / STUDIES / study / "study.json")["runs"]
        return self._selection(study, [available[name] for name in members if name in available])

    def _selection(self, name: str, runs: list[RunDirectory]) -> Selection:
        trained = tuple(run for run in runs if run.checkpoints())
        if not trained:
            raise MemstudyError(
                f"none of the {len(runs)} chosen runs has trained an epoch yet; "
                "continue one with the command that started it (see 'memstudy runs')."
            )
        return Selection(name, trained, self.root / STUDIES / name)


def matches(name: str, pattern: str) -> bool:
    """Whether a pattern names a run: its name, a glob, the start of its name, or its identity's digits."""
    return fnmatch.fnmatchcase(name, pattern) or name.startswith(pattern) or name.endswith(f"-{pattern}")


def problem(run: RunDirectory) -> str | None:
    """Why a run directory cannot be trusted, as a sentence; None if it can."""
    try:
        _ = run.recipe
        run.state()
    except MemstudyError as error:
        return str(error)
    return None
