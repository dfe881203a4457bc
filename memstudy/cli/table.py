"""`memstudy table`: the papers' tables, published numbers beside ours where the recipe is the paper's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from memstudy.cli import options
from memstudy.cli.types import EpochList


@click.command()
@options.selection
@click.option(
    "--format",
    "style",
    type=click.Choice(["markdown", "latex", "csv"]),
    default="markdown",
    show_default=True,
)
@click.option(
    "--epochs",
    type=EpochList(),
    help="Epochs of AL2's tables (0,100,200). [default: the study's, or all that were kept]",
)
@options.reference
@options.runs_dir
@options.as_json
def table(
    runs: tuple[str, ...],
    study: str | None,
    style: str,
    epochs: tuple[int, ...] | None,
    reference: str | None,
    runs_dir: Path,
    as_json: bool,
) -> None:
    """Print the tables of some runs: methods side by side, and the papers'; write them as Markdown, LaTeX and CSV.

    Runs that are not finished are in the tables up to where they are, and named beneath.
    """
    from memstudy.cli.progress import Voice
    from memstudy.store import Store
    from memstudy.study.derive_all import make_tables

    voice = Voice(quiet=as_json)
    selection = replace(Store(runs_dir).select(runs, study), reference=reference or "")
    summary = make_tables(selection, voice, style, epochs)
    if as_json:
        voice.print_json(summary)
