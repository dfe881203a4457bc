"""A study's choice of tables and analyses: what does not apply says why, nothing of an earlier choice stays."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from memstudy import files
from memstudy.cli import main
from memstudy.papers import TABLES
from memstudy.regularizers import label
from memstudy.store import records
from memstudy.study import derive_all
from memstudy.study.tables import make_figures, make_tables
from tests.kit import stores
from tests.kit.sentences import Sentences, refused


@pytest.fixture(scope="module")
def store(trained, tmp_path_factory):
    return stores.copy_of(trained, tmp_path_factory.mktemp("selections") / "runs")


@pytest.fixture
def memstudy(command, small_source):
    """The 400 images stand in for every data set."""
    return command


# Tables


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ("methods", "there is one method alone, and nothing to compare it with"),
        ("table1", "not every method has its AL2 twin"),
        ("training", "no epoch of those to tabulate (99) is trained yet"),
        ("memorization", "no epoch of those to tabulate (99) is trained yet"),
        ("ablation_area", "no network of these runs was ablated; 'memstudy ablate --study tiny' does it"),
        ("loco_reg", "none of these runs uses LOCO-Reg"),
        ("norm_loss", "none of these runs uses Norm Loss"),
        ("pilcro", "none of these runs uses PILCRO"),
        (
            "ranking",
            "it takes 3 sets of regularizers, trained to the end with all else equal, and these runs have 2",
        ),
    ],
)
def test_a_table_that_was_asked_for_and_does_not_apply_says_why(store, tmp_path, wanted, why):
    """Methods of the study, and of its tables each one alone; all tables are looked at."""
    assert wanted in TABLES.names()
    whole = store.select()
    methods = ("bare",) if wanted == "methods" else ("bare", "do")
    runs = tuple(run for run in whole.runs if label(run.recipe.regularizers) in methods)
    selection = replace(whole, runs=runs, path=tmp_path)
    epochs = [99] if "99" in why else [0, 2]
    files.write_json(selection.path / "study.json", {"report": {"tables": [wanted], "epochs": epochs}})
    voice = Sentences()
    summary = make_tables(selection, voice)
    assert summary["tables"] == []
    assert summary["left_out"] == [f"the table {wanted}: {why}"]
    assert f"left out: the table {wanted}: {why}." in voice.text


def test_every_table_has_a_case_above():
    (marked,) = test_a_table_that_was_asked_for_and_does_not_apply_says_why.pytestmark
    assert {wanted for wanted, _ in marked.args[1]} == set(TABLES.names())


def test_tables_of_an_earlier_selection_go(store, tmp_path):
    selection = replace(store.select(), path=tmp_path)
    report = selection.path / "study.json"
    files.write_json(report, {"report": {"tables": ["table1", "ranking"]}})
    make_tables(selection, Sentences())
    folder = selection.path / "tables"
    assert {path.stem for path in folder.iterdir()} == {"table1", "ranking", "ranking_75_symmetric"}
    for own in ("notes.md", "probe.md"):  # another's, and another command's
        (folder / own).write_text("kept")
    files.write_json(report, {"report": {"tables": ["memorization"]}})
    summary = make_tables(selection, Sentences())
    assert {path.name for path in folder.iterdir()} == {
        "memorization.md", "memorization.tex", "memorization.csv", "notes.md", "probe.md",
    }  # fmt: skip
    assert {Path(path).name for path in summary["tables"]} == {
        f"memorization.{end}" for end in ("md", "tex", "csv")
    }


def test_figures_of_a_table_that_is_no_longer_asked_for_go(store, tmp_path):
    selection = replace(store.select(), path=tmp_path)
    report = selection.path / "study.json"
    files.write_json(report, {"report": {"analyses": [], "tables": ["ranking"]}})
    make_figures(selection, Sentences())
    folder = selection.path / "figures"
    assert list(folder.glob("ranking_*"))
    files.write_json(report, {"report": {"analyses": [], "tables": ["table1"]}})
    make_figures(selection, Sentences())
    assert not list(folder.glob("ranking_*"))
    assert (folder / "accuracy.png").is_file()


def test_a_damaged_run_is_damaged_for_tables_too(store, tmp_path):
    """What `memstudy runs` says of it is what `memstudy table` says."""
    copied = stores.copy_of(store.root, tmp_path / "runs")
    run = copied.select().runs[0]
    content = (run.path / "metrics.csv").read_text()
    (run.path / "metrics.csv").write_text(content.replace("0.", "0.1", 1))
    listed = json.loads(CliRunner().invoke(main, ["runs", "--runs-dir", str(copied.root), "--json"]).stdout)
    assert listed["broken"].keys() == {run.name}
    selection, voice = copied.select(study="tiny"), Sentences()
    assert selection.damaged == listed["broken"]
    assert run.name not in selection.missing
    summary = make_tables(selection, voice)
    assert summary["left_out"] == [listed["broken"][run.name].rstrip(".")]
    assert f"Damaged, left out: {run.name}." in voice.text
    refused(lambda: copied.select([run.name]), "metrics.csv is damaged")
    others = [other.name for other in copied.select(["*"]).runs]
    assert len(others) == 7
    assert run.name not in others
    for other in copied.select().runs:
        (other.path / "recipe.toml").write_text("")
    refused(lambda: copied.select(), "no run in")


def test_a_run_without_a_kept_network_is_named_among_the_missing(store, tmp_path):
    copied = stores.copy_of(store.root, tmp_path / "runs")
    run = copied.select().runs[0]
    run.update(status="interrupted", checksums={})
    assert copied.select(study="tiny").missing == (run.name,)


# Whole studies


def test_a_study_says_what_does_not_apply_and_keeps_nothing_of_an_earlier_one(memstudy, store_copy, tmp_path):
    """Two methods and a ranking of three; before it, the same study with other tables and analyses."""
    study = 'name = "again"\n[grid]\nreg = ["bare", "do"]\nepochs = 3\n[report]\nepochs = [2]\n'
    (tmp_path / "s.toml").write_text(study + 'analyses = ["dynamics"]\ntables = ["training"]\n')
    first = memstudy("study", "s.toml")
    assert first.exit_code == 0, first.output
    folder = tmp_path / "runs" / "studies" / "again"
    assert {"training.md", "dynamics.md"} <= {path.name for path in (folder / "tables").iterdir()}
    by_hand = folder / "figures" / "probe.png"
    by_hand.write_bytes(b"of these runs")
    derive_all._remove_earlier(store_copy.select(study="again"), [])
    assert by_hand.is_file()  # runs and report are the same
    (tmp_path / "s.toml").write_text(study + 'analyses = []\ntables = ["ranking"]\n')
    done = memstudy("study", "s.toml", "--json")
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    why = "it takes 3 sets of regularizers, trained to the end with all else equal, and these runs have 2"
    assert summary["left_out"] == [f"the table ranking: {why}"]
    assert f"left out: the table ranking: {why}." in done.stderr
    assert list((folder / "tables").iterdir()) == []
    written = {Path(path).name for path in summary["figures"]}
    assert {path.name for path in (folder / "figures").iterdir()} == written
    assert "accuracy.png" in written


def test_an_analysis_that_cannot_be_made_does_not_keep_the_others_from_it(memstudy, store_copy, tmp_path):
    """Exit code 2, and everything else is there. The damage is a kept network's."""
    (tmp_path / "s.toml").write_text(
        'name = "again"\n[grid]\nreg = ["bare", "do"]\nepochs = 3\n[report]\nanalyses = ["filters", "dynamics"]\n'
    )
    run = next(run for run in store_copy.runs() if run.recipe.seed == 0 and not run.recipe.regularizers)
    path = run.path / "checkpoints" / "epoch-0001.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    done = memstudy("study", "s.toml", "--json")
    assert done.exit_code == 2
    summary = json.loads(done.stdout)
    (left_out,) = summary["left_out"]
    assert left_out.startswith("filters: ")
    assert "epoch-0001.safetensors" in left_out
    assert summary["dynamics"]
    assert any(path.endswith("methods.md") for path in summary["tables"])
    assert "epoch-0001.safetensors" in done.stderr.splitlines()[-1]
    assert not store_copy.is_derived("again")


def test_a_run_whose_records_are_left_off_by_size_says_so_at_the_start(memstudy, monkeypatch, tmp_path):
    """The size is set down to that of these few samples: 1,600,000 bytes are 400 samples' of 800 epochs."""
    run = ("run", "--train-size", "400", "--epochs", "2")
    kept = memstudy(*run)
    assert "not recorded" not in kept.output
    monkeypatch.setattr(records, "MOST", 5 * 2 * 400 - 1)
    said = memstudy(*run, "--seed", "1")
    assert "its samples are not recorded after each epoch, as that would take 0 MB" in said.output
    assert "--dynamics, from the start, records them" in said.output
    for choice in ("--dynamics", "--no-dynamics"):  # who says so knows
        assert "not recorded" not in memstudy(*run, "--seed", "2", choice).output
    (tmp_path / "s.toml").write_text('name = "s"\nseeds = 2\n[grid]\nepochs = 2\ntrain_size = 400\n')
    told = memstudy("study", "s.toml", "--minutes", "0.0001", "--seeds", "4,5", "--train-only")
    assert "the samples of 2 of these runs are not recorded after each epoch" in told.output
    (tmp_path / "s.toml").write_text((tmp_path / "s.toml").read_text() + '[report]\nanalyses = ["dynamics"]\n')
    told = memstudy("study", "s.toml", "--minutes", "0.0001", "--seeds", "6,7", "--train-only")  # none has begun
    assert "not recorded" not in told.output  # its report needs them
    assert "records of every sample after each epoch take 0 MB" in told.output
