"""`memstudy svcca`: compare what networks represent."""

from __future__ import annotations

from pathlib import Path

import click

from memstudy.cli import options


@click.command()
@options.selection
@click.option(
    "--keep",
    default="variance:0.99",
    show_default=True,
    help="Directions SVCCA keeps: variance:F, singular:F, fixed:K, all.",
)
@options.device
@options.data_dir
@options.runs_dir
@options.as_json
def svcca(
    runs: tuple[str, ...],
    study: str | None,
    keep: str,
    device: str,
    threads: int,
    data_dir: Path | None,
    runs_dir: Path,
    as_json: bool,
) -> None:
    """CCA, SVCCA and PWCCA between the kept networks of runs.

    Without arguments: in the newest study, each baseline with its AL2 twin, each run with its own past, and
    a uniform-random control. RUNs are names or globs; then every two of them are compared.
    """
    from memstudy.cli.pipeline import figure_step, svcca_step
    from memstudy.cli.progress import Voice
    from memstudy.store import Store
    from memstudy.study.trunk import Workbench
    from memstudy.training import numerics, resolve_device

    voice, selection = Voice(quiet=as_json), Store(runs_dir).select(runs, study)
    bench = Workbench(resolve_device(device), data_dir)
    with numerics(threads):
        summary = svcca_step(selection, bench, voice, keep, all_pairs=bool(runs))
    summary |= figure_step(selection, voice, ["svcca"])
    if as_json:
        voice.print_json(summary)
