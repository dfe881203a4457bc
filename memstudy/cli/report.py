"""`memstudy report`: all of a study in one page for a browser."""

from __future__ import annotations

from pathlib import Path

import click

from memstudy.cli import options


@click.command()
@options.selection
@click.option(
    "-o", "--output", "path", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Where the page goes. [default: report.html in the study's directory]",
)  # fmt: skip
@options.reference
@options.data_dir
@options.runs_dir
@options.as_json
def report(
    runs: tuple[str, ...],
    study: str | None,
    path: Path | None,
    reference: str | None,
    data_dir: Path | None,
    runs_dir: Path,
    as_json: bool,
) -> None:
    """Write one HTML file that answers which method memorizes least, and how sure that is, and has all the rest.

    It is opened from disk, and asks for nothing. Tables are sorted and copied there, charts are explored, and each
    number leads to its runs. It holds what was derived so far; `memstudy study` makes it, too, as its last step.

    \b
    memstudy report                             the newest study's
    memstudy report --study quick -o page.html  that study's, elsewhere
    """  # noqa: D301
    from memstudy.cli.progress import Voice
    from memstudy.derived.deriving import tell_left_out
    from memstudy.derived.workbench import Workbench
    from memstudy.store import Store
    from memstudy.study.reporting import make_page
    from memstudy.training import resolve_device

    voice = Voice(quiet=as_json)
    selection = Store(runs_dir).select(runs, study, reference or "")
    summary = make_page(selection, Workbench(resolve_device("cpu"), data_dir), voice, path)
    tell_left_out(voice, summary["left_out"])
    if as_json:
        voice.print_json(summary)
