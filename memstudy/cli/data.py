"""`memstudy data`: build corrupted labels that others can train on, look at them, see what is installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memstudy.cli import options
from memstudy.errors import MemstudyError, quoted

if TYPE_CHECKING:
    from memstudy.data.artifact import Artifact


@click.group()
def data() -> None:
    """Corrupted labels as files, and the image sets they are made from.

    \b
    memstudy data list                     which sets are there
    memstudy data build --noise pair --corrupt 0.45 -o pair.npz
    """  # noqa: D301


@data.command()
@options.of_recipe("dataset", "train_size", "noise", "corrupt", "matrix", "labels")
@options.label_reading
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the corruption.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The .npz file to write.")
@options.data
@options.as_json
@click.pass_context
@options.set_by_path
def build(
    context: click.Context,
    seed: int,
    output: Path,
    data_dir: Path | None,
    download: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Corrupt a set's training labels and write them, with mask, matrix and origin, to a file.

    With --labels, write another's labels in this form, checked against the set.

    The same command gives the same bytes on every machine. The file needs nothing but numpy to be read.

    \b
    memstudy data build --noise pair --corrupt 0.45 -o pair.npz
    memstudy data build --dataset cifar10 --noise pair --corrupt 0.4 -o c.npz
    """  # noqa: D301
    from memstudy import files, presets
    from memstudy.cli.progress import Voice
    from memstudy.data import artifact, dataset
    from memstudy.study import label_option

    voice = Voice(quiet=as_json)
    if output.suffix != ".npz":
        raise MemstudyError(f"the output is an .npz file; {output} does not end in .npz.")
    chosen["corrupt_seed"] = seed
    label_files = label_option.taken(
        chosen, options.given(context, seed="corrupt_seed"), data_dir, download, voice.say
    )
    recipe = presets.build(**chosen)
    if dataset.replaces_images(recipe):
        raise MemstudyError(
            f"{recipe.corruption.rule} replaces images and leaves labels as they are, so there are no labels to "
            f"write; train on it with: memstudy run --noise {recipe.corruption.rule}."
        )
    corrupted = dataset.build(recipe, data_dir, download, label_files)
    content = artifact.content(corrupted)
    if output.exists() and output.read_bytes() != content:
        raise MemstudyError(f"{output} is there already, with other content; remove it or choose another name.")
    files.write(output, content, "with --output")
    made = artifact.read(output)
    voice.say(
        f"{output}: {made.dataset}, {recipe.corruption.title} corruption, seed {made.seed}: "
        f"{int(made.mask.sum()):,} of {len(made.noisy):,} labels are wrong ({100 * made.rate_realized:.2f} %)."
    )
    if note := corrupted.source.note:
        voice.say(f"{made.dataset} was {note}.")
    voice.say(f"SHA-256 {files.digest(content)}")
    voice.say(f"look at it: memstudy data show {output}; train on it: memstudy run --labels {output}")
    if as_json:
        voice.print_json({"path": str(output), "sha256": files.digest(content), **_facts(made)})


def _facts(made: Any) -> dict[str, Any]:
    """What an artifact says of itself, ready for JSON."""
    return {
        "dataset": made.dataset,
        "rule": made.rule,
        "seed": made.seed,
        "rate_asked": None if made.rate_asked != made.rate_asked else made.rate_asked,
        "rate_realized": made.rate_realized,
        "samples": len(made.noisy),
        "corrupted": int(made.mask.sum()),
        "train_size": made.train_size or None,
        "source_sha256": made.source_sha256,
        "labels_sha256": made.labels_sha256,
        "transition": made.transition.tolist(),
    }


@data.command()
@click.argument("file", type=options.FILE_OR_DATASET, metavar="FILE|DATASET")
@click.option("--figures", type=click.Path(path_type=Path), help="Where to draw. [default: beside FILE]")
@options.look
@click.option("--dataset", type=options.DATASET, help="The set that labels from elsewhere are for.")
@options.label_reading
@click.option("--files", is_flag=True, help="Print a folder set's files as CSV: the order of its samples.")
@options.data_dir
@options.may_run
@options.as_json
@options.set_by_path
def show(
    file: Path,
    figures: Path | None,
    width: float | None,
    style: str,
    caption: str,
    dataset: str | None,
    files: bool,
    data_dir: Path | None,
    as_json: bool,
    **reading: Any,
) -> None:
    """Print what a file of corrupted labels (or a run's directory) holds; draw its matrix and some samples.

    With --dataset also of a file from elsewhere. Of an image set, by its name or its path, print the classes.

    \b
    memstudy data show noisy.npz        a file that 'data build' wrote
    memstudy data show cifar10 --json   an image set, for another program
    """  # noqa: D301
    from memstudy.cli import image_sets
    from memstudy.cli.progress import Voice
    from memstudy.data import artifact, own_sets, sources
    from memstudy.report import noise
    from memstudy.report.look import Look
    from memstudy.store import RunDirectory

    voice = Voice(quiet=as_json)
    plain = dataset is None and not any(reading.values())
    if files and not plain:
        raise MemstudyError("--files lists an image set, so options of label files cannot be given with it.")
    if files or (plain and image_sets.is_one(file, data_dir)):
        image_sets.show(str(file), data_dir, files, voice, as_json)
        return
    if not file.exists():
        raise MemstudyError(
            f"there is no file {quoted(str(file))}, and no image set of that name or path (looked for in "
            f"{own_sets.data_directory(data_dir)}); 'memstudy data list' lists the sets."
        )
    path = RunDirectory(file.resolve()).labels() if file.is_dir() else file
    made = artifact.read(path) if plain else _made_of(path, dataset, reading, data_dir, voice.say)
    for name, text in noise.describe(made).items():
        voice.say(f"{name:<14} {text}")
    voice.say(f"\nof each true class (row), % labeled as (column):\n{noise.matrix_text(made)}\n")
    folder, stem = figures or path.parent, file.name if file.is_dir() else path.stem
    look = Look(width, style, caption)
    drawn = noise.draw_matrix(made, folder, stem, look)
    try:
        source = sources.load(made.dataset, data_dir)
        if source.content_hash() != made.source_sha256:
            raise MemstudyError(
                f"the {quoted(made.dataset)} found here has other content than the file was made for."
            )
        drawn += noise.draw_samples(made, source, folder, stem, look)
    except MemstudyError as error:
        voice.say(f"no grid of samples, as their images are not here: {error}")
    voice.say(f"figures: {', '.join(str(path) for path in drawn if path.suffix == '.png')} (also SVG, PDF, CSV)")
    if as_json:
        voice.print_json({"path": str(path), **_facts(made), "figures": [str(path) for path in drawn]})


def _made_of(
    path: Path, dataset: str | None, reading: dict[str, Any], data_dir: Path | None, say: Callable[[str], None]
) -> Artifact:
    """The artifact that `memstudy data build` would write of a file of labels from elsewhere."""
    from memstudy import presets
    from memstudy.data import artifact
    from memstudy.data import dataset as sets
    from memstudy.study import label_option

    explicit = [] if dataset is None else ["dataset"]
    chosen = {"labels": path, "dataset": dataset, "corrupt_seed": None, **reading}
    label_files = label_option.taken(chosen, explicit, data_dir, False, say)
    return artifact.made_of(sets.build(presets.build(**chosen), data_dir, label_files=label_files))


@data.command("list")
@options.data_dir
@options.as_json
def list_(data_dir: Path | None, as_json: bool) -> None:
    """What image sets there are: built in, installed, or your own; where, and how large.

    \b
    memstudy data list                     in the usual data directory
    memstudy data list --data-dir ~/sets   in another one
    """  # noqa: D301
    from memstudy.cli.progress import Voice
    from memstudy.data import own_sets, sources

    voice, sets, folder = Voice(quiet=as_json), sources.survey(data_dir), own_sets.data_directory(data_dir)
    voice.say(f"data directory: {folder}\n")
    for image_set in sets:
        voice.say(str(image_set))
    if as_json:
        voice.print_json({"directory": str(folder), "sets": [vars(image_set) for image_set in sets]})


@data.command()
@options.as_json
def rules(as_json: bool) -> None:
    """Every corruption rule: what it does, and what its rate is the rate of.

    \b
    memstudy data rules
    memstudy data rules --json | jq keys   their names
    """  # noqa: D301
    from memstudy.cli.progress import Voice
    from memstudy.data import RULES

    voice = Voice(quiet=as_json)
    facts: dict[str, dict[str, str | None]] = {}
    for name in RULES.names():
        try:
            rule = RULES.get(name)
            facts[name] = {"about": rule.about, "rate": rule.rate or None}
            voice.say(f"{name}\n    {rule.about}\n    rate: {rule.rate or 'none'}")
        except MemstudyError as error:  # another package's
            facts[name] = {"about": f"not loadable: {error}", "rate": None}
            voice.say(f"{name}\n    not loadable: {error}")
    if as_json:
        voice.print_json(facts)
