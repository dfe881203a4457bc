"""Methods against a reference in any study: which runs are methods, their tables, tests and figures."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from unittest.mock import Mock

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from memstudy import presets
from memstudy.derived.methods import Curves, Memorization, Methods, TrainingTable
from memstudy.report import frames
from memstudy.report.frames import comparable_runs, methods_of
from memstudy.report.look import WIDTHS, Look
from memstudy.report.methods import compared, for_file, method_labels, numbered, told_apart
from memstudy.report.panels import PAGE, Kind, fits_page, panel_rows, panels, rows_fit_page
from memstudy.report.twins import twins
from memstudy.report.views import views
from memstudy.store import Store
from tests.kit.drawing import draw
from tests.kit.runs import select, write_run
from tests.kit.sentences import refused
from tests.results import RESULTS, STORE

EPOCHS = 4
SHARE = {"bare": 0.5, "do": 0.1}


def numbers(reg, rate, seed):
    """Metrics of one run, written by hand: dropout is better, seeds differ, and the gain differs by seed."""
    luck = (0.00, 0.03, 0.05)[seed]
    final = 0.9 - rate * SHARE[reg] - luck + 0.01 * (reg == "do") * seed
    return [
        {
            "test_accuracy": final * (0.5 + 0.5 * epoch / (EPOCHS - 1)), "train_cross_entropy": 2.0 - 0.1 * epoch,
            "clean_accuracy": 0.9, "memorized": rate * SHARE[reg] if rate else float("nan"),
            "recovered": 0.3 if rate else float("nan"), "other": 0.2 if rate else float("nan"),
            "train_activation_loss": 0.5,
        }
        for epoch in range(EPOCHS)
    ]  # fmt: skip


def study(root, regs=("bare", "do"), rates=(0.4, 0.8), seeds=(0, 1, 2), **others):
    """A selection of finished runs with these metrics."""
    runs = []
    for reg, rate, seed in product(regs, rates, seeds):
        recipe = presets.build(reg=reg, corrupt=rate, seed=seed, epochs=EPOCHS, **others)
        runs.append(write_run(root, recipe, numbers(reg, rate, seed)))
    return select(runs)


@pytest.fixture
def two_rates(tmp_path):
    """Bare training and dropout at two rates, three seeds each."""
    return study(tmp_path)


def table_of(kind, selection):
    (table,) = kind.tables(selection)
    return table


# What makes a method


def recipes(**axes):
    return [presets.build(**dict(zip(axes, values, strict=True))) for values in product(*axes.values())]


@pytest.mark.parametrize(
    ("axes", "keys", "labels"),
    [
        ({"reg": ["bare", "do"], "lr": [0.1, 0.01]}, ("reg",), ["bare", "bare", "do", "do"]),
        ({"lr": [0.1, 0.01]}, ("lr",), ["lr 0.1", "lr 0.01"]),
        (
            {"optimizer": ["sgd", "adam"], "lr": [0.1], "corrupt": [0.0, 0.5]},
            ("optimizer",),
            ["sgd", "sgd", "adam", "adam"],
        ),
        ({"network": ["smallnet", "resnet18"]}, ("network",), ["smallnet", "resnet18"]),
        ({"corrupt": [0.0, 0.5], "seed": [0, 1]}, ("reg",), ["bare"] * 4),
        ({"batch_size": [64, 128], "network": ["smallnet", "vgg16"]}, ("batch_size",),
         ["batch size 64", "batch size 64", "batch size 128", "batch size 128"]),
    ],
)  # fmt: skip
def test_the_first_thing_in_which_runs_differ_makes_the_methods(axes, keys, labels):
    made = recipes(**axes)
    assert compared(made) == keys
    assert method_labels(made, keys) == labels


def test_an_option_that_differs_is_in_the_label():
    made = [presets.build(reg=reg, options={"do": {"p": p}} if "do" in reg else None)
            for reg, p in (("bare", 0), ("do", 0.2), ("do", 0.5))]  # fmt: skip
    assert method_labels(made, compared(made)) == ["bare", "do (p 0.2)", "do (p 0.5)"]


def test_settings_are_told_by_what_differs_and_nothing_else():
    made = recipes(corrupt=[0.0, 0.4], train_size=[1000, None])
    assert told_apart(made) == [
        "1,000 samples, clean", "all samples, clean",
        "1,000 samples, 40 % symmetric", "all samples, 40 % symmetric",
    ]  # fmt: skip
    assert told_apart(made[:1]) == [""]
    assert for_file("1,000 samples, 40 % symmetric") == "1-000-samples-40-symmetric"
    assert numbered(["a", "b", "a"]) == ["a", "b", "a (2)"]


# Tables


def test_each_method_is_tested_against_the_reference_at_each_rate(two_rates):
    table = table_of(Methods(), two_rates)
    assert list(table.cells["setting"]) == ["40 % symmetric"] * 2 + ["80 % symmetric"] * 2
    assert list(table.cells["method"]) == ["bare", "do"] * 2
    values = table.values.set_index(["setting", "label", "metric"])
    for rate in (0.4, 0.8):
        ours, theirs = ([100 * numbers(reg, rate, seed)[-1]["test_accuracy"] for seed in range(3)]
                        for reg in ("do", "bare"))  # fmt: skip
        row = values.loc[(f"{100 * rate:g} % symmetric", "do", "test accuracy, %")]
        assert row["against"] == "bare"
        assert row["difference"] == pytest.approx(np.mean(ours) - np.mean(theirs))
        assert row["p"] == pytest.approx(stats.ttest_rel(ours, theirs).pvalue)
        assert row["effect"] > 0
        assert row["pairs"] == 3
    text = table.markdown()
    assert "AL2" not in text
    assert "against bare" in text
    assert "mnist5k, smallnet, 4 epochs, lr 0.03" in table.title
    assert "symmetric" not in table.title


def test_the_reference_can_be_named(two_rates):
    named = replace(two_rates, reference="do")
    values = table_of(Methods(), named).values
    assert set(values["against"].dropna()) == {"do"}
    assert methods_of(comparable_runs(named)) == ["do", "bare"]
    assert "do" in refused(lambda: list(Methods().tables(replace(two_rates, reference="dp"))), "dp")


def test_clean_training_is_called_clean(tmp_path):
    selection = study(tmp_path, rates=(0.0, 0.5))
    table = table_of(Methods(), selection)
    assert list(dict.fromkeys(table.cells["setting"])) == ["clean", "50 % symmetric"]
    assert "0 % symmetric" not in table.markdown().replace("50 % symmetric", "")
    assert list(table.cells["memorized, %"])[:2] == ["–", "–"]


def test_learning_rates_are_methods_where_nothing_else_differs(tmp_path):
    runs = [run for lr in (0.1, 0.01) for run in study(tmp_path, regs=("bare",), rates=(0.5,), lr=lr).runs]
    selection = select(runs)
    table = table_of(Methods(), selection)
    assert list(table.cells["method"]) == ["lr 0.1", "lr 0.01"]
    assert set(table.values["against"].dropna()) == {"lr 0.1"}
    assert "lr" not in table.title


@pytest.mark.parametrize("kind", [TrainingTable, Memorization])
def test_tables_of_epochs_have_a_row_a_method(two_rates, kind):
    tables = list(kind(epochs=(0, 3)).tables(two_rates))
    assert [table.name for table in tables] == [f"{kind.name}--40-symmetric", f"{kind.name}--80-symmetric"]
    for table in tables:
        assert list(table.cells["method"]) == ["bare", "bare", "do", "do"]
        assert set(table.values["against"].dropna()) == {"bare"}


def test_twins_have_the_layout_of_the_paper_and_others_have_not(tmp_path):
    def of(*regs):
        runs = [write_run(tmp_path, presets.build(reg=reg, epochs=2), [{}, {}]) for reg in regs]
        return comparable_runs(select(runs))

    assert len(twins(of("bare", "al2", "do", "do+al2"))) == 1
    assert twins(of("bare", "al2", "do")) == []
    assert twins(of("al2")) == []
    assert twins(of("bare", "do")) == []


def test_one_method_has_no_table_of_methods(tmp_path):
    assert list(Methods().tables(study(tmp_path, regs=("bare",), rates=(0.5,)))) == []


# Figures


def test_a_study_of_two_methods_at_two_rates_is_overlaid(two_rates):
    draw(Curves(), two_rates)
    folder = two_rates.path / "figures"
    assert {path.stem for path in folder.glob("*.png")} == {
        "accuracy", "losses", "memorization", "activation_loss", "rates",
    }  # fmt: skip
    accuracy = pd.read_csv(folder / "accuracy.csv")
    assert set(accuracy["panel"]) == {"40 % symmetric", "80 % symmetric"}
    assert set(accuracy["line"]) == {"bare", "do"}
    rates = pd.read_csv(folder / "rates.csv")
    assert sorted(set(rates["corrupt_percent"])) == [40, 80]
    run = rates[(rates["label"] == "do") & (rates["corrupt_percent"] == 80) & (rates["seed"] == 2)]
    amounts = run.set_index("quantity")["amount"]
    assert amounts["test accuracy, %"] == pytest.approx(100 * numbers("do", 0.8, 2)[-1]["test_accuracy"])
    assert amounts["memorized of the corrupted, %"] == pytest.approx(8)


def test_a_strength_that_differs_has_its_figure(tmp_path):
    runs = list(study(tmp_path, regs=("bare",), rates=(0.5,)).runs)
    for p, seed in product((0.1, 0.5, 0.8), range(3)):
        recipe = presets.build(reg="do", corrupt=0.5, seed=seed, epochs=EPOCHS, options={"do": {"p": p}})
        runs.append(write_run(tmp_path, recipe, numbers("do", 0.5, seed)))
    selection = select(runs)
    draw(Curves(), selection)
    data = pd.read_csv(selection.path / "figures" / "strengths.csv")
    assert sorted(set(data["value"])) == [0.1, 0.5, 0.8]
    assert set(data["key"]) == {"do.p"}
    assert not (selection.path / "figures" / "rates.csv").exists()


def test_many_methods_have_a_panel_each_with_the_reference_behind(tmp_path):
    regs = ["bare", "bn", "do", "wd", "loco", "normloss", "bn+do", "bn+wd", "do+wd", "do+loco"]
    runs = [write_run(tmp_path, presets.build(reg=reg, epochs=2), [{"memorized": 0.1}] * 2) for reg in regs]
    selection = select(runs)
    draw(Curves(), selection)
    data = pd.read_csv(selection.path / "figures" / "accuracy.csv")
    assert list(dict.fromkeys(data["panel"])) == regs[1:]
    assert set(data.loc[data["method"] == "bare", "panel"]) == set(regs[1:])


@pytest.mark.parametrize(
    ("changes", "labels"),
    [
        ({"epochs": 3, "optimizer": "adam", "lr": 0.001}, ["2 epochs, lr 0.03, sgd", "3 epochs, lr 0.001, adam"]),
        ({"seed": 1}, ["seed 0", "seed 1"]),
        ({"reg": "do", "corrupt": 0.5}, ["bare, 75 % symmetric", "do, 50 % symmetric"]),
        ({"dataset": "digits"}, ["mnist5k", "digits"]),
    ],
    ids=str,
)
def test_two_runs_that_are_named_are_overlaid_whatever_they_differ_in(tmp_path, changes, labels):
    one = write_run(tmp_path, presets.build(epochs=2), [{}, {}], floor=2.0)
    epochs = changes.get("epochs", 2)
    other = write_run(tmp_path, presets.build(**{"epochs": 2} | changes), [{}] * epochs, floor=1.0)
    selection = replace(select([one, other]), by_name=True)
    ((setting, members),) = comparable_runs(selection)
    assert list(members["label"]) == labels
    assert np.isnan(setting.floor) == ("corrupt" in changes)
    draw(Curves(), selection)
    data = pd.read_csv(selection.path / "figures" / "accuracy.csv")
    assert data.groupby("line").size().to_dict() == dict(zip(labels, (2, epochs), strict=True))


def test_runs_are_grouped_once_for_all_that_is_made_of_them(two_rates, monkeypatch):
    grouped = Mock(wraps=method_labels)
    monkeypatch.setattr(frames, "method_labels", grouped)
    frames._comparable.cache_clear()
    with Look().applied():
        for made in (
            lambda: list(Curves().figures(two_rates)),
            lambda: list(Methods().tables(two_rates)),
            lambda: list(TrainingTable(epochs=(1,)).tables(two_rates)),
            lambda: list(Memorization(epochs=(1,)).tables(two_rates)),
        ):
            assert made()
    assert grouped.call_count == 1
    plt.close("all")


def test_who_changes_a_frame_of_groups_changes_it_for_nobody_else(two_rates):
    (_, members), *_ = comparable_runs(two_rates)
    members["label"] = "another"
    (_, again), *_ = comparable_runs(two_rates)
    assert "another" not in set(again["label"])


def test_a_store_selects_with_the_reference_that_is_named():
    store = Store(RESULTS / STORE)
    for patterns, study in (((), "quick"), (["mnist5k-symmetric0.75-*"], None)):
        methods = methods_of(comparable_runs(store.select(patterns, study)))
        named = methods_of(comparable_runs(store.select(patterns, study, "do")))
        assert (methods[0], named[0]) == ("bare", "do")
        assert set(named) == set(methods)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_figure_of_many_methods_is_several_that_fit_a_page(width, tmp_path):
    """Each method is in one of them, and the reference in all."""
    methods = [
        f"{reg}+{other}" for reg, other in product(("bn", "do"), ("wd", "al2", "loco", "normloss", "pilcro"))
    ]
    methods = [one for reg in methods for one in (reg, f"{reg}+oni")]
    runs = [write_run(tmp_path, presets.build(reg=reg, epochs=2), [{}, {}]) for reg in ("bare", *methods)]
    (view,) = views(comparable_runs(select(runs)))
    kinds = {"accuracy": Kind("epoch", "%"), "loss": Kind("epoch", "nats")}
    with Look(width=width).applied():
        for make, fits in (
            (panels, fits_page),
            (partial(panel_rows, kinds=kinds), partial(rows_fit_page, kinds=kinds)),
        ):
            parts = view.parts(fits)
            assert [panel for part in parts for panel in part.panels] == view.panels
            for place, part in enumerate(parts, start=1):
                figure, _ = make(part.panels)
                assert figure.get_figheight() <= PAGE
                plt.close(figure)
                assert set(part.runs["panel"]) == set(part.panels)
                assert set(part.runs["method"]) == {"bare", *part.panels}
                assert part.suffix == (f"--part-{place}" if place > 1 else "")
                assert part.title.endswith(f"; part {place} of {len(parts)}") == (len(parts) > 1)
                assert Curves().owns(Path("figures", f"accuracy{part.suffix}.svg"))
        assert len(view.parts(partial(rows_fit_page, kinds=kinds))) > 1


def test_many_panels_are_narrower_as_far_as_words_of_their_titles_stay_whole():
    with Look(width=3.25).applied():
        for word, columns in (("bn", 4), ("Bernoulli", 3), ("a-long-name-of-a-method", 2)):
            figure, axes = panels([f"{word} {place}" for place in range(40)])
            titles = [axis.get_title().split() for axis in axes.values()]
            assert len({axis.get_position().x0 for axis in axes.values()}) == columns
            assert all(word in title for title in titles) == (columns > 2)
            plt.close(figure)
