"""`memstudy report`: all of a study in one page for a browser."""

from __future__ import annotations

import contextlib
import sys
import webbrowser
from pathlib import Path

import click

from memstudy.cli import options
from memstudy.errors import MemstudyError


@click.command()
@options.selection
@click.option(
    "-o", "--output", "path", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Where the page goes. [default: report.html in the study's directory]",
)  # fmt: skip
@click.option("--live", is_flag=True, help="Serve the page to this machine's browsers, and renew its numbers.")
@click.option(
    "--port", type=click.IntRange(1, 65535), metavar="N", help="The port of --live. [default: one that is free]"
)
@click.option("--open", "opens", is_flag=True, help="Open the page that --live serves in a browser.")
@options.reference
@options.data_dir
@options.runs_dir
@options.may_run
@options.as_json
def report(
    runs: tuple[str, ...],
    study: str | None,
    path: Path | None,
    live: bool,
    port: int | None,
    opens: bool,
    reference: str | None,
    data_dir: Path | None,
    runs_dir: Path,
    as_json: bool,
) -> None:
    """Write one HTML file that answers which method memorizes least, and how sure that is, and has all the rest.

    It is opened from disk, and asks for nothing. Tables are sorted and copied there, charts are explored, and each
    number leads to its runs. It holds what was derived so far; `memstudy study` makes it, too, as its last step.

    With --live nothing is written: the page is served on 127.0.0.1, to this machine alone, until Ctrl-C. While
    runs train its numbers change, and what you sorted, chose or opened stays.

    \b
    memstudy report                             the newest study's
    memstudy report --study quick -o page.html  that study's, elsewhere
    memstudy report --live --open               while it trains
    """  # noqa: D301
    if live and path:
        raise MemstudyError("-o is for a file, and --live writes none; give one of them.")
    if (port or opens) and not live:
        raise MemstudyError("--port and --open are for a page that is served; add --live.")
    if live:
        with contextlib.suppress(KeyboardInterrupt):  # while it makes its first page, too
            _serve(runs, study, reference, data_dir, runs_dir, port, opens, as_json)
        return
    from memstudy.cli.progress import Voice
    from memstudy.derived.deriving import tell_left_out
    from memstudy.derived.workbench import Workbench
    from memstudy.store import Store
    from memstudy.study.reporting import make_page
    from memstudy.training import resolve_device

    voice, bench = Voice(quiet=as_json), Workbench(resolve_device("cpu"), data_dir)
    summary = make_page(Store(runs_dir).select(runs, study, reference or ""), bench, voice, path)
    tell_left_out(voice, summary["left_out"])
    if as_json:
        voice.print_json(summary)


def _serve(
    runs: tuple[str, ...],
    study: str | None,
    reference: str | None,
    data_dir: Path | None,
    runs_dir: Path,
    port: int | None,
    opens: bool,
    as_json: bool,
) -> None:
    """Until Ctrl-C or SIGTERM."""
    from memstudy.cli.progress import Voice
    from memstudy.derived.workbench import Workbench
    from memstudy.report.page.serving import Server
    from memstudy.store import Store
    from memstudy.study import live_report
    from memstudy.training import resolve_device

    voice, bench = Voice(quiet=as_json), Workbench(resolve_device("cpu"), data_dir)
    report = live_report.of_store(Store(runs_dir), runs, study, reference, bench)
    with Server(report.paths(), port or 0) as server:
        voice.say(f"the page: {server.address} (Ctrl-C ends it)")
        if as_json:
            voice.print_json({"address": server.address})
            sys.stdout.flush()
        if opens:
            webbrowser.open(server.address)
        server.serve_forever()
