"""Repeat a run from its directory alone, and compare: equal bytes, or where the two first differ, and why, likely.

What must be equal is all that has a check sum: recipe, labels, metrics, records of samples, kept networks. Times
and sessions (state.json, log.txt) need not be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from memstudy import files
from memstudy import recipe as recipes
from memstudy.data import artifact
from memstudy.errors import MemstudyError
from memstudy.report.comparison import compared
from memstudy.store import RunDirectory, Store
from memstudy.store.layout import CHECKPOINTS, DYNAMICS, LABELS, METRICS, RECIPE, epoch_of
from memstudy.store.state import EVALUATE_AT
from memstudy.study.carry_out import Execution

RERUNS = "reruns"
"""The store, in a run's own one, where its repetition is."""


@dataclass(frozen=True)
class Difference:
    """A file that has other bytes.

    Attributes:
        file: its name in the run's directory.
        epoch: the first one that differs, from 0; None where the file is of no epoch, or is not here to be read.
        what: by how much, in words; empty if that cannot be told.

    """

    file: str
    epoch: int | None = None
    what: str = ""


def named(store: Store, name: str) -> RunDirectory:
    """The run of that name in a store, or in a directory of that path. A MemstudyError if there is none."""
    path = Path(name)
    if files.is_there(path / RECIPE):
        return RunDirectory(path.resolve())
    if path.is_dir() and name not in store.names():
        raise MemstudyError(f"{path} is no run, as it has no {RECIPE}; give the directory, or the name, of one.")
    return store.one(name)


def repetition(run: RunDirectory, into: Path | None = None) -> RunDirectory:
    """Where the run is repeated: in RERUNS beside it, or another store. A MemstudyError if it is not writable."""
    store = Store(into or run.path.parent / RERUNS)
    if store.root.resolve() == run.path.parent.resolve():
        raise MemstudyError(f"{store.root} is where the run itself is; give another directory with --into.")
    files.check_writable(store.root, "with --into")
    return store.open(run.recipe)


def check(run: RunDirectory) -> None:
    """Raise a MemstudyError if a file is not as the run finished with it; a packed run has not all of them."""
    for name, expected in run.checksums().items():
        if files.is_there(path := run.path / name) and files.digest_of(path) != expected:
            raise files.damaged(path, "its checksum does not match")


def execution(run: RunDirectory, **more: Any) -> Execution:
    """How to repeat it as it was begun: device, threads, what was measured, on its own labels, images and code.

    A MemstudyError if it is not finished, or damaged, or its labels came from a file and are not here: then there
    is nothing to compare with.
    """
    if not run.finished:
        raise MemstudyError(f"{run.name} is not finished; its own command continues it.")
    check(run)
    if run.recipe.corruption.labels and not files.is_there(run.path / LABELS):
        raise MemstudyError(
            f"the labels that {run.name} was trained on came from a file, and its own copy of them is not here: "
            f"put back {run.path / LABELS} from where it was trained."
        )
    state, recorded = run.state(), recipes.recorded(run.path / RECIPE)
    first: dict[str, Any] = next(iter(state.get("sessions", [])), {})
    usual: dict[str, Any] = {
        "device": str(first.get("device", "auto")).partition(":")[0],
        "threads": first.get("threads"),
        "label_files": (run.path / LABELS,),
        "data_sha256": state.get("data_sha256"),
        "code": recorded.get("code"),
        "dynamics": run.has_records,
        "evaluate_every": run.evaluate_every,
        "evaluate_at": tuple(state.get(EVALUATE_AT, ())),
    }
    return Execution(**(usual | more))


def differences(run: RunDirectory, again: RunDirectory) -> list[Difference]:
    """The files whose bytes are not the same, those of the first epoch first; none if all are."""
    check(again)
    ours, theirs = run.checksums(), again.checksums()
    names = [name for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)]
    found = [_difference(name, run, again) for name in names]
    return sorted(found, key=lambda one: (one.epoch is None, one.epoch or 0, one.file))


def reasons(run: RunDirectory, again: RunDirectory) -> list[str]:
    """What differs in versions and machines, in words: `torch 2.11.0, now 2.14.1`."""
    facts = compared([run, again])
    sessions = len(run.state().get("sessions", []))
    several = [f"it was trained in {sessions} sessions, and now in one as the first"] if sessions > 1 else []
    return several + [
        f"{name} {then}, now {now}"
        for part in ("versions", "machine")
        for name, (then, now) in facts[part].items()
    ]


def _difference(name: str, run: RunDirectory, again: RunDirectory) -> Difference:
    """One file; in words, if it is in both directories (a packed run has no networks)."""
    for each in (run, again):
        if name not in each.checksums():
            return Difference(name, what=f"{each.path} has none")
        if not (each.path / name).is_file():
            return Difference(name, what=f"{each.path} has its check sum alone")
    if name == METRICS:
        return _of_columns(name, run.columns(), again.columns())
    if name == LABELS:
        ours, theirs = (each.read_labels(artifact.read).noisy for each in (run, again))
        return Difference(name, what=f"{int((ours != theirs).sum()):,} labels differ")
    if name.startswith(CHECKPOINTS):
        epoch = epoch_of(name)
        return Difference(name, epoch, _of_tensors(run.load_checkpoint(epoch), again.load_checkpoint(epoch)))
    if name.startswith(DYNAMICS):
        return _of_records(name, run, again)
    return Difference(name)


def _of_columns(name: str, ours: dict[str, Any], theirs: dict[str, Any]) -> Difference:
    """The first epoch in which a number differs, and the number that differs most there."""
    if ours.keys() != theirs.keys():
        return Difference(name, what=f"only one has the columns {', '.join(sorted(ours.keys() ^ theirs.keys()))}")
    for epoch in range(min(len(ours["epoch"]), len(theirs["epoch"]))):
        here = {key: (float(ours[key][epoch]), float(theirs[key][epoch])) for key in ours}
        unlike = {key: pair for key, pair in here.items() if pair[0] != pair[1] and not np.isnan(pair).all()}
        if unlike:
            key, (then, now) = max(unlike.items(), key=lambda item: abs(item[1][0] - item[1][1]))
            return Difference(name, epoch, f"{key} {then}, now {now}, a difference of {abs(then - now):.1e}")
    return Difference(name, what=f"{len(ours['epoch'])} epochs, now {len(theirs['epoch'])}")


def _of_tensors(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """The tensor that differs most."""
    if {key: value.shape for key, value in ours.items()} != {key: value.shape for key, value in theirs.items()}:
        return "they are other networks"
    sizes = {
        key: float((ours[key].double() - theirs[key].double()).abs().max()) for key in ours if ours[key].numel()
    }
    key = max(sizes, key=lambda name: sizes[name])
    return f"{key} differs by up to {sizes[key]:.1e}"


def _of_records(name: str, run: RunDirectory, again: RunDirectory) -> Difference:
    """The first epoch in which a sample's record differs, and of how many there."""
    ours, theirs = (np.load(each.path / name, allow_pickle=False) for each in (run, again))
    if ours.shape != theirs.shape:
        return Difference(name, what=f"{ours.shape} epochs and samples, now {theirs.shape}")
    unlike = (ours != theirs) & ~((ours != ours) & (theirs != theirs))
    rows = np.flatnonzero(unlike.any(axis=1))
    if not len(rows):
        return Difference(name)
    epoch = int(rows[0])
    return Difference(name, epoch, f"{int(unlike[epoch].sum()):,} of {unlike.shape[1]:,} samples differ")


def told(run: RunDirectory, again: RunDirectory, found: list[Difference]) -> Iterator[str]:
    """What came of it, in lines."""
    count = len({*run.checksums(), *again.checksums()})
    if not found:
        yield f"equal: all {count} files that a run's results consist of have the same bytes."
        return
    where = "" if found[0].epoch is None else f", first after epoch {found[0].epoch} (counted from 0)"
    yield f"different: {len(found)} of {count} files have other bytes{where}."
    for one in found[:5]:
        yield f"  {one.file}{': ' * bool(one.what)}{one.what}"
    if len(found) > 5:
        yield f"  and {len(found) - 5} more"
    why = reasons(run, again)
    yield f"what else is not as it was: {'; '.join(why)}." if why else "versions and machine are as they were."
