"""`memstudy ablate`: cumulative ablation curves and their areas."""

from __future__ import annotations

from pathlib import Path

import click

from memstudy.cli import options


@click.command()
@options.selection
@click.option("--orders", default=5, show_default=True, type=click.IntRange(1), help="Random orders or masks.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the orders.")
@click.option("--layer", default="trunk", show_default=True, help="A module by its name: trunk.2, head.2, …")
@click.option(
    "--unit", default="activation", show_default=True, help="What falls at once: activation, or channel."
)
@click.option("--clamp", default="zero", show_default=True, help="What it becomes: zero, or mean (over images).")
@click.option("--images", default="test", show_default=True, help="Images to measure accuracy on: test, train.")
@click.option("--labels", default="true", show_default=True, help="What is right: true, or noisy (train only).")
@options.device
@options.data_dir
@options.runs_dir
@options.as_json
def ablate(
    runs: tuple[str, ...],
    study: str | None,
    orders: int,
    seed: int,
    layer: str,
    unit: str,
    clamp: str,
    images: str,
    labels: str,
    device: str,
    threads: int,
    data_dir: Path | None,
    runs_dir: Path,
    as_json: bool,
) -> None:
    """Set a growing share of the trunk's output to 0 and measure what accuracy is left.

    Both protocols: fixed random orders of units (Morcos et al.) and Bernoulli masks per sample (AL2's code).
    Without arguments: the newest study. Another layer, unit, clamp, images or labels go to files of their own.
    """
    from memstudy.cli.pipeline import ablation_step
    from memstudy.cli.progress import Voice
    from memstudy.derived.ablation import figures
    from memstudy.derived.ablation.measure import Ablation
    from memstudy.derived.workbench import Workbench
    from memstudy.store import Store
    from memstudy.training import numerics, resolve_device

    what = Ablation(layer, unit, clamp, images, labels)
    voice, selection = Voice(quiet=as_json), Store(runs_dir).select(runs, study)
    bench = Workbench(resolve_device(device), data_dir)
    with numerics(threads):
        summary = ablation_step(selection, bench, voice, orders, seed, what)
    summary["figures"] = [str(path) for path in figures.draw_ablation(selection, what)]
    voice.say(f"figures: {selection.path / 'figures'}")
    if as_json:
        voice.print_json(summary)
