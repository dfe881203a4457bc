"""One group of all commands, for sphinx-click: to `main` those of analyses are added only when it is asked."""

from __future__ import annotations

import click

from memstudy.cli import main

_context = click.Context(main)
cli = click.Group(
    "memstudy",
    help=main.help,
    commands={
        name: command for name in main.list_commands(_context) if (command := main.get_command(_context, name))
    },
)
