"""Where a study's runs are carried out: in processes of this machine, on a Ray cluster, or by Slurm.

An executor is a frozen dataclass whose fields are its options. It takes runs in and gives outcomes out. It never
reads metrics: how far a run is, is what its directory says, whoever trains it. Engines are imported when they are
asked for; each is an extra (`pip install 'memstudy[slurm]'`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from memstudy.errors import MemstudyError
from memstudy.registry import Registry

if TYPE_CHECKING:
    from memstudy.recipe import Recipe
    from memstudy.store import RunDirectory
    from memstudy.study.carry_out import Execution
    from memstudy.study.fleet import Outcome

EXECUTORS = Registry(
    "executor",
    **{
        "local": "memstudy.study.executors.local:Local",
        "ray": "memstudy.study.executors.ray:Ray",
        "slurm": "memstudy.study.executors.slurm:Slurm",
    },
)
USUAL = "local"


@dataclass(frozen=True)
class Watch:
    """What an executor calls: `tick` about twice a second, `ended` as each run ends, `say` with a sentence."""

    tick: Callable[[], None] = lambda: None
    ended: Callable[[Outcome], None] = lambda outcome: None
    say: Callable[[str], None] = lambda sentence: None


UNWATCHED = Watch()


class Executor(Protocol):
    """Carries out runs. Its own options are its fields; `jobs` and `fleet` all executors have."""

    def at_once(self, recipes: Sequence[Recipe], execution: Execution) -> int | None:
        """How many runs are trained at a time; None where that is for the engine to decide."""
        ...

    def carry_out(
        self, runs: Sequence[RunDirectory], execution: Execution, folder: Path, watch: Watch = UNWATCHED
    ) -> list[Outcome]:
        """Carry out all runs. `folder` is the study's, for what the engine must remember.

        One that fails does not stop the others; finished ones are reported at once. The error of a run that was
        stopped and saved is an Interrupted, that of one that is left to a process elsewhere a Busy. Raises
        Interrupted on Ctrl-C and SIGTERM, and a MemstudyError, once for all runs, if the engine cannot be used.
        """
        ...


def missing(package: str, engine: str) -> MemstudyError:
    """The answer to an engine whose package is not installed."""
    return MemstudyError(
        f"--on {engine} needs the package {package}, which is not installed: pip install 'memstudy[{engine}]'"
    )
