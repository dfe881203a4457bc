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
    import pandas as pd

    from memstudy.cli.progress import Voice
    from memstudy.report.summary import run_summary
    from memstudy.store import Store
    from memstudy.store.store import problem

    store, voice = Store(runs_dir), Voice()
    directories = store.directories()
    broken = {run.name: sentence for run in directories if (sentence := problem(run)) is not None}
    summaries = [run_summary(run) for run in directories if run.name not in broken]
    if as_json:
        voice.print_json({"runs": summaries, "broken": broken, "studies": store.studies()})
        return
    if not directories:
        voice.say(f"there are no runs in {runs_dir} yet; make one with 'memstudy run'.")
        return
    if summaries:
        voice.say(pd.DataFrame([_row(summary) for summary in summaries]).to_string(index=False))
    for name, sentence in broken.items():
        voice.say(f"{name}: {sentence}")
    if studies := store.studies():
        voice.say(f"studies, the newest first: {', '.join(studies)}")


def _row(summary: dict[str, Any]) -> dict[str, str]:
    def percent(value: float | None) -> str:
        return "" if value is None else f"{100 * value:.1f}"

    last = summary["last"]
    return {
        "run": summary["name"],
        "status": summary["status"],
        "epochs": f"{summary['epochs_done']}/{summary['epochs']}",
        "test %": percent(last.get("test_accuracy")),
        "best %": percent(summary["best_test_accuracy"]),
        "memorized %": percent(last.get("memorized")),
    }
