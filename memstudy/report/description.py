"""One run in full, as a dictionary ready for JSON: recipe, data, circumstances, numbers, verdict, files."""

from __future__ import annotations

from typing import Any

import numpy as np

from memstudy import distinctions, presets
from memstudy import recipe as recipes
from memstudy.data import artifact
from memstudy.errors import MemstudyError
from memstudy.report.verdict import verdict, verdict_text
from memstudy.store import RunDirectory, Store
from memstudy.store.layout import LABELS, RECIPE, checkpoint_name
from memstudy.store.summary import run_summary


def described(run: RunDirectory) -> dict[str, Any]:
    """What `run_summary` says, and more. A MemstudyError if the run cannot be trusted.

    `changed` holds the nearest preset's values of what is not as it has it. What cannot be told is None, and
    `no_verdict` says why there is no verdict.
    """
    return run.at_one_moment(lambda: _described(run))[2]


def _described(run: RunDirectory) -> dict[str, Any]:
    summary, recipe = run_summary(run), run.recipe
    preset, changed = presets.nearest(recipe)
    return {
        **summary,
        "settings": summary["settings"] | {name: distinctions.value(recipe, name) for name in changed},
        "preset": preset,
        "changed": changed,
        "data": _data(run),
        "sessions": run.state().get("sessions", []),
        "code": run.state().get("code", {}),
        "best": _best(run),
        **_verdict(run),
        "files": {name: size for name, size in run.sizes().items() if not name.rpartition("/")[2].startswith(".")},
        "kept_epochs": kept_epochs(run),
        "absent": run.absent_files(),
        "has_records": run.has_records and bool(summary["epochs_done"]) and run.records.folder.is_dir(),
        "studies": Store(run.path.parent).studies_of(run),
        "derived": _derived(run),
    }


def kept_epochs(run: RunDirectory) -> list[int]:
    """The epochs whose networks are here: a packed copy has none."""
    return [epoch for epoch in run.checkpoints() if (run.path / checkpoint_name(epoch)).is_file()]


def _data(run: RunDirectory) -> dict[str, Any]:
    """What the images and labels came to: from state.json and recipe.toml, and from labels.npz if that is here."""
    state, recorded = run.state(), recipes.recorded(run.path / RECIPE)
    facts: dict[str, Any] = {
        "images_sha256": state.get("data_sha256"),
        "note": state.get("data_note") or None,
        "mean": recorded.get("mean"),
        "std": recorded.get("std"),
        "corrupted_share": state.get("corrupted_share"),
        **dict.fromkeys(("samples", "corrupted", "classes", "labels_sha256")),
    }
    if (run.path / LABELS).is_file():
        labels = run.read_labels(artifact.read)
        facts |= {
            "samples": len(labels.noisy),
            "corrupted": int(labels.mask.sum()),
            "classes": list(labels.class_names),
            "labels_sha256": labels.labels_sha256,
        }
    return facts


def _best(run: RunDirectory) -> dict[str, float] | None:
    """The numbers after the epoch of the highest test accuracy, the first of equal ones."""
    columns = run.columns()
    if not len(columns["epoch"]) or np.isnan(columns["test_accuracy"]).all():
        return None
    best = int(np.nanargmax(columns["test_accuracy"]))
    return {name: float(values[best]) for name, values in columns.items()}


def _verdict(run: RunDirectory) -> dict[str, Any]:
    if not (run.path / LABELS).is_file():
        return {"verdict": None, "verdict_text": None, "no_verdict": "its labels are not here"}
    try:
        words = verdict_text(run).removesuffix(f"\n{run.path}")
        return {"verdict": verdict(run).as_dict(), "verdict_text": words, "no_verdict": None}
    except MemstudyError as error:
        return {"verdict": None, "verdict_text": None, "no_verdict": str(error).rstrip(".")}


def _derived(run: RunDirectory) -> list[str]:
    """The tables of studies and selections that hold numbers of a run, seen from the store."""
    root, name = run.path.parent, run.name.encode()
    return [
        str(path.relative_to(root))
        for path in sorted(root.glob("studies/[!.]*/[!.]*.csv"))
        if name in path.read_bytes()
    ]
