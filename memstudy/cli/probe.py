"""`memstudy probe`: what a linear classifier reads off a network's layers."""

from __future__ import annotations

from pathlib import Path

import click

from memstudy.cli import options


@click.command()
@options.selection
@click.option(
    "--layer",
    "layers",
    multiple=True,
    default=("trunk",),
    show_default=True,
    help="A module by its name: trunk.2, head.1, …; may be repeated.",
)
@click.option(
    "--epochs", help="Kept epochs to probe (0,12,24; the nearest are taken). [default: the study's, or all]"
)
@click.option(
    "--samples", default=2000, show_default=True, type=click.IntRange(1), help="Training images to learn from."
)
@options.device
@options.data_dir
@options.runs_dir
@options.as_json
def probe(
    runs: tuple[str, ...],
    study: str | None,
    layers: tuple[str, ...],
    epochs: str | None,
    samples: int,
    device: str,
    threads: int,
    data_dir: Path | None,
    runs_dir: Path,
    as_json: bool,
) -> None:
    """Train a linear classifier with true labels on frozen layers: what they know, whatever the head memorized.

    Beside the network's own test accuracy; controls are the untrained network and raw pixels. Without arguments:
    the newest study.
    """
    from memstudy.cli.pipeline import figure_step, probe_step
    from memstudy.cli.progress import Voice
    from memstudy.derived.workbench import Workbench
    from memstudy.store import Store
    from memstudy.training import numerics, resolve_device

    chosen = options.epochs("--epochs", epochs)
    voice, selection = Voice(quiet=as_json), Store(runs_dir).select(runs, study)
    bench = Workbench(resolve_device(device), data_dir)
    with numerics(threads):
        summary = probe_step(selection, bench, voice, layers, samples, chosen)
    summary |= figure_step(selection, voice, ["probe"])
    if as_json:
        voice.print_json(summary)
