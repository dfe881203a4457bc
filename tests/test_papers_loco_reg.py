"""LOCO-Reg's table: its rows, its stars, and the paper's numbers where the paper has that row."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind, ttest_rel

from memstudy import presets
from memstudy.papers.loco_reg import tables
from memstudy.report import published
from tests.kit.runs import first_epochs, select, write_run

ACCURACY = {1.0: (0.80, 0.81, 0.82), 1.4: (0.900, 0.911, 0.919), 1.8: (0.80, 0.82, 0.81)}
LAMBDA = 0.0005


@pytest.fixture
def selection(tmp_path):
    def make(accuracies=ACCURACY, weight=LAMBDA, reg="loco", **options):
        runs = []
        for eta, values in accuracies.items():
            for seed, value in enumerate(values):
                own = {"eta": eta, "weight": weight}
                recipe = presets.build(reg=reg, options={"loco": own}, seed=seed, epochs=2, **options)
                runs.append(write_run(tmp_path, recipe, [{"test_accuracy": value}] * 2))
        return select(runs)

    return make


def test_rows_means_and_the_test_against_eta_1(selection):
    (sheet,) = tables.tables(selection())
    assert sheet is not None
    values: Any = sheet.values.set_index("eta")
    for eta, found in ACCURACY.items():
        assert values.loc[eta, "mean"] == pytest.approx(100 * np.mean(found))
        assert values.loc[eta, "sd"] == pytest.approx(100 * np.std(found, ddof=1))
        assert values.loc[eta, "n"] == 3
    assert math.isnan(values.loc[1.0, "p"])
    for eta in (1.4, 1.8):
        expected = ttest_rel(ACCURACY[eta], ACCURACY[1.0])
        assert values.loc[eta, "p"] == pytest.approx(expected.pvalue)
        assert values.loc[eta, "test"] == "paired"
        interval = 100 * np.array(expected.confidence_interval())
        assert values.loc[eta, ["low", "high"]].tolist() == pytest.approx(interval.tolist())
    assert values.loc[1.4, "p_holm"] == pytest.approx(2 * values.loc[1.4, "p"])
    assert values.loc[1.8, "p_holm"] == values.loc[1.8, "p"]
    (column,) = [name for name in sheet.cells.columns if name.startswith("λ = ")]
    cells = sheet.cells.set_index("η")[column]
    assert cells["1.4"] == "91.00 ± 0.95***"
    assert cells["1.8"] == "81.00 ± 1.00"
    assert "(paired over seeds)" in sheet.markdown()


def test_too_few_seeds_in_common_are_not_paired(selection):
    (sheet,) = tables.tables(selection({1.0: (0.80, 0.81, 0.82, 0.81, 0.80, 0.82, 0.81), 1.4: (0.90, 0.92, 0.94)}))
    found = sheet.values.set_index("eta").loc[1.4]
    assert found["test"] == "Welch"
    expected = ttest_ind((0.90, 0.92, 0.94), (0.80, 0.81, 0.82, 0.81, 0.80, 0.82, 0.81), equal_var=False).pvalue
    assert found["p"] == pytest.approx(expected)
    assert "Welch's" in sheet.markdown()


def test_stars_are_not_adjusted_for_the_number_of_rows(selection):
    """As in the paper; the adjusted p-value is in the CSV."""
    (sheet,) = tables.tables(
        selection({1.0: (0.80, 0.81, 0.82), 1.4: (0.82, 0.84, 0.86), 1.8: (0.80, 0.82, 0.82)})
    )
    found = sheet.values.set_index("eta").loc[1.4]
    assert found["p"] < 0.05 < found["p_holm"]
    assert sheet.cells["λ = 0.0005"].str.endswith("*").tolist() == [False, True, False]


def test_one_seed_has_no_spread_and_no_star(selection):
    (sheet,) = tables.tables(selection({1.0: (0.8,), 1.4: (0.9,)}))
    assert sheet is not None
    assert sheet.cells["λ = 0.0005"].tolist() == ["80.00", "90.00"]
    assert sheet.values["test"].dropna().tolist() == ["fewer than two values"]
    assert "Stars" not in sheet.markdown()
    assert "No stars: with fewer than 3 seeds nothing is tested, and one seed has no spread" in sheet.markdown()


def test_two_seeds_get_no_star_and_how_many_it_would_take_without_adjustment(selection):
    """However clear: unadjusted p would be .013 and .003."""
    (sheet,) = tables.tables(selection({1.0: (0.80, 0.81), 1.4: (0.90, 0.914), 1.8: (0.95, 0.9614)}))
    assert "*" not in sheet.markdown().replace("**LOCO", "").replace("value**", "").split("No stars")[0][60:]
    values = sheet.values.set_index("eta")
    assert values["p"].isna().all()
    assert values["seeds_needed"].dropna().tolist() == [3, 3]
    assert "half of these 2 would have p < .05, with a chance of 80 %, at n = 3 seeds" in sheet.markdown()


def test_a_run_that_stopped_early_is_not_counted(selection):
    """Its accuracy is that of another epoch."""
    made = selection()
    for run in made.runs:
        if run.recipe.seed == 2 and run.recipe.options("loco")["eta"] == 1.4:
            first_epochs(run, 1)
    (sheet,) = tables.tables(made)
    row: Any = sheet.values.set_index("eta").loc[1.4]
    assert (row["n"], row["pairs"]) == (2, 2)
    assert row["mean"] == pytest.approx(100 * (0.900 + 0.911) / 2)
    assert row["difference"] == pytest.approx(100 * ((0.900 - 0.80) + (0.911 - 0.81)) / 2)


def test_other_settings_are_not_compared(selection):
    one = selection({1.0: (0.80, 0.81, 0.82)}, network="smallnet")
    other = selection({1.4: (0.90, 0.91, 0.92)}, network="vgg16")
    (sheet,) = tables.tables(select(one.runs, other.runs))
    assert sheet is not None
    assert sheet.values["p"].isna().all()


def test_eta_goes_down_and_lambda_across(selection):
    """As the paper's 27 rows of four λ; what else tells networks apart stands beside them."""
    parts = [
        selection({1.0: (0.80,), 1.4: (0.81,)}, weight=weight, network=network, reg=reg)
        for weight in (0.0005, 0.002)
        for network, reg in (("vgg16", "bn+loco"), ("resnet18", "loco"))
    ]
    runs = [run for part in parts for run in part.runs]
    (sheet,) = tables.tables(select(runs))
    assert list(sheet.cells.columns) == ["data set", "network", "η", "γ", "n", "λ = 0.0005", "λ = 0.002"]
    found = list(zip(sheet.cells["network"], sheet.cells["η"], strict=True))
    assert found == [("resnet18", "1"), ("resnet18", "1.4"), ("vgg16, bn", "1"), ("vgg16, bn", "1.4")]


def test_nothing_to_compare_is_no_table(selection):
    assert tables.tables(selection({1.4: (0.9, 0.91)})) == []


def test_published_rows_stand_beside_ours(selection):
    made = selection({1.0: (0.80, 0.81), 1.4: (0.82, 0.83)}, network="vgg16", dataset="cifar10")
    (sheet,) = tables.tables(made)
    assert sheet is not None
    assert sheet.cells["λ = 0.0005"].tolist() == ["80.50 ± 0.71 (87.61)", "82.50 ± 0.71 (88.40**)"]
    (small,) = tables.tables(selection({1.0: (0.80, 0.81), 1.4: (0.82, 0.83)}))
    assert small is not None
    assert not small.cells["λ = 0.0005"].str.contains(r"\(").any()


def test_the_paper_s_table_is_whole():
    paper = published.table("loco_reg")
    assert isinstance(paper, pd.DataFrame)
    assert set(paper["eta"]) == {1.0, 1.4, 1.8}
    assert set(paper["lambda"]) == {0.00025, 0.0005, 0.001, 0.002}
    assert paper["stars"].between(0, 3).all()
    assert paper["accuracy"].between(0, 1).all()
    assert not paper.duplicated(["dataset", "architecture", "eta", "lambda"]).any()


def test_every_format(selection):
    (sheet,) = tables.tables(selection())
    assert sheet is not None
    assert sheet.markdown().count("\n| ") >= 4
    assert r"$\eta$" in sheet.latex()
    assert len(sheet.csv().splitlines()) == 4


def test_a_study_can_have_this_table_alone(selection, capsys):
    from memstudy.cli.progress import Voice
    from memstudy.study.tables import make_tables

    made = selection()
    made.path.mkdir(parents=True)
    (made.path / "study.json").write_text('{"report": {"tables": ["loco_reg"]}}')
    summary = make_tables(made, Voice())
    assert {path.name for path in (made.path / "tables").iterdir()} == {
        f"loco_reg.{e}" for e in ("md", "tex", "csv")
    }
    assert {row["table"] for row in summary["numbers"]} == {"loco_reg"}
    assert "AL2" not in capsys.readouterr().out
