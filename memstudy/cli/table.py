"""`memstudy table`: the papers' tables, published numbers beside ours where the recipe is the paper's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from memstudy.cli import options
from memstudy.cli.types import EpochList
from memstudy.options import options as declarations
from memstudy.report.typesetting import FORMATS, Typesetting

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
    reference: str | None,
    runs_dir: Path,
    as_json: bool,
    **typesetting: Any,
) -> None:
    """Print the tables of some runs: methods side by side, and the papers'; write them as Markdown, LaTeX and CSV.

    Runs that are not finished are in the tables up to where they are, and named beneath. --width and all options
    after it are LaTeX's, in the files too; a study's [report.latex] has the same.

    \b
    memstudy table                                  the newest study's
    memstudy table --study al2 --epochs 8,100 --format latex --width 3.25
    """  # noqa: D301
    from memstudy.cli.progress import Voice
    from memstudy.derived.deriving import typesetting_of
    from memstudy.store import Store
    from memstudy.study.derive_all import make_tables

    voice = Voice(quiet=as_json)
    selection = Store(runs_dir).select(runs, study, reference or "")
    given = {name: typesetting[name] for name in options.given(context) if name in declarations(Typesetting)}
    style = style or (TERMINAL if voice.console.is_terminal else MARKDOWN)
    summary = make_tables(selection, voice, style, epochs, typesetting_of(selection, given))
    if as_json:
        voice.print_json(summary)
