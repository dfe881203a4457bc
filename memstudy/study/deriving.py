"""All that is derived from a selection of runs: its analyses, then its tables, then its figures of training.

A study's [report] says which; an analysis that cannot be made does not keep the others from it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from memstudy import files, foreign
from memstudy.derived import ANALYSES, USUAL, analysis, loadable
from memstudy.derived.analysis import Analysis, configured
from memstudy.derived.deriving import FOLDERS, Voice, damaged, derive, say_left_out, write_figures, write_tables
from memstudy.derived.workbench import Workbench
from memstudy.errors import Interrupted, MemstudyError
from memstudy.papers import TABLES
from memstudy.papers.al2 import Curves
from memstudy.registry import Registry
from memstudy.report.table import Table
from memstudy.store.store import STUDY, Selection

DERIVED = "derived.json"
"""In a study's directory: the runs and the report that its tables and figures were last derived from."""
LISTS = ("left_out", "written", "tables", "figures")
"""Of summaries: what adds up over analyses."""


def derive_all(selection: Selection, bench: Workbench, voice: Voice) -> tuple[dict[str, Any], list[MemstudyError]]:
    """The study's analyses, tables and figures. The summary, and the errors of analyses that could not be made."""
    summary: dict[str, Any] = {name: [] for name in LISTS}
    errors: list[MemstudyError] = []
    for name in chosen(selection, "analyses", USUAL):
        try:
            with foreign.blamed():
                found = derive(_configured(ANALYSES, name, selection), selection, bench, voice)
        except Interrupted:
            raise
        except MemstudyError as error:
            errors.append(error)
            found = {"left_out": [f"{name}: {str(error).rstrip('.')}"]}
            say_left_out(voice, found["left_out"])
        _add(summary, found)
    _add(summary, make_tables(selection, voice))
    _add(summary, {"figures": write_figures(Curves(), selection)})
    voice.say(f"figures: {selection.path / 'figures'}")
    summary["written"] = list(dict.fromkeys([*summary["written"], *summary["tables"], *summary["figures"]]))
    summary["left_out"] = list(dict.fromkeys(summary["left_out"]))
    _remove_earlier(selection, summary["written"])
    return summary, errors


def _add(summary: dict[str, Any], found: Mapping[str, Any]) -> None:
    for name, value in found.items():
        summary[name] = [*summary.get(name, ()), *value] if name in LISTS else value


def make_tables(
    selection: Selection, voice: Voice, style: str = "markdown", epochs: Sequence[int] | None = None
) -> dict[str, Any]:
    """Write the study's tables and their figures; print the tables in one format. The summary has their numbers.

    AL2's tables are of these epochs, by default of the study's choice, else of all that were kept.
    """
    wanted = chosen(selection, "tables", loadable(TABLES))
    given = {} if epochs is None else {"epochs": tuple(epochs)}
    left_out, reasons = damaged(selection), []
    tables: list[Table] = []
    written: dict[str, list[str]] = {folder: [] for folder in FOLDERS}
    for name in dict.fromkeys([*loadable(TABLES), *wanted]):
        kind = analysis(name, TABLES)
        one = _configured(TABLES, name, selection, {key: given[key] for key in given if hasattr(kind, key)})
        made = list(one.tables(selection)) if name in wanted else []
        for table in made:
            voice.say("\n" + {"markdown": table.markdown, "latex": table.latex, "csv": table.csv}[style]())
        tables += made
        written["tables"] += write_tables(one, selection, made)
        written["figures"] += _figures(one, selection, name in wanted)
        if name in wanted and not made:
            reasons.append(f"the table {name}: {one.why_none(selection)}")
    if "tables" in selection.settings() or not tables:  # what nobody asked for needs no excuse
        left_out += reasons
    say_left_out(voice, left_out)
    if tables:
        voice.say(f"tables: {selection.path / 'tables'}")
    numbers = [{"table": table.name} | record for table in tables for record in table.records()]
    return {"numbers": numbers, "left_out": left_out, "written": [*chain(*written.values())]} | written


def make_figures(selection: Selection, voice: Voice) -> dict[str, Any]:
    """Draw what there are numbers for: of training, the study's analyses and its tables. Say what is missing."""
    left_out, written = damaged(selection), write_figures(Curves(), selection)
    for name in chosen(selection, "analyses", USUAL):
        one = _configured(ANALYSES, name, selection)
        written += (drawn := write_figures(one, selection))
        if not drawn:
            left_out.append(f"nothing to draw from {one.path} yet; 'memstudy {name}' makes it")
    wanted = chosen(selection, "tables", loadable(TABLES))
    for name in dict.fromkeys([*loadable(TABLES), *wanted]):
        written += _figures(_configured(TABLES, name, selection), selection, name in wanted)
    say_left_out(voice, left_out)
    voice.say(f"figures: {selection.path / 'figures'}")
    return {"left_out": left_out, "written": written, "figures": written}


def _figures(one: Analysis, selection: Selection, wanted: bool) -> list[str]:
    """Write the figures of a table, or remove those of one that is not asked for."""
    if wanted:
        return write_figures(one, selection)
    files.remove(path for path in (selection.path / "figures").glob("*") if one.owns(path))
    return []


def chosen(selection: Selection, key: str, usual: Iterable[str]) -> list[str]:
    """The study's choice of analyses or tables, or the usual ones."""
    names = selection.settings().get(key, usual)
    return list(map(str, names)) if isinstance(names, list | tuple) else list(usual)


def _configured(
    registry: Registry, name: str, selection: Selection, given: Mapping[str, Any] | None = None
) -> Analysis:
    return configured(analysis(name, registry), selection.settings(), given, str(selection.path / STUDY))


def _remove_earlier(selection: Selection, written: Sequence[str]) -> None:
    """Where a study's runs or its report are not those of its last derivation, remove the tables and figures of
    that one which are not written again; and remember these.
    """
    path = selection.path / DERIVED
    now = {"runs": [run.name for run in selection.runs], "report": selection.settings()}
    with contextlib.suppress(MemstudyError):  # none, or damaged: it is written anew
        if files.read_json(path) != now:
            kinds: list[type[Analysis]] = [Curves, *loadable(ANALYSES).values(), *loadable(TABLES).values()]
            found = {one for folder in FOLDERS for one in (selection.path / folder).glob("*")}
            stale = {one for one in found if any(kind.could_own(one) for kind in kinds)}
            files.remove(one for one in stale if str(one) not in written)
    files.write_json(path, now)
