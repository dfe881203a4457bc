"""`memstudy table`: the papers' tables, published numbers beside ours where the recipe is the paper's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memstudy import garbage
from memstudy.cli import options
from memstudy.cli.types import EpochList
from memstudy.options import options as declarations
from memstudy.report.typesetting import FORMATS, Typesetting

if TYPE_CHECKING:
    from memstudy.cli.progress import Voice
    from memstudy.store.store import Selection

TERMINAL, MARKDOWN = "terminal", FORMATS[0]


@click.command()
@options.selection
@click.option(
    "--format",
    "style",
    type=click.Choice([*FORMATS, TERMINAL]),
    help="What is printed. [default: terminal, laid out for its width; in a pipe or a file markdown]",
)
@click.option(
    "--epochs",
    type=EpochList(),
    help="Epochs of AL2's tables (0,100,200). [default: the study's, or all that were kept]",
)
@click.option(
    "--explain",
    metavar="CELL",
    help="What is behind a number: CELL is its row and column, and more where it takes more "
    "(bn:24:test accuracy:with al2).",
)
@click.option("--cells", is_flag=True, help="List the cells that --explain takes, with what they show.")
@options.reference
@options.declared(Typesetting)
@options.runs_dir
@options.as_json
@click.pass_context
def table(
    context: click.Context,
    /,
    runs: tuple[str, ...],
    study: str | None,
    style: str | None,
    epochs: tuple[int, ...] | None,
    explain: str | None,
    cells: bool,
    reference: str | None,
    runs_dir: Path,
    as_json: bool,
    **typesetting: Any,
) -> None:
    """Print the tables of some runs: methods side by side, and the papers'; write them as Markdown, LaTeX and CSV.

    Means are over finished runs; which are left out, and why, is beneath. Where none of a setting is, the runs are
    shown up to where they are. --width and all options after it are LaTeX's, in the files too; a study's
    [report.latex] has the same.

    \b
    memstudy table                                  the newest study's
    memstudy table --study al2 --epochs 8,100 --format latex --width 3.25
    memstudy table --cells                          the names of all numbers
    memstudy table --study quick --explain 'bn:24:test accuracy:with al2'
    """  # noqa: D301
    from memstudy.cli.progress import Voice
    from memstudy.derived.deriving import typesetting_of
    from memstudy.store import Store
    from memstudy.study.tables import make_tables

    voice = Voice(quiet=as_json)
    selection = Store(runs_dir).select(runs, study, reference or "")
    garbage.not_looked_through()
    given = {name: typesetting[name] for name in options.given(context) if name in declarations(Typesetting)}
    if explain is not None or cells:
        _explain(selection, voice, explain, epochs, as_json)
        return
    style = style or (TERMINAL if voice.console.is_terminal else MARKDOWN)
    summary = make_tables(selection, voice, style, epochs, typesetting_of(selection, given))
    if as_json:
        voice.print_json(summary)


def _explain(
    selection: Selection, voice: Voice, cell: str | None, epochs: tuple[int, ...] | None, as_json: bool
) -> None:
    """Say what is behind a cell; without one, which cells there are."""
    from memstudy.derived.deriving import damaged, not_counted, tell_left_out
    from memstudy.report import explaining
    from memstudy.study.tables import every_table

    tables = every_table(selection, epochs)
    if cell is None:
        there = {place.address: str(place.text) for place in explaining.places(tables)}
        facts: dict[str, Any] = {"cells": there}
        lines = [f"{address} = {text}" for address, text in there.items()]
    else:
        facts = explaining.explained(explaining.found(tables, cell), selection, not_counted(selection))
        lines = list(explaining.told(facts))
    if as_json:
        voice.print_json(facts)
    else:
        voice.say("\n".join(lines))
    tell_left_out(voice, damaged(selection))
