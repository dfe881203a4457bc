"""Make the tables and figures of a selection: print tables, write both, and say what is missing.

Nothing here needs torch, as it takes seconds to import.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from memstudy.derived import ANALYSES, USUAL_ANALYSES, analysis, loadable
from memstudy.derived.analysis import Analysis
from memstudy.derived.deriving import (
    FOLDERS,
    Voice,
    damaged,
    tables_of,
    tell_left_out,
    typesetting_of,
    write_figures,
    write_tables,
)
from memstudy.derived.methods import Curves
from memstudy.papers import TABLES
from memstudy.report.look import Look
from memstudy.report.table import Table
from memstudy.report.typesetting import Typesetting
from memstudy.store.store import Selection
from memstudy.study.choice import chosen, configured_of

TERMINAL, BRIEF = "terminal", "brief"
"""How tables are printed beside their formats as text: laid out for the terminal, all of them or the main ones."""


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
