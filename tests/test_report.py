"""Tables and figures: every number traced to runs, published values only where the recipe is the paper's."""

from __future__ import annotations

import io
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from memstudy import presets
from memstudy.report import figures, published, tables
from memstudy.report.frames import differences_from_paper, settings
from memstudy.report.summary import run_summary, verdict
from memstudy.store import Store
from memstudy.store.run import RunDirectory, run_name
from memstudy.study import ablate
from memstudy.study.trunk import Workbench


@pytest.fixture(scope="module")
def store(trained, tmp_path_factory):
    root = tmp_path_factory.mktemp("report") / "runs"
    shutil.copytree(trained, root)
    return Store(root)


@pytest.fixture(scope="module")
def setting(store):
    (only,) = settings(store.select().runs)
    return only


@pytest.fixture
def paper_store(store, tmp_path):
    """Runs of the paper's recipe with metrics copied from ours: 701 epochs of MNIST are not for a test.

    The numbers are not the paper's; what is tested is where the published ones are put.
    """
    rows = store.select().runs[0].metrics()
    paper = Store(tmp_path / "paper")
    for reg in ("bare", "al2"):
        recipe = presets.build("al2", reg=reg)
        run = RunDirectory(paper.root / run_name(recipe), recipe)
        (run.path / "checkpoints").mkdir(parents=True)
        run.write_recipe()
        run.update(status="finished", floor=2.2103)
        run.save_checkpoint(700, {"x": torch.zeros(1)})
        rows.iloc[[0, 1]].assign(epoch=[100, 700]).to_csv(run.path / "metrics.csv", index=False)
    return paper


def test_published_table_is_complete():
    table = published.table("al2_table1")
    assert len(table) == 4 * 7 * 3 * 2
    assert not table["value"].isna().any()
    assert len(published.table("al2_ablation_area")) == 4 * 7 * 2


def test_table1_is_the_mean_over_seeds_of_the_metrics_files(store, setting):
    values = tables.table1(setting, [0, 2]).values
    assert set(values["epoch"]) == {0, 2}
    for (baseline, al2), reg in {("Bare", "without AL2"): "bare", ("DO", "with AL2"): "do+al2"}.items():
        ours = [pd.read_csv(path / "metrics.csv") for path in store.root.glob(f"*-{reg}-s*")]
        assert len(ours) == 2
        for column, shape in tables.TABLE1.items():
            numbers = [shape.scale * run.loc[run["epoch"] == 2, column].item() for run in ours]
            row = values[
                (values["baseline"] == baseline)
                & (values["al2"] == al2)
                & (values["epoch"] == 2)
                & (values["metric"] == shape.heading)
            ]
            assert row["mean"].item() == pytest.approx(np.mean(numbers), rel=1e-12)
            assert row["sd"].item() == pytest.approx(np.std(numbers, ddof=1), rel=1e-9, abs=1e-12)
            assert row["n"].item() == 2


def test_another_protocol_says_so_and_shows_no_published_number(setting):
    table = tables.table1(setting)
    assert table.values["published"].isna().all()
    text = table.markdown()
    assert "Not the paper's protocol" in text
    for difference in (
        "dataset mnist5k instead of mnist",
        "epochs 3 instead of 701",
        "al2.initial 1 instead of 0.01",
    ):
        assert difference in text


def test_papers_protocol_shows_published_numbers_beside_ours(paper_store):
    (setting,) = settings(paper_store.select().runs)
    assert differences_from_paper(setting) == []
    table = tables.table1(setting, [100, 700])
    text = table.markdown()
    assert "(95.25)" in text  # bare with AL2, epoch 100, test accuracy
    assert "(119.1)" in text  # bare without AL2, epoch 700, activation loss
    assert "Not the paper" not in text


def test_one_changed_number_makes_another_protocol(paper_store):
    (setting,) = settings(paper_store.select().runs)
    slower = replace(setting.runs[0].recipe, training=replace(setting.runs[0].recipe.training, momentum=0.6))
    changed = replace(setting, runs=(RunDirectory(setting.runs[0].path, slower),))
    assert differences_from_paper(changed) == ["momentum 0.6 instead of 0.5"]


def test_formats_hold_the_same_numbers(setting):
    table = tables.table1(setting, [0, 2])
    numbers = [sorted(re.findall(r"\d+\.\d\d+", text.split("\n\n")[1])) for text in (table.markdown(),)]
    body = table.latex().split(r"\midrule", 1)[1].split(r"\bottomrule")[0]
    assert sorted(re.findall(r"\d+\.\d\d+", body)) == numbers[0]
    back = pd.read_csv(io.StringIO(table.csv()))
    assert back["mean"].to_numpy() == pytest.approx(table.values["mean"].to_numpy(), rel=1e-15)


def test_latex_is_booktabs_with_nothing_left_unescaped(setting):
    text = tables.table1(setting).latex()
    for command in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert command in text
    assert text.count("{") == text.count("}")
    assert not re.search(r"(?<!\\)%", text)
    assert not re.search(r"(?<![\\$L])_", text)
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len({line.count("&") for line in rows[1:]}) == 1


def test_ablation_table(store, setting, small_source):
    curves = ablate.ablate(store.select(), Workbench(torch.device("cpu")), orders=2, seed=0)
    areas = ablate.areas(curves)
    table = tables.ablation_area(setting, areas, [2])
    assert table is not None
    chosen = areas[
        (areas["epoch"] == 2) & (areas["protocol"] == "bernoulli") & areas["run"].str.contains("-bare-")
    ]
    row = table.values[
        (table.values["baseline"] == "Bare")
        & (table.values["al2"] == "without AL2")
        & table.values["metric"].str.contains("Bernoulli")
    ]
    assert row["mean"].item() == pytest.approx(chosen["area"].mean(), rel=1e-12)


def test_versions_of_one_regularizer_do_not_share_a_table(store, small_source, tmp_path):
    from memstudy.study.carry_out import Execution, carry_out

    shutil.copytree(store.root, tmp_path / "runs")
    both = Store(tmp_path / "runs")
    slow = presets.build(reg="al2", epochs=3, options={"al2": {"initial": 0.5}})
    carry_out(both.open(slow), Execution(device="cpu"))
    found = settings(both.select(study="all").runs)
    assert len(found) == 2
    for setting in found:
        versions = {run.recipe.regularizers for run in setting.runs if "-al2-" in run.name}
        assert len(versions) == 1
    assert not (set(found[0].runs) & set(found[1].runs) & {run for run in found[0].runs if "-al2-" in run.name})


def test_figures_come_in_every_format_with_their_data_and_equal_bytes(store):
    selection = store.select()
    drawn = figures.draw_training(selection)
    assert {path.suffix for path in drawn} == {".svg", ".pdf", ".png", ".csv"}
    assert {path.stem for path in drawn} == {"accuracy", "losses", "memorization", "activation_loss"}
    before = {path: path.read_bytes() for path in drawn}
    assert all(before.values())
    figures.draw_training(selection)
    assert {path: path.read_bytes() for path in drawn} == before
    data = pd.read_csv(selection.path / "figures" / "accuracy.csv")
    run = selection.runs[0]
    ours = data.loc[data["run"] == run.name, "test_accuracy"].to_numpy()
    assert ours == pytest.approx(100 * run.metrics()["test_accuracy"].to_numpy(), rel=1e-12)


def test_loss_figure_has_the_floor(store, setting):
    figures.draw_training(store.select())
    folder = store.select().path / "figures"
    assert (
        f"{setting.floor:.4f}" in (folder / "losses.svg").read_text()
        or "<path" in (folder / "losses.svg").read_text()
    )
    assert np.allclose(pd.read_csv(folder / "losses.csv")["floor"], 2.2103, atol=5e-5)


def test_verdict_follows_the_floor(store, tmp_path):
    shutil.copytree(store.root, tmp_path / "runs")
    run = next(run for run in Store(tmp_path / "runs").runs() if "-bare-s0" in run.name)
    assert "no memorization shows" in verdict(run)
    run.update(floor=99.0)
    assert "it memorizes" in verdict(run)


def test_summary_is_what_the_directory_says(store):
    run = store.runs()[0]
    summary = run_summary(run)
    assert summary["status"] == "finished"
    assert summary["last"]["test_accuracy"] == run.metrics()["test_accuracy"].iloc[-1]
    assert summary["id"] == run.recipe.id
