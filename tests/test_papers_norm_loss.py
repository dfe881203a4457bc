"""Norm Loss' tables and figures: best and mean, what was swept, and the paper's numbers where it has them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from memstudy import presets
from memstudy.papers.norm_loss import NormLossTables, figures, tables
from memstudy.papers.norm_loss.runs import at_usual_values, errors
from memstudy.report import published
from tests.kit.drawing import draw, fit_for_print
from tests.kit.runs import select, write_run

ACCURACIES = (0.90, 0.92, 0.91)
PAPER = {"network": "resnet110", "dataset": "cifar10"}
EPOCHS = 2


def writer(root):
    def add(reg, accuracies=ACCURACIES, epochs=EPOCHS, **options):
        runs = []
        for seed, value in enumerate(accuracies):
            recipe = presets.build(reg=reg, seed=seed, epochs=EPOCHS, **({"corrupt": 0.0} | options))
            measured = [
                {"test_accuracy": value * (epoch + 1) / EPOCHS}
                | {"train_cross_entropy": 0.1**epoch, "test_cross_entropy": 1.0 + seed}
                for epoch in range(epochs)
            ]
            runs.append(write_run(root, recipe, measured))
        return runs

    return add


@pytest.fixture
def add(tmp_path):
    return writer(tmp_path)


def of(reg, **options):
    """The options of one regularizer."""
    return {"options": {reg: options}}


def both(add, **options):
    """Norm Loss and weight decay."""
    return add("normloss", **options), add("wd", **options)


def test_best_and_mean_are_of_the_last_epoch(add):
    (sheet,) = tables.tables(select(*both(add)))
    expected = 100 * (1 - np.array(ACCURACIES))
    for _, row in sheet.values.iterrows():
        assert row["n"] == 3
        assert row["best"] == pytest.approx(expected.min())
        assert row["mean"] == pytest.approx(expected.mean())
        assert row["sd"] == pytest.approx(expected.std(ddof=1))
    assert set(sheet.cells["best (mean), %"]) == {"8.00 (9.00 ± 1.00)"}


def test_one_seed_has_no_spread(add):
    (sheet,) = tables.tables(select(add("normloss", accuracies=(0.9,))))
    assert sheet.cells["best (mean), %"].tolist() == ["10.00 (10.00)"]
    assert math.isnan(sheet.values["sd"].item())


def test_without_norm_loss_there_is_nothing(add):
    found = select(add("wd"), add("bare"))
    assert tables.tables(found) == []
    assert draw(NormLossTables(), found) == []


def test_other_settings_are_left_out(add):
    found = select(*both(add), add("bare", corrupt=0.75))
    assert set(tables.tables(found)[0].cells["regularizers"]) == {"normloss", "wd"}


def test_methods_have_the_registry_s_order(add):
    regs = ("olm", "normloss", "wd+wn", "bare", "oni", "do+wd", "wd", "pbwn")
    (sheet,) = tables.tables(select(*(add(reg, accuracies=(0.9,)) for reg in regs)))
    expected = ["bare", "do+wd", "wd", "normloss", "wd+wn", "pbwn", "oni", "olm"]
    assert sheet.cells["regularizers"].tolist() == expected


def test_a_rate_of_corruption_is_a_setting_of_its_own(add):
    (sheet,) = tables.tables(select(*both(add), *both(add, corrupt=0.75)))
    assert len(sheet.cells) == 4
    assert sheet.cells["setting"].str.startswith("75 % symmetric corruption").sum() == 2


def test_what_else_differs_is_named(add):
    usual_rate, other_rate = both(add), both(add, lr=0.5)
    (sheet,) = tables.tables(select(*usual_rate, *other_rate))
    assert {text.split(", ")[1] for text in sheet.cells["setting"]} == {"learning rate 0.03", "learning rate 0.5"}
    (plain,) = tables.tables(select(*usual_rate))
    assert set(plain.cells["setting"]) == {"2 epochs, batch 64"}


def test_versions_are_told_apart_in_words(add):
    found = select(add("normloss"), add("normloss", **of("normloss", decoupled=True)))
    assert tables.tables(found)[0].cells["regularizers"].tolist() == ["normloss", "normloss (decoupled)"]


def test_unfinished_runs_are_left_out_and_counted(add):
    (sheet,) = tables.tables(select(add("normloss"), add("wd", epochs=1)))
    assert sheet.cells["regularizers"].tolist() == ["normloss"]
    assert "left out: 3." in sheet.notes[-1]


# Differences


def against(sheet):
    """By method, what it is compared with; "" for nothing."""
    return dict(zip(sheet.values["method"], sheet.values["against"].fillna(""), strict=True))


def test_methods_are_held_against_weight_decay(add):
    worse = (0.80, 0.83, 0.81)
    (sheet,) = tables.tables(select(add("bare"), add("wd", worse), add("normloss"), add("wd+wn", worse)))
    assert against(sheet) == {"bare": "wd", "wd": "", "normloss": "wd", "wd+wn": "wd"}
    values = sheet.values.set_index("method")
    expected = ttest_rel(ACCURACIES, worse)
    assert values["difference"]["normloss"] == pytest.approx(100 * (np.mean(worse) - np.mean(ACCURACIES)))
    assert values["p"]["normloss"] == pytest.approx(expected.pvalue)
    assert values["p_holm"]["normloss"] == pytest.approx(2 * expected.pvalue)  # wd+wn ties, and has no test
    cells = sheet.cells.set_index("regularizers")["best (mean), %"]
    assert cells["normloss"] == "8.00 (9.00 ± 1.00**)"
    assert cells["wd"] == "17.00 (18.67 ± 1.53)"
    assert "against wd in the same setting" in sheet.notes[-1]


@pytest.mark.parametrize(
    ("regs", "expected"),
    [
        (("bare", "normloss", "wn"), {"bare": "", "normloss": "bare", "wn": "bare"}),
        (("do+wd", "do+normloss", "wd"), {"do+wd": "", "do+normloss": "do+wd", "wd": ""}),
        (("do", "wd", "do+normloss"), {"do": "", "wd": "", "do+normloss": "do"}),
        (("normloss", "wn"), {"normloss": "", "wn": ""}),
    ],
)
def test_other_regularizers_are_on_both_sides(add, regs, expected):
    (sheet,) = tables.tables(select(*(add(reg) for reg in regs)))
    assert against(sheet) == expected
    assert ("Stars" in sheet.markdown()) == bool(sheet.values["p"].notna().any())


def test_of_several_weight_decays_none_is_the_reference(add):
    decays = [add("wd", **of("wd", decay=decay)) for decay in (0.001, 0.01)]
    main, _ = tables.tables(select(add("normloss"), add("bare"), *decays))
    assert set(against(main).values()) == {""}


# Published numbers


@pytest.mark.parametrize(
    ("reg", "options", "expected"),
    [
        ("normloss", PAPER, "5.90 (6.00)"),
        ("wd+normloss", PAPER, "5.90 (6.00)"),
        ("wd", PAPER, "wd_reproduced 6.32 (6.57); wd 6.43 (6.61)"),
        ("wn", PAPER, "– (7.56)"),
        ("wd+oni", PAPER, "– (6.56)"),
        ("wd", PAPER | {"dataset": "cifar100"}, "wd_reproduced 27.90 (28.40)"),
        ("do+normloss", {"network": "wrn28-10", "dataset": "cifar10"}, "4.47 (4.66)"),
        ("olm", {"network": "wrn28-10", "dataset": "cifar100"}, "– (18.76)"),
        ("olm", PAPER, None),  # the paper has no such row
        ("bare", PAPER, None),
        ("do+normloss", PAPER, None),
        ("normloss+loco", PAPER, None),
        ("wn+do+wd+bn", PAPER, None),
        ("wd+normloss", PAPER | of("normloss", keep_decay=True), None),
        ("normloss", PAPER | {"corrupt": 0.2}, None),
        ("normloss", PAPER | {"train_size": 4000}, None),
        ("normloss", {"network": "resnet18", "dataset": "cifar10"}, None),
        ("normloss", {"network": "resnet110", "dataset": "mnist"}, None),
    ],
)
def test_published_numbers_stand_where_they_should(add, reg, options, expected):
    runs = add(reg, accuracies=(0.9,), **options)
    others = {name: value for name, value in options.items() if name != "options"}
    beside = add("al2+normloss", accuracies=(0.9,), **others)  # in no paper
    (sheet,) = tables.tables(select(runs, beside))
    assert ("published, %" in sheet.cells) == (expected is not None) == any("Context" in n for n in sheet.notes)
    if expected is not None:
        cells = dict(zip(sheet.cells["regularizers"], sheet.cells["published, %"], strict=True))
        (other,) = [text for name, text in cells.items() if "al2" in name]
        assert other == "–"
        assert [text for name, text in cells.items() if "al2" not in name] == [expected]
    counts = sheet.values["source"].value_counts()
    assert counts["ours"] == 2
    assert counts.get("published", 0) == (0 if expected is None else expected.count("("))


def test_the_paper_s_table_is_whole():
    paper = published.table("norm_loss")
    assert isinstance(paper, pd.DataFrame)
    assert len(paper) == 19
    assert set(paper["architecture"]) == {"resnet110", "wrn-28-10"}
    assert not paper.duplicated(["dataset", "architecture", "regularizer"]).any()
    assert (paper["best_error_pct"].dropna() <= paper["mean_error_pct"][paper["best_error_pct"].notna()]).all()
    means = paper.set_index(["dataset", "architecture", "regularizer"])["mean_error_pct"]
    assert means["cifar10", "wrn-28-10", "nl"] > means["cifar10", "wrn-28-10", "wd"]


# Sweeps


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """λ and decay at batch 64, and two more batch sizes at λ = .01; error falls with λ."""
    add = writer(tmp_path_factory.mktemp("swept"))
    runs = [add("wn")]
    for reg, option in (("normloss", "weight"), ("wd", "decay")):
        for index, value in enumerate((0.001, 0.01, 0.1)):
            runs.append(add(reg, accuracies=(0.5 + index / 10, 0.6 + index / 10), **of(reg, **{option: value})))
        runs += [add(reg, batch_size=size, **of(reg, **{option: 0.01})) for size in (32, 128)]
    return select(*runs)


def test_the_main_table_has_what_most_runs_have_and_not_the_best(swept):
    main, by_lambda, by_batch = tables.tables(swept)
    assert main.cells["regularizers"].tolist() == ["wd (decay 0.01)", "normloss (weight 0.01)", "wn"]
    assert set(main.cells["setting"]) == {"2 epochs, batch 64"}
    assert "norm_loss_lambda and norm_loss_batch_size" in main.notes[1]
    assert main.notes[2].startswith("No stars: with fewer than 3 seeds")  # these have two
    lowest = by_lambda.values.groupby("series")["mean"].min()
    assert (lowest < main.values.set_index("method")["mean"]["wd (decay 0.01)"]).all()
    assert [sheet.name for sheet in (by_lambda, by_batch)] == ["norm_loss_lambda", "norm_loss_batch_size"]


def test_of_equals_all_are_shown(add):
    versions = [add("normloss", **of("normloss", weight=weight)) for weight in (0.001, 0.01)]
    main, _ = tables.tables(select(*versions))
    assert main.cells["regularizers"].tolist() == ["normloss (weight 0.001)", "normloss (weight 0.01)"]


def test_a_method_at_another_batch_size_alone_keeps_its_row(add):
    rows = at_usual_values(errors(select(*both(add), add("wn", batch_size=32))))
    assert set(zip(rows["method"], rows["batch_size"], strict=True)) == {("normloss", 64), ("wd", 64), ("wn", 32)}


def test_sweeps_have_a_row_a_method_and_a_column_a_value(swept):
    _, by_lambda, by_batch = tables.tables(swept)
    assert by_lambda.cells.columns.tolist()[-4:] == ["n", "0.001", "0.01", "0.1"]
    assert by_lambda.cells["swept"].tolist() == ["wd.decay", "normloss.weight"]
    assert by_lambda.cells["0.1"].tolist() == ["20.00 (25.00 ± 7.07)"] * 2
    assert by_batch.cells.columns.tolist()[-4:] == ["n", "32", "64", "128"]
    assert by_batch.cells["regularizers"].tolist() == ["wd (decay 0.01)", "normloss (weight 0.01)"]
    assert by_batch.cells["n"].tolist() == ["2–3"] * 2


def test_sweeps_are_held_against_weight_decay_at_the_same_value(add):
    better = (0.95, 0.98, 0.99)
    runs = [add("normloss", batch_size=size) for size in (32, 64)]
    runs += [add("wd", better if size == 64 else ACCURACIES, batch_size=size) for size in (32, 64)]
    _, sheet = tables.tables(select(*runs))
    values = sheet.values.set_index(["series", "value"])
    assert values["difference"]["normloss"].tolist() == pytest.approx([0, 100 * (np.mean(better) - 0.91)])
    assert values["against"].fillna("").tolist() == ["", "", "wd", "wd"]
    assert values["test"]["normloss"].tolist() == ["no spread", "paired"]


# Figures


@pytest.fixture(scope="module")
def drawn(swept):
    """The data of every figure by name."""
    return {p.stem: pd.read_csv(p) for p in draw(NormLossTables(), swept) if p.suffix == ".csv"}


def test_figures_hold_the_runs_that_differ_in_nothing_else(drawn):
    assert set(drawn) == {"norm_loss_lambda", "norm_loss_batch_size", "norm_loss_cross_entropy"}
    by_lambda, by_batch = drawn["norm_loss_lambda"], drawn["norm_loss_batch_size"]
    assert set(by_lambda["batch_size"]) == {64}
    points = by_lambda.groupby(["series", "value"])["error"].mean()
    for index, value in enumerate((0.001, 0.01, 0.1)):
        assert points["normloss", value] == pytest.approx(45 - 10 * index)
        assert points["wd", value] == pytest.approx(45 - 10 * index)
    assert len(points) == 6
    sizes = by_batch.groupby("series")["value"].agg(set)
    assert sizes.to_dict() == {"wd (decay 0.01)": {32, 64, 128}, "normloss (weight 0.01)": {32, 64, 128}}


def test_curves_hold_both_losses_of_the_main_table_s_runs(drawn):
    data = drawn["norm_loss_cross_entropy"]
    assert set(data["method"]) == {"wd (decay 0.01)", "normloss (weight 0.01)", "wn"}
    training = data[data["images"] == "training"]
    assert training.groupby("epoch")["cross_entropy"].mean().tolist() == pytest.approx([1.0, 0.1])
    test = data[data["images"] == "test"]
    assert (test["cross_entropy"] == 1 + test["seed"]).all()


def line_of(bars: Any) -> Any:
    """The line that connects error bars."""
    return bars.lines[0]


def test_all_methods_are_in_one_panel_for_each_setting(swept):
    """On one axis of strengths, with one mark a method in all figures."""
    by_lambda, by_batch, losses = fit_for_print(lambda: figures.figures(swept))
    for drawing in (by_lambda, by_batch):
        (axis,) = drawing.figure.axes
        assert len(axis.containers) == 2
    (axis,) = by_lambda.figure.axes
    assert axis.get_xlabel() == "weight decay or λ of Norm Loss"
    assert [line_of(bars).get_ydata().tolist() for bars in axis.containers] == [pytest.approx([45, 35, 25])] * 2
    marks: list[Any] = [
        [(line.get_color(), line.get_marker()) for line in drawing.figure.legends[0].get_lines()]
        for drawing in (by_lambda, by_batch, losses)
    ]
    assert marks[0] == marks[1] == marks[2][:2]
    assert len(set(marks[2])) == 3
    assert "n = 2 seeds, bars ± one standard deviation" in by_lambda.caption
    assert "n = 2–3 seeds" in by_batch.caption
    assert "batch size 64" in by_lambda.caption
    assert "batch size" not in by_batch.caption.partition("seeds")[2]  # it is what differs


def test_settings_are_panels_named_by_what_differs(add):
    other = {"network": "resnet18", "dataset": "cifar10"}
    weights = (0.001, 0.01)
    made = select(
        *(add("normloss", **of("normloss", weight=weight)) for weight in weights),
        *(add("normloss", **other, **of("normloss", weight=weight)) for weight in weights),
        *(add("wd", batch_size=size) for size in (32, 128)),
    )
    drawn = {drawing.name: drawing for drawing in fit_for_print(lambda: figures.figures(made), [3.25])}
    assert set(drawn) == {"norm_loss_lambda", "norm_loss_batch_size", "norm_loss_cross_entropy"}
    titles = [" ".join(axis.get_title().split()) for axis in drawn["norm_loss_lambda"].figure.axes]
    assert titles == ["cifar10, resnet18", "mnist5k, smallnet"]
    assert [" ".join(axis.get_title().split()) for axis in drawn["norm_loss_cross_entropy"].figure.axes][:2] == [
        "cifar10, resnet18, batch size 64, training", "cifar10, resnet18, batch size 64, test",
    ]  # fmt: skip
    assert set(drawn["norm_loss_lambda"].data["setting"]) == set(titles)


def test_one_seed_one_epoch_and_loss_0_are_drawn(add):
    made = select(add("normloss", accuracies=(0.9,)))
    (drawing,) = fit_for_print(lambda: figures.figures(made), [3.25])
    assert "One run each (n = 1)" in drawing.caption
    assert not drawing.figure.legends  # one line needs none


def test_every_format_of_a_figure_and_none_that_is_stale(add, capsys):
    from memstudy.cli.progress import Voice
    from memstudy.study.tables import make_tables

    made = select(*both(add, accuracies=(0.9,), **PAPER), *both(add, accuracies=(0.9,)))
    written, folder = made.path / "tables", made.path / "figures"
    folder.mkdir(parents=True)
    for name in ("norm_loss_lambda.png", "norm_loss_cross_entropy-3.csv", "losses.png"):
        (folder / name).write_bytes(b"of an earlier selection")
    (made.path / "study.json").write_text('{"report": {"tables": ["norm_loss"], "analyses": []}}')
    make_tables(made, Voice())
    assert "**Norm Loss: test error**" in capsys.readouterr().out
    assert {path.name for path in written.iterdir()} == {f"norm_loss.{ending}" for ending in ("md", "tex", "csv")}
    assert r"wd\_reproduced 6.32 (6.57)" in (written / "norm_loss.tex").read_text()
    endings = ("svg", "pdf", "png", "csv")
    ours = {f"norm_loss_cross_entropy.{ending}" for ending in endings}
    assert {path.name for path in folder.iterdir()} == {"losses.png", *ours}
    assert draw(NormLossTables(), select(add("wd"))) == []
    assert [path.name for path in folder.iterdir()] == ["losses.png"]
