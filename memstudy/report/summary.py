"""A run as a dictionary. It needs no torch, so that a store is listed at once."""

from __future__ import annotations

import math
from typing import Any

from memstudy.regularizers import label
from memstudy.store import RunDirectory


def run_summary(run: RunDirectory) -> dict[str, Any]:
    """A run in short, ready for JSON: NaN becomes None."""
    state, metrics, recipe = run.state(), run.metrics(), run.recipe
    last = metrics.iloc[-1].to_dict() if len(metrics) else {}
    return {
        "name": run.name,
        "id": recipe.id,
        "path": str(run.path),
        "status": str(run.status),
        "dataset": recipe.dataset,
        "corruption": recipe.as_dict()["corruption"],
        "data_note": state.get("data_note") or None,
        "reg": label(recipe.regularizers),
        "seed": recipe.seed,
        "epochs_done": len(metrics),
        "epochs": recipe.training.epochs,
        "floor": run.floor if run.exists else None,
        "expected_floor": run.expected_floor if run.exists else None,
        "failure": state.get("failure") if str(run.status) == "failed" else None,
        "last": {name: None if math.isnan(value) else value for name, value in last.items()},
        "best_test_accuracy": float(metrics["test_accuracy"].max()) if len(metrics) else None,
    }
