"""What comes before and after carrying out a study's runs, whoever asks for it: a command, or a user's program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from memstudy.data import dataset, sources
from memstudy.data.images import ImageSet
from memstudy.errors import Busy, Interrupted, MemstudyError, RunFailed
from memstudy.store import RunDirectory, Status
from memstudy.study.carry_out import Execution
from memstudy.study.fleet import Outcome
from memstudy.study.grid import Study
from memstudy.study.measured import check


def execution_of(study: Study, execution: Execution) -> Execution:
    """How a study's runs are carried out: with its labels, and with what its report needs to be measured.

    A MemstudyError if it needs records of samples, and epochs are left out of the evaluation.
    """
    dynamics = execution.dynamics
    if dynamics is None and study.needs_records:
        check(execution.evaluate_every, True, f"the report of the study {study.name} needs records of")
        dynamics = True
    at = tuple(study.report.get("epochs", ()))
    return replace(execution, label_files=study.label_files, dynamics=dynamics, evaluate_at=at)


def check_data(study: Study, execution: Execution) -> dict[str, ImageSet]:
    """The study's image sets. What is missing is one sentence here, before anything is trained, not one a run."""
    loaded: dict[str, ImageSet] = {}
    for recipe in study.data_recipes():
        if recipe.dataset not in loaded:
            loaded[recipe.dataset] = sources.load(recipe.dataset, execution.data_dir, execution.download)
        dataset.prepare(loaded[recipe.dataset], recipe, execution.data_dir, study.label_files)
    return loaded


def given_up(runs: Sequence[RunDirectory], retry_failed: bool) -> list[Outcome]:
    """The runs that failed before and are not to be tried again: they would most likely fail again."""
    failed = [] if retry_failed else [run for run in runs if run.status is Status.FAILED]
    return [
        Outcome(run, RunFailed(f"{run.name} failed before ({run.failure}); --retry-failed tries it again."))
        for run in failed
    ]


def failures(outcomes: Sequence[Outcome]) -> list[MemstudyError]:
    """The errors of runs that failed; one that was stopped, or is in another process's hands, did not."""
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    return [error for error in errors if not isinstance(error, Interrupted | Busy)]
