"""The commands of analyses, made from their declarations: `memstudy NAME` with the analysis' options."""

from __future__ import annotations

import inspect
from functools import partial
from pathlib import Path
from typing import Any

import click

from memstudy import options as declared
from memstudy.cli import options
from memstudy.cli.types import Declared
from memstudy.derived import analysis
from memstudy.derived.analysis import Analysis, Needs, configured
from memstudy.options import Option

_ON_DEVICE: tuple[Any, ...] = (options.device, options.data_dir)


def command(name: str) -> click.Command:
    """The command of a registered analysis. A MemstudyError if that cannot be loaded."""
    kind = analysis(name)
    declarations = declared.options(kind)
    shared = options.composed(
        options.selection,
        *(_option(option) for option in declarations.values()),
        *(_ON_DEVICE if kind.needs is Needs.NETWORKS else ()),
        options.runs_dir,
        options.as_json,
    )
    call = click.pass_context(partial(_carry_out, kind))
    return click.command(name, help=inspect.getdoc(kind))(shared(call))


def _option(option: Option) -> Any:
    """A declared option for click. Several texts are given by repeating it, several numbers in one list."""
    word, many_texts = option.key.replace("_", "-"), option.many and option.kind is str
    return click.option(
        f"--{word}/--no-{word}" if option.kind is bool else f"--{word}",
        option.name,
        type=_type(option),
        is_flag=option.kind is bool,
        multiple=many_texts,
        default=option.default,
        help=options.help_of(option),
    )


def _type(option: Option) -> Any:
    """The type that click reads the option's values with."""
    if option.kind is bool or (option.many and option.kind is str):
        return option.kind
    return Declared(option)


def _carry_out(
    kind: type[Analysis],
    context: click.Context,
    /,
    runs: tuple[str, ...],
    study: str | None,
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
    selection = kind.select(Store(runs_dir), runs, study, given)
    chosen_analysis = configured(kind, selection.settings(), given, str(selection.path / STUDY))
    from memstudy.cli.progress import Voice  # only now, as they import torch: a mistake is told at once
    from memstudy.derived.deriving import derive
    from memstudy.derived.workbench import Workbench
    from memstudy.training import numerics, resolve_device

    voice = Voice(quiet=as_json)
    with numerics(threads):
        summary = derive(chosen_analysis, selection, Workbench(resolve_device(device), data_dir), voice)
    if as_json:
        voice.print_json(summary)
