"""`memstudy move`: whole runs to another store."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from memstudy.cli import options
from memstudy.cli.rm import refuse_running
from memstudy.errors import MemstudyError, listed


@click.command()
@options.chosen
@click.argument("target", metavar="TARGET", type=click.Path(path_type=Path))
@options.runs_dir
@options.as_json
def move(runs: tuple[str, ...], target: Path, where: str, runs_dir: Path, as_json: bool) -> None:
    """Move whole runs to TARGET, another store.

    Across file systems a run is copied, compared with the original, and only then removed. One that is being run
    stays, and then nothing is moved. It may be interrupted at any moment: the same command goes on.

    \b
    memstudy move '*-bare-*' /archive/runs
    memstudy move --where 'status=finished' /archive/runs
    """  # noqa: D301 (the escape is click's mark of a block that is not to be wrapped)
    from memstudy import files
    from memstudy.cli.progress import Voice, plural
    from memstudy.store import Store, moving

    if not (runs or where):
        raise MemstudyError(
            "say which runs are to be moved: RUN..., or --where QUERY; 'memstudy move \"*\" TARGET' is all."
        )
    store, there, voice = Store(runs_dir), Store(target), Voice(quiet=as_json)
    if target.resolve() == runs_dir.resolve():
        raise MemstudyError(f"{target} is where these runs are; choose another directory.")
    files.sweep(store.root)  # what a killed one left: nothing else may be left to do
    left = [pattern for pattern in runs if not (_has(there, pattern) and not _has(store, pattern))]
    chosen = store.choose(left, where) if left or where else []
    refuse_running(chosen, "moved")
    size = sum(run.size for run in chosen)
    moved = [moving.move(run, there) for run in chosen]
    voice.say(f"{plural(len(moved), 'run')}, {size / 1e6:,.1f} MB, moved to {target}{': ' * bool(moved)}"
              f"{listed(run.name for run in moved)}")  # fmt: skip
    if before := [pattern for pattern in runs if pattern not in left]:
        voice.say(f"there already: {listed(before)}")
    if as_json:
        voice.print_json({"moved": [str(run.path) for run in moved], "bytes": size, "there_already": before})


def _has(store: object, pattern: str) -> bool:
    """Whether a store has a run that a pattern names."""
    from memstudy.store import Store

    assert isinstance(store, Store)
    with suppress(MemstudyError):
        return bool(store.find([pattern]))
    return False
