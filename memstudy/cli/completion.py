"""`memstudy completion`: the script with which a shell completes what is typed."""

from __future__ import annotations

import click

INSTALL = {
    "bash": 'to have it always, add this line to ~/.bashrc:  eval "$(memstudy completion bash)"',
    "zsh": 'to have it always, add this line to ~/.zshrc, after compinit:  eval "$(memstudy completion zsh)"',
    "fish": "to have it always:  memstudy completion fish > ~/.config/fish/completions/memstudy.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(list(INSTALL)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script with which a SHELL completes commands, options, runs, studies and all other names.

    Its last line says where it goes.

    \b
    memstudy completion bash
    eval "$(memstudy completion zsh)"      for this shell only
    """  # noqa: D301
    from click.shell_completion import get_completion_class

    script = get_completion_class(shell)
    assert script is not None
    click.echo(script(context.find_root().command, {}, "memstudy", "_MEMSTUDY_COMPLETE").source())
    click.echo(f"# {INSTALL[shell]}")
