"""`memstudy rerun`: a run again, from its directory alone, and whether it gives the same bytes."""

from __future__ import annotations

from pathlib import Path

import click

from memstudy.cli import options


@click.command()
@click.argument("run", type=options.RUN)
@click.option(
    "--into", type=click.Path(path_type=Path, file_okay=False), metavar="DIRECTORY",
    help="The store it is repeated in. [default: reruns, beside it]",
)  # fmt: skip
@options.data
@options.runs_dir
@options.may_run
@options.as_json
def rerun(
    run: str, into: Path | None, data_dir: Path | None, download: bool, runs_dir: Path, as_json: bool
) -> None:
    """Repeat RUN from its directory alone, and compare: the same bytes, or where they first differ, and why.

    RUN is a name, or the run's directory. It is trained as it was begun, on its own labels, the same kind of
    device and as many threads, in runs/reruns. If all bytes are the same, that is removed again; else the exit
    code is 1. The same command continues what was interrupted.

    \b
    memstudy rerun 1a2b3c4d                by the digits of its name
    memstudy rerun '*-al2-s0-*' --json     for another program
    """  # noqa: D301
    from memstudy import files
    from memstudy.cli.progress import RunProgress
    from memstudy.errors import RunFailed
    from memstudy.store import Store, code
    from memstudy.study import rerun as repeating
    from memstudy.study.carry_out import carry_out

    first = repeating.named(Store(runs_dir), run)
    code.ask([first])
    execution = repeating.execution(first, data_dir=data_dir, download=download)
    again, progress = (
        repeating.repetition(first, into),
        RunProgress(as_json, execution.dynamics, execution.evaluate_every),
    )
    with progress.bar:
        carry_out(again, execution, progress)
    found = repeating.differences(first, again)
    progress.say("\n".join(repeating.told(first, again, found)))
    if as_json:
        facts = {"run": first.name, "equal": not found, "differences": [vars(one) for one in found]}
        progress.print_json(facts | {"reasons": repeating.reasons(first, again) if found else []})
    if found:
        raise RunFailed(
            f"{first.name} was not repeated to the byte; the other one is in {again.path}: "
            "remove it to try once more."
        )
    files.discard(again.path)
