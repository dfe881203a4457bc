"""The commands of analyses, made of their declarations: `memstudy NAME` with the analysis' options."""

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
    own = declared.options(kind)
    shared = options.composed(
        options.selection,
        *(_option(one) for one in own.values()),
        *(_ON_DEVICE if kind.needs is Needs.NETWORKS else ()),
        options.runs_dir,
        options.as_json,
    )
    call = click.pass_context(partial(_carry_out, kind))
    return click.command(name, help=inspect.getdoc(kind))(shared(call))


def _option(one: Option) -> Any:
    """As click has it; of several texts each is given by an option of its own, of several numbers all by one."""
    word, many_texts = one.key.replace("_", "-"), one.many and one.kind is str
    usual = one.usual or (", ".join(map(str, one.default)) if one.many and one.default else one.default)
    is_told = usual not in ("", None, ()) and one.kind is not bool
    return click.option(
        f"--{word}/--no-{word}" if one.kind is bool else f"--{word}",
        one.name,
        type=_type(one),
        is_flag=one.kind is bool,
        multiple=many_texts,
        default=one.default,
        help=one.help + (f" [default: {usual}]" if is_told else ""),
    )


def _type(one: Option) -> Any:
    if one.kind is bool or (one.many and one.kind is str):
        return one.kind
    return Declared(one)


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
    """Options that are not given are the study's, else as declared."""
    from memstudy.store import Store
    from memstudy.store.store import STUDY

    given = {name: value for name, value in chosen.items() if name in options.given(context)}
    selection = kind.select(Store(runs_dir), runs, study, given)
    one = configured(kind, selection.settings(), given, str(selection.path / STUDY))
    from memstudy.cli.progress import Voice  # only now, as they import torch: a mistake is told at once
    from memstudy.derived.deriving import derive
    from memstudy.derived.workbench import Workbench
    from memstudy.training import numerics, resolve_device

    voice = Voice(quiet=as_json)
    with numerics(threads):
        summary = derive(one, selection, Workbench(resolve_device(device), data_dir), voice)
    if as_json:
        voice.print_json(summary)
