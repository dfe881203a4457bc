"""The quick preset must show what it is for. Slow: ten whole runs; `make test-all`."""

from __future__ import annotations

import math

import pytest
import torch

from memstudy.report.frames import WITH, WITHOUT, comparable_runs
from memstudy.store import Store
from memstudy.study import grid, shipped
from memstudy.study.carry_out import Execution
from memstudy.study.executors.processes import carry_out_all, default_jobs
from tests.kit.runs import select


@pytest.mark.slow
def test_quick_preset_tells_bare_and_al2_apart_over_five_seeds(tmp_path):
    """At the end AL2's mean test accuracy is above bare's by two standard errors, its memorized share below."""
    study = grid.read(shipped.path("calibration"))
    store = Store(tmp_path / "runs")
    runs = [store.open(recipe) for recipe in study.recipes]
    outcomes = carry_out_all(runs, Execution(device="cpu"), default_jobs(torch.device("cpu"), 1))
    assert [outcome.error for outcome in outcomes] == [None] * len(runs)
    ((setting, _),) = comparable_runs(select(runs))
    metrics = setting.metrics()
    last = metrics[metrics["epoch"] == metrics["epoch"].max()]
    for column, sign in (("test_accuracy", 1), ("memorized", -1)):
        al2, bare = (last.loc[last["al2"] == side, column] for side in (WITH, WITHOUT))
        assert len(al2) == len(bare) >= 5
        standard_error = math.sqrt(al2.var() / len(al2) + bare.var() / len(bare))
        assert sign * (al2.mean() - bare.mean()) > 2 * standard_error
