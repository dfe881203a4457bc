"""`memstudy landscape`: where in the images networks look, and how noise on them hurts."""

from __future__ import annotations

from pathlib import Path

import click

from memstudy.cli import options


@click.command()
@options.selection
@click.option("--epochs", help="Kept epochs to look at (0,12,24; the nearest are taken). [default: all]")
@click.option(
    "--images", default=1000, show_default=True, type=click.IntRange(1), help="Test images to look at, at most."
)
@options.device
@options.data_dir
@options.runs_dir
@options.as_json
def landscape(
    runs: tuple[str, ...],
    study: str | None,
    epochs: str | None,
    images: int,
    device: str,
    threads: int,
    data_dir: Path | None,
    runs_dir: Path,
    as_json: bool,
) -> None:
    """Importance of each pixel by squared gradients: how flat it is, and what counting paths predicts.

    Before training and after every kept epoch; after the last one, accuracy under Gaussian and salt-and-pepper
    noise on the test images. Without arguments: the newest study.
    """
    from memstudy.cli.pipeline import figure_step, landscape_step
    from memstudy.cli.progress import Voice
    from memstudy.derived.workbench import Workbench
    from memstudy.store import Store
    from memstudy.training import numerics, resolve_device

    chosen = options.epochs("--epochs", epochs)
    voice, selection = Voice(quiet=as_json), Store(runs_dir).select(runs, study)
    bench = Workbench(resolve_device(device), data_dir)
    with numerics(threads):
        summary = landscape_step(selection, bench, voice, images, chosen)
    summary |= figure_step(selection, voice, ["landscape"])
    if as_json:
        voice.print_json(summary)
