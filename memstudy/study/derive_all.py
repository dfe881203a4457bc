"""Derive all that a study's [report] asks for: its analyses, then tables, the figures of training, and the page.

An analysis that cannot be carried out does not keep the others from it; nor does the page.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

from memstudy import files, foreign
from memstudy.derived import ANALYSES, USUAL_ANALYSES, analysis, loadable
from memstudy.derived.analysis import Analysis
from memstudy.derived.deriving import (
    FOLDERS,
    Voice,
    damaged,
    derive,
    tables_of,
    tell_left_out,
    typesetting_of,
    write_figures,
    write_tables,
)
from memstudy.derived.methods import Curves
from memstudy.derived.workbench import Workbench
from memstudy.errors import Interrupted, MemstudyError
from memstudy.papers import TABLES
from memstudy.report.look import Look
from memstudy.report.table import Table
from memstudy.report.typesetting import Typesetting
from memstudy.store.store import Selection
from memstudy.study.choice import chosen, configured_of
from memstudy.study.reporting import make_page

TERMINAL, BRIEF = "terminal", "brief"
"""How tables are printed beside their formats as text: laid out for the terminal, all of them or the main ones."""
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


def make_tables(
    selection: Selection,
    voice: Voice,
    style: str = "markdown",
    epochs: Sequence[int] | None = None,
    typesetting: Typesetting | None = None,
) -> dict[str, Any]:
    """Write the study's tables and their figures, and print the tables. The summary has their numbers.

    style: TERMINAL, BRIEF, or a format of text. epochs: of AL2's tables, by default the study's choice, else all
        that were kept. typesetting: by default the study's.
    """
    wanted = chosen(selection, "tables", loadable(TABLES))
    how = typesetting or typesetting_of(selection)
    left_out, reasons = damaged(selection), []
    tables: list[Table] = []
    written: dict[str, list[str]] = {folder: [] for folder in FOLDERS}
    for name in dict.fromkeys([*loadable(TABLES), *wanted]):
        maker = _table_maker(name, selection, epochs)
        made = tables_of(maker, selection) if name in wanted else []
        _print(made, voice, style, how)
        tables += made
        written["tables"] += write_tables(maker, selection, made, how)
        written["figures"] += write_figures(maker, selection, name in wanted)
        if name in wanted and not made:
            reasons.append(f"the table {name}: {maker.why_none(selection)}")
    if "tables" in selection.settings() or not tables:  # what nobody asked for needs no excuse
        left_out += reasons
    tell_left_out(voice, left_out)
    if tables:
        whole = f"; 'memstudy table --study {selection.name}' prints all of them" if style == BRIEF else ""
        voice.say(f"tables: {selection.path / 'tables'}{whole}")
    numbers = [{"table": table.name} | record for table in tables for record in table.records()]
    return {"numbers": numbers, "left_out": left_out, "written": [*chain(*written.values())]} | written


def every_table(selection: Selection, epochs: Sequence[int] | None = None) -> list[Table]:
    """The tables of `memstudy table`, and those of analyses that measured these runs; nothing is written."""
    made: list[Table] = []
    for name in chosen(selection, "tables", loadable(TABLES)):
        made += tables_of(_table_maker(name, selection, epochs), selection)
    for name in loadable(ANALYSES):
        made += tables_of(configured_of(ANALYSES, name, selection), selection)
    return made


def _table_maker(name: str, selection: Selection, epochs: Sequence[int] | None) -> Analysis:
    """What makes the tables of a name, at these epochs, if they are given and it has any."""
    given = epochs is not None and hasattr(analysis(name, TABLES), "epochs")
    return configured_of(TABLES, name, selection, {"epochs": tuple(epochs or ())} if given else {})


def _print(tables: Sequence[Table], voice: Voice, style: str, how: Typesetting) -> None:
    """Print what one maker has made; briefly the first table alone, and the names of the others."""
    for table in tables[: 1 if style == BRIEF else None]:
        voice.say("")
        if style in (TERMINAL, BRIEF):
            voice.show(table, style == BRIEF)
        else:
            voice.say(table.formatted(style, how))
    if style == BRIEF and (others := [table.name for table in tables[1:]]):
        voice.say(f"also: {', '.join(others)}")


def make_figures(selection: Selection, voice: Voice, look: Look | None = None) -> dict[str, Any]:
    """Draw all figures that there are numbers for (training, analyses, tables), and say which are missing."""
    left_out, written = damaged(selection), write_figures(Curves(), selection, look=look)
    for name in chosen(selection, "analyses", USUAL_ANALYSES):
        maker = configured_of(ANALYSES, name, selection)
        written += (drawn := write_figures(maker, selection, look=look))
        if not drawn:
            left_out.append(f"nothing to draw from {maker.path} yet; 'memstudy {name}' makes it")
    wanted = chosen(selection, "tables", loadable(TABLES))
    for name in dict.fromkeys([*loadable(TABLES), *wanted]):
        written += write_figures(configured_of(TABLES, name, selection), selection, name in wanted, look)
    tell_left_out(voice, left_out)
    voice.say(f"figures: {selection.path / 'figures'}")
    return {"left_out": left_out, "written": written, "figures": written}


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
