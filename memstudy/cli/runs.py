"""`memstudy runs`: what is in the store, and what tells its runs apart."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from memstudy import garbage
from memstudy.cli import options
from memstudy.errors import plain, quoted

if TYPE_CHECKING:
    from memstudy.cli.layout import Column
    from memstudy.cli.progress import Voice
    from memstudy.store.summary import Listed

USUALLY_TOLD = ("dataset", "noise", "corrupt", "network", "reg", "optimizer", "lr", "batch_size", "epochs")
"""What is said of runs that have it in common; of other options only those that are not at their defaults."""


@click.command()
@options.where
@click.option("--sort", metavar="NAME", default="", help="By a setting or a measure, such as test_accuracy.")
@click.option("--descending", is_flag=True, help="The largest first.")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@options.runs_dir
@options.as_json
@garbage.not_collected()
def runs(where: str, sort: str, descending: bool, limit: int | None, runs_dir: Path, as_json: bool) -> None:
    """List the runs in the store: what differs among them, status, epochs, date, test accuracy, share memorized.

    What they have in common is said above. Elsewhere a RUN is its name, the first letters of it, a pattern such as
    '*-bare-s0-*', or its 8 digits, which a narrow terminal shows alone.

    \b
    memstudy runs                     the store in ./runs
    memstudy runs --where 'reg=*al2 and corrupt>=0.5' --sort test_accuracy
    memstudy runs --json | jq '.runs[] | select(.settings.lr == 0.1) | .name'
    """  # noqa: D301 (the escape is click's mark of a block that is not to be wrapped)
    from memstudy.cli.progress import Voice
    from memstudy.store import Store, query
    from memstudy.store.summary import differing

    store, voice = Store(runs_dir), Voice()
    found = store.listing()
    listed, broken = found.runs, found.damaged
    if where:
        listed = query.chosen(listed, where)
    if sort or descending:
        listed = query.ordered(listed, sort or "name", descending)
    listed = listed[:limit]
    differences, (studies, damaged) = differing(listed), store.studies_and_damaged()
    for sentence in damaged:
        voice.tell(sentence)
    if as_json:
        summaries = [one.summary for one in listed]
        voice.print_json({"runs": summaries, "differs": differences, "broken": broken, "studies": list(studies)})
        return
    if where and not listed:
        voice.say(f"no run is as {quoted(where)} says.")
    elif not (listed or broken):
        voice.say(f"there are no runs in {runs_dir} yet; make one with 'memstudy run'.")
        return
    if listed:
        _say_list(voice, listed, differences)
    for name, sentence in broken.items():
        voice.say(f"{name}: {sentence}")
    if studies:
        voice.say(f"studies, the newest first: {', '.join(studies)}")


def _say_list(voice: Voice, listed: Sequence[Listed], differences: Sequence[str]) -> None:
    """What the runs have in common, the list, and why some failed."""
    from memstudy.cli import layout
    from memstudy.cli.progress import plural

    common = _in_common(listed, differences)
    voice.say(f"{plural(len(listed), 'run')}{', all of them' * (len(listed) > 1)}: {common}\n")
    shown, hidden = _columns(listed, differences, layout.room(voice.console))
    click.echo(
        "\n".join(map(plain, layout.lines(shown)))
    )  # plain as it is: rich would take its time for ten thousand
    if hidden:
        voice.say(f"\nno room for {', '.join(hidden)}: --json has all.")
    for one in listed:
        if one.summary["failure"]:
            voice.say(f"{one.run.name} failed: {one.summary['failure']}")


def _in_common(listed: Sequence[Listed], differences: Sequence[str]) -> str:
    """`dataset mnist5k, network smallnet, …`: what the recipes of all of these say."""
    from memstudy.distinctions import text
    from memstudy.recipe import OPTIONS
    from memstudy.store.summary import names

    defaults = {key: declared.default for key, (_, declared) in OPTIONS.items()}
    told = []
    for name in names(listed[:1]):
        shared = listed[0].value(name)
        is_told = name in USUALLY_TOLD or shared != defaults.get(name, shared)
        if "." in name:  # an option of a regularizer, which they all need to use
            is_told = all(one.value(name) == shared for one in listed)
        if name not in (*differences, "checkpoints") and is_told and shared is not None:
            told.append(f"{name.replace('_', '-')} {text(name, shared)}")
    return ", ".join(told)


def _columns(
    listed: Sequence[Listed], differences: Sequence[str], room: int | None
) -> tuple[list[Column], list[str]]:
    """The columns of the list for so much room, and the names of what is left out for want of it."""
    from memstudy.cli.layout import Column, fitted
    from memstudy.distinctions import REG, text

    summaries = [one.summary for one in listed]
    of_methods = [name for name in differences if "." in name]
    told = [name for name in differences if name not in ("epochs", *of_methods)]  # epochs are beside those done
    if of_methods and REG not in told:
        told.insert(0, REG)
    settings = [
        Column(name.replace("_", "-"), [text(name, one.value(name)) for one in listed], wanted=3) for name in told
    ]
    whole = [_methods(one, of_methods) for one in listed]
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


def _methods(one: Listed, told: Sequence[str]) -> str:
    """`do (p 0.25)`, `bn+al2 (al2.advance 3)`: regularizers, with those of these options that are theirs."""
    from memstudy.distinctions import REG, text

    of_one = len(one.summary["regularizers"]) == 1
    chosen = [
        f"{name.partition('.')[2] if of_one else name} {text(name, found)}"
        for name in told
        if (found := one.value(name)) is not None
    ]
    return str(one.value(REG)) + (f" ({', '.join(chosen)})" if chosen else "")


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def local(date: str | None) -> str:
    """A date of a file as the user's clock has it, to the minute."""
    return "" if date is None else f"{datetime.datetime.fromisoformat(date).astimezone():%Y-%m-%d %H:%M}"
