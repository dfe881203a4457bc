"""`memstudy study list` and `init`: which studies there are, and the file of one's own."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from memstudy.cli import options
from memstudy.errors import MemstudyError

if TYPE_CHECKING:
    from rich.padding import Padding

    from memstudy.study.overview import Overview


@click.command("list")
@click.argument("files", metavar="[NAME|FILE]...", nargs=-1, type=options.STUDY_FILE)
@options.data_dir
@options.runs_dir
@options.as_json
def list_(files: tuple[Path, ...], data_dir: Path | None, runs_dir: Path, as_json: bool) -> None:
    """What studies there are, what each costs and shows, and how many of its runs are finished here.

    By default those that come with memstudy. Runs and steps follow from a study's grid with its own seeds; its
    cost is written in its file, measured or estimated. Nothing is trained or written.

    \b
    memstudy study list                    those that come with memstudy
    memstudy study list --json | jq -r '.studies[].given'
    """  # noqa: D301
    from memstudy.cli.progress import Voice
    from memstudy.store import Store
    from memstudy.study import shipped
    from memstudy.study.overview import overviews

    voice, store = Voice(quiet=as_json), Store(runs_dir)
    found = [overviews(file, store, data_dir) for file in files or map(shipped.path, shipped.names())]
    if as_json:
        voice.print_json({"studies": [vars(overview) for scales in found for overview in scales]})
        return
    for scales in found:
        voice.say(f"memstudy study {scales[0].given}")
        voice.console.print(_described(scales), soft_wrap=False)
    voice.say(
        f"a scale is chosen with --scale; 'finished' counts runs in {runs_dir}; 'memstudy study init' begins a "
        "study of your own."
    )


def _described(scales: list[Overview]) -> Padding:
    """What a study shows, and a row a scale."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("scale", no_wrap=True)
    for name in ("runs", "steps", "finished"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("what is trained, at what cost")
    for one in scales:
        words = "\n".join(filter(None, (one.about, one.cost and f"cost: {one.cost}")))
        steps = "?" if one.steps is None else _short(one.steps)
        table.add_row(one.scale or "–", f"{one.runs:,}", steps, f"{one.finished:,}", Text(words))
    shows = [Text(f"shows {scales[0].shows}")] if scales[0].shows else []
    return Padding(Group(*shows, table), (0, 0, 1, 2), expand=False)


def _short(count: int) -> str:
    """`9,600`, `390 k`, `5.3 M`."""
    for least, unit, letter in ((10**6, 1e6, "M"), (10**5, 1e3, "k")):
        if count >= least:
            return f"{count / unit:,.{1 if letter == 'M' else 0}f} {letter}"
    return f"{count:,}"


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The same as FILE.")
@options.as_json
def init(file: Path | None, output: Path | None, as_json: bool) -> None:
    """Write the FILE of a study of your own, with every key explained, to be changed. [default: study.toml]

    It can be carried out as it is: bare training against dropout at two rates, three seeds, on embedded images. A
    file that is there already is not touched.

    \b
    memstudy study init                  writes study.toml
    memstudy study init mine/noise.toml  then: memstudy study mine/noise.toml
    """  # noqa: D301
    from memstudy import files
    from memstudy.cli.progress import Voice
    from memstudy.study import grid, shipped

    if file is not None and output is not None:
        raise MemstudyError("the file is given twice, as FILE and with --output; leave one out.")
    path = file or output or Path(f"study{shipped.ENDING}")
    if path.suffix != shipped.ENDING:
        raise MemstudyError(f"a study's file ends in {shipped.ENDING}, and {path} does not.")
    name = grid.name_of(path, {})  # which the file will have, as it says none
    if name in shipped.names():
        raise MemstudyError(
            f"{name} is a study that comes with memstudy, and the results of both would go to one place; choose "
            "another name."
        )
    if path.exists():
        raise MemstudyError(f"{path} is there already; remove it, or choose another name.")
    files.write(path, shipped.template(path.name), "with --output")
    voice, runs = Voice(quiet=as_json), len(grid.read(path).recipes)
    voice.say(f"{path}: bare training and dropout at two rates, three seeds, {runs} runs; change it as you like.")
    voice.say(f"carry it out: memstudy study {shlex.quote(str(path))}")
    if as_json:
        voice.print_json({"path": str(path), "study": name, "runs": runs})
