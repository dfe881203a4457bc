"""The committed results: their tables are what memstudy makes of their runs' metrics, with no training."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from memstudy.cli import pipeline
from memstudy.cli.progress import Voice
from memstudy.store import Status, Store

RESULTS = Path(__file__).parents[1] / "studies" / "results"
STORE = RESULTS / "store"


@pytest.mark.parametrize("study", Store(STORE).studies())
def test_committed_tables_are_made_of_committed_metrics(tmp_path, study):
    shutil.copytree(STORE, tmp_path / "store")
    selection = Store(tmp_path / "store").select((), study)
    assert not selection.missing
    pipeline.table_step(selection, Voice(quiet=True))
    made = {path.name: path.read_text() for path in (selection.path / "tables").glob("*.md")}
    unfinished = [run.name for run in selection.runs if run.status != Status.FINISHED]
    assert all(name in text.partition("Not finished")[2] for name in unfinished for text in made.values())
    committed = {path.name: path.read_text() for path in (RESULTS / study).glob("*.md")}
    assert made
    for name, text in made.items():
        assert committed[name] == text, name


def test_two_seeds_get_no_star_and_five_bear_out_how_many_they_said_it_would_take():
    """The quick study's two seeds are among the calibration's five, of two of its recipes."""
    keys = ["baseline", "epoch", "metric", "al2"]
    two, five = (pd.read_csv(RESULTS / study / "table1.csv").set_index(keys) for study in ("quick", "calibration"))
    assert two["p"].isna().all()
    assert two.loc[two["against"].notna(), "seeds_needed"].between(3, 1000).all()
    enough = two["seeds_needed"].reindex(five.index) <= 5
    assert enough.sum() >= 7
    assert (five.loc[enough, "p_holm"] < 0.05).all()
    assert "*" not in (RESULTS / "quick" / "table1.md").read_text().split("\n\n")[1]


def test_every_study_of_tables_has_its_runs():
    tabulated = {path.parent.name for path in RESULTS.glob("*/*.md")}
    assert tabulated == set(Store(STORE).studies())
