"""A whole study from Python: `memstudy study NAME|FILE`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from memstudy import trust as consent
from memstudy.api.given import folder as path_of
from memstudy.api.runs import Run
from memstudy.derived.workbench import Workbench
from memstudy.errors import Busy, Interrupted, RunFailed
from memstudy.store import RunDirectory, code, tidy
from memstudy.store import Store as Directories
from memstudy.study import grid, shipped
from memstudy.study.carry_out import Execution
from memstudy.study.conduct import check_data, execution_of, failures, given_up
from memstudy.study.derive_all import derive_all
from memstudy.study.executors.local import Local
from memstudy.study.executors.processes import carry_out_all, most_threads
from memstudy.study.fleet import Fleet, Outcome
from memstudy.training import numerics, resolve_device

if TYPE_CHECKING:
    import pandas as pd

    from memstudy.report.table import Table


@dataclass(frozen=True)
class Study:
    """A study that was carried out.

    Attributes:
        name: of the study.
        path: the folder of its tables, figures and CSV files.
        runs: its runs, in the order of its file.
        summary: what `memstudy study --json` says: `numbers`, `written`, `left_out`, …; `stopped` counts the runs
            that are saved and not finished.

    """

    name: str
    path: Path
    runs: tuple[Run, ...]
    summary: dict[str, Any]

    def metrics(self) -> pd.DataFrame:
        """A row for each run and epoch, with the run's settings."""
        return tidy.metrics_of([run.directory for run in self.runs if run.directory.exists])

    def numbers(self) -> pd.DataFrame:
        """The cells of all its tables, a row each; none if it was only trained."""
        import pandas as pd

        return pd.DataFrame(self.summary.get("numbers", []))


def study(
    name: str | Path = "quick",
    *,
    store: str | Path = "runs",
    scale: str | None = None,
    seeds: int | Sequence[int] | None = None,
    jobs: int = 1,
    minutes: float | None = None,
    train_only: bool = False,
    retry_failed: bool = False,
    device: str = "auto",
    threads: int | Literal["auto"] | None = None,
    dynamics: bool | None = None,
    evaluate_every: int | None = None,
    data_dir: str | Path | None = None,
    download: bool = False,
    trust: bool = False,
    say: Callable[[str], None] = lambda sentence: None,
) -> Study:
    """Carry out a study, then analyze, tabulate and draw: `memstudy study`, on this machine.

    What is finished is not done twice. `name` is a study that comes with memstudy, or the path of a file of your
    own; `say` is told what the command prints; `trust` lets code of others run that the file names. One run after
    the other is trained in this process. More `jobs` are processes of their own, which import the script: it must
    then begin its work under `if __name__ == "__main__":`.

    Raises a MemstudyError for what is wrong, before anything is trained; a RunFailed if runs failed; and the error
    of an analysis that could not be made, after all others.
    """
    wanted = list(range(seeds)) if isinstance(seeds, int) else seeds
    folder = None if data_dir is None else path_of(data_dir, "data_dir")
    with consent.everything(trust):
        chosen = grid.read(shipped.find(str(name)), wanted, scale, folder, download)
    execution = execution_of(
        chosen,
        Execution(
            device, threads, data_dir=folder, download=download, dynamics=dynamics, evaluate_every=evaluate_every,
            deadline=None if minutes is None else time.monotonic() + 60 * minutes,
        ),
    )  # fmt: skip
    directories = Directories(path_of(store, "store"))
    runs = directories.open_all(chosen.recipes)
    code.check_all(runs)
    check_data(chosen, execution)
    directories.record_study(chosen.name, runs, chosen.report)
    outcomes = given_up(runs, retry_failed)
    left = [run for run in runs if run not in {outcome.run for outcome in outcomes}]
    outcomes += _carried_out(left, execution, jobs)
    stopped = sum(isinstance(outcome.error, Interrupted | Busy) for outcome in outcomes)
    summary: dict[str, Any] = {"study": chosen.name, "runs": [run.name for run in runs], "stopped": stopped}
    errors: list[Exception] = []
    if any(outcome.error is None for outcome in outcomes) and not (train_only or stopped):
        where = resolve_device(execution.device)
        with numerics(most_threads(chosen.recipes, execution, where)):
            bench = Workbench(where, execution.data_dir)
            derived, wrong = derive_all(directories.select(study=chosen.name), bench, _Told(say))
        summary |= derived
        errors += wrong
        if not errors:
            directories.record_derived(chosen.name)
    if failed := failures(outcomes):
        raise RunFailed(f"{len(failed)} of {len(runs)} runs failed: {failed[0]}")
    if errors:
        raise errors[0]
    return Study(chosen.name, directories.folder(chosen.name), tuple(map(Run, runs)), summary)


def _carried_out(runs: Sequence[RunDirectory], execution: Execution, jobs: int) -> list[Outcome]:
    """Train all, here or in processes. Raises Interrupted on Ctrl-C, when all is saved."""
    if jobs != 1:
        return carry_out_all(runs, execution, Local(jobs).jobs or 1)
    alone, outcomes = Fleet(execution), list[Outcome]()
    for run in runs:
        alone.add(run)
    while alone.busy:
        outcomes += alone.turn()
    return outcomes


@dataclass(frozen=True)
class _Told:
    """Hands sentences and tables on as text."""

    tell: Callable[[str], None]

    def say(self, text: str) -> None:
        self.tell(text)

    def show(self, table: Table, briefly: bool = False) -> None:
        self.tell(table.formatted("markdown"))

    @contextlib.contextmanager
    def counted(self, doing: str) -> Iterator[Callable[[int, int], None]]:
        yield lambda done, total: None
