"""A run as a dictionary. It needs no torch and no pandas, so that a store is listed at once."""

from __future__ import annotations

import math
from typing import Any

from memstudy import distinctions
from memstudy.recipe import Recipe
from memstudy.regularizers import label
from memstudy.store import RunDirectory, Status
from memstudy.store import state as states


def run_summary(run: RunDirectory) -> dict[str, Any]:
    """A run in short, ready for JSON: NaN becomes None. A MemstudyError if it cannot be trusted."""
    recipe, state, columns = run.recipe, run.state(), run.columns()
    epochs, times, status = len(columns["epoch"]), run.times(state), run.status_in(state)
    last = {name: float(values[-1]) for name, values in columns.items()} if epochs else {}
    return {
        "name": run.name,
        "id": recipe.id,
        "path": str(run.path),
        "status": str(status),
        "failure": state.get("failure") if status is Status.FAILED else None,
        "begun": times[0] if times else None,
        "date": times[-1] if times else None,
        "dataset": recipe.dataset,
        "corruption": recipe.as_dict()["corruption"],
        "data_note": state.get("data_note") or None,
        "reg": label(recipe.regularizers),
        "seed": recipe.seed,
        "settings": settings(recipe),
        "epochs_done": epochs,
        "epochs": recipe.training.epochs,
        "floor": states.floor(state) if run.exists else None,
        "expected_floor": states.expected_floor(state) if run.exists else None,
        "last": {name: None if math.isnan(value) else value for name, value in last.items()},
        "best_test_accuracy": float(columns["test_accuracy"].max()) if epochs else None,
    }


def settings(recipe: Recipe) -> dict[str, Any]:
    """All that a recipe says in one level, by what users call it: `{"network": "smallnet", "lr": 0.03, …}`."""
    return {name: distinctions.value(recipe, name) for name in distinctions.names([recipe])}
