"""A board that is looked at again and again on a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from rich.console import Console
from rich.live import Live

from memstudy.cli import keys
from memstudy.cli.board import Board
from memstudy.study.status import Progress

EVERY_SECONDS = 1.0
"""The least pause between two looks."""
SHARE = 0.1
"""Of one core, at most, that looking takes: the pause is longer where a look takes long."""


def show(
    look: Callable[[], Board],
    told: Callable[[Board], Sequence[Progress]],
    console: Console,
    is_over: Callable[[Board], bool] = lambda board: False,
) -> Board:
    """Look until it is over, or until q or Ctrl-C is pressed, or SIGTERM comes; returns the last look.

    The terminal's other screen is used, so that what was there comes back. Where there is none, nothing is shown.
    """
    begun, board = time.process_time(), look()
    with (
        suppress(KeyboardInterrupt),
        keys.single(),
        Live(console=console, screen=shows(console), auto_refresh=False) as screen,
    ):
        while not is_over(board):
            if shows(console):
                screen.update(board.screen(told(board), console), refresh=True)
            busy = time.process_time() - begun
            if "q" in keys.pressed(max(EVERY_SECONDS, busy / SHARE)).lower():
                break
            begun, board = time.process_time(), look()
    return board


def shows(console: Console) -> bool:
    """Whether there is a terminal that can be written all over."""
    return console.is_terminal and not console.is_dumb_terminal
