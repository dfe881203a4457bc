"""Questions on the terminal, where there is somebody to answer."""

from __future__ import annotations

import sys

import click

from memstudy.errors import plain


def can_answer() -> bool:
    """Whether somebody sits before the command."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def asked(question: str) -> bool:
    """Put a question, and return whether the answer was yes; no is what is taken for anything else.

    Unlike `click.confirm` it is answered by Ctrl-C as everything is, wherever in the work it is put.
    """
    click.echo("\n".join(map(plain, question.splitlines())) + " [y/N]: ", nl=False, err=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
