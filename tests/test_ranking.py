"""The ranking of methods under label noise: its numbers by hand, what it leaves out, where there is none.

Metrics are written by hand: the ranking does not ask how they came about.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import QuadMesh
from scipy import stats

from memstudy import presets
from memstudy.analysis.ablation import FRACTIONS
from memstudy.derived import landscape
from memstudy.derived.ablation import Ablation
from memstudy.derived.ranking import Ranking, figures, tables
from memstudy.derived.ranking.methods import _words, ranking_groups
from memstudy.recipe import Corruption
from memstudy.regularizers import label
from memstudy.report.color_scales import round_scale
from memstudy.report.heat_maps import PERCENT, heat_map, name_columns
from memstudy.report.look import Look
from memstudy.store import Status
from memstudy.store.store import Selection
from tests.kit.drawing import draw, fit_for_print
from tests.kit.runs import write_run
from tests.kit.sentences import refused

EPOCHS = 2
FINAL = {
    ("bare", 0.0): (90, 91, 92), ("bare", 0.25): (70, 72, 74), ("bare", 0.5): (50, 52, 53),
    ("bn", 0.0): (92, 91, 93), ("bn", 0.25): (71, 72, 76), ("bn", 0.5): (51, 50, 54),
    ("al2", 0.0): (90, 90, 91), ("al2", 0.25): (80, 83, 84), ("al2", 0.5): (70, 71, 74),
    ("bn+al2", 0.0): (91, 91, 91), ("bn+al2", 0.25): (84, 85, 87), ("bn+al2", 0.5): (72, 75, 75),
}  # fmt: skip
"""Test accuracy after the last epoch, %, by regularizers and rate, for seeds 0, 1, 2."""


def write_runs(root, final, epochs=EPOCHS, **options):
    """Runs with these accuracies; the best epoch was 5 points better than the last."""
    runs = []
    for (reg, rate), values in final.items():
        for seed, value in enumerate(values):
            recipe = presets.build(reg=reg, corrupt=rate, seed=seed, epochs=EPOCHS, **options)
            measured = [metrics(value + 5 * (epoch == 0), rate, seed) for epoch in range(epochs)]
            runs.append(write_run(root, recipe, measured))
    return tuple(runs)


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """The runs of FINAL."""
    return write_runs(tmp_path_factory.mktemp("store"), FINAL)


@pytest.fixture
def select(usual, tmp_path):
    """A selection of the usual runs that fit, and of others, its directory empty."""

    def make(fits=lambda reg, rate, seed: True, final=None, **options):
        kept = [
            run for run in usual
            if fits(label(run.recipe.regularizers), run.recipe.corruption.rate, run.recipe.seed)
        ]  # fmt: skip
        more = write_runs(tmp_path, final, **options) if final else ()
        return Selection("some", (*kept, *more), tmp_path / "studies" / "some")

    return make


def metrics(accuracy, rate, seed):
    return {
        "train_activation_loss": 0.1 + seed,
        "test_accuracy": accuracy / 100,
        "clean_accuracy": 0.9,
        "memorized": rate / 2 if rate else math.nan,
        "recovered": 0.1,
    }


def asked_for(selection, **report):
    selection.path.mkdir(parents=True, exist_ok=True)
    record = {"updated": 0, "runs": [], "report": {"tables": ["ranking"], **report}}
    (selection.path / "study.json").write_text(json.dumps(record))
    return selection


def numbers(selection):
    return tables.tables(selection)[0].values.set_index("method")


def noisy(reg):
    """By seed, the mean over the noisy rates."""
    return np.mean([FINAL[reg, rate] for rate in (0.25, 0.5)], axis=0)


# The ranking


def test_gains_are_paired_differences_to_bare(select):
    found = numbers(select())
    ps = {}
    for reg in ("bn", "al2", "bn+al2"):
        expected = stats.ttest_rel(noisy(reg), noisy("bare"))
        row, ps[reg] = found.loc[reg], expected.pvalue
        assert row["gain"] == pytest.approx((noisy(reg) - noisy("bare")).mean())
        assert (row["gain_low"], row["gain_high"]) == pytest.approx(tuple(expected.confidence_interval()))
        assert (row["gain_p"], row["gain_test"], row["gain_pairs"]) == (
            pytest.approx(expected.pvalue),
            "paired",
            3,
        )
        assert row["accuracy"] == pytest.approx(noisy(reg).mean())
    order = sorted(ps, key=lambda reg: ps[reg])
    adjusted = [(3 - place) * ps[reg] for place, reg in enumerate(order)]
    assert found.loc[order, "gain_p_holm"].tolist() == pytest.approx(np.maximum.accumulate(adjusted).tolist())
    assert np.isnan(found.loc["bare", "gain"])


def test_true_labels_are_apart(select):
    found = numbers(select())
    assert found.loc["bn", "clean_gain"] == pytest.approx(1)
    assert found.loc["al2", "clean_gain"] == pytest.approx(-2 / 3)


def test_ranks_are_within_rate_and_seed(select):
    found = numbers(select())
    assert found.index.tolist() == ["bn+al2", "al2", "bn", "bare"]
    # bn: third before bare but at seed 1, where it ties at rate .25 and loses at .5.
    by_seed = [3, (3.5 + 4) / 2, 3]
    assert found.loc["bn", "rank"] == pytest.approx(np.mean(by_seed))
    assert found.loc["bn", ["rank_low", "rank_high"]].tolist() == [min(by_seed), max(by_seed)]
    assert found["rank"].sum() == pytest.approx(1 + 2 + 3 + 4)


def test_synergy_is_over_the_better_one_alone(select):
    row = numbers(select()).loc["bn+al2"]
    expected = stats.ttest_rel(noisy("bn+al2"), noisy("al2"))
    assert row["synergy_against"] == "al2"
    assert row["synergy"] == pytest.approx((noisy("bn+al2") - noisy("al2")).mean())
    assert row["synergy_p"] == row["synergy_p_holm"] == pytest.approx(expected.pvalue)
    gains = numbers(select())["gain"]
    assert row["synergy"] == pytest.approx(gains["bn+al2"] - max(gains["bn"], gains["al2"]))


def test_a_seed_without_some_rate_does_not_count(select):
    found = numbers(select(lambda reg, rate, seed: (reg, rate, seed) != ("al2", 0.5, 2)))
    assert found.loc["al2", "n"] == 2
    assert found.loc["bn", "n"] == 3
    assert set(found["rank_n"]) == {2}
    assert found.loc["bn+al2", "synergy_pairs"] == 2


def test_methods_without_a_seed_in_common_go_by_accuracy(select):
    found = numbers(select(lambda reg, rate, seed: (seed == 0) == (reg == "al2")))
    assert found["rank"].isna().all()
    assert found.index.tolist() == ["bn+al2", "al2", "bn", "bare"]
    assert found.loc["al2", "gain_test"] == "fewer than two values"
    assert np.isnan(found.loc["bn+al2", "synergy"])


def test_one_seed_has_ranks_and_no_interval(select):
    selection = select(lambda reg, rate, seed: seed == 0)
    found = numbers(selection)
    assert found["rank"].tolist() == [1, 2, 3, 4]
    assert found[["gain_low", "gain_p", "rank_low"]].isna().all(axis=None)
    text = tables.tables(selection)[0].markdown()
    assert "| 1 | bn+al2 | 1 | 1.0 | 78.0 | +18.0 | +1.0 | +3.0 |" in text
    assert "Stars" not in text
    assert "No stars: with fewer than 3 seeds nothing is tested, and one seed has no spread" in text


def test_two_seeds_have_intervals_and_no_star(select):
    for sheet in tables.tables(select(lambda reg, rate, seed: seed < 2)):
        assert not sheet.cells.map(lambda cell: cell.endswith("*")).any(axis=None)
        text = sheet.markdown()
        assert "No stars: with fewer than 3 seeds nothing is tested. If differences" in text
        assert "Stars:" not in text
    found = numbers(select(lambda reg, rate, seed: seed < 2)).drop("bare")
    assert found["gain_p"].isna().all()
    assert found["gain_test"].to_dict() == {  # of the others both seeds gain the same
        "bn+al2": "no spread",
        "al2": "no spread",
        "bn": "fewer than three pairs",
    }
    assert found.loc["bn", ["gain_low", "gain_high"]].notna().all()


def test_the_gain_is_over_the_reference_that_other_tables_have(select):
    """The one that is named, by the command or the study; else bare training; without it the first method."""
    named = asked_for(select(), reference="bn")
    for selection, reference in (
        (select(lambda reg, rate, seed: reg != "bare"), "bn"),
        (named, "bn"),
        (replace(named, reference="al2"), "al2"),
    ):
        sheet, *rates = tables.tables(selection)
        found = sheet.values.set_index("method")
        others = [reg for reg in found.index if reg != reference]
        assert found["gain"].isna().to_dict()[reference]
        for reg in others:
            assert found.loc[reg, "gain"] == pytest.approx((noisy(reg) - noisy(reference)).mean())
        assert f"gain over {reference}" in sheet.cells
        assert f"difference to {reference} at" in sheet.notes[0]
        assert all(set(rate.values["against"].dropna()) == {reference} for rate in rates)
        _, pairs, gains = fit_for_print(lambda: figures.figures(selection), [3.25])  # noqa: B023
        assert set(gains.data["method"]) == set(others)
        assert f"over {reference} at" in gains.caption
        assert pairs.data["reference"].notna().all()
    refused(lambda: tables.tables(replace(named, reference="al")), "'al'", "did you mean al2")


def test_a_setting_without_the_reference_has_no_gain(select):
    other = {(reg, rate): (50,) for reg in ("wd", "bn", "al2") for rate in (0.25, 0.5)}
    selection = select(final=other, batch_size=32)
    sheets = {sheet.name: sheet for sheet in tables.tables(selection)}
    assert "gain over bare" in next(iter(sheets.values())).cells
    without = sheets["ranking--batch-size-32"]
    assert without.values["gain"].isna().all()
    assert not [name for name in without.cells if "gain" in str(name)]
    assert "Gain" not in without.notes[0]
    with Look().applied():
        names = [drawing.name for drawing in figures.figures(selection)]
    plt.close("all")
    assert [name for name in names if name.startswith("ranking_gain")]
    assert "ranking_gain--batch-size-32" not in names


# What was measured at each rate


def test_measures_at_each_rate(select):
    sheets = {sheet.name: sheet for sheet in tables.tables(select())}
    assert list(sheets) == ["ranking", "ranking_clean", "ranking_25_symmetric", "ranking_50_symmetric"]
    values: Any = sheets["ranking_50_symmetric"].values.set_index(["method", "measure"])
    assert values.loc[("al2", "final"), ["mean", "sd", "n"]].tolist() == pytest.approx(
        [np.mean((70, 71, 74)), np.std((70, 71, 74), ddof=1), 3]
    )
    assert values.loc[("al2", "best"), "mean"] == pytest.approx(np.mean((70, 71, 74)) + 5)
    assert values.loc[("al2", "memorized"), "mean"] == pytest.approx(25)
    assert values.loc[("al2", "activation_loss"), "mean"] == pytest.approx(1.1)
    assert list(dict.fromkeys(values.index.get_level_values("method"))) == ["bn+al2", "al2", "bn", "bare"]
    row = values.loc[("al2", "final")]
    expected = stats.ttest_rel(FINAL["al2", 0.5], FINAL["bare", 0.5])
    assert (row["against"], row["difference"], row["p"]) == (
        "bare",
        pytest.approx(20),
        pytest.approx(expected.pvalue),
    )
    assert values.loc["bare", "p"].isna().all()
    count = values["p"].notna().sum()
    assert row["p_holm"] == pytest.approx(min(1, count * row["p"]), rel=0.5)
    assert f"against bare; * p < .05, ** .01, *** .001, adjusted by Holm's method for {count} tests" in (
        sheets["ranking_50_symmetric"].markdown()
    )
    assert "memorized, %" not in sheets["ranking_clean"].cells
    assert not {"ablation area, %", "landscape cv"} & set(sheets["ranking_50_symmetric"].cells)


def test_analyses_that_were_made_are_there(select):
    """Area of Bernoulli masks and the measured landscape, of the last epoch; the others are decoys."""
    selection = select()
    curves, flat = [], []
    for run in selection.runs:
        for epoch, protocol, level in ((1, "bernoulli", 0.4), (1, "units", 0.9), (0, "bernoulli", 0.9)):
            key = {"run": run.name, "epoch": epoch, "protocol": protocol, "orders": 1, "seed": 0, "order": 0}
            curves += [key | {"fraction": fraction, "accuracy": level} for fraction in FRACTIONS]
        for epoch, kind, cv in ((1, "measured", 0.7), (1, "predicted", 0.1), (-1, "measured", 0.2)):
            flat.append({"run": run.name, "epoch": epoch, "checkpoint": "x", "kind": kind, "cv": cv})
    selection.path.mkdir(parents=True)
    pd.DataFrame(curves).to_csv(selection.path / Ablation().curves, index=False)
    flatness = pd.DataFrame(flat).assign(images=100, max_over_min=1.0, correlation=0.0)
    flatness.to_csv(selection.path / landscape.FLATNESS, index=False)
    cells = tables.tables(selection)[-1].cells
    assert set(cells["ablation area, %"]) == {"40.00 ± 0.00"}
    assert set(cells["landscape cv"]) == {"0.70 ± 0.00"}


def test_an_unfinished_run_is_left_out_and_said_to_be(select):
    sheets = tables.tables(select(final={("do", 0.25): (99, 99, 99)}, epochs=1))
    assert "do" not in set(sheets[0].values["method"])
    assert all("left out: 3 runs" in sheet.markdown() for sheet in sheets)


def test_a_run_that_no_table_counts_is_left_out_here_too(select, tmp_path):
    """One that failed after its last epoch, where others of its setting are finished."""
    selection = select()
    for run in selection.runs:
        with run.lock():
            run.finish()
    worst = presets.build(reg="al2", corrupt=0.5, seed=9, epochs=EPOCHS)
    failed = write_run(tmp_path, worst, [metrics(1, 0.5, 9)] * EPOCHS, status=Status.FAILED)
    more = replace(selection, runs=(*selection.runs, failed))
    pd.testing.assert_frame_equal(numbers(more), numbers(selection))
    finished = write_run(tmp_path, replace(worst, seed=10), [metrics(1, 0.5, 9)] * EPOCHS, status=Status.FINISHED)
    rows = tables.tables(replace(selection, runs=(*selection.runs, finished)))
    of_al2: Any = next(sheet for sheet in rows if sheet.name == "ranking_50_symmetric").values
    assert of_al2.set_index(["method", "measure"]).loc[("al2", "final"), "n"] == 4


# What may stand in one ranking


def test_versions_of_a_method_are_told_apart(select):
    other = {("al2", 0.25): (60, 60, 61), ("al2", 0.5): (40, 41, 40)}
    found = numbers(select(final=other, options={"al2": {"advance": 2.0}}))
    assert {"al2 (advance 5)", "al2 (advance 2)", "bn+al2 (advance 5)"} <= set(found.index)
    assert found.loc["bn+al2 (advance 5)", "synergy_against"] == "al2 (advance 5)"


def test_each_setting_has_its_own_ranking(select):
    other = {(reg, rate): (50,) for reg in ("bare", "bn", "al2") for rate in (0.25, 0.5)}
    sheets = {sheet.name: sheet for sheet in tables.tables(select(final=other, batch_size=32))}
    assert [name for name in sheets if name.endswith("--batch-size-32")] == [
        f"{name}--batch-size-32" for name in ("ranking", "ranking_25_symmetric", "ranking_50_symmetric")
    ]  # fmt: skip
    assert len(sheets) == 4 + 3
    assert set(sheets["ranking--batch-size-32"].values["accuracy"]) == {50}
    assert set(sheets["ranking--batch-size-32"].values["rank"]) == {2}


def test_few_methods_at_one_rate_have_a_ranking_if_asked_for(select):
    one_rate = select(lambda reg, rate, seed: rate == 0.5)
    assert tables.tables(one_rate) == []
    assert draw(Ranking(), one_rate) == []
    assert ranking_groups(asked_for(one_rate))
    assert tables.tables(asked_for(select(lambda reg, rate, seed: reg in ("bare", "bn")))) == []


def test_corruptions_in_words():
    eye, swap = ((1.0, 0.0), (0.0, 1.0)), ((0.0, 1.0), (1.0, 0.0))
    given = [Corruption(rate=0.5), Corruption(rate=0.5, seed=3), Corruption(rate=0.0)]
    given += [Corruption("matrix", None, matrix=rows) for rows in (eye, swap)]
    assert list(_words(given).values()) == ["matrix", "matrix (2)", "clean", "50 % symmetric"]


# Figures


def test_the_figures_data(select):
    selection = select()
    folder = selection.path / "figures"
    folder.mkdir(parents=True)
    (folder / "ranking_rates-7.png").write_text("of an earlier selection")
    written = draw(Ranking(), selection)
    assert {path.name for path in folder.iterdir()} == {path.name for path in written}
    rates = pd.read_csv(folder / "ranking_rates.csv").set_index(["method", "corruption"])
    assert rates.loc[("bn", "25 % symmetric"), "final"] == pytest.approx(73)
    assert rates.loc[("bn", "25 % symmetric"), "memorized"] == pytest.approx(12.5)
    assert rates["place"].groupby("method").first().to_dict() == {"bn+al2": 1, "al2": 2, "bn": 3, "bare": 4}
    pairs = pd.read_csv(folder / "ranking_pairs.csv").set_index(["corruption", "a", "b"])
    assert len(pairs) == 3 * 2 * 2
    at = pairs.loc["50 % symmetric"]
    assert at["accuracy"].to_dict() == pytest.approx(
        {("bn", "bn"): 155 / 3, ("bn", "al2"): 74, ("al2", "bn"): 74, ("al2", "al2"): 215 / 3}
    )
    assert set(at["reference"].round(6)) == {round(155 / 3, 6)}
    gains = pd.read_csv(folder / "ranking_gain.csv").set_index("method")
    table = numbers(selection)
    columns = ["gain", "gain_low", "gain_high"]
    assert gains[columns].to_numpy() == pytest.approx(table.loc[gains.index, columns].to_numpy())
    assert gains.index.tolist() == ["bn+al2", "al2", "bn"]


def images(drawing):
    """The maps of a drawing: those of panels, not of the scale of colors."""
    return [axis.collections[0] for axis in drawing.figure.axes if isinstance(axis.collections[0], QuadMesh)]


def test_heat_maps_have_one_scale_of_colors_and_all_figures_fit(select):
    rates, pairs, gain = fit_for_print(lambda: figures.figures(select()))
    for drawing, values in ((rates, rates.data[["final", "memorized"]]), (pairs, pairs.data[["accuracy"]])):
        meshes = images(drawing)
        ends = {(mesh.norm.vmin, mesh.norm.vmax) for mesh in meshes}
        ticks = round_scale(values.to_numpy().ravel())
        assert ends == {(ticks[0], ticks[-1])}
        assert "n = 3 seeds" in drawing.caption
    assert "n = 3 seeds, with 95 % intervals" in gain.caption
    assert len(images(pairs)) == 3


def test_gains_are_sorted_by_the_gain_they_show(select):
    """Seed 0 has do, at .25 alone; by mean rank al2 would come first, as do is at no rate the best."""
    final = {("do", 0.25): (95, 50, 50), ("do", 0.5): (74, 74, 80)}
    drawn = fit_for_print(lambda: figures.figures(select(final=final)), [3.25])
    (gain,) = [drawing for drawing in drawn if drawing.name == "ranking_gain"]
    assert gain.data["gain"].is_monotonic_decreasing
    (axis,) = gain.figure.axes
    containers: list[Any] = axis.containers
    places = {
        label.get_text(): place for label, place in zip(axis.get_yticklabels(), axis.get_yticks(), strict=True)
    }
    drawn_at = {(float(x), float(y)) for box in containers for x, y in zip(*box.lines[0].get_data(), strict=True)}
    assert drawn_at == {(row["gain"], places[row["method"]]) for row in gain.data.to_dict("records")}
    assert list(places) == gain.data["method"].tolist()


def test_few_numbers_or_none_where_cells_are_narrow(select):
    """Of five rates, two quantities in a column's width have no decimals; thirty columns have no numbers."""
    wide = pd.DataFrame(np.arange(60.0).reshape(2, 30), columns=[f"{rate} % symmetric" for rate in range(30)])
    shown = {}
    for cell in (0.4, 0.2, 0.1):
        with Look(width=3.25).applied():
            figure, axis = plt.subplots()
            heat_map(axis, wide, [0, 60], cell, PERCENT)
            name_columns(axis, wide.columns, cell)
            shown[cell] = [text.get_text() for text in axis.texts]
            assert len(axis.get_xticklabels()) == 30  # none is skipped
            plt.close(figure)
    assert (shown[0.4][7], shown[0.2][7], shown[0.1]) == ("7.0", "7", [])


def test_one_seed_and_long_names_are_drawn(select):
    selection = select(lambda reg, rate, seed: seed == 0)
    for drawing in fit_for_print(lambda: figures.figures(selection), [3.25]):
        assert "n = 1" in drawing.caption
    assert "one seed has no interval" in drawing.caption
    long = {(reg, rate): (50,) for reg in ("al2+normloss", "bn+do+wd+al2+normloss") for rate in (0.25, 0.5)}
    versions = {"al2": {"advance": 2.0}, "normloss": {"weight": 0.003}}
    selection = select(final=long, options=versions)
    assert fit_for_print(lambda: figures.figures(selection), [3.25])


def test_a_study_can_have_this_table_alone(select, capsys):
    from memstudy.cli.progress import Voice
    from memstudy.study.tables import make_tables

    made = asked_for(select())
    summary = make_tables(made, Voice(), "latex")
    assert {row["table"] for row in summary["numbers"]} == {sheet.name for sheet in tables.tables(made)}
    assert r"\toprule" in capsys.readouterr().out
