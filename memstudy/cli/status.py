"""`memstudy study status`: how far the runs of a study are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from memstudy.cli import options
from memstudy.cli.types import Seeds

if TYPE_CHECKING:
    from memstudy.cli.board import Board
    from memstudy.study.status import Progress

QUIET = ("finished", "new")
"""Runs that there is nothing to tell of."""


@click.command()
@click.argument("file", metavar="NAME|FILE", type=options.STUDY_FILE)
@click.option("--scale", type=options.SCALE, metavar="NAME", help="The scale that was asked for.")
@click.option("--seeds", type=Seeds(), help="The seeds that were asked for.")
@click.option("--watch", is_flag=True, help="Look again every second, until nothing is left to train.")
@click.option("--all", "everything", is_flag=True, help="List finished runs, and those not begun, too.")
@options.data_dir
@options.runs_dir
@options.may_run
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

    \b
    memstudy study status quick            runs that are trained, or have failed
    memstudy study status quick --watch    until nothing is left to train
    """  # noqa: D301
    from memstudy.cli import live
    from memstudy.cli.board import Board
    from memstudy.cli.progress import Voice
    from memstudy.errors import MemstudyError
    from memstudy.store import Store
    from memstudy.study import grid
    from memstudy.study.status import Observer

    if watch and as_json:
        raise MemstudyError("--watch is for people and --json for programs; give one of them.")
    study, store, voice, observer = (
        grid.read(file, seeds, scale, data_dir, large=True),
        Store(runs_dir),
        Voice(),
        Observer(),
    )

    def look() -> Board:
        runs = store.open_all(study.recipes)
        return Board(f"study {study.name}", runs, observer.progress(runs), observer)

    def told(board: Board) -> Sequence[Progress]:
        return board.progress if everything else [run for run in board.progress if run.status not in QUIET]

    board = live.show(look, told, voice.console, _is_over) if watch else look()
    if as_json:
        whole, runs = vars(board.whole), [vars(run) for run in board.progress]
        voice.print_json({"study": study.name, **whole, "progress": runs})
        return
    voice.say("\n".join(board.plain(told(board), voice.console)))


@click.command()
@click.argument("file", metavar="NAME|FILE", type=options.STUDY_FILE)
@click.option("--scale", type=options.SCALE, metavar="NAME", help="The scale that was asked for.")
@options.data_dir
@options.runs_dir
@options.may_run
def cancel(file: Path, scale: str | None, data_dir: Path | None, runs_dir: Path) -> None:
    """Cancel a study's jobs on Slurm that are queued or running. Runs save first; nothing is lost.

    The study's command goes on with them, on Slurm or elsewhere.

    \b
    memstudy study cancel quick
    memstudy study cancel ./mine.toml --runs-dir /shared/runs
    """  # noqa: D301
    from memstudy.cli.progress import Voice, plural
    from memstudy.store import Store
    from memstudy.study import grid
    from memstudy.study.executors import slurm

    name = grid.read(file, None, scale, data_dir, large=True).name
    cancelled = slurm.cancel(Store(runs_dir).folder(name))
    Voice().say(f"study {name}: {plural(len(cancelled), 'job')} cancelled.")


def _is_over(board: Board) -> bool:
    """Whether nothing is left to train."""
    return {"new", "running", "interrupted"}.isdisjoint(board.whole.by_status)
