"""The commands of analyses, made from their declarations: `memstudy NAME` with the analysis' options."""

from __future__ import annotations

import inspect
from functools import partial
from pathlib import Path
from typing import Any

import click

from memstudy.cli import options
from memstudy.derived import analysis
from memstudy.derived.analysis import Analysis, Needs, configured
from memstudy.options import options as declared
from memstudy.report.look import Look

_ON_DEVICE: tuple[Any, ...] = (options.device, options.data_dir)


def command(name: str) -> click.Command:
    """The command of a registered analysis. A MemstudyError if that cannot be loaded."""
    kind = analysis(name)
    shared = options.composed(
        options.selection,
        options.reference,
        options.declared(kind),
        *([options.look] if kind.draws else []),
        *(_ON_DEVICE if kind.needs is Needs.NETWORKS else ()),
        options.runs_dir,
        options.may_run,
        options.as_json,
    )
    call = click.pass_context(partial(_carry_out, kind))
    return click.command(name, help=f"{inspect.getdoc(kind)}\n\n\b\n{_examples(name)}")(shared(call))


def _examples(name: str) -> str:
    """What every analysis' command is given."""
    lines = {
        f"memstudy {name}": "the newest study's runs",
        f"memstudy {name} --study all": "all runs of the store",
        f"memstudy {name} 1a2b3c4d --json": "one run, for another program",
    }
    wide = max(map(len, lines))
    return "\n".join(f"{line:<{wide}}  {about}" for line, about in lines.items())


def _carry_out(
    kind: type[Analysis],
    context: click.Context,
    /,
    runs: tuple[str, ...],
    study: str | None,
    reference: str | None,
    runs_dir: Path,
    as_json: bool,
    device: str = "cpu",
    threads: int = 1,
    data_dir: Path | None = None,
    **chosen: Any,
) -> None:
    """Carry out an analysis with the options that are given; others are the study's, else as declared."""
    from memstudy.store import Store
    from memstudy.store.store import STUDY

    given = {name: chosen[name] for name in options.given(context) if name in chosen}
    of_look = {name: given.pop(name) for name in declared(Look) if name in given}
    selection = kind.select(Store(runs_dir), runs, study, reference or "", given)
    chosen_analysis = configured(kind, selection.settings(), given, str(selection.path / STUDY))
    from memstudy.cli.progress import Voice  # only now, as they import torch: a mistake is told at once
    from memstudy.derived.deriving import derive, look_of
    from memstudy.derived.workbench import Workbench
    from memstudy.training import numerics, resolve_device

    voice = Voice(quiet=as_json)
    with numerics(threads):
        bench, look = Workbench(resolve_device(device), data_dir), look_of(selection, of_look)
        summary = derive(chosen_analysis, selection, bench, voice, look)
    if as_json:
        voice.print_json(summary)
