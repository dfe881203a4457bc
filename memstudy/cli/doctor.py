"""`memstudy doctor`: what works here, what is missing, and how to get it."""

from __future__ import annotations

import itertools
from pathlib import Path

import click

from memstudy.cli import options


@click.command()
@options.data_dir
@options.runs_dir
@options.as_json
def doctor(data_dir: Path | None, runs_dir: Path, as_json: bool) -> None:
    """Look at versions, device, image sets, store and cache; say what is missing, and how to get it.

    Nothing is changed. What can be added is no problem; if there is one, the exit code is 1.

    \b
    memstudy doctor
    memstudy doctor --json | jq .problems  for another program
    """  # noqa: D301
    from memstudy.cli.progress import Voice, plural
    from memstudy.errors import RunFailed
    from memstudy.store import Store
    from memstudy.study.health import findings

    voice, found = Voice(quiet=as_json), findings(Store(runs_dir), data_dir)
    for part, group in itertools.groupby(found, key=lambda finding: finding.part):
        voice.say(part)
        for finding in group:
            told = "; ".join(filter(None, (finding.found, finding.problem, finding.cure)))
            voice.say(f"{'!' if finding.problem else ' '} {finding.name}: {told}")
    problems = [finding for finding in found if finding.problem]
    if as_json:
        voice.print_json({"findings": [vars(one) for one in found], "problems": [vars(one) for one in problems]})
    if problems:
        raise RunFailed(f"{plural(len(problems), 'problem')}: {', '.join(one.name for one in problems)}.")
    voice.say("no problem was found.")
