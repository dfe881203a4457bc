"""What `memstudy data show` prints of an image set: its classes, or its files in the order of its samples."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

import click

from memstudy import spreadsheet
from memstudy.cli import options
from memstudy.errors import plain

if TYPE_CHECKING:
    from memstudy.cli.progress import Voice


def is_one(given: Path, data_dir: Path | None) -> bool:
    """Whether what was given is an image set, rather than a file of labels or a run's directory."""
    from memstudy.data import SOURCES, npz_set, own_sets

    if given.is_dir():
        return (given / "train").is_dir()
    if given.exists():
        return npz_set.is_one(given)
    return str(given) in {*SOURCES.names(), *own_sets.names(own_sets.data_directory(data_dir))}


def show(dataset: str, data_dir: Path | None, files: bool, voice: Voice, as_json: bool) -> None:
    """Print the classes of a set, or its `files`. It is given by its name or its path."""
    from memstudy.data import sources

    if options.is_path(dataset) or Path(dataset).is_dir():
        dataset, data_dir = sources.at(Path(dataset))
    (_files if files else _classes)(dataset, data_dir, voice, as_json)


def _classes(dataset: str, data_dir: Path | None, voice: Voice, as_json: bool) -> None:
    """Print a set's size, check sum and classes."""
    from memstudy.data import sources

    images = sources.load(dataset, data_dir)
    counts = {
        "train": images.train_labels.bincount(minlength=images.classes).tolist(),
        "test": images.test_labels.bincount(minlength=images.classes).tolist(),
    }
    voice.say(
        f"{dataset}: {len(images.train_labels):,} train / {len(images.test_labels):,} test, "
        f"{images.size}×{images.size}, {images.channels} "
        f"channel{'s' if images.channels > 1 else ''}, {images.classes} classes"
    )
    voice.say(f"images: SHA-256 {images.content_hash()}\n")
    voice.say("label  train   test  class")
    for label, (name, train, test) in enumerate(zip(images.class_names, *counts.values(), strict=True)):
        voice.say(f"{label:>5} {train:>6,} {test:>6,}  {name}")
    if as_json:
        facts = {"dataset": dataset, "size": images.size, "channels": images.channels}
        voice.print_json(
            facts | {"source_sha256": images.content_hash(), "classes": list(images.class_names), **counts}
        )


def _files(dataset: str, data_dir: Path | None, voice: Voice, as_json: bool) -> None:
    """Print a set's files as CSV: one row a sample, numbered from 0 in its part."""
    from memstudy.data import sources

    classes, parts = sources.listing(dataset, data_dir)
    rows = [
        {"part": part, "index": index, "label": label, "class": classes[label], "file": file}
        for part, samples in parts.items()
        for index, (file, label) in enumerate(samples)
    ]
    if as_json:
        voice.print_json({"dataset": dataset, "classes": classes, "samples": rows})
        return
    table = io.StringIO()
    writer = csv.DictWriter(table, ["part", "index", "label", "class", "file"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: spreadsheet.inert(value) for name, value in row.items()} for row in rows)
    click.echo("".join(f"{plain(line)}\n" for line in table.getvalue().split("\n")[:-1]), nl=False)
