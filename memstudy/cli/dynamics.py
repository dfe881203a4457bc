"""`memstudy dynamics`: what becomes of each training sample."""

from __future__ import annotations

from pathlib import Path

import click

from memstudy.cli import options


@click.command()
@options.selection
@click.option("--samples", is_flag=True, help="Write every sample's scores, too: samples/RUN.csv, a row each.")
@options.runs_dir
@options.as_json
def dynamics(runs: tuple[str, ...], study: str | None, samples: bool, runs_dir: Path, as_json: bool) -> None:
    """When each training sample is learned and forgotten, and which of its records tell that its label is wrong.

    Of runs whose samples were recorded, as they usually are (see memstudy run --dynamics): loss, margin, AUM,
    EL2N, forgetting events, the epoch that first predicts the label, and DivideMix' mixture. Without arguments:
    the newest study.
    """
    from memstudy.cli.pipeline import dynamics_step, figure_step
    from memstudy.cli.progress import Voice
    from memstudy.derived.dynamics.measure import write_samples
    from memstudy.store import Store

    voice, selection = Voice(quiet=as_json), Store(runs_dir).select(runs, study)
    summary = dynamics_step(selection, voice)
    if samples:
        written = write_samples(selection)
        summary["samples"] = [str(path) for path in written]
        voice.say(f"every sample of {len(written)} runs: {selection.path / 'samples'}")
    summary |= figure_step(selection, voice, ["dynamics"])
    if as_json:
        voice.print_json(summary)
