"""`memstudy diff`: what differs between runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from memstudy.cli import options


@click.command()
@click.argument("runs", type=options.RUN, nargs=-1, required=True, metavar="RUN RUN [RUN]...")
@options.runs_dir
@options.as_json
def diff(runs: tuple[str, ...], runs_dir: Path, as_json: bool) -> None:
    """Say what differs between runs: recipe, versions, machine, labels, numbers after the last common epoch.

    \b
    memstudy diff 1a2b3c4d 5e6f7a8b          two runs, by their names' digits
    memstudy diff '*-bare-s*' --json         all seeds, for another program
    """  # noqa: D301 (the escape is click's mark of a block that is not to be wrapped)
    from memstudy.cli import layout
    from memstudy.cli.progress import Voice
    from memstudy.errors import MemstudyError
    from memstudy.report.comparison import compared
    from memstudy.store import Store

    directories = Store(runs_dir).find(runs)
    if len(directories) < 2:
        raise MemstudyError(
            f"two runs or more are compared, and {directories[0].name} is all that was named; name another one, "
            "or look at it with 'memstudy show'."
        )
    facts = compared(directories)
    voice = Voice(quiet=as_json)
    if as_json:
        voice.print_json(facts | {"says": list(_sentences(facts))})
    else:
        voice.say("\n".join(_text(facts, layout.room(voice.console))))


def _text(facts: Mapping[str, Any], room: int | None) -> Iterator[str]:
    """The lines of the whole page."""
    from memstudy.distinctions import NONE, text

    yield from facts["runs"]
    yield ""
    yield from _sentences(facts)
    recipe = {name.replace("_", "-"): [text(name, v) for v in each] for name, each in facts["recipe"].items()}
    others = {name: [NONE if v is None else str(v) for v in each] for name, each in _circumstances(facts).items()}
    yield from _table("differs in", facts["runs"], recipe | others, room)
    if facts["metrics"]:
        yield from _table(f"after epoch {facts['epoch']}", facts["runs"], _numbers(facts), room)


def _sentences(facts: Mapping[str, Any]) -> Iterator[str]:
    """What differs, in plain sentences."""
    recipe, others = facts["recipe"], _circumstances(facts)
    if not recipe:
        yield "The recipes are the same."
    elif facts["only_seeds"]:
        alone = not others and facts["images"] is not False
        seeds = {"seed": "the seed", "corrupt_seed": "the seed of the corruption"}
        but = " and ".join(seeds[name] for name in reversed(list(recipe)))
        yield f"{'Nothing' if alone else 'In the recipes nothing'} differs but {but}."
    else:
        yield f"The recipes differ in {', '.join(name.replace('_', '-') for name in recipe)}."
    if others:
        yield f"They were carried out with other versions, or elsewhere: {', '.join(others)} differ."
    elif not facts["only_seeds"]:
        yield "Versions and machine are the same."
    yield _about_labels(facts)
    if facts["epoch"] is None:
        yield "There is no epoch that all have finished, so no numbers are compared."


def _about_labels(facts: Mapping[str, Any]) -> str:
    labels = facts["labels"]
    if facts["images"] is False:
        return "They were trained on other images, so their labels are other ones."
    if labels["same"] is None:
        return "Whether the noisy labels are the same cannot be told: the files of the labels are not here."
    if labels["same"]:
        return "The noisy labels are the same."
    if labels["agree"] is None:
        return "They were trained on other samples of the images, so their labels are other ones."
    agree = ", ".join(f"{100 * share:.1f} %" for share in labels["agree"][1:])
    return f"The noisy labels are not the same: {agree} of the samples have the label of the first run."


def _circumstances(facts: Mapping[str, Any]) -> dict[str, list[Any]]:
    return facts["versions"] | facts["machine"]


def _numbers(facts: Mapping[str, Any]) -> dict[str, list[str]]:
    """The metrics as text; of two runs also how much greater the second one's are."""
    from memstudy.cli.show import number

    rows = {}
    for name, values in facts["metrics"].items():
        both = len(values) == 2 and not any(value != value for value in values)
        rows[name] = [*map(number, values), *([f"{values[1] - values[0]:+.4f}"] if both else [])]
    return rows


def _table(title: str, runs: Sequence[str], rows: Mapping[str, Sequence[str]], room: int | None) -> Iterator[str]:
    """A row for each name, a column for each run, by the digits of its name."""
    from memstudy.cli.layout import Column, fitted, lines

    if not rows:
        return
    columns = [Column(title, list(rows), wanted=1)]
    headings = [*(name.rpartition("-")[2] for name in runs), "difference"]
    for index in range(max(map(len, rows.values()))):
        cells = [row[index] if index < len(row) else "" for row in rows.values()]
        columns.append(Column(headings[index], cells, number=True))
    shown, hidden = fitted(columns, room)
    yield ""
    yield from lines(shown)
    if hidden:
        yield f"no room for {', '.join(column.heading for column in hidden)}: --json has all."
