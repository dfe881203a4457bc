"""Several runs in one process, in turns of an epoch: on a GPU, what they queue runs side by side.

A small network leaves most of a GPU idle. While one run's epoch is saved, those of the others are computed, each
on a stream of its own, so a member does what it would do alone, bit for bit. Members start one after the other,
finish, fail or diverge alone; what does not fit into memory waits. On a CPU they simply take turns.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass

import torch

from memstudy import foreign
from memstudy.errors import Interrupted, MemstudyError, RunFailed
from memstudy.store import RunDirectory
from memstudy.study.carry_out import Execution, turns
from memstudy.training import resolve_device

NOT_STARTED = "not started; the same command starts it."
SPARE = 1.25
"""How many times its share of the memory in use must be free before another member starts."""


@dataclass(frozen=True)
class Outcome:
    """How one run ended: `error` is None if it is finished."""

    run: RunDirectory
    error: MemstudyError | None = None


class Fleet:
    """At most `size` runs that train in turns; more wait."""

    def __init__(self, execution: Execution, size: int = 1) -> None:
        self.execution = execution
        self.size = size
        self.waiting: deque[RunDirectory] = deque()
        self.members: dict[RunDirectory, Generator[None]] = {}

    @property
    def busy(self) -> bool:
        """Whether there is anything left to do."""
        return bool(self.waiting or self.members)

    def add(self, run: RunDirectory) -> None:
        """Take a run in."""
        _ = run.owner  # seen from now on: those of a machine that has failed are waited for together
        self.waiting.append(run)

    def turn(self) -> list[Outcome]:
        """Let one more run start, if there is room, and every member train an epoch. Returns how runs ended.

        If one is stopped (Ctrl-C, SIGTERM, the deadline), all are; a KeyboardInterrupt that reaches none of them
        is the caller's, who then calls `stop`.
        """
        if self.waiting and len(self.members) < self.size and self._has_room():
            run = self.waiting.popleft()
            self.members[run] = turns(run, self.execution)
        ended = []
        for run in list(self.members):
            outcome = self._turn(run)
            if outcome is not None:
                ended.append(outcome)
                if isinstance(outcome.error, Interrupted):
                    return ended + self.stop()
        return ended

    def stop(self) -> list[Outcome]:
        """Stop and save every member; those that wait are stopped, too."""
        ended = [self._interrupted(run) for run in list(self.members)]
        left = [Outcome(run, Interrupted(NOT_STARTED)) for run in self.waiting]
        self.waiting.clear()
        return ended + left

    def _turn(self, run: RunDirectory) -> Outcome | None:
        """Let a member train its next epoch; how it ended, or None if it goes on."""
        try:
            next(self.members[run])
            return None
        except StopIteration:
            outcome = Outcome(run)
        except torch.OutOfMemoryError as error:
            if len(self.members) > 1:  # it saved; without it the others have room, and it goes on after them
                _let_go(error)
                self._postpone(run)
                return None
            outcome = Outcome(run, _broke(run, error))
        except MemstudyError as error:
            outcome = Outcome(run, error)
        except Exception as error:
            outcome = Outcome(run, _broke(run, error))
        del self.members[run]
        if outcome.error is not None:
            _let_go(outcome.error)
        return outcome

    def _interrupted(self, run: RunDirectory) -> Outcome:
        """Interrupt a member, which saves; how it ended."""
        try:
            self.members.pop(run).throw(KeyboardInterrupt())
        except MemstudyError as error:
            return Outcome(run, error)
        except (StopIteration, KeyboardInterrupt):  # it had not begun, or its turn was not yet its own
            return Outcome(run, Interrupted(NOT_STARTED))
        except Exception as error:
            return Outcome(run, _broke(run, error))
        raise AssertionError("a run that is interrupted does not go on")

    def _postpone(self, run: RunDirectory) -> None:
        """Let a member wait until there is room again, and start no more than there are now."""
        del self.members[run]
        self.size = max(1, len(self.members))
        self.waiting.appendleft(run)
        torch.cuda.empty_cache()

    def _has_room(self) -> bool:
        """Whether the memory that a member takes, on average, is still free."""
        if not self.members or not torch.cuda.is_initialized():
            return True
        device = resolve_device(self.execution.device)
        free, _ = torch.cuda.mem_get_info(device)
        return free > SPARE * torch.cuda.memory_reserved(device) / len(self.members)


def _broke(run: RunDirectory, error: BaseException) -> RunFailed:
    """The failure of a run by an exception that is no user's mistake."""
    return RunFailed(f"{run.name} broke: {foreign.blame(error) or f'{type(error).__name__}: {error}'}")


def _let_go(error: BaseException) -> None:
    """Strip an error of its traceback, whose frames would keep the run's network in the device's memory."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    gc.collect()  # frames refer to the error, too
