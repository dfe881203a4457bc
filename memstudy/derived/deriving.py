"""Carry out an analysis: measure, say, write its tables, draw its figures, and remove outdated files.

Commands and studies do all this here, for every analysis in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pandas as pd

from memstudy import files, options
from memstudy.derived.analysis import Analysis, Needs, Watch
from memstudy.derived.cached_table import write
from memstudy.derived.kept import with_networks
from memstudy.derived.reading import read
from memstudy.errors import MemstudyError, listed, quoted
from memstudy.report.folders import FIGURES, TABLES
from memstudy.report.frames import comparable_runs
from memstudy.report.look import Look
from memstudy.report.saving import Drawing
from memstudy.report.table import Table
from memstudy.report.typesetting import LATEX, Typesetting
from memstudy.store import code
from memstudy.store.store import STUDY, Selection

if TYPE_CHECKING:
    from memstudy.derived.workbench import Workbench

FOLDERS = (TABLES, FIGURES)


class Voice(Protocol):
    """Where messages go."""

    def say(self, text: str) -> None:
        """Print one line or block of plain text that belongs to the result."""

    def tell(self, text: str) -> None:
        """Print one line or block of plain text on how it goes."""

    def show(self, table: Table, briefly: bool = False) -> None:
        """Print a table, as wide as the terminal is; briefly its last epochs, some rows and its first note."""

    def counted(self, doing: str) -> AbstractContextManager[Callable[[int, int], None]]:
        """A progress bar for reports of (done, total)."""


def derive(
    analysis: Analysis,
    selection: Selection,
    bench: Workbench,
    voice: Voice,
    look: Look | None = None,
    briefly: bool = False,
) -> dict[str, Any]:
    """Measure, and make tables and figures. Returns the summary for --json.

    briefly: whether only the files are told, and no numbers, as a study has many analyses.

    That is the analysis' own summary with `left_out`, a list of clauses; `written`, the paths of all tables and
    figures; and `figures`, the paths of figures alone.
    """
    not_measured: list[str] = []
    if analysis.needs in (Needs.NETWORKS, Needs.WEIGHTS):
        selection = with_networks(selection, not_measured.append)
    if analysis.needs is Needs.NETWORKS:
        code.ask(selection.runs)
    files.check_writable(selection.path)
    with voice.counted(analysis.doing) as progress:
        analysis.measure(selection, bench, Watch(progress, not_measured.append))
    _record(analysis, selection, not_measured)
    left_out = [*damaged(selection), *not_measured]
    tables = tables_of(analysis, selection)
    text, summary = analysis.summary(selection, tables)
    for table in () if briefly else tables:
        voice.say("")
        voice.show(table)
    if text and not briefly:
        voice.say(f"\n{text}")
    tell_left_out(voice, left_out)
    written = write_tables(analysis, selection, tables)
    figures = write_figures(analysis, selection, look=look)
    for folder, paths in zip(FOLDERS, (written, figures), strict=True):
        if paths:
            voice.say(f"{folder}: {selection.path / folder}")
    if analysis.source and (path := selection.path / analysis.path).is_file():
        voice.say(f"{analysis.holds}: {path}")
    return summary | {"left_out": left_out, "written": [*written, *figures], "figures": figures}


def tables_of(analysis: Analysis, selection: Selection) -> list[Table]:
    """The tables of what was measured, with notes on what could not be, and on runs that no mean counts."""
    clauses = read(_left_out(analysis, selection)).get("left_out", ())
    note = (f"Left out: {'; '.join(map(str, clauses))}.",) if len(clauses) else ()
    made = list(analysis.tables(selection))
    uncounted = not_counted(selection) if made else {}
    count = len(selection.runs) + len(selection.missing) + len(selection.damaged)
    return [replace(table, notes=(*table.notes, *note, *_counts(table, uncounted, count))) for table in made]


def not_counted(selection: Selection) -> dict[str, str]:
    """The runs of a selection that no table's means count, by name, and why, a few words."""
    left_out = {name: why for setting, _ in comparable_runs(selection) for name, why in setting.left_out.items()}
    missing = dict.fromkeys(selection.missing, "not in the store, or without a finished epoch")
    return left_out | missing | dict.fromkeys(selection.damaged, "damaged")


def _counts(table: Table, uncounted: Mapping[str, str], count: int) -> tuple[str, ...]:
    """A note on the runs that are not counted, with their number, if the table does not name them itself."""
    named = " ".join(table.notes)
    told = [f"{name} ({why})" for name, why in uncounted.items() if name not in named]
    return (f"Not counted: {len(told)} of {count} runs: {listed(told)}.",) if told else ()


def _record(analysis: Analysis, selection: Selection, clauses: Sequence[str]) -> None:
    """Write one row for each thing that was not measured, such as a network that diverged."""
    write(_left_out(analysis, selection), pd.DataFrame({"left_out": clauses}))


def _left_out(analysis: Analysis, selection: Selection) -> Path:
    return selection.path / f"{analysis.name}_left_out{analysis.suffix}.csv"


def write_tables(
    analysis: Analysis, selection: Selection, tables: Iterable[Table], typesetting: Typesetting | None = None
) -> list[str]:
    """Write tables as Markdown, LaTeX and CSV, and remove outdated ones.

    typesetting: by default the study's own.
    """
    how = typesetting or typesetting_of(selection)
    return _write(analysis, selection, TABLES, tables, lambda table, folder: table.write(folder, how))


def write_figures(
    analysis: Analysis, selection: Selection, wanted: bool = True, look: Look | None = None
) -> list[str]:
    """Draw and write figures, one after the other, and remove outdated ones; all, if none are wanted.

    look: by default the study's own.
    """
    look, command = look or look_of(selection), selection.command("figures")
    with look.applied():
        drawings = analysis.figures(selection) if wanted else ()
        return _write(
            analysis, selection, FIGURES, drawings, lambda drawing, folder: drawing.write(folder, look, command)
        )


def look_of(selection: Selection, given: Mapping[str, Any] | None = None) -> Look:
    """How the figures of a selection look: as `given` (by field), else as its study's [report.figures] has it."""
    table = options.from_table(
        Look, selection.settings().get(FIGURES, {}), f"report.{FIGURES}", str(selection.path / STUDY)
    )
    return Look(**(table | dict(given or {})))


def typesetting_of(selection: Selection, given: Mapping[str, Any] | None = None) -> Typesetting:
    """How a selection's tables are typeset: as `given` (by field), else as its study's [report.latex] has it."""
    table = options.from_table(
        Typesetting, selection.settings().get(LATEX, {}), f"report.{LATEX}", str(selection.path / STUDY)
    )
    return Typesetting(**(table | dict(given or {})))


Product = TypeVar("Product", Table, Drawing)


def _write(
    analysis: Analysis,
    selection: Selection,
    folder: str,
    made: Iterable[Product],
    write_one: Callable[[Product, Path], list[Path]],
) -> list[str]:
    path = selection.path / folder
    written: list[Path] = []
    for product in made:
        if not analysis.owns(path / f"{product.name}.csv"):
            names = ", ".join(analysis.written_to(folder)) or "none"
            raise MemstudyError(
                f"the analysis {quoted(analysis.name)} makes {quoted(product.name)}, which is none of its "
                f"{folder} ({names}); its author must name it there."
            )
        written += write_one(product, path)
    files.remove({old for old in path.glob("*") if analysis.owns(old)} - set(written))
    return list(map(str, written))


def damaged(selection: Selection) -> list[str]:
    """Clauses on the runs that cannot be trusted."""
    return [sentence.rstrip(".") for sentence in selection.damaged.values()]


def tell_left_out(voice: Voice, left_out: Sequence[str]) -> None:
    """Say each clause in a line of its own."""
    if left_out:
        voice.tell("")
    for clause in left_out:
        voice.tell(f"left out: {clause}.")
