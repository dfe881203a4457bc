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
@click.option("--epochs", help="Kept epochs to compare (0,12,24; the nearest are taken). [default: all]")
@click.option(
    "--measure",
    default="svcca",
    show_default=True,
    help="What heat maps show: cca, svcca, pwcca, cka, cka_unbiased, procrustes; tables have all.",
)
@click.option("--layer", default="trunk", show_default=True, help="A module by its name: trunk.0, head.1, …")
@click.option(
    "--positions",
    default="samples",
    show_default=True,
    help="Positions of a convolutional layer are samples, or units (flattened).",
)
@click.option(
    "--constant",
    type=click.Choice(["drop", "refuse"]),
    default="drop",
    show_default=True,
    help="Units that are constant on the test images, such as dead ReLUs; rows have units and rank.",
)
@options.device
@options.data_dir
@options.runs_dir
@options.as_json
def svcca(
    runs: tuple[str, ...],
    study: str | None,
    keep: str,
    epochs: str | None,
    measure: str,
    layer: str,
    positions: str,
    constant: str,
    device: str,
    threads: int,
    data_dir: Path | None,
    runs_dir: Path,
    as_json: bool,
) -> None:
    """CCA, SVCCA, PWCCA, CKA and Procrustes similarity between the kept networks of runs.

    Without arguments: in the newest study, each baseline with its AL2 twin, two seeds of each recipe, every two
    epochs of each run, all runs after their last epoch, and a uniform-random control. RUNs are names or globs;
    then every two of them are compared at all epochs.

    Runs of the same seed (and network) began with the same weights, which makes them more alike; so pairs of the
    same seed and of other seeds are never averaged together.
    """
    from memstudy.cli.pipeline import svcca_step
    from memstudy.cli.progress import Voice
    from memstudy.derived.similarity import figures as similarity
    from memstudy.derived.similarity.plan import What
    from memstudy.derived.workbench import Workbench
    from memstudy.store import Store
    from memstudy.training import numerics, resolve_device

    what, chosen = What(layer, positions), options.epochs("--epochs", epochs)
    similarity.check(measure)
    voice, selection = Voice(quiet=as_json), Store(runs_dir).select(runs, study)
    bench = Workbench(resolve_device(device), data_dir)
    with numerics(threads):
        summary = svcca_step(selection, bench, voice, keep, bool(runs), what, chosen, constant)
    summary["figures"] = [str(path) for path in similarity.draw(selection, what, measure)]
    voice.say(f"figures: {selection.path / 'figures'}")
    if as_json:
        voice.print_json(summary)
