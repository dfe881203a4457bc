"""`memstudy rm`: remove runs for good."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from memstudy.cli import options
from memstudy.errors import Gone, MemstudyError, listed

if TYPE_CHECKING:
    from memstudy.store import RunDirectory


@click.command()
@options.chosen
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.runs_dir
@options.as_json
def rm(runs: tuple[str, ...], where: str, yes: bool, runs_dir: Path, as_json: bool) -> None:
    """Remove runs: directories, networks and all. It says how many and how large, and asks.

    One that is being run is never removed, and then nothing is. What was derived from removed runs stays until its
    command is given again.

    \b
    memstudy rm 1a2b3c4d
    memstudy rm --where 'status=failed'
    """  # noqa: D301 (the escape is click's mark of a block that is not to be wrapped)
    from memstudy import files
    from memstudy.cli.progress import Voice, plural
    from memstudy.store import Store

    if not (runs or where):
        raise MemstudyError(
            "say which runs are to be removed: RUN..., or --where QUERY; 'memstudy rm \"*\"' is all."
        )
    store, voice = Store(runs_dir), Voice(quiet=as_json)
    files.sweep(store.root)  # what a killed one left: nothing else may be left to do
    chosen = store.choose(runs, where)
    refuse_running(chosen, "removed")
    size = sum(run.size for run in chosen)
    studies = store.studies_among(chosen)
    voice.say(f"{plural(len(chosen), 'run')}, {size / 1e6:,.1f} MB: {listed(run.name for run in chosen)}")
    for sentence in store.studies_and_damaged()[1]:
        voice.tell(sentence)
    if studies:
        voice.say(f"belonging to {listed(studies)}, whose command would train them again.")
    if not yes and not click.confirm("remove for good?", err=as_json):
        raise MemstudyError("nothing was removed.")
    for run in chosen:
        with suppress(Gone):  # by another process, meanwhile
            run.remove()
    voice.say(f"{plural(len(chosen), 'run')} removed.")
    if as_json:
        voice.print_json({"removed": [run.name for run in chosen], "bytes": size, "studies": studies})


def refuse_running(runs: Sequence[RunDirectory], verb: str) -> None:
    """Raise a MemstudyError that names a run which a process writes to now.

    Of a machine that gives no sign of life it takes a minute to be sure that it writes no more.
    """
    from memstudy import lease
    from memstudy.store.writer import LEASE

    owners = lease.living(run.path / LEASE for run in runs)
    running = [run for run in runs if run.path / LEASE in owners or run.is_locked_by_earlier_version]
    if running:
        owner = owners.get(running[0].path / LEASE)
        who = f" ({owner})" if owner else ""
        raise MemstudyError(
            f"{listed(run.name for run in running)}: being run by another process{who}; "
            f"nothing was {verb}. Stop it first, or choose others."
        )
