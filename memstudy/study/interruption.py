"""Ctrl-C and SIGTERM: both save a run, and neither may interrupt a step of bookkeeping halfway."""

from __future__ import annotations

import atexit
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminated(KeyboardInterrupt):
    """SIGTERM, as an exception: a cluster's way of pressing Ctrl-C."""


def stop_on_sigterm() -> None:
    """Let SIGTERM stop as Ctrl-C does: save, say how to continue. In another thread than the main one, nothing."""

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, terminate)


def finish_undisturbed() -> None:
    """Let neither signal disturb Python as it shuts down: all is written, and only a traceback would come of it.

    To be called last: functions registered with `atexit`, by torch too, are called in reverse order.
    """
    atexit.unregister(ignore)
    atexit.register(ignore)


def ignore() -> None:
    """Ignore both signals from now on."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def blocked() -> Iterator[None]:
    """A process started in this block starts with both signals blocked; `unblock` lets them through.

    So that Ctrl-C while it still imports is not a traceback, and a SIGTERM then is not lost.
    """
    resource_tracker.ensure_running()  # it would unblock them again, were it started in here
    with deferred():
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            yield
        finally:
            unblock()


def unblock() -> None:
    """Let both signals through."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Hold back both signals until the block is done. In another thread than the main one, nothing to do."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []
    before = {number: signal.signal(number, lambda n, frame: arrived.append(n)) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for arrival in arrived:  # up to the first that raises: one that is ignored must not hide another
            _deliver(before[signal.Signals(arrival)], arrival)


def _deliver(handler: Callable[[int, FrameType | None], object] | int | None, number: int) -> None:
    """What would have happened, had the signal not been held back."""
    if callable(handler):
        handler(number, None)
    elif handler != signal.SIG_IGN:
        signal.raise_signal(number)
