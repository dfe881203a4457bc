"""`memstudy filters`: where in their kernels networks have their large weights."""

from __future__ import annotations

from pathlib import Path

import click

from memstudy.cli import options


@click.command()
@options.selection
@click.option(
    "--weights",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Any network's weights, a safetensors file; may be repeated. Alone: no run is looked at.",
)
@click.option(
    "--compare",
    "choice",
    type=click.Choice(["named", "random", "every"]),
    default="named",
    show_default=True,
    help="Which neighbor and corner: left-middle and left-upper, drawn ones, or every pair.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of draws and control.")
@options.runs_dir
@options.as_json
def filters(
    runs: tuple[str, ...],
    study: str | None,
    weights: tuple[Path, ...],
    choice: str,
    seed: int,
    runs_dir: Path,
    as_json: bool,
) -> None:
    """How often a kernel's center is larger than its neighbor, and that than the corner (LOCO-Reg).

    Kernels k×k, k = 3, 5, 7, … of every kept network; shuffled kernels as a control, the published fractions
    beside. No images are needed. Pickles (.pt, .pth) are not opened: the answer to one says how to convert it.
    """
    from memstudy.cli.pipeline import filter_step
    from memstudy.cli.progress import Voice
    from memstudy.derived.filters import measure as study_filters
    from memstudy.store import Store
    from memstudy.training import numerics

    voice = Voice(quiet=as_json)
    selection = study_filters.select(Store(runs_dir), runs, study, weights)
    with numerics():
        summary = filter_step(selection, voice, weights, choice, seed)
    if as_json:
        voice.print_json(summary)
