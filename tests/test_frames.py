"""Which rows are of a last epoch, how that is said, what names of files end in, and what settings are called."""

from pathlib import Path

import pandas as pd
import pytest

from memstudy import presets
from memstudy.report.frames import after_epochs, comparable_runs, is_last, suffixes
from memstudy.store import Store
from memstudy.store.state import Status

STORED = Path(__file__).parents[1] / "studies" / "results" / "store"


def test_names_of_files_say_what_tells_settings_apart():
    recipes = [presets.build(lr=lr, corrupt=corrupt) for lr, corrupt in ((0.1, 0.0), (0.1, 0.5), (0.01, 0.5))]
    assert suffixes(recipes) == ["--lr-0.1-clean", "--lr-0.1-50-symmetric", "--lr-0.01-50-symmetric"]
    assert suffixes(recipes[:1]) == [""]


def test_last_epochs_are_those_of_each_run():
    rows = pd.DataFrame({"run": ["x", "x", "y", "y", "x"], "epoch": [0, 2, 0, 1, 2]})
    assert is_last(rows).tolist() == [False, True, False, True, True]
    rows = pd.DataFrame({"a": ["x", "x", "x"], "b": ["y", "z", "z"], "epoch_a": [3, 1, 2]})
    assert is_last(rows, "a", "epoch_a").tolist() == [True, False, False]
    assert is_last(rows, ["a", "b"], "epoch_a").tolist() == [True, False, True]


def test_what_has_no_epoch_is_its_own_last():
    rows = pd.DataFrame({"network": ["file", "run", "run"], "epoch": [float("nan"), 0.0, 1.0]})
    assert is_last(rows, "network").tolist() == [True, False, True]
    assert is_last(rows.astype({"epoch": "Int64"}), "network").tolist() == [True, False, True]


def test_epochs_are_counted_from_0_each_named_once():
    epochs = pd.Series([24.0, 4.0, 24.0, float("nan")])
    assert after_epochs(epochs) == "After the last kept epoch (4, 24, counted from 0). "
    assert after_epochs(epochs[:1], "Last: the last epoch") == "Last: the last epoch (24, counted from 0). "
    assert after_epochs(epochs[3:]) == ""


def test_a_title_says_how_many_epochs_are_trained():
    """AL2's own protocol was stopped after epoch 100, counted from 0; other studies are finished."""
    titles = {}
    for study in ("al2_epoch100", "calibration"):
        ((setting, _),) = comparable_runs(Store(STORED).select(study=study))
        titles[study] = setting.title
    assert ", 101 of 701 epochs, " in titles["al2_epoch100"]
    assert ", 25 epochs, " in titles["calibration"]


@pytest.mark.parametrize(("where", "words"), [((3, 2), "2–3 of 3 epochs"), ((2, 2), "2 of 3 epochs")])
def test_runs_that_are_not_equally_far_are_told_by_the_least_and_the_most(store_copy, where, words):
    selection = store_copy.select(["*-bare-*"])
    for run, epochs in zip(selection.runs, where, strict=True):
        lines = (run.path / "metrics.csv").read_text().splitlines(keepends=True)
        (run.path / "metrics.csv").write_text("".join(lines[: 1 + epochs]))
        if epochs < 3:
            run.update(status=Status.INTERRUPTED)
    ((setting, _),) = comparable_runs(selection, so_far=True)
    assert f", {words}, " in setting.title
