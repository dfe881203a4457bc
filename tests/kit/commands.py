"""The commands of the command line, those of analyses among them."""

from __future__ import annotations

import click

from memstudy.cli import main


def commands() -> dict[str, click.Command]:
    """By name, in the order of --help."""
    context = click.Context(main)
    found = {name: main.get_command(context, name) for name in main.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}
