"""`--on local`: in processes of this machine, see `processes`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from memstudy import options
from memstudy.options import option
from memstudy.study.executors import UNWATCHED, Watch

if TYPE_CHECKING:
    from memstudy.recipe import Recipe
    from memstudy.store import RunDirectory
    from memstudy.study.carry_out import Execution
    from memstudy.study.fleet import Outcome


@dataclass(frozen=True)
class Local:
    """Processes of this machine, each with one run at a time or a fleet of them."""

    jobs: int | None = option(
        "Processes; jobs at a time on a cluster.", None, least=1, usual="cores / threads; one for each GPU"
    )
    fleet: int | None = option(
        "Runs that take turns in each process.", None, least=1, usual="1; on a GPU 8, if their networks are small"
    )

    def __post_init__(self) -> None:
        options.check(self)

    def at_once(self, recipes: Sequence[Recipe], execution: Execution) -> int:
        """How many runs are trained at a time."""
        jobs, fleet = self._sizes(recipes, execution)
        return jobs * fleet

    def carry_out(
        self, runs: Sequence[RunDirectory], execution: Execution, folder: Path, watch: Watch = UNWATCHED
    ) -> list[Outcome]:
        """See `executors.Executor`; nothing need be remembered in `folder`."""
        from memstudy.study.executors.processes import carry_out_all

        jobs, fleet = self._sizes([run.recipe for run in runs], execution)
        return carry_out_all(runs, execution, jobs, fleet, watch)

    def _sizes(self, recipes: Sequence[Recipe], execution: Execution) -> tuple[int, int]:
        """Processes, and runs in each of them."""
        from memstudy.study.executors.processes import default_fleet, default_jobs, most_threads
        from memstudy.training import resolve_device

        device = resolve_device(execution.device)
        jobs = self.jobs or default_jobs(device, most_threads(recipes, execution, device))
        return jobs, self.fleet or default_fleet(device, recipes)
