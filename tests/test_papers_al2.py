"""Tables and figures: every number traced to runs, published values only where the recipe is the paper's."""

from __future__ import annotations

import io
import json
import re
import shutil
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from memstudy import files, presets
from memstudy.analysis import ablation
from memstudy.data import artifact, transitions
from memstudy.derived.ablation import Ablation
from memstudy.derived.ablation.areas import areas
from memstudy.derived.ablation.measure import ablate
from memstudy.derived.deriving import derive
from memstudy.derived.methods import Curves, figures
from memstudy.derived.methods.epochs import cell, laid_out, layouts
from memstudy.derived.methods.tables import TRAINING, memorization
from memstudy.derived.similarity import Similarity, digest
from memstudy.derived.similarity.measure import compare
from memstudy.derived.workbench import Workbench
from memstudy.papers.al2 import tables
from memstudy.recipe import RegularizerSpec
from memstudy.report import frames, published
from memstudy.report.frames import comparable_runs, differences_from_paper
from memstudy.report.saving import save
from memstudy.report.typesetting import Typesetting
from memstudy.report.verdict import verdict, verdict_text
from memstudy.store import Store
from memstudy.store.run import RunDirectory
from memstudy.store.summary import run_summary
from memstudy.study.tables import make_figures, make_tables
from tests.kit import stores
from tests.kit.drawing import draw
from tests.kit.runs import first_epochs, write_run
from tests.kit.sentences import Sentences


@pytest.fixture(scope="module")
def store(trained, tmp_path_factory):
    return stores.copy_of(trained, tmp_path_factory.mktemp("report") / "runs")


def only_setting(selection):
    ((setting, _),) = comparable_runs(selection)
    return setting


@pytest.fixture(scope="module")
def setting(store):
    return only_setting(store.select())


def table1(selection, epochs=None):
    (table,) = tables.table1(selection, epochs)
    return table


@pytest.fixture(scope="module")
def paper_store(store, tmp_path_factory):
    """Runs of the paper's recipe with metrics copied from ours: 701 epochs of MNIST are not for a test.

    The numbers are not the paper's; what is tested is where the published ones are put.
    """
    first, *_ = store.select().runs[0].metrics().drop(columns="epoch").to_dict("records")
    root = tmp_path_factory.mktemp("paper")
    for reg in ("bare", "al2"):
        run = write_run(root, presets.build("al2", reg=reg), [first] * 701, floor=2.2103)
        run.save_checkpoint(700, {"x": torch.zeros(1)})
        run.finish()
    return Store(root)


def test_published_table_is_complete():
    table = published.table("al2_table1")
    assert len(table) == 4 * 7 * 3 * 2
    assert not table["value"].isna().any()
    assert len(published.table("al2_ablation_area")) == 4 * 7 * 2


def test_table1_is_the_mean_over_seeds_of_the_metrics_files(store):
    values = table1(store.select(), [0, 2]).values
    assert set(values["epoch"]) == {0, 2}
    for (baseline, al2), reg in {("Bare", "without AL2"): "bare", ("DO", "with AL2"): "do+al2"}.items():
        ours = [pd.read_csv(path / "metrics.csv") for path in store.root.glob(f"*-{reg}-s*")]
        assert len(ours) == 2
        for column, shape in TRAINING.items():
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


@pytest.mark.parametrize("make", [tables.table1, memorization])
def test_al2_is_held_against_the_same_runs_without_it(store, make):
    (table,) = make(store.select(), [0, 2])
    columns = table.values.set_index(["baseline", "metric", "epoch", "al2"])
    means = columns["mean"].unstack()
    with_al2 = columns.xs("with AL2", level="al2")
    assert with_al2["difference"].to_numpy() == pytest.approx(
        (means["with AL2"] - means["without AL2"])[with_al2.index].to_numpy(), abs=1e-12
    )
    assert set(with_al2["pairs"]) == {2}
    assert columns.xs("without AL2", level="al2")[["against", "difference", "p"]].isna().all(axis=None)
    assert with_al2[["low", "high"]].notna().all(axis=None)
    assert with_al2["p"].isna().all()  # two seeds: nothing is tested, and the note says what it would take
    count = len(with_al2)
    found = re.search(
        rf"No stars: .* half of these {count} would have p < \.05 after .* at n = (\d+) seeds", table.markdown()
    )
    assert found is not None
    needed = with_al2["seeds_needed"].fillna(10_000).astype(int)
    assert (needed <= int(found[1])).sum() >= count / 2 > (needed < int(found[1])).sum()
    assert "*" not in table.markdown().split("\n\n")[1]


def test_stars_stand_by_the_adjusted_p_value_before_the_published_number(paper_store):
    table = table1(paper_store.select(), [700])
    (layout,) = layouts(paper_store.select())
    assert "Stars" not in table.markdown()  # one seed
    values = table.values.assign(p=0.001, p_holm=table.values["al2"].map({"with AL2": 0.03, "without AL2": 0.06}))
    names = {column.heading: name for name, column in TRAINING.items()}
    rows = values.assign(column=values["metric"].map(names)).to_dict("records")
    shown = laid_out(values, [cell(row, TRAINING) for row in rows], list(names), layout)
    assert shown["L_r", "with AL2"].str.contains(r"^[\d.]+\* \([\d.]+\)$").all()
    assert not shown["L_r", "without AL2"].str.contains("*", regex=False).any()


def test_another_protocol_says_so_and_shows_no_published_number(store):
    table = table1(store.select())
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
    setting = only_setting(paper_store.select())
    assert differences_from_paper(setting) == []
    table = table1(paper_store.select(), [100, 700])
    text = table.markdown()
    assert "(95.25)" in text  # bare with AL2, epoch 100, test accuracy
    assert "(119.1)" in text  # bare without AL2, epoch 700, activation loss
    assert "Not the paper" not in text


def test_one_changed_number_makes_another_protocol(paper_store):
    setting = only_setting(paper_store.select())
    slower = replace(setting.runs[0].recipe, training=replace(setting.runs[0].recipe.training, momentum=0.6))
    changed = replace(setting, runs=(RunDirectory(setting.runs[0].path, slower),))
    assert differences_from_paper(changed) == ["momentum 0.6 instead of 0.5"]


def test_formats_hold_the_same_numbers(store):
    table = table1(store.select(), [0, 2])
    numbers = [sorted(re.findall(r"\d+\.\d\d+", text.split("\n\n")[1])) for text in (table.markdown(),)]
    body = table.latex(Typesetting(fit="resize")).split(r"\midrule", 1)[1].split(r"\bottomrule")[0]
    assert sorted(re.findall(r"\d+\.\d\d+", body)) == numbers[0]
    back = pd.read_csv(io.StringIO(table.csv()))
    assert back["mean"].to_numpy() == pytest.approx(table.values["mean"].to_numpy(), rel=1e-15)


def test_latex_is_booktabs_with_nothing_left_unescaped(store):
    text = table1(store.select()).latex()
    for command in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert command in text
    assert text.count("{") == text.count("}")
    assert not re.search(r"(?<!^)(?<!\\)%.", text, flags=re.MULTILINE)
    assert not re.search(r"(?<![\\$L])_", text)
    assert all(block.count(r"\midrule") for block in text.split(r"\toprule")[1:])


def test_ablation_table(store, small_source):
    curves = ablate(store.select(), Workbench(torch.device("cpu")), Ablation(orders=2, seed=0))
    measured = areas(curves)
    (table,) = tables.ablation_area(store.select(), measured, [2])
    chosen = measured[
        (measured["epoch"] == 2) & (measured["protocol"] == "bernoulli") & measured["run"].str.contains("-bare-")
    ]
    row = table.values[
        (table.values["baseline"] == "Bare")
        & (table.values["al2"] == "without AL2")
        & table.values["metric"].str.contains("Bernoulli")
    ]
    assert row["mean"].item() == pytest.approx(chosen["area"].mean(), rel=1e-12)


def test_two_versions_of_one_regularizer_are_two_methods(two_versions):
    """With other options it is another method, and no twin: the layout is that of methods."""
    selection = two_versions.select(study="all")
    ((_, members),) = comparable_runs(selection)
    assert sorted(members["label"]) == ["al2 (initial 0.5)", "al2 (initial 1)", "bare", "do", "do+al2 (initial 1)"]
    assert list(tables.table1(selection)) == []


def test_figures_come_in_every_format_with_their_data_and_equal_bytes(store, every_format):
    selection = store.select()
    drawn = draw(Curves(), selection)
    assert {path.suffix for path in drawn} == {".svg", ".pdf", ".png", ".csv"}
    assert {path.stem for path in drawn} == {"accuracy", "losses", "memorization", "activation_loss"}
    before = {path: path.read_bytes() for path in drawn}
    assert all(before.values())
    draw(Curves(), selection)
    assert {path: path.read_bytes() for path in drawn} == before
    data = pd.read_csv(selection.path / "figures" / "accuracy.csv")
    run = selection.runs[0]
    ours = data.loc[data["run"] == run.name, "test_accuracy"].to_numpy()
    assert ours == pytest.approx(100 * run.metrics()["test_accuracy"].to_numpy(), rel=1e-12)


def drawn_floors(selection):
    """Where each panel of the loss figure has a horizontal line, and its caption."""
    drawing = next(drawing for drawing in figures.figures(selection) if drawing.name == "losses")
    plt.close("all")
    levels = [
        [ys[0] for line in axis.lines if len(set(ys := np.asarray(line.get_ydata()))) == 1]
        for axis in drawing.figure.axes
    ]
    return levels, drawing.caption


@pytest.mark.parametrize(("words", "counted"), [("epoch", True), ("loss, nats", False)])
def test_there_is_no_tick_between_two_epochs(tmp_path, words, counted):
    figure, axis = plt.subplots(figsize=(3, 2))
    axis.plot([0, 1, 2], [1, 2, 3])
    axis.set_xlabel(words)
    save(tmp_path, "one", figure, pd.DataFrame())
    assert bool((axis.get_xticks() % 1 == 0).all()) == counted


def test_loss_figure_has_the_floor(store, setting):
    lines, caption = drawn_floors(store.select())
    assert lines == [[setting.floor]] * 2  # a panel for bare, and one for dropout
    assert "Dotted: the floor" in caption
    assert setting.floor == pytest.approx(np.mean([artifact_floor(run) for run in setting.runs]), abs=1e-12)


def artifact_floor(run):
    """The entropy of a run's labels given the true classes, from its file of labels."""
    labels = artifact.read(run.path / "labels.npz")
    return transitions.entropy(labels.transition)[labels.clean].mean()


@pytest.fixture(scope="module")
def clean_store(small, tmp_path_factory):
    """One run without corruption."""
    return stores.train(tmp_path_factory.mktemp("clean"), [presets.build(corrupt=0, epochs=2)], small)


def test_without_corruption_there_is_no_memorization_figure_and_no_floor(clean_store):
    drawn = draw(Curves(), clean_store.select())
    assert {path.stem for path in drawn} == {"accuracy", "losses", "activation_loss"}
    levels, caption = drawn_floors(clean_store.select())
    assert levels == [[]]
    assert "floor" not in caption
    assert "clean" in caption
    assert "0 %" not in caption


def test_without_corruption_memorized_shares_are_dashes(clean_store):
    (table,) = memorization(clean_store.select(), [1])
    assert table.cells.to_numpy().tolist()[0][3:] == ["–", "–"]
    assert "n = 1." in table.notes[0]
    assert " -- " in table.latex()
    assert "–" not in table.latex()


def test_a_figure_that_can_no_longer_be_drawn_is_deleted(clean_store):
    selection = clean_store.select()
    folder = selection.path / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("memorization.svg", "accuracy--2.png", "cca_past--2.csv", "mine--2.png"):
        (folder / name).write_text("old")
    draw(Curves(), selection)
    left = {path.name for path in folder.iterdir()}
    assert not {"memorization.svg", "accuracy--2.png"} & left
    assert {"cca_past--2.csv", "mine--2.png", "accuracy.svg"} <= left  # other commands', and the user's own
    assert draw(Similarity(), selection) == []
    assert not (folder / "cca_past--2.csv").exists()


def test_numbers_of_other_runs_are_not_drawn(store, small_source):
    """A folder may hold what was derived from runs that are no longer chosen."""
    bench = Workbench(torch.device("cpu"))
    chosen = store.select(["*-bare-s0-*", "*-al2-s0-*"])
    compare(chosen, bench, Similarity(keep="fixed:5"))
    ablate(chosen, bench, Ablation(orders=1, seed=0, epochs=(2,)))
    assert len(draw(Similarity(), chosen)) == 4 * 4
    others = replace(chosen, runs=store.select(["*-do-s0-*"]).runs)
    voice = Sentences()
    (chosen.path / "study.json").write_text('{"updated": 0, "runs": [], "report": {"tables": []}}')
    make_figures(others, voice)
    assert "'memstudy svcca' makes it" in voice.text
    assert "'memstudy ablate' makes it" in voice.text
    left = {path.stem for path in (chosen.path / "figures").iterdir()}
    assert left == {path.stem for path in draw(Curves(), others)}


@pytest.fixture(scope="module")
def two_versions(store, small, tmp_path_factory):
    """The study's runs of seed 0, and AL2 with another option."""
    both = stores.copy_of(store.root, tmp_path_factory.mktemp("versions"), runs="*-s0-*")
    return stores.train(both.root, [presets.build(reg="al2", epochs=3, options={"al2": {"initial": 0.5}})], small)


def test_two_versions_are_compared_by_their_options(two_versions, small_source):
    """Two versions of AL2 are no two seeds: nothing is averaged over them, and twins are found for both."""
    selection = two_versions.select(study="all")
    pairs = compare(selection, Workbench(torch.device("cpu")), Similarity(keep="fixed:5"))
    (_, within, _), (title, across, _) = digest.by_setting(pairs, comparable_runs(selection))
    assert title == digest.ACROSS
    assert across.empty
    means = digest.digest(within, selection.runs)
    assert (means["n"] == 1).all()
    twins = means[means["relation"] == "twin"]
    assert set(zip(twins["a"], twins["b"], strict=True)) == {
        ("bare", "al2 (initial 0.5)"), ("bare", "al2 (initial 1)"), ("do", "do+al2 (initial 1)"),
    }  # fmt: skip
    assert {path.stem for path in draw(Similarity(), selection)} == {
        "cca_between", "cca_past", "similarity_epochs", "convergence", "similarity_runs"
    }  # fmt: skip


def test_runs_of_two_settings_are_compared_by_method_and_setting(
    store, small, small_source, tmp_path, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "200")
    others = stores.copy_of(store.root, tmp_path / "runs", runs="*-s0-*")
    stores.train(others.root, [presets.build(reg="al2", epochs=3, corrupt=0.5)], small)
    selection = others.select(["*-al2-s0-*", "*-bare-s0-*"])
    voice = Sentences()
    bench = Workbench(torch.device("cpu"))
    summary = derive(Similarity(keep="fixed:5"), selection, bench, voice)
    rows = [record for record in summary["svcca"] if record["relation"] == "pair: same seed and other labels"]
    assert digest.ACROSS in voice.text
    assert "at the last common epoch" in voice.text
    assert {frozenset((row["a"], row["b"])) for row in rows} == {
        frozenset(("al2 (initial 0.01), 50 % symmetric", f"{method}, 75 % symmetric"))
        for method in ("al2 (initial 1)", "bare")
    }
    stems = [path.stem for path in draw(Similarity(), selection) if path.suffix == ".csv"]
    assert stems.count("cca_between--across") == 1  # the pairs, and each one's past
    assert "similarity_runs--across" in stems
    assert {"cca_past--50-symmetric", "cca_past--75-symmetric"} <= set(stems)


def test_ablation_figure_counts_a_run_once(store, small_source):
    """Bands are over seeds: the orders of one network are averaged before."""
    selection = store.select()
    curves = ablate(selection, Workbench(torch.device("cpu")), Ablation(orders=3, seed=0, epochs=(2,)))
    draw(Ablation(), selection)
    data = pd.read_csv(selection.path / "figures" / "ablation.csv")
    assert len(data) == 8 * len(ablation.PROTOCOLS) * len(ablation.FRACTIONS)
    row = data.iloc[30]
    same = curves[["run", "protocol", "fraction"]] == row[["run", "protocol", "fraction"]].tolist()
    assert row["accuracy"] == pytest.approx(curves.loc[same.all(axis=1), "accuracy"].mean(), rel=1e-12)


def test_the_command_s_epochs_go_before_the_kept_ones(store):
    for epochs in ((1,), (0, 2)):
        summary = make_tables(store.select(), Sentences(), epochs=epochs)
        found = {row["epoch"] for row in summary["numbers"] if row["table"] == "table1"}
        assert found == set(epochs)


def test_tables_name_what_is_not_finished_or_missing(store, tmp_path):
    copied = stores.copy_of(store.root, tmp_path / "runs")
    run = copied.select().runs[0]
    checksums = {name: digest for name, digest in run.state()["checksums"].items() if name != "metrics.csv"}
    run.update(status="interrupted", checksums=checksums)
    first_epochs(run, 2)
    shutil.rmtree(copied.select().runs[-1].path)
    voice = Sentences()
    make_tables(copied.select(), voice)
    count = voice.text.count("\n**")
    assert count >= 2
    left_out = f"Not counted: 1 of {len(store.select().runs)} runs: {run.name} (not finished, 2 of 3 epochs)."
    assert voice.text.count(left_out) == count
    assert voice.text.count(f"Missing: {store.select().runs[-1].name}.") == count


def test_a_study_before_its_first_epoch_to_tabulate_has_no_table(store, tmp_path):
    selection = replace(store.select(), path=tmp_path)
    files.write_json(selection.path / "study.json", {"report": {"epochs": [99]}})
    voice = Sentences()
    summary = make_tables(selection, voice)
    assert (summary["tables"], summary["numbers"]) == ([], [])
    assert "the table table1: no epoch of those to tabulate (99) is trained yet" in summary["left_out"]
    assert "left out: the table table1: no epoch of those to tabulate (99) is trained yet." in voice.text


def test_json_of_tables_holds_the_numbers(store):
    numbers = json.loads(json.dumps(make_tables(store.select(), Sentences())["numbers"], allow_nan=False))
    values = table1(store.select(), [0, 2]).values
    ours = [number for number in numbers if number["table"] == "table1"]
    assert [number["mean"] for number in ours] == values["mean"].tolist()
    assert set(ours[0]) == {"table", *values.columns}
    assert ours[0]["published"] is None


def test_words_and_truths_among_options_are_no_numbers(setting, monkeypatch):
    odd = RegularizerSpec("do", (("p", 1e-07), ("kind", "block")))
    standard = RegularizerSpec("do", (("p", 0.5), ("kind", "unit")))
    recipe = replace(setting.runs[0].recipe, regularizers=(odd,))
    monkeypatch.setattr(presets, "build", lambda name, reg: replace(recipe, regularizers=(standard,)))
    changed = replace(setting, runs=(RunDirectory(setting.runs[0].path, recipe),))
    found = differences_from_paper(changed)
    assert found[-2:] == ["do.kind block instead of unit", "do.p 1e-07 instead of 0.5"]
    assert frames._text(True) == "True"


def test_verdict_follows_the_floor(store, tmp_path):
    run = next(run for run in stores.copy_of(store.root, tmp_path / "runs").runs() if "-bare-s0" in run.name)
    assert verdict(run).first_below_floor is None
    run.update(floor=99.0)
    assert verdict(run).first_below_floor == 0
    assert "below the floor, 99.0000" in verdict_text(run)


def test_summary_is_what_the_directory_says(store):
    run = store.runs()[0]
    summary = run_summary(run)
    assert summary["status"] == "finished"
    assert summary["last"]["test_accuracy"] == run.metrics()["test_accuracy"].iloc[-1]
    assert summary["id"] == run.recipe.id
