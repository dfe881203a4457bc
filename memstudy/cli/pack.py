"""`memstudy pack`: a study's results, small enough to keep with a paper."""

from __future__ import annotations

from pathlib import Path

import click

from memstudy.cli import options


@click.command()
@click.argument("target", metavar="DIRECTORY", type=click.Path(path_type=Path))
@click.option("--study", type=options.STUDY, help="Whose results. [default: the newest study]")
@options.runs_dir
@options.as_json
def pack(target: Path, study: str | None, runs_dir: Path, as_json: bool) -> None:
    """Copy what tables and figures are made from to DIRECTORY, a store of its own.

    That is each run's recipe, metrics and state (device, versions, date), and what was derived from them, large
    files compressed; no networks, labels or records of samples. 'memstudy table --runs-dir DIRECTORY' and
    'memstudy figures' work there with no training.
    """
    from memstudy.cli.progress import Voice
    from memstudy.store import Store
    from memstudy.store.pack import pack as copy

    voice = Voice(quiet=as_json)
    selection = Store(runs_dir).select((), study)
    copied, left_out = copy(selection, Store(target))
    size = sum(path.stat().st_size for path in copied)
    voice.say(f"{len(copied)} files, {size / 1e6:.1f} MB, of {len(selection.runs)} runs: {target}")
    for path in left_out:
        voice.say(f"left out: {path.name}, too large even compressed; its command derives it again.")
    if as_json:
        voice.print_json({"files": [str(path) for path in copied], "left_out": [path.name for path in left_out]})
