"""Derive all that a study's [report] asks for: its analyses, then tables, the figures of training, and the page.

An analysis that cannot be carried out does not keep the others from it; nor does the page.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from memstudy import files, foreign
from memstudy.derived import ANALYSES, USUAL_ANALYSES, loadable
from memstudy.derived.analysis import Analysis
from memstudy.derived.deriving import (
    FOLDERS,
    Voice,
    derive,
    tell_left_out,
    write_figures,
)
from memstudy.derived.methods import Curves
from memstudy.derived.workbench import Workbench
from memstudy.errors import Interrupted, MemstudyError
from memstudy.papers import TABLES
from memstudy.store.store import Selection
from memstudy.study.choice import chosen, configured_of
from memstudy.study.reporting import make_page
from memstudy.study.tables import BRIEF, make_tables

DERIVED = "derived.json"
"""In a study's directory: the runs and the report that its tables and figures were last derived from."""
LISTS = ("left_out", "written", "tables", "figures")
"""Those entries of a summary that are lists, and are joined over all analyses."""


def derive_all(selection: Selection, bench: Workbench, voice: Voice) -> tuple[dict[str, Any], list[MemstudyError]]:
    """Carry out all of it. Returns the summary for --json, and the errors of analyses that failed."""
    summary: dict[str, Any] = {name: [] for name in LISTS}
    errors: list[MemstudyError] = []

    def tried(name: str, make: Callable[[], dict[str, Any]]) -> None:
        try:
            with foreign.blamed():
                part = make()
        except Interrupted:
            raise
        except MemstudyError as error:
            errors.append(error)
            part = {"left_out": [f"{name}: {str(error).rstrip('.')}"]}
            tell_left_out(voice, part["left_out"])
        _add(summary, part)

    def analyzed(name: str) -> dict[str, Any]:
        return derive(configured_of(ANALYSES, name, selection), selection, bench, voice, briefly=True)

    def paged() -> dict[str, Any]:
        page = make_page(selection, bench, voice)
        return {name: page[name] for name in ("report", "left_out")}

    for name in chosen(selection, "analyses", USUAL_ANALYSES):
        tried(name, partial(analyzed, name))
    _add(summary, make_tables(selection, voice, BRIEF))
    _add(summary, {"figures": write_figures(Curves(), selection)})
    voice.say(f"figures: {selection.path / 'figures'}")
    tried("report", paged)
    summary["written"] = list(dict.fromkeys([*summary["written"], *summary["tables"], *summary["figures"]]))
    summary["left_out"] = list(dict.fromkeys(summary["left_out"]))
    _remove_earlier(selection, summary["written"])
    return summary, errors


def _add(summary: dict[str, Any], part: Mapping[str, Any]) -> None:
    """Add the summary of one analysis to that of all."""
    for name, value in part.items():
        summary[name] = [*summary.get(name, ()), *value] if name in LISTS else value


def _remove_earlier(selection: Selection, written: Sequence[str]) -> None:
    """Remove tables and figures of an earlier time, from other runs or another report, that are not written again.

    Remembers the runs and the report of this time in DERIVED.
    """
    path = selection.path / DERIVED
    now = {"runs": [run.name for run in selection.runs], "report": selection.settings()}
    with contextlib.suppress(MemstudyError):  # none, or damaged: it is written anew
        if files.read_json(path) != now:
            kinds: list[type[Analysis]] = [Curves, *loadable(ANALYSES).values(), *loadable(TABLES).values()]
            existing = {file for folder in FOLDERS for file in (selection.path / folder).glob("*")}
            stale = {file for file in existing if any(kind.could_own(file) for kind in kinds)}
            files.remove(file for file in stale if str(file) not in written)
    files.write_json(path, now)
