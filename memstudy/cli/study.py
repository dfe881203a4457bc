"""`memstudy study`: a grid of runs, then everything that is derived from them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from memstudy.cli import asking, executors, options, status, studies, track
from memstudy.cli.types import Positive, Seeds
from memstudy.errors import Busy, Interrupted, MemstudyError, RunFailed

if TYPE_CHECKING:
    from memstudy.data.images import ImageSet
    from memstudy.store import RunDirectory, Store
    from memstudy.study.carry_out import Execution
    from memstudy.study.executors import Executor
    from memstudy.study.grid import Study
    from memstudy.trackers.live import Destination


class Verb(click.Group):
    """A command that also has subcommands: `study list` is one, and any other words are its own.

    Its parameters are the command's. As click parses a group's parameters before it looks for a subcommand, the
    first word decides before anything is parsed.
    """

    allow_interspersed_args = True

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """The context of the subcommand that the first word names, else of the command itself."""
        if args and args[0] in self.commands:
            name, *rest = args
            return self.commands[name].make_context(f"{info_name} {name}", rest, parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """All words are the command's: none is put aside for a subcommand."""
        return click.Command.parse_args(self, ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Of the command itself, and a line for its subcommands."""
        pieces = click.Command.collect_usage_pieces(self, ctx)
        formatter.write_usage(ctx.command_path, " ".join(pieces))
        formatter.write_usage(ctx.command_path, f"{'|'.join(self.commands)} [OPTIONS] ...", prefix="       ")


@click.group(cls=Verb, invoke_without_command=True)
@click.argument("files", metavar="NAME|FILE...", nargs=-1, required=True, type=options.STUDY_FILE)
@click.option(
    "--scale", type=options.SCALE, metavar="NAME", help="Another size that the study describes: lite, gpu."
)
@click.option(
    "--seeds", type=Seeds(), help="Seeds instead of the study's own: a number of them (5), or which (0,3,7)."
)
@executors.options
@click.option("--minutes", type=Positive(), help="Stop and save after so long; the same command continues.")
@click.option("--train-only", is_flag=True, help="No comparison, ablation, tables or figures.")
@click.option("--dry-run", is_flag=True, help="Only say what is left to do: runs, steps, time, disk.")
@click.option(
    "--retry-failed", is_flag=True, help="Try failed runs again; they are passed over otherwise, and named."
)
@click.option("--yes", is_flag=True, help="Do not ask whether a study may have more than 10,000 runs.")
@options.dynamics
@options.evaluate_every
@track.while_training
@options.training_device(None)
@options.data
@options.runs_dir
@options.may_run
@options.as_json
@click.pass_context
def study(
    context: click.Context,
    files: tuple[Path, ...],
    scale: str | None,
    seeds: Sequence[int] | None,
    minutes: float | None,
    train_only: bool,
    dry_run: bool,
    retry_failed: bool,
    yes: bool,
    dynamics: bool | None,
    evaluate_every: int | None,
    track: tuple[Destination, ...],
    device: str,
    threads: int | Literal["auto"] | None,
    capture: bool,
    data_dir: Path | None,
    download: bool,
    runs_dir: Path,
    as_json: bool,
    **engine: Any,
) -> None:
    """Carry out a study (a grid of recipes), then analyze, tabulate and draw.

    NAME is a study that comes with memstudy, whatever files are near: quick, al2, … ('memstudy study list'). FILE
    is the path of one of your own ('memstudy study init' writes one): with a / in it, or ending in .toml.

    The same command again continues; what is finished is not done twice. Of several studies, those that are
    finished and tabulated are passed over, and the first that the time is up for ends the command.

    \b
    memstudy study quick                  the eight recipes of AL2's table
    memstudy study ./mine.toml --dry-run  what is left to do: runs, time, disk
    memstudy study al2 --on slurm --partition gpu --time 60
    """  # noqa: D301
    from memstudy.cli.progress import Voice
    from memstudy.store import Store, code
    from memstudy.study.carry_out import Execution
    from memstudy.training import Ranks

    executor = executors.chosen(context, engine)
    if track and getattr(executor, "detach", False):
        raise MemstudyError(
            "--track follows runs while this command stays; after --detach, give 'memstudy track --follow'."
        )
    if Ranks.from_environment().size > 1:
        raise MemstudyError("torchrun is for 'memstudy run'; a study takes one GPU for each of its processes.")
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    execution = Execution(
        device, threads, capture=capture, data_dir=data_dir, download=download,
        dynamics=dynamics, evaluate_every=evaluate_every, deadline=deadline,
    )  # fmt: skip
    work = _Work(Store(runs_dir), execution, executor, train_only, retry_failed, as_json, track)
    studies = [
        _read(file, seeds, scale, data_dir, download, yes) for file in files
    ]  # a mistake in one starts none
    for study in studies:
        code.check_all(work.store.open_all(study.recipes))
        work.execution_of(study)
    if dry_run:
        forecasts = [work.forecast(study) for study in studies]
        if as_json:
            Voice(as_json).print_json(forecasts[0] if len(studies) == 1 else forecasts)
        return
    summaries: list[dict[str, Any]] = []
    failed: list[MemstudyError] = []
    not_made: list[MemstudyError] = []
    for study in studies:
        if len(studies) > 1 and work.is_done(study):
            Voice(as_json).tell(f"study {study.name} is finished; alone, its command derives its tables again.")
            continue
        summary, of_runs, of_analyses = work.carry_out(study)
        summaries.append(summary)
        failed += of_runs
        not_made += of_analyses
        if summary["stopped"]:
            break
    if as_json:
        Voice(as_json).print_json(summaries[0] if len(studies) == 1 else summaries)
    if failed:
        raise RunFailed(
            f"{len(failed)} of {sum(len(study.recipes) for study in studies)} runs failed: {failed[0]}"
        )
    if not_made:
        raise not_made[0]


def _read(
    file: Path, seeds: Sequence[int] | None, scale: str | None, data_dir: Path | None, download: bool, yes: bool
) -> Study:
    """Read a study. Whether it may have very many runs is asked, where there is somebody to answer."""
    from memstudy.study import grid

    try:
        return grid.read(file, seeds, scale, data_dir, download, large=yes)
    except grid.TooMany as error:
        if not asking.can_answer():
            raise
        click.echo(str(error), err=True)
        click.confirm("carry out all of them?", abort=True, err=True)
        return grid.read(file, seeds, scale, data_dir, download, large=True)


for _command in (status.status, status.cancel, studies.list_, studies.init):
    study.add_command(_command)


@dataclass(frozen=True)
class _Work:
    """What is asked of every study of a command, and carrying one out."""

    store: Store
    execution: Execution
    executor: Executor
    train_only: bool
    retry_failed: bool
    quiet: bool
    trackers: tuple[Destination, ...]

    def forecast(self, study: Study) -> dict[str, Any]:
        """Say what is left to do of a study, after a moment of measuring; nothing is written."""
        from memstudy.cli.progress import Voice
        from memstudy.store import records
        from memstudy.study.conduct import check_data
        from memstudy.study.forecast import forecast
        from memstudy.study.status import duration
        from memstudy.training import resolve_device

        where, execution = resolve_device(self.execution.device), self.execution_of(study)
        check_data(study, execution)
        left = forecast(self.store.open_all(study.recipes), execution, self.retry_failed)
        at_once = self.executor.at_once(study.recipes, execution)
        failed = f", {left.failed} failed (--retry-failed tries them again)" if left.failed else ""
        voice = Voice(self.quiet)
        voice.say(
            f"study {study.name}: {left.runs:,} runs, {left.finished:,} finished{failed}; nothing is trained."
        )
        if left.kinds:
            measured = f"{left.measured} of {left.kinds} kinds of run measured for a moment on {where}"
            together = f"{duration(left.seconds / at_once)} if {at_once} at a time are as fast" if at_once else ""
            voice.say(
                f"left: {left.steps:,} steps; about {duration(left.seconds)} one run after the other"
                f"{together and f', {together} as one'} ({measured}); {records.megabytes(left.bytes)} of disk."
            )
        return {"study": study.name, **vars(left), "at_once": at_once}

    def _where(self, study: Study, execution: Execution) -> str:
        """`, 2 at a time, on cpu`; an engine elsewhere decides how many, and on what."""
        from memstudy.training import resolve_device

        at_once = self.executor.at_once(study.recipes, execution)
        return f", {at_once} at a time, on {resolve_device(execution.device)}" if at_once else ""

    def execution_of(self, study: Study) -> Execution:
        """How a study's runs are carried out (see `conduct.execution_of`)."""
        from memstudy.study import conduct

        return conduct.execution_of(study, self.execution)

    def is_done(self, study: Study) -> bool:
        """Whether every run of a study is finished, and all is derived from them or need not be."""
        runs = self.store.open_all(study.recipes)
        trained = all(run.finished for run in runs)
        return trained and (self.train_only or self.store.is_derived(study.name))

    def carry_out(self, study: Study) -> tuple[dict[str, Any], list[MemstudyError], list[MemstudyError]]:
        """Train, and derive if every run has ended. The summary, and the errors of runs and of analyses."""
        from memstudy.cli.progress import StudyProgress
        from memstudy.derived.workbench import Workbench
        from memstudy.study.conduct import check_data, failures, given_up
        from memstudy.study.derive_all import derive_all
        from memstudy.study.executors import Watch
        from memstudy.study.executors.processes import most_threads
        from memstudy.trackers.live import told
        from memstudy.training import numerics, resolve_device

        execution = self.execution_of(study)
        images = check_data(study, execution)
        directories = self.store.open_all(study.recipes)
        progress = StudyProgress(directories, quiet=self.quiet)
        about = f"{study.about}; " if study.about else ""
        progress.tell(
            f"study {study.name}: {about}{len(directories)} runs{self._where(study, execution)}{progress.begun()}"
        )
        if study.cost and not all(run.finished for run in directories):
            progress.tell(f"cost: {study.cost}.")
        for note in study.notes:
            progress.tell(f"{note}.")
        if size := _records_of(directories, images, execution):
            progress.tell(size)
        if evaluated := _evaluation_of(directories, execution.evaluate_every):
            progress.tell(evaluated)
        self.store.record_study(study.name, directories, study.report)
        outcomes = given_up(directories, self.retry_failed)
        for outcome in outcomes:
            progress.ended(outcome)
        passed_over = {outcome.run for outcome in outcomes}
        others = [run for run in directories if run not in passed_over]
        names = [run.name for run in directories]
        with told(self.trackers, self.store.root, names, study.name, progress.tell), progress.bar:
            watch = Watch(progress.tick, progress.ended, progress.tell)
            outcomes += self.executor.carry_out(others, execution, self.store.folder(study.name), watch)
        stopped = sum(isinstance(outcome.error, Interrupted | Busy) for outcome in outcomes)
        if stopped:
            progress.tell(
                f"{len(outcomes) - stopped} of {len(outcomes)} runs have ended; the others are saved, as time is "
                "up, or in another process's hands; the same command continues."
            )
        summary: dict[str, Any] = {"study": study.name, "runs": names, "stopped": stopped}
        errors: list[MemstudyError] = []
        if any(outcome.error is None for outcome in outcomes) and not (self.train_only or stopped):
            where = resolve_device(execution.device)
            with numerics(most_threads(study.recipes, execution, where)):
                bench = Workbench(where, execution.data_dir)
                derived, errors = derive_all(self.store.select(study=study.name), bench, progress)
            summary |= derived
            if not errors:
                self.store.record_derived(study.name)
        return summary, failures(outcomes), errors


def _records_of(runs: list[RunDirectory], images: dict[str, ImageSet], execution: Execution) -> str:
    """What to say of the records of single samples in runs that begin now: how large, or why there are none."""
    from memstudy.store import Status, records

    if execution.dynamics is False or (execution.evaluate_every or 1) > 1:
        return ""
    sizes = []
    for run in runs:
        if run.status is Status.NEW:
            samples = run.recipe.train_size or len(images[run.recipe.dataset].train_labels)
            sizes.append((run.recipe.training.epochs, samples))
    left_off = [size for size in sizes if execution.dynamics is None and not records.usual(*size)]
    made = sum(records.BYTES * epochs * samples for epochs, samples in sizes if (epochs, samples) not in left_off)
    words = []
    if left_off:
        words.append(
            f"the samples of {len(left_off)} of these runs are not recorded after each epoch, as that would take "
            f"more than {records.megabytes(records.MOST)} a run: no 'memstudy dynamics'; --dynamics records them"
        )
    if made > records.MOST:
        words.append(
            f"records of every sample after each epoch take {records.megabytes(made)}; --no-dynamics leaves "
            "them out"
        )
    return "\n".join(words)


def _evaluation_of(runs: list[RunDirectory], every: int | None) -> str:
    """What to say of an evaluation that leaves epochs out, and of runs that were begun with another one."""
    words = [] if every in (None, 1) else [f"evaluated every {every} epochs, so no samples are recorded"]
    if kept := sum(run.epochs_done > 0 and run.evaluate_every != every for run in runs if every):
        words.append(f"{kept} of these runs keep to the epochs that they were begun with")
    return "; ".join(words)
