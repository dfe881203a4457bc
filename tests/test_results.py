"""The committed results are what `make results` makes of their stored runs, with no training."""

from __future__ import annotations

import shutil
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest
from packaging.version import Version

from memstudy import files
from memstudy.store import Status, Store
from tests import results
from tests.reliability.committed import FOLDER as CAMPAIGN
from tests.results import KEPT, RESULTS, STORE


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    return results.copied(tmp_path_factory.mktemp("results"))


def committed(study: str, *, figures: bool) -> dict[str, bytes]:
    found = (path for path in (RESULTS / study).iterdir() if (path.suffix == ".png") == figures)
    return {path.name: path.read_bytes() for path in found}


to_the_digit = pytest.mark.skipif(
    Version(version("scipy")) < Version("1.15"),
    reason="quantiles of Student's t have other last digits in this scipy than in the committed tables",
)


@to_the_digit
@pytest.mark.parametrize("study", KEPT)
def test_committed_tables_are_made_of_stored_runs(store, study):
    made, old = results.tables(store, study), committed(study, figures=False)
    assert set(made) == set(old)
    for name, content in made.items():
        assert content.decode() == old[name].decode(), name
    selection = Store(store).select((), study)
    assert not selection.missing
    unfinished = [run.name for run in selection.runs if run.status != Status.FINISHED]
    texts = [content.decode() for name, content in made.items() if name.endswith(".md")]
    assert texts
    assert all(name in text.partition("Not finished")[2] for name in unfinished for text in texts)


QUICKLY = ("loco_reg_lite", "al2_epoch100")


@pytest.mark.parametrize(
    "study", [study if study in QUICKLY else pytest.param(study, marks=pytest.mark.slow) for study in KEPT]
)
def test_committed_figures_are_drawn_of_stored_runs(store, study, every_format):
    made, old = results.figures(store, study), committed(study, figures=True)
    assert set(made) == set(old)
    if others := results.other_versions():
        pytest.skip(f"the figures were drawn with {', '.join(others)}; with others they have other bytes")
    assert [name for name in made if made[name] != old[name]] == []


def test_every_folder_of_results_is_of_a_study_with_runs():
    assert set(Store(RESULTS / STORE).studies()) == set(KEPT)
    assert {path.name for path in RESULTS.iterdir() if path.is_dir()} == {
        STORE,
        "data",
        CAMPAIGN.name,
        *KEPT,
    }


def test_every_stored_run_is_one_of_a_study():
    store = Store(RESULTS / STORE)
    members = {run.name for study in KEPT for run in store.select((), study).runs}
    assert {run.name for run in store.directories()} == members


def test_whatever_has_stars_has_its_interval_and_effect_in_the_csv():
    found = []
    for path in (path for study in KEPT for path in (RESULTS / study).glob("*.csv")):
        columns = set(pd.read_csv(path, nrows=0).columns)
        for starred in (column for column in columns if column.endswith("p_holm")):
            own = starred.removesuffix("p_holm")
            if own != "p_filters_":  # of a fraction against 1/2, not of two methods
                found.append(path.stem)
                assert {f"{own}{name}" for name in ("low", "high", "effect")} <= columns, path.name
    assert {"table1", "memorization", "ablation_area", "ranking", "pilcro", "landscape_noise"} <= set(found)


def test_a_derived_file_is_there_once():
    copies = defaultdict(list)
    for folder in (*(RESULTS / study for study in KEPT), *(RESULTS / STORE / "studies").iterdir()):
        for path in filter(Path.is_file, folder.iterdir()):
            copies[files.digest(path.read_bytes())].append(str(path.relative_to(RESULTS)))
    assert [paths for paths in copies.values() if len(paths) > 1] == []


@to_the_digit
def test_results_are_written_again_and_what_is_no_result_goes(tmp_path, capsys):
    study = "loco_reg_lite"
    for name in (STORE, study):
        shutil.copytree(RESULTS / name, tmp_path / name)
    (tmp_path / study / "loco_reg.md").write_text("by hand")
    (tmp_path / study / "loco_reg.csv").unlink()
    (tmp_path / study / "ranking.md").write_text("of another study")
    results.main([study], tmp_path)
    changes = "loco_reg.csv written, loco_reg.md written, ranking.md removed"
    assert f"{study}: 3 files, {changes}\n" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in (tmp_path / study).iterdir()} == committed(
        study, figures=False
    )
    results.main([study], tmp_path)
    assert f"{study}: 3 files, all as they were\n" in capsys.readouterr().out
    assert not (tmp_path / STORE / "studies" / study / "tables").exists()


def test_a_study_without_results_is_told(capsys):
    with pytest.raises(SystemExit):
        results.main(["quik"])
    assert "no results of quik; choose some of quick, calibration" in capsys.readouterr().err


def test_two_seeds_get_no_star_and_five_bear_out_how_many_they_said_it_would_take():
    """Of most, as it is said with a chance of 80 %, and of two seeds whose spread says little.

    The quick study's two seeds are among the calibration's five, of two of its recipes.
    """
    keys = ["baseline", "epoch", "metric", "al2"]
    two, five = (pd.read_csv(RESULTS / study / "table1.csv").set_index(keys) for study in ("quick", "calibration"))
    assert two["p"].isna().all()
    assert two.loc[two["against"].notna(), "seeds_needed"].between(3, 1000).all()
    enough = two["seeds_needed"].reindex(five.index) <= 5
    assert enough.sum() >= 7
    assert (five.loc[enough, "p_holm"] < 0.05).mean() >= 0.8
    assert "*" not in (RESULTS / "quick" / "table1.md").read_text().split("\n\n")[1]
