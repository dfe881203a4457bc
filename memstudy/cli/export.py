"""`memstudy export`: the metrics of runs as one table, or a run's predictions in the form that cleanlab takes."""

from __future__ import annotations

import math
from pathlib import Path

import click

from memstudy.cli import options
from memstudy.errors import MemstudyError, quoted


@click.command()
@options.chosen
@click.option("--runs", "more", metavar="RUN", multiple=True, type=options.RUN, help="The same as RUN.")
@click.option(
    "-o",
    "--output",
    "table",
    metavar="FILE.csv|FILE.parquet",
    type=click.Path(path_type=Path),
    help="Write a row for each run and epoch, with the settings, to this file.",
)
@click.option(
    "--cleanlab", "output", metavar="FILE.npz", type=click.Path(path_type=Path),
    help="Write one run's pred_probs and labels, as cleanlab takes them, to this file.",
)  # fmt: skip
@click.option(
    "--epoch",
    type=int,
    help="Which kept epoch. [default: the last one before the training loss has fallen below its floor]",
)
@options.device
@options.data_dir
@options.runs_dir
@options.may_run
@options.as_json
def export(
    runs: tuple[str, ...],
    where: str,
    more: tuple[str, ...],
    table: Path | None,
    output: Path | None,
    epoch: int | None,
    device: str,
    threads: int,
    data_dir: Path | None,
    runs_dir: Path,
    as_json: bool,
) -> None:
    """Write the metrics of runs as one table, or what a kept network predicts for its own training samples.

    The table (-o) is tidy, for pandas: a row for each run and epoch; columns are the run, its settings, and those
    of metrics.csv. Without a RUN it has all runs of the store. Parquet needs pip install 'memstudy[parquet]'.

    The probabilities (--cleanlab) are in-sample: a network that has memorized a wrong label is sure of it, and no
    tool finds it. cleanlab asks for out-of-sample ones; those of an early epoch come nearest. The true labels are
    in the file, too, to check what is found.

    \b
    memstudy export --where 'reg in (bare, al2)' -o metrics.parquet
    memstudy export '*-bare-s0-*' --cleanlab probs.npz
    """  # noqa: D301 (the escape is click's mark of a block that is not to be wrapped)
    patterns = (*runs, *more)
    if (table is None) == (output is None):
        raise MemstudyError(
            "give one file to write: -o FILE.csv or FILE.parquet (metrics), or --cleanlab FILE.npz."
        )
    if table is not None:
        _export_metrics(patterns, where, table, runs_dir, as_json)
        return
    assert output is not None
    if len(patterns) != 1 or where:
        raise MemstudyError("--cleanlab takes one RUN, by name.")
    _export_predictions(patterns[0], output, epoch, device, threads, data_dir, runs_dir, as_json)


def _export_metrics(patterns: tuple[str, ...], where: str, table: Path, runs_dir: Path, as_json: bool) -> None:
    """Write a row for each run and epoch."""
    from memstudy.cli.progress import Voice, plural
    from memstudy.store import Store, tidy

    tidy.check_name(table)
    runs = Store(runs_dir).choose(patterns, where)
    count, columns = tidy.write(runs, table)
    voice = Voice(quiet=as_json)
    voice.say(
        f"{table}: {plural(count, 'row')}, one for each epoch of {plural(len(runs), 'run')}, "
        f"and {len(columns)} columns."
    )
    if as_json:
        voice.print_json({"path": str(table), "rows": count, "columns": columns})


def _export_predictions(
    run: str,
    output: Path,
    epoch: int | None,
    device: str,
    threads: int,
    data_dir: Path | None,
    runs_dir: Path,
    as_json: bool,
) -> None:
    """Write what a kept network of a run predicts for its training samples, and their given labels."""
    from memstudy import files
    from memstudy.cli.progress import Voice
    from memstudy.data import RULES
    from memstudy.derived.export import cleanlab, default_epoch, memorizing_from
    from memstudy.derived.workbench import Workbench
    from memstudy.store import Store
    from memstudy.training import numerics, resolve_device

    if output.suffix != ".npz":
        raise MemstudyError(f"the output is an .npz file; {output} does not end in .npz.")
    chosen = Store(runs_dir).select([run]).runs
    if len(chosen) > 1:
        names = ", ".join(directory.name for directory in chosen)
        raise MemstudyError(
            f"one run is exported at a time, and {quoted(run)} names {len(chosen)}; choose of {names}."
        )
    (directory,) = chosen
    kept = default_epoch(directory) if epoch is None else epoch
    with numerics(threads):
        content = cleanlab(directory, Workbench(resolve_device(device), data_dir), kept)
    if output.exists() and output.read_bytes() != content:
        raise MemstudyError(f"{output} is there already, with other content; remove it or choose another name.")
    files.write(output, content, "with --cleanlab")
    voice, first = Voice(quiet=as_json), memorizing_from(directory)
    voice.say(f"{output}: pred_probs and labels of {directory.name}, after epoch {kept} (counted from 0).")
    memorized = "has not fallen below the floor, which proves nothing by itself"
    if first is not None:
        independent = RULES.get(directory.recipe.corruption.rule).given is not None
        proof = "which proves memorization" + (" if the labels do not depend on the images" if independent else "")
        memorized = f"falls below the floor at epoch {first}, {proof}; earlier ones are safer"
    share = directory.metrics()["memorized"].iloc[kept]
    if not math.isnan(share):
        memorized += f". After epoch {kept} it predicts {100 * share:.1f} % of the wrong labels"
    voice.say(
        "In-sample: the network was trained on these labels, and is sure of those it has memorized. "
        f"Its training loss {memorized}."
    )
    voice.say("in Python: found = numpy.load(FILE); find_label_issues(found['labels'], found['pred_probs'])")
    if as_json:
        voice.print_json({"path": str(output), "run": directory.name, "epoch": kept, "memorizing_from": first})
