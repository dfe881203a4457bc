"""What a file of labels says of the recipe that trains on it: `--labels`, in whichever command."""

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
    """Take `labels`, `label_column` and `anyway` out of a command's options; put in what they say of the recipe.

    That is the identity of the labels and, where the file knows, the set and samples that they are for. `explicit`
    are the options that were given. Says how the file was read where that is not plain.
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
    found = label_files.read(source)
    if found.ours:
        chosen |= _of_ours(found, explicit, chosen)
    chosen["labels"] = _identity(found, chosen, soft, folder, download, say)
    return (source,)


def _of_ours(found: Any, explicit: Collection[str], chosen: dict[str, Any]) -> dict[str, Any]:
    """The set and the samples that memstudy made a file of labels for."""
    from memstudy.data import artifact

    made = artifact.of(found)
    own: dict[str, Any] = {"dataset": made.dataset}
    if made.train_size:  # labels of all samples are also labels of any part of them
        own |= {"train_size": made.train_size, "corrupt_seed": made.seed}
    for name, value in own.items():
        if name in explicit and chosen[name] != value:
            raise MemstudyError(
                f"{found.path} was made with {name.replace('_', '-')} {value}, not {chosen[name]}; leave "
                f"--{name.replace('_', '-')} out."
            )
    return own


def _identity(
    found: Any, chosen: dict[str, Any], soft: bool, folder: Path | None, download: bool, say: Callable[[str], None]
) -> str:
    from memstudy import presets
    from memstudy.data import given, sources

    if found.ours:
        return given.Given.ours(found).identity(found.path, soft)
    plain = presets.get(chosen.get("preset") or presets.DEFAULT).recipe
    dataset = chosen["dataset"] or plain.dataset
    seed = plain.corruption.seed if chosen["corrupt_seed"] is None else chosen["corrupt_seed"]
    images = sources.load(dataset, folder, download)
    labels = given.of(found, images, lambda: sources.files(dataset, folder), seed, soft)
    for note in labels.notes:
        say(f"{note}.")
    return labels.identity(found.path, soft)
