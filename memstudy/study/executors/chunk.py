"""What one job of a cluster does: check the machine it is on, then carry out its part of a study there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import memstudy
from memstudy import files, trust
from memstudy import recipe as recipes
from memstudy.errors import Busy, Interrupted, MemstudyError
from memstudy.store import RunDirectory
from memstudy.study.carry_out import Execution, Work
from memstudy.study.executors.processes import carry_out_all, default_jobs, most_threads
from memstudy.study.fleet import Fleet, Outcome
from memstudy.training import resolve_device


@dataclass(frozen=True)
class Chunk:
    """Some runs of a study, and how they are carried out; plain data, so that it can be sent to another machine.

    Attributes:
        runs, execution: as for every executor; there is no deadline, which would be on another machine's clock.
        fleet: how many of the runs take turns in a process.
        processes: how many there are; None for as many as the machine has GPUs or cores for.
        marker: a file of the store: who does not see it does not see the store.
        version: of memstudy, where the study was started.
        consent: what code of others may run, as the process allowed that made this.

    """

    runs: tuple[RunDirectory, ...]
    execution: Execution
    fleet: int
    processes: int | None
    marker: Path
    version: str = memstudy.__version__
    consent: trust.Consent = field(default_factory=trust.given)

    @classmethod
    def of(
        cls, runs: Sequence[RunDirectory], execution: Execution, fleet: int, processes: int | None, marker: Path
    ) -> Chunk:
        """Some runs, with every path whole: the other machine is in another directory."""
        whole = tuple(RunDirectory(run.path.absolute(), run.recipe) for run in runs)
        data_dir = execution.data_dir and execution.data_dir.absolute()
        execution = replace(execution, data_dir=data_dir, deadline=None)
        return cls(whole, execution, fleet, processes, marker.absolute())

    def check(self, where: str) -> None:
        """Raise a MemstudyError that says what the machine lacks: memstudy, the store, a device, the images."""
        if memstudy.__version__ != self.version:
            raise MemstudyError(
                f"{where} has memstudy {memstudy.__version__}, and the study was started with {self.version}; "
                "install the same version there."
            )
        if not self.marker.is_file():
            raise MemstudyError(
                f"{where} does not see the store ({self.marker} is not there); choose a --runs-dir on a file "
                "system that all machines share."
            )
        self._restrict()
        left = [run for run in self.runs if not run.finished]
        try:
            for run in {(run.recipe.dataset, run.recipe.network): run for run in left}.values():
                Work.of(run, self.execution)
        except MemstudyError as error:
            raise MemstudyError(f"on {where}: {error}") from error

    def carry_out(self) -> list[Outcome]:
        """Train all that is left of the runs, in this process if one is enough.

        After Ctrl-C or SIGTERM every run is saved, and its outcome an Interrupted.
        """
        self._restrict()
        left = [run for run in self.runs if not run.finished]
        if not left:
            return []
        device = resolve_device(self.execution.device)
        threads = most_threads([run.recipe for run in left], self.execution, device)
        processes = min(self.processes or default_jobs(device, threads), len(left))
        if processes > 1:
            try:
                return carry_out_all(left, self.execution, processes, self.fleet)
            except Interrupted as stop:
                return [Outcome(run, stop) for run in left if not run.finished]
        return self._here(left)

    def _restrict(self) -> None:
        """Let only that code of others run which may."""
        trust.take_over(self.consent)
        for run in self.runs:
            trust.named(run.path, recipes.names(run.recipe))

    def _here(self, runs: Sequence[RunDirectory]) -> list[Outcome]:
        """Train in this process, in turns."""
        fleet, outcomes = Fleet(self.execution, self.fleet), []
        for run in runs:
            fleet.add(run)
        try:
            while fleet.busy:
                outcomes += fleet.turn()
        except KeyboardInterrupt:
            outcomes += fleet.stop()
        return outcomes


def problems(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """The sentences that run directories do not hold, by run: errors before anything was written, say."""
    return {
        outcome.run.name: str(outcome.error)
        for outcome in outcomes
        if outcome.error is not None
        and not isinstance(outcome.error, Interrupted | Busy)
        and not outcome.run.failure
    }


def write_problems(path: Path, found: dict[str, str]) -> None:
    """Leave them to who waits for the job; none leave nothing."""
    if found:
        files.write_json(path, found)
    else:
        files.remove([path])
