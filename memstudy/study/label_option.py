"""The option `labels` of commands and of `memstudy.run`: from a file of labels to the options of a recipe."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memstudy.errors import MemstudyError

if TYPE_CHECKING:
    from memstudy.data.label_files import LabelSource


def taken(
    chosen: dict[str, Any],
    explicit: Collection[str],
    folder: Path | None,
    download: bool,
    say: Callable[[str], None],
) -> tuple[LabelSource, ...]:
    """Replace `labels`, `label_column` and `anyway` in a command's options by the options of a recipe.

    These are the identity of the labels and, where the file names them, the set and the samples that they are for.
    `explicit` are the options that were given. Says how the file was read where that could be in doubt.
    """
    path, column, anyway = chosen.pop("labels"), chosen.pop("label_column"), chosen.pop("anyway")
    if path is None:
        for name, value in (("label-column", column), ("anyway", anyway)):
            if value:
                raise MemstudyError(f"--{name} says how a file of labels is read; give the file with --labels.")
        return ()
    from memstudy.data import label_files

    soft = chosen.get("noise") == "soft"
    for name in ("corrupt", "matrix", *(() if soft else ("noise",))):
        if name in explicit:
            raise MemstudyError(f"--labels gives the labels as they are, so --{name} cannot be given with it.")
    source = label_files.LabelSource(path, column, anyway)
    file = label_files.read(source)
    if file.ours:
        chosen |= _of_ours(file, explicit, chosen)
    chosen["labels"] = _identity(file, chosen, soft, folder, download, say)
    return (source,)


def _of_ours(file: Any, explicit: Collection[str], chosen: dict[str, Any]) -> dict[str, Any]:
    """The options that follow from a file that memstudy made: its set and, for a part of the set, its samples."""
    from memstudy.data import artifact

    made = artifact.of(file)
    implied: dict[str, Any] = {"dataset": made.dataset}
    if made.train_size:  # labels of all samples are also labels of any part of them
        implied |= {"train_size": made.train_size, "corrupt_seed": made.seed}
    for name, value in implied.items():
        if name in explicit and chosen[name] != value:
            raise MemstudyError(
                f"{file.path} was made with {name.replace('_', '-')} {value}, not {chosen[name]}; leave "
                f"--{name.replace('_', '-')} out."
            )
    return implied


def _identity(
    file: Any, chosen: dict[str, Any], soft: bool, folder: Path | None, download: bool, say: Callable[[str], None]
) -> str:
    from memstudy import presets
    from memstudy.data import given, sources

    if file.ours:
        return given.Given.ours(file).identity(file.path, soft)
    base = presets.get(chosen.get("preset") or presets.DEFAULT).recipe
    dataset = chosen["dataset"] or base.dataset
    seed = base.corruption.seed if chosen["corrupt_seed"] is None else chosen["corrupt_seed"]
    images = sources.load(dataset, folder, download)
    labels = given.of(file, images, lambda: sources.files(dataset, folder), seed, soft)
    for note in labels.notes:
        say(f"{note}.")
    return labels.identity(file.path, soft)
