"""`memstudy study`: a grid of runs, then everything that is derived from them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memstudy.cli import options
from memstudy.errors import Busy, Interrupted, RunFailed

if TYPE_CHECKING:
    from memstudy.data.images import ImageSet


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--seeds", help="Seeds instead of the file's own: a number of them (5), or which (0,3,7).")
@click.option("--jobs", type=click.IntRange(1), help="Runs at once. [default: cores / threads; 1 on a GPU]")
@click.option("--minutes", type=float, help="Stop and save after so long; the same command continues.")
@click.option("--train-only", is_flag=True, help="No comparison, ablation, tables or figures.")
@options.device
@options.data
@options.runs_dir
@options.as_json
def study(
    file: Path,
    seeds: str | None,
    jobs: int | None,
    minutes: float | None,
    train_only: bool,
    device: str,
    threads: int,
    data_dir: Path | None,
    download: bool,
    runs_dir: Path,
    as_json: bool,
) -> None:
    """Carry out a study FILE (a grid of recipes in TOML), then compare, ablate, tabulate and draw.

    The same command again continues; what is finished is not done twice.
    """
    from memstudy.cli.pipeline import derive_all
    from memstudy.cli.progress import StudyProgress
    from memstudy.data import dataset, sources
    from memstudy.store import Store
    from memstudy.study import grid
    from memstudy.study.carry_out import Execution
    from memstudy.study.executor import carry_out_all, default_jobs
    from memstudy.study.interruption import stop_on_sigterm
    from memstudy.training import numerics, resolve_device

    stop_on_sigterm()
    found = grid.read(file, options.seeds(seeds))
    where = resolve_device(device)
    deadline = None if minutes is None else time.monotonic() + 60 * options.positive("--minutes", minutes)
    execution = Execution(device, threads, data_dir, download, found.label_files, deadline=deadline)
    loaded: dict[str, ImageSet] = {}
    for recipe in found.data_recipes():  # what is missing is one sentence here, not one a run
        if recipe.dataset not in loaded:
            loaded[recipe.dataset] = sources.load(recipe.dataset, data_dir, download)
        dataset.prepare(loaded[recipe.dataset], recipe, data_dir, found.label_files)
    store = Store(runs_dir)
    directories = [store.open(recipe) for recipe in found.recipes]
    jobs = jobs or default_jobs(where.type, threads)
    progress = StudyProgress(directories, quiet=as_json)
    progress.say(f"study {found.name}: {found.about}; {len(directories)} runs, {jobs} at a time, on {where}")
    store.record_study(found.name, directories, found.report)
    with progress.bar:
        outcomes = carry_out_all(directories, execution, jobs, progress.tick, progress.ended)
    stopped = sum(isinstance(outcome.error, Interrupted | Busy) for outcome in outcomes)
    if stopped:
        progress.say(
            f"{len(outcomes) - stopped} of {len(outcomes)} runs have ended; the others are saved, as time is up, "
            "or in another process's hands; the same command continues."
        )
    summary: dict[str, Any] = {"study": found.name, "runs": [run.name for run in directories], "stopped": stopped}
    finished = [outcome for outcome in outcomes if outcome.error is None]
    if finished and not (train_only or stopped):
        with numerics(threads):
            summary |= derive_all(store.select(study=found.name), where, data_dir, progress)
    if as_json:
        progress.print_json(summary)
    failures = [o for o in outcomes if o.error is not None and not isinstance(o.error, Interrupted | Busy)]
    if failures:
        raise RunFailed(f"{len(failures)} of {len(directories)} runs failed: {failures[0].error}")
