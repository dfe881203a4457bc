"""`memstudy figures`: everything there are numbers for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from memstudy.cli import options


@click.command()
@options.selection
@options.reference
@options.look
@options.runs_dir
@options.as_json
@click.pass_context
def figures(
    context: click.Context,
    /,
    runs: tuple[str, ...],
    study: str | None,
    reference: str | None,
    runs_dir: Path,
    as_json: bool,
    **look: Any,
) -> None:
    """Draw all that there are numbers for, each figure as SVG, PDF, PNG and CSV, ready for print.

    Of runs that are named their curves are laid over each other.

    \b
    memstudy figures                    the newest study's
    memstudy figures 1a2b3c4d 5e6f7a8b  two runs, by their names' digits
    """  # noqa: D301
    from memstudy.cli.progress import Voice
    from memstudy.derived.deriving import look_of
    from memstudy.store import Store
    from memstudy.study.tables import make_figures

    voice = Voice(quiet=as_json)
    selection = Store(runs_dir).select(runs, study, reference or "")
    chosen = {name: look[name] for name in options.given(context) if name in look}
    summary = make_figures(selection, voice, look_of(selection, chosen))
    if as_json:
        voice.print_json(summary)
