"""`memstudy runs`: what is in the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from memstudy.cli import options


@click.command()
@options.runs_dir
@options.as_json
def runs(runs_dir: Path, as_json: bool) -> None:
    """List the runs in the store: status, epochs, test accuracy, share memorized."""
    from rich import box
    from rich.table import Table

    from memstudy.cli.progress import Voice
    from memstudy.report.summary import run_summary
    from memstudy.store import Store
    from memstudy.store.store import problem

    store, voice = Store(runs_dir), Voice()
    directories = store.directories()
    problems = {run.name: problem(run) for run in directories}
    summaries = [run_summary(run) for run in directories if problems[run.name] is None]
    broken = {name: sentence for name, sentence in problems.items() if sentence is not None}
    if as_json:
        voice.print_json({"runs": summaries, "broken": broken, "studies": store.studies()})
        return
    if not directories:
        voice.say(f"there are no runs in {runs_dir} yet; make one with 'memstudy run'.")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("run", "status", "epochs", "test %", "best %", "memorized %"):
        table.add_column(heading, justify="left" if heading in ("run", "status") else "right", no_wrap=True)
    for summary in summaries:
        table.add_row(*_row(summary))
    voice.console.print(table, soft_wrap=True)
    for name, sentence in broken.items():
        voice.say(f"{name}: {sentence}")
    if studies := store.studies():
        voice.say(f"studies, the newest first: {', '.join(studies)}")


def _row(summary: dict[str, Any]) -> list[str]:
    def percent(value: float | None) -> str:
        return "" if value is None else f"{100 * value:.1f}"

    last = summary["last"]
    return [
        summary["name"],
        summary["status"],
        f"{summary['epochs_done']}/{summary['epochs']}",
        percent(last.get("test_accuracy")),
        percent(summary["best_test_accuracy"]),
        percent(last.get("memorized")),
    ]
