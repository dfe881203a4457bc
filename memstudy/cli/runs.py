"""`memstudy runs`: what is in the store, and what tells its runs apart."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memstudy.cli import options

if TYPE_CHECKING:
    from memstudy.cli.layout import Column
    from memstudy.cli.progress import Voice
    from memstudy.recipe import Recipe

USUALLY_TOLD = ("dataset", "noise", "corrupt", "network", "reg", "optimizer", "lr", "batch_size", "epochs")
"""What is said of runs that have it in common; of other options only those that are not at their defaults."""


@click.command()
@options.runs_dir
@options.as_json
def runs(runs_dir: Path, as_json: bool) -> None:
    """List the runs in the store: what differs among them, status, epochs, date, test accuracy, share memorized.

    What they have in common is said above. Elsewhere a RUN is its name, the first letters of it, a pattern such as
    '*-bare-s0-*', or its 8 digits, which a narrow terminal shows alone.

    \b
    memstudy runs                     the store in ./runs
    memstudy runs --json | jq '.runs[] | select(.settings.lr == 0.1) | .name'
    """  # noqa: D301 (the escape is click's mark of a block that is not to be wrapped)
    from memstudy.cli.progress import Voice
    from memstudy.distinctions import differing
    from memstudy.errors import MemstudyError
    from memstudy.report.summary import run_summary
    from memstudy.store import Store

    store, voice = Store(runs_dir), Voice()
    summaries: list[dict[str, Any]] = []
    recipes: list[Recipe] = []
    broken: dict[str, str] = {}
    for run in store.directories():
        try:
            summaries.append(run_summary(run))
            recipes.append(run.recipe)
        except MemstudyError as error:
            broken[run.name] = str(error)
    differences, studies = differing(recipes), store.studies()
    if as_json:
        voice.print_json({"runs": summaries, "differs": differences, "broken": broken, "studies": studies})
        return
    if not (summaries or broken):
        voice.say(f"there are no runs in {runs_dir} yet; make one with 'memstudy run'.")
        return
    if summaries:
        _say_list(voice, summaries, recipes, differences)
    for name, sentence in broken.items():
        voice.say(f"{name}: {sentence}")
    if studies:
        voice.say(f"studies, the newest first: {', '.join(studies)}")


def _say_list(
    voice: Voice, summaries: Sequence[Mapping[str, Any]], recipes: Sequence[Recipe], differences: Sequence[str]
) -> None:
    """What the runs have in common, the list, and why some failed."""
    from memstudy.cli import layout
    from memstudy.cli.progress import plural

    common = _in_common(recipes, differences)
    voice.say(f"{plural(len(summaries), 'run')}{', all of them' * (len(summaries) > 1)}: {common}\n")
    shown, hidden = _columns(summaries, recipes, differences, layout.room(voice.console))
    voice.say("\n".join(layout.lines(shown)))
    if hidden:
        voice.say(f"\nno room for {', '.join(hidden)}: --json has all.")
    for summary in summaries:
        if summary["failure"]:
            voice.say(f"{summary['name']} failed: {summary['failure']}")


def _in_common(recipes: Sequence[Recipe], differences: Sequence[str]) -> str:
    """`dataset mnist5k, network smallnet, …`: what all of these recipes say."""
    from memstudy.distinctions import names, text, value
    from memstudy.recipe import OPTIONS

    defaults = {key: declared.default for key, (_, declared) in OPTIONS.items()}
    told = []
    for name in names(recipes[:1]):
        shared = value(recipes[0], name)
        is_told = name in USUALLY_TOLD or shared != defaults.get(name, shared)
        if "." in name:  # an option of a regularizer, which they all need to use
            is_told = all(value(recipe, name) == shared for recipe in recipes)
        if name not in (*differences, "checkpoints") and is_told and shared is not None:
            told.append(f"{name.replace('_', '-')} {text(name, shared)}")
    return ", ".join(told)


def _columns(
    summaries: Sequence[Mapping[str, Any]], recipes: Sequence[Recipe], differences: Sequence[str], room: int | None
) -> tuple[list[Column], list[str]]:
    """The columns of the list for so much room, and the names of what is left out for want of it."""
    from memstudy.cli.layout import Column, fitted
    from memstudy.distinctions import REG, text, value

    of_methods = [name for name in differences if "." in name]
    told = [name for name in differences if name not in ("epochs", *of_methods)]  # epochs are beside those done
    if of_methods and REG not in told:
        told.insert(0, REG)
    settings = [
        Column(name.replace("_", "-"), [text(name, value(recipe, name)) for recipe in recipes], wanted=3)
        for name in told
    ]
    whole = [_methods(recipe, of_methods) for recipe in recipes]
    in_whole = [replace(column, cells=whole) if column.heading == REG else column for column in settings]
    measured = [
        Column("status", [summary["status"] for summary in summaries], wanted=4),
        Column("epochs", [f"{s['epochs_done']}/{s['epochs']}" for s in summaries], number=True, wanted=2),
        Column("test %", [_percent(s["last"].get("test_accuracy")) for s in summaries], number=True, wanted=4),
        Column("best %", [_percent(s["best_test_accuracy"]) for s in summaries], number=True, wanted=1),
        Column("memorized %", [_percent(s["last"].get("memorized")) for s in summaries], number=True, wanted=2),
        Column("date", [local(summary["date"]) for summary in summaries], wanted=1),
    ]
    measured = [column for column in measured if any(column.cells)]
    named = Column("run", [summary["name"] for summary in summaries], wanted=5)
    digits = Column("run", [summary["id"][:8] for summary in summaries], wanted=5)
    shown, hidden = fitted([named, *in_whole, *measured], room)
    if hidden:
        shown, hidden = fitted([digits, *in_whole, *measured], room)
    if all(column in measured for column in hidden):
        return shown, [column.heading for column in hidden]
    shown, hidden = fitted([digits, *settings, *measured], room)
    return shown, [*of_methods, *(column.heading for column in hidden)]


def _methods(recipe: Recipe, told: Sequence[str]) -> str:
    """`do (p 0.25)`, `bn+al2 (al2.advance 3)`: regularizers, with those of these options that are theirs."""
    from memstudy.distinctions import REG, text, value

    of_one = len(recipe.regularizers) == 1
    chosen = [
        f"{name.partition('.')[2] if of_one else name} {text(name, found)}"
        for name in told
        if (found := value(recipe, name)) is not None
    ]
    return value(recipe, REG) + (f" ({', '.join(chosen)})" if chosen else "")


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def local(date: str | None) -> str:
    """A date of a file as the user's clock has it, to the minute."""
    return "" if date is None else f"{datetime.datetime.fromisoformat(date).astimezone():%Y-%m-%d %H:%M}"
