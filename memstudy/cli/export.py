"""`memstudy export`: a run's predictions in the form that another tool takes."""

from __future__ import annotations

import math
from pathlib import Path

import click

from memstudy.cli import options
from memstudy.errors import MemstudyError, quoted


@click.command()
@click.argument("run", type=options.RUN)
@click.option(
    "--cleanlab", "output", required=True, metavar="FILE.npz", type=click.Path(path_type=Path),
    help="Write pred_probs and labels, as cleanlab takes them, to this file.",
)  # fmt: skip
@click.option(
    "--epoch",
    type=int,
    help="Which kept epoch. [default: the last one before the training loss has fallen below its floor]",
)
@options.device
@options.data_dir
@options.runs_dir
@options.as_json
def export(
    run: str,
    output: Path,
    epoch: int | None,
    device: str,
    threads: int,
    data_dir: Path | None,
    runs_dir: Path,
    as_json: bool,
) -> None:
    """Write what a kept network of RUN predicts for its own training samples, and their given labels.

    These probabilities are in-sample: a network that has memorized a wrong label is sure of it, and no tool finds
    it. cleanlab asks for out-of-sample ones; those of an early epoch come nearest. The true labels are in the
    file, too, to check what is found.
    """
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
