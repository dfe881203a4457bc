"""`--on` and the options of executors, on the command of studies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from memstudy import options as declarations
from memstudy.cli import options as shared
from memstudy.cli.types import Name
from memstudy.errors import MemstudyError
from memstudy.study.executors import EXECUTORS, USUAL

if TYPE_CHECKING:
    from memstudy.study.executors import Executor

Command = Callable[..., Any]


def _names(context: click.Context, begun: str) -> list[str]:
    return EXECUTORS.names()


on = click.option(
    "--on",
    type=Name("executor", _names, read=EXECUTORS.check),
    default=USUAL,
    show_default=True,
    help="Where runs are trained: local (processes of this machine), ray, slurm.",
)


def options(command: Command) -> Command:
    """--on, and every executor's options; one that several executors have is listed once."""
    seen: dict[str, declarations.Option] = {}
    for name in EXECUTORS.names():
        for field, declared in declarations.options(EXECUTORS.get(name)).items():
            seen.setdefault(field, declared)
    for declared in reversed(list(seen.values())):
        command = shared.of_declaration(declared)(command)
    return on(command)


def chosen(context: click.Context, engine: dict[str, Any]) -> Executor:
    """The executor that a command line asks for; a MemstudyError for an option that is another one's."""
    name = engine.pop("on")
    kind = EXECUTORS.get(name)
    known = {field.name for field in fields(kind)}
    given = {option: engine[option] for option in shared.given(context) if option in engine}
    for option in given:
        if option not in known:
            of_others = [
                other for other in EXECUTORS.names() if option in declarations.options(EXECUTORS.get(other))
            ]
            key = declarations.options(EXECUTORS.get(of_others[0]))[option].key.replace("_", "-")
            raise MemstudyError(
                f"--{key} is an option of --on {' and --on '.join(of_others)}, and runs are trained on {name}; "
                "leave it out, or choose another --on."
            )
    executor: Executor = kind(**given)
    return executor
