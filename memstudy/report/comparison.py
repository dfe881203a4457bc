"""What differs between runs: recipes, versions, machines, labels, and the numbers after the last common epoch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memstudy import distinctions
from memstudy.data import artifact
from memstudy.data.artifact import Artifact
from memstudy.store import RunDirectory
from memstudy.store.layout import LABELS
from memstudy.store.metrics import evaluated
from memstudy.store.state import CHECKSUMS

MACHINE = ("system", "device", "device_name", "layout", "threads", "processes")
"""What a session says of where a run was carried out; the rest are versions."""
NO_VERSION = ("from_epoch", "date", "packages")

Columns = Mapping[str, NDArray[Any]]
"""The columns of a run's metrics."""


def compared(runs: Sequence[RunDirectory]) -> dict[str, Any]:
    """Two or more runs beside each other, ready for JSON: every list has one value a run, in their order.

    recipe, versions, machine: only what differs, by name; of a run in several sessions the values of all of them.
    Versions are those of others' code, too, by their check sums. images: whether they are the same.
    only_seeds: whether nothing but the seeds differs in the recipes.
    labels: see `_labels`. epoch: the last one after which all were evaluated, from 0; None if one has done none.
    metrics: the numbers after it, that all have.
    """
    recipes, states = [run.recipe for run in runs], [run.state() for run in runs]
    differences = distinctions.differing(recipes)
    sessions = [_joined(state.get("sessions", [])) for state in states]
    codes = [{subject: code["sha256"][:8] for subject, code in state.get("code", {}).items()} for state in states]
    versions = [session | code for session, code in zip(sessions, codes, strict=True)]
    columns = [run.columns() for run in runs]
    epoch = _last_common(columns)
    return {
        "runs": [run.name for run in runs],
        "recipe": {name: [distinctions.value(recipe, name) for recipe in recipes] for name in differences},
        "only_seeds": set(differences) <= set(distinctions.SEEDS),
        "versions": _unlike([name for each in versions for name in each if name not in MACHINE], versions),
        "machine": _unlike(MACHINE, sessions),
        "images": _same([state.get("data_sha256") for state in states]),
        "labels": _labels(runs, [state.get(CHECKSUMS, {}).get(LABELS) for state in states]),
        "epoch": epoch if epoch >= 0 else None,
        "metrics": _numbers(columns, epoch) if epoch >= 0 else {},
    }


def _last_common(columns: Sequence[Columns]) -> int:
    """The last epoch after which all runs were evaluated, as all are after epoch 0; -1 if one has done none."""
    done = min(len(each["epoch"]) for each in columns)
    if not done:
        return -1
    together = np.all([evaluated(each)[:done] for each in columns], axis=0)
    return int(np.flatnonzero(together)[-1]) if together.any() else done - 1


def _joined(sessions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a run's sessions say, in one level; where they disagree, each value as text: `cpu, cuda`."""
    values: dict[str, dict[str, Any]] = {}
    for session in sessions:
        for name, value in ({**session, **(session.get("packages") or {})}).items():
            if name not in NO_VERSION:
                values.setdefault(name, {})[str(value)] = value
    return {
        name: next(iter(each.values())) if len(each) == 1 else ", ".join(each) for name, each in values.items()
    }


def _unlike(names: Iterable[str], records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """What these records do not agree on, by name."""
    values = {name: [record.get(name) for record in records] for name in dict.fromkeys(names)}
    return {name: each for name, each in values.items() if any(value != each[0] for value in each)}


def _same(values: Sequence[Any]) -> bool | None:
    """Whether all are equal; None if one is not known."""
    return None if None in values else len(set(values)) == 1


def _labels(runs: Sequence[RunDirectory], checksums: Sequence[str | None]) -> dict[str, Any]:
    """Whether the noisy labels are the same (None: that cannot be told), and of how many samples.

    agree: the share of samples of the first run that have its noisy label in each run, where all trained on the
    same samples and the files are here; else None.
    """
    if not all((run.path / LABELS).is_file() for run in runs):  # then their check sums, if these are equal
        return {"same": _same(checksums) or None, "agree": None}
    labels = [run.read_labels(artifact.read) for run in runs]
    first = labels[0]
    if not all(_same_samples(first, other) for other in labels):
        return {"same": False, "agree": None}
    agree = [float(np.mean(first.noisy == other.noisy)) for other in labels]
    return {"same": min(agree) == 1, "agree": agree}


def _same_samples(one: Artifact, other: Artifact) -> bool:
    known = one.source_sha256 and other.source_sha256  # none if it was recorded without images
    same = one.source_sha256 == other.source_sha256 if known else np.array_equal(one.clean, other.clean)
    return same and np.array_equal(one.positions, other.positions)


def _numbers(columns: Sequence[Columns], epoch: int) -> dict[str, list[float]]:
    """The metrics after an epoch that all these runs have."""
    names = [name for name in columns[0] if name != "epoch" and all(name in each for each in columns)]
    return {name: [float(each[name][epoch]) for each in columns] for name in names}
