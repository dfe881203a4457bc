"""The command line: one thin command per verb. Only inside commands is torch imported: --help is instant."""

from __future__ import annotations

import gc
import io
import os
import sys
from typing import IO, Any

import click

from memstudy import __version__, trust
from memstudy.cli import analyses, asking
from memstudy.cli.completion import completion
from memstudy.cli.data import data
from memstudy.cli.diff import diff
from memstudy.cli.doctor import doctor
from memstudy.cli.export import export
from memstudy.cli.figures import figures
from memstudy.cli.move import move
from memstudy.cli.pack import pack, unpack
from memstudy.cli.report import report
from memstudy.cli.rerun import rerun
from memstudy.cli.rm import rm
from memstudy.cli.run import run
from memstudy.cli.runs import runs
from memstudy.cli.show import show
from memstudy.cli.study import study
from memstudy.cli.table import table
from memstudy.cli.track import track
from memstudy.cli.watch import watch
from memstudy.derived import ANALYSES
from memstudy.errors import Interrupted, MemstudyError, unknown


class Refusal(click.ClickException):
    """A MemstudyError on its way to standard error: one sentence, no traceback."""

    def __init__(self, error: MemstudyError) -> None:
        super().__init__(str(error))
        self.exit_code = error.exit_code  # type: ignore[misc]  # click declares it on the class
        self.stopped = isinstance(error, Interrupted)

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the sentence; an interruption is no error."""
        if self.stopped:
            click.echo(self.format_message(), file=file, err=True)
        else:
            super().show(file)


class Commands(click.Group):
    """A group whose commands' MemstudyErrors become sentences, and Ctrl-C exit code 130."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except MemstudyError as error:
            raise Refusal(error) from error
        except click.MissingParameter:
            raise
        except click.BadParameter as error:  # a value; the usage of the command was right, and is not told
            raise Refusal(MemstudyError(error.format_message())) from error
        except KeyboardInterrupt as stop:
            ctx.exit(_stopped(stop))
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except (Exception, SystemExit) as error:  # in code that is not ours, or the system's
            from memstudy import files, foreign

            sentence = foreign.blame(error)
            if sentence is not None:
                raise Refusal(MemstudyError(f"{sentence}.")) from error
            try:
                with files.answered():
                    raise
            except MemstudyError as answer:  # of a file that the system does not let us use
                raise Refusal(answer) from error
        finally:
            from memstudy.study.interruption import finish_undisturbed

            finish_undisturbed()

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Read the command line; Ctrl-C then is answered as later, not by click's "Aborted!" and exit code 1.

        So is SIGTERM from here on, in every command.
        """
        from memstudy.study.interruption import stop_on_sigterm

        stop_on_sigterm()
        try:
            return super().make_context(*args, **options)
        except KeyboardInterrupt as stop:
            raise click.exceptions.Exit(_stopped(stop)) from stop

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Answer a misspelt command with the nearest ones."""
        if (
            args
            and not ctx.resilient_parsing
            and self.get_command(ctx, args[0]) is None
            and not args[0].startswith("-")
        ):
            raise Refusal(unknown("command", args[0], self.list_commands(ctx)))
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of use: analyses, of other packages too, before `table`."""
        ours = list(self.commands)
        place = ours.index("table")
        return [*ours[:place], *(name for name in ANALYSES.names() if name not in ours), *ours[place:]]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Ours, or an analysis'. An analysis that cannot be loaded says so in --help, and when it is called."""
        if cmd_name in self.commands or cmd_name not in ANALYSES.names():
            return super().get_command(ctx, cmd_name)
        try:
            return analyses.command(cmd_name)
        except MemstudyError as error:
            return _refusing(cmd_name, error)


def _stopped(stop: KeyboardInterrupt) -> int:
    """Say that a command was stopped, undisturbed by another Ctrl-C; its exit code."""
    from memstudy.study.interruption import Terminated, ignore

    ignore()
    click.echo("stopped; the same command continues.", err=True)
    return 143 if isinstance(stop, Terminated) else 130


def _refusing(name: str, error: MemstudyError) -> click.Command:
    """A command that takes anything, and answers with the error."""

    def refuse(words: tuple[str, ...]) -> None:
        raise error

    rest = click.Argument(["words"], nargs=-1, type=click.UNPROCESSED)
    settings = {"ignore_unknown_options": True}
    return click.Command(name, context_settings=settings, callback=refuse, params=[rest], help=str(error))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="memstudy")
@click.pass_context
def main(context: click.Context) -> None:
    """Study memorization under noisy labels: corrupt, train, regularize, compare, ablate, report.

    \b
    memstudy run --corrupt 0.75 --reg al2    one run (preset quick: about half a minute on a CPU)
    memstudy study quick                     the 8 recipes of AL2's table, with tables and figures
    """  # noqa: D301 (the escape is click's mark of a block that is not to be wrapped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a "±" must not break a terminal that has none
    context.with_resource(trust.answered_by(asking.asked if asking.can_answer() else None))
    _keep_compiled_in_cache()
    gc.set_threshold(100_000, 50, 50)  # commands on ten thousand runs make millions of objects that stay


def _keep_compiled_in_cache() -> None:
    """Let PyTorch make the folder of its compiler, which it makes with every optimizer, in our cache.

    Else it is left in the system's folder of temporary files. Where there can be no cache it stays there.
    """
    from memstudy import files

    folder = files.cache_directory() / "torch"
    there = next(place for place in folder.absolute().parents if place.is_dir())
    if os.access(there, os.W_OK):
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))


for _command in (
    data, run, runs, watch, show, diff, study, table, figures, report, export, track, pack, unpack, move, rm,
    rerun, doctor, completion,
):  # fmt: skip
    main.add_command(_command)
