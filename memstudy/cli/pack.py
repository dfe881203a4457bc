"""`memstudy pack` and `memstudy unpack`: results or whole runs to another place, and from there into a store."""

from __future__ import annotations

from pathlib import Path

import click

from memstudy.cli import options
from memstudy.cli.rm import refuse_running


@click.command()
@options.chosen
@click.argument("target", metavar="DIRECTORY", type=click.Path(path_type=Path))
@click.option("--study", type=options.STUDY, help="Whose results. [default: the newest study]")
@click.option("--whole", is_flag=True, help="All that the runs have: networks, labels, records, too.")
@options.runs_dir
@options.as_json
def pack(
    runs: tuple[str, ...], target: Path, where: str, study: str | None, whole: bool, runs_dir: Path, as_json: bool
) -> None:
    """Copy what tables and figures are made from to DIRECTORY, a store of its own.

    That is each run's recipe, metrics and state (device, versions, date), and what was derived from them, large
    files compressed; no networks, labels or records of samples. 'memstudy table --runs-dir DIRECTORY' and
    'memstudy figures' work there with no training.

    Its pack.json has all check sums: 'memstudy unpack DIRECTORY' merges it into a store; with --whole its runs are
    continued and looked at there as here.

    \b
    memstudy pack results                   the newest study's numbers
    memstudy pack --study al2 --whole pack  its networks and records, too
    """  # noqa: D301
    from memstudy.cli.progress import Voice
    from memstudy.derived.deriving import damaged, tell_left_out
    from memstudy.errors import listed
    from memstudy.store import Store, moving
    from memstudy.store.pack import pack as pack_results
    from memstudy.store.unpack import seal

    voice, store, packed = Voice(quiet=as_json), Store(runs_dir), Store(target)
    names = [run.name for run in store.choose(runs, where)] if where else runs
    selection = store.select(names, study)
    if whole and target.resolve() != runs_dir.resolve():
        refuse_running(selection.runs, "packed")
        for run in selection.runs:
            place = packed.place(run)
            if not moving.copied_already(run.path, place.path):
                moving.copy(run.path, place.path)
            for name in run.damaged_files():
                voice.tell(f"{run.path / name} is damaged or was changed; it is packed as it is.")
            if absent := run.absent_files():
                voice.tell(f"{run.name} is packed without what is not here: {listed(absent)}.")
    copied, left_out = pack_results(selection, packed)
    seal(target)
    every = list(moving.regular(target).values()) if whole else copied
    size = sum(path.stat().st_size for path in every)
    voice.say(f"{len(every)} files, {size / 1e6:.1f} MB, of {len(selection.runs)} runs: {target}")
    tell_left_out(voice, damaged(selection))
    for path in left_out:
        voice.say(f"left out: {path.name}, too large even compressed; its command derives it again.")
    if as_json:
        voice.print_json({"files": [str(path) for path in every], "left_out": [path.name for path in left_out]})


@click.command()
@click.argument("packs", metavar="DIRECTORY...", nargs=-1, required=True, type=click.Path(path_type=Path))
@options.runs_dir
@options.as_json
def unpack(packs: tuple[Path, ...], runs_dir: Path, as_json: bool) -> None:
    """Merge packs, such as those of several machines' own stores, into the store.

    Every file's check sum is verified first. A run that is there already, with the same content, is left alone;
    one with other content is refused, and nothing is written.

    \b
    memstudy unpack pack                   into ./runs
    memstudy unpack node1 node2 node3      several machines' stores
    """  # noqa: D301
    from memstudy.cli.progress import Voice, plural
    from memstudy.store import Store
    from memstudy.store.unpack import checked
    from memstudy.store.unpack import unpack as merge

    voice, store = Voice(quiet=as_json), Store(runs_dir)
    for pack in packs:
        checked(pack)  # a mistake in one leaves all as it is
    merged = {}
    for pack in packs:
        new, there = merge(pack, store)
        merged[str(pack)] = {"new": [run.name for run in new], "there_already": [run.name for run in there]}
        voice.say(f"{pack}: {plural(len(new), 'run')} new in {runs_dir}, {len(there)} there already.")
    if as_json:
        voice.print_json(merged)
