"""`memstudy ablate`: cumulative ablation curves and their areas."""

from __future__ import annotations

from pathlib import Path

import click

from memstudy.cli import options


@click.command()
@options.selection
@click.option("--orders", default=5, show_default=True, type=click.IntRange(1), help="Random orders or masks.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the orders.")
@options.device
@options.data_dir
@options.runs_dir
@options.as_json
def ablate(
    runs: tuple[str, ...],
    study: str | None,
    orders: int,
    seed: int,
    device: str,
    threads: int,
    data_dir: Path | None,
    runs_dir: Path,
    as_json: bool,
) -> None:
    """Set a growing share of the trunk's output to 0 and measure what accuracy is left.

    Both protocols: fixed random orders of units (Morcos et al.) and Bernoulli masks per sample (AL2's code).
    Without arguments: the newest study.
    """
    from memstudy.cli.pipeline import ablation_step, figure_step
    from memstudy.cli.progress import Voice
    from memstudy.store import Store
    from memstudy.study.trunk import Workbench
    from memstudy.training import numerics, resolve_device

    voice, selection = Voice(quiet=as_json), Store(runs_dir).select(runs, study)
    bench = Workbench(resolve_device(device), data_dir)
    with numerics(threads):
        summary = ablation_step(selection, bench, voice, orders, seed)
    summary |= figure_step(selection, voice, ["ablate"])
    if as_json:
        voice.print_json(summary)
