"""`memstudy figures`: everything there are numbers for."""

from __future__ import annotations

from pathlib import Path

import click

from memstudy.cli import options


@click.command()
@options.selection
@options.runs_dir
@options.as_json
def figures(runs: tuple[str, ...], study: str | None, runs_dir: Path, as_json: bool) -> None:
    """Draw accuracy, losses, memorization, CCA and ablation, each as SVG, PDF, PNG and CSV."""
    from memstudy.cli.progress import Voice
    from memstudy.store import Store
    from memstudy.study.derive_all import make_figures

    voice = Voice(quiet=as_json)
    summary = make_figures(Store(runs_dir).select(runs, study), voice)
    if as_json:
        voice.print_json(summary)
