"""`memstudy watch`: how the runs of a store stand, with their curves, while they train."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memstudy.cli import names, options
from memstudy.cli.types import Name
from memstudy.errors import plain, unknown

if TYPE_CHECKING:
    from memstudy.cli.board import Board
    from memstudy.store import RunDirectory, Store
    from memstudy.study.status import Progress


@click.command()
@click.argument("runs", type=Name("study or run", names.studies_and_runs), nargs=-1, metavar="[STUDY|RUN]...")
@click.option("--once", is_flag=True, help="Print all rows once; so it is, too, where there is no terminal.")
@options.runs_dir
@options.as_json
def watch(runs: tuple[str, ...], once: bool, runs_dir: Path, as_json: bool) -> None:
    """Watch runs while they train: status, epochs, time left, curves of accuracy, share memorized and loss.

    It looks every second, at run directories alone, so it works on any machine that sees the store, whatever
    trains there. Running runs come first, then failed ones, then the newest. Each curve goes from its own least to
    its own greatest value, and the newest number is beside it. A name that is cut at its beginning is still one
    that commands take. q or Ctrl-C ends it, and stops no run.

    \b
    memstudy watch              all runs in ./runs
    memstudy watch quick        those of the study quick
    memstudy watch --once       one table, as in a pipe
    """  # noqa: D301 (the escape is click's mark of a block that is not to be wrapped)
    from memstudy.cli import live
    from memstudy.cli.board import Board, order
    from memstudy.cli.progress import Voice
    from memstudy.store import Store
    from memstudy.study.status import Observer

    voice, store, observer = Voice(), Store(runs_dir), Observer()

    def look() -> Board:
        title, found = _chosen(store, runs)
        return Board(title, found, observer.progress(found), observer)

    if as_json:
        board = look()
        progress = [_record(board, run) for run in order(board.progress)]
        voice.print_json({**vars(board.whole), "progress": progress})
        return
    if once or not live.shows(voice.console):
        board = look()
        if not board.runs:
            voice.say(f"there are no runs in {runs_dir} yet; make one with 'memstudy run'.")
        else:
            click.echo("\n".join(map(plain, board.plain(order(board.progress), voice.console, curves=True))))
        return
    with contextlib.suppress(KeyboardInterrupt):  # while it looks for the first time
        voice.say(live.show(look, lambda board: order(board.progress), voice.console).summary())


def _chosen(store: Store, words: tuple[str, ...]) -> tuple[str, list[RunDirectory]]:
    """What the runs are called together, and the runs: of studies and patterns; without any all that there are."""
    from memstudy.store import RunDirectory
    from memstudy.store.store import WHOLE_STORE, matches

    if not words or WHOLE_STORE in words:
        return str(store.root), [RunDirectory(store.root / name) for name in store.names()]
    studies, every = store.studies(), store.names()
    chosen: dict[str, RunDirectory] = {}
    for word in words:
        if every and word not in studies and not any(matches(name, word) for name in every):
            raise unknown("study or run", word, [*studies, *every])
        found = store.members(word) if word in studies else store.find([word])
        chosen |= {run.name: run for run in found}
    return f"study {words[0]}" if len(words) == 1 and words[0] in studies else "", list(chosen.values())


def _record(board: Board, run: Progress) -> dict[str, Any]:
    """A run for JSON: how far it is, and in `last` what was measured after its last evaluated epoch."""
    from memstudy.store.metrics import last_evaluated

    columns, problem = board.columns(run)
    place = last_evaluated(columns) if columns else None
    last = {} if place is None else {name: values[place] for name, values in columns.items()}
    return vars(run) | {"problem": run.problem or problem, "last": last}
