"""`memstudy study status`: how far the runs of a study are."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from memstudy.cli import options
from memstudy.cli.types import Seeds

if TYPE_CHECKING:
    from memstudy.cli.progress import Voice
    from memstudy.study.status import Overall, Progress

EVERY_SECONDS = 2.0
"""How often `--watch` looks again."""


@click.command()
@click.argument("file", metavar="NAME|FILE", type=options.STUDY_FILE)
@click.option("--scale", type=options.SCALE, metavar="NAME", help="The scale that was asked for.")
@click.option("--seeds", type=Seeds(), help="The seeds that were asked for.")
@click.option("--watch", is_flag=True, help="Look again every two seconds, until nothing is left to train.")
@click.option("--all", "everything", is_flag=True, help="List finished runs, and those not begun, too.")
@options.data_dir
@options.runs_dir
@options.as_json
def status(
    file: Path,
    scale: str | None,
    seeds: Sequence[int] | None,
    watch: bool,
    everything: bool,
    data_dir: Path | None,
    runs_dir: Path,
    as_json: bool,
) -> None:
    """How far a study is: each run's status, epochs, rate, time left, where it runs, why it failed.

    It only reads run directories, so it works on any machine that sees the store, whatever trains the study.
    """
    from memstudy.cli.progress import Voice
    from memstudy.errors import MemstudyError
    from memstudy.store import Store
    from memstudy.study import grid
    from memstudy.study.status import overall, progress

    if watch and as_json:
        raise MemstudyError("--watch is for people and --json for programs; give one of them.")
    study, store, voice = grid.read(file, seeds, scale, data_dir), Store(runs_dir), Voice()

    def look() -> tuple[Overall, list[Progress]]:
        runs = progress(store, study.recipes)
        return overall(runs), runs

    if watch:
        _watch(voice, study.name, look, everything)
        return
    whole, runs = look()
    if as_json:
        voice.print_json({"study": study.name, **vars(whole), "progress": [vars(run) for run in runs]})
        return
    voice.say("\n".join(_lines(voice, study.name, whole, runs, everything)))


@click.command()
@click.argument("file", metavar="NAME|FILE", type=options.STUDY_FILE)
@click.option("--scale", type=options.SCALE, metavar="NAME", help="The scale that was asked for.")
@options.data_dir
@options.runs_dir
def cancel(file: Path, scale: str | None, data_dir: Path | None, runs_dir: Path) -> None:
    """Cancel a study's jobs on Slurm that are queued or running. Runs save first; nothing is lost.

    The study's command goes on with them, on Slurm or elsewhere.
    """
    from memstudy.cli.progress import Voice, plural
    from memstudy.store import Store
    from memstudy.study import grid
    from memstudy.study.executors import slurm

    name = grid.read(file, None, scale, data_dir).name
    cancelled = slurm.cancel(Store(runs_dir).folder(name))
    Voice().say(f"study {name}: {plural(len(cancelled), 'job')} cancelled.")


def _watch(voice: Voice, name: str, look: Callable[[], tuple[Overall, list[Progress]]], everything: bool) -> None:
    """Show the same again and again on a terminal, else only at the end; Ctrl-C just ends it."""
    from rich.live import Live
    from rich.text import Text

    from memstudy.store import Status

    unfinished = (Status.NEW, Status.RUNNING, Status.INTERRUPTED)
    whole, runs = look()
    try:
        with Live(console=voice.console, auto_refresh=False, transient=True) as live:
            while any(status in whole.by_status for status in unfinished):
                if voice.console.is_terminal:
                    shown = _lines(voice, name, whole, runs, everything)
                    live.update(Text("\n".join(shown[: voice.console.height - 1])), refresh=True)
                time.sleep(EVERY_SECONDS)
                whole, runs = look()
    except KeyboardInterrupt:
        pass
    voice.say("\n".join(_lines(voice, name, whole, runs, everything)))


def _lines(voice: Voice, name: str, whole: Overall, runs: Sequence[Progress], everything: bool) -> list[str]:
    """One line on the study, a row for each run that has something to tell, and the reasons of failures."""
    from memstudy.cli import layout
    from memstudy.cli.layout import Column
    from memstudy.store import Status

    counts = ", ".join(f"{count:,} {status}" for status, count in whole.by_status.items())
    parts = [f"study {name}: {whole.runs:,} runs: {counts}", f"{whole.epochs_done:,} of {whole.epochs:,} epochs"]
    if whole.left is not None:
        parts.append(f"{duration(whole.left)} left at the present rate")
    shown = [run for run in runs if everything or run.status not in (Status.FINISHED, Status.NEW)]
    if not shown:
        return ["; ".join(parts)]
    columns = [
        Column("run", [run.run for run in shown], wanted=5),
        Column("status", [run.status for run in shown], wanted=4),
        Column("epochs", [f"{run.epochs_done}/{run.epochs}" for run in shown], number=True, wanted=3),
        Column("s/epoch", ["" if not run.rate else f"{1 / run.rate:.3g}" for run in shown], number=True, wanted=1),
        Column("left", ["" if run.left is None else duration(run.left) for run in shown], number=True, wanted=2),
        Column("where", [run.where for run in shown]),
    ]
    columns = [column for column in columns if any(column.cells)]
    fitting, _ = layout.fitted(columns, layout.room(voice.console))
    problems = [f"{run.run} {run.status}: {run.problem}" for run in shown if run.problem]
    return ["; ".join(parts), "", *layout.lines(fitting), *([""] if problems else []), *problems]


def duration(seconds: float) -> str:
    """`0:01:20`, `3 days, 4:00:00`."""
    return str(datetime.timedelta(seconds=round(seconds)))
