"""PILCRO's tables: with and without in neighboring rows, how soon accuracies are reached, whose formula it is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from memstudy import presets
from memstudy.derived import landscape
from memstudy.derived.kept import INITIAL
from memstudy.papers.pilcro import tables
from tests.kit.runs import select, write_run

SLOW, FAST, NEVER = (0.1, 0.41, 0.62, 0.71), (0.5, 0.62, 0.7, 0.9), (0.1, 0.1, 0.1, 0.1)


@pytest.fixture
def make(tmp_path):
    """A selection of runs whose metrics, one list of test accuracies each, are written by hand."""

    def made(*wanted, **options):
        runs = []
        for reg, share, seed, accuracies in wanted:
            own = {"pilcro": {"share": share}} if "pilcro" in reg else None
            recipe = presets.build(reg=reg, options=own, seed=seed, epochs=len(accuracies), **options)
            runs.append(write_run(tmp_path, recipe, [{"test_accuracy": accuracy} for accuracy in accuracies]))
        return select(runs)

    return made


def looked_at(selection):
    """The derived files, by hand: cv is 2 before training, and after it 1 + seed, less a half with PILCRO."""
    flat, noise = [], []
    for run in selection.runs:
        less = 0.5 if run.recipe.options("pilcro") else 0
        for epoch, cv in ((INITIAL, 2.0), (1, 7.0), (3, 1 + run.recipe.seed - less)):
            flat.append({"run": run.name, "epoch": epoch, "kind": landscape.MEASURED, "cv": cv})
        for kind, strengths in {"gaussian": (0.0, 0.2, 0.4), "salt-and-pepper": (0.0, 0.1)}.items():
            noise += [
                {"run": run.name, "epoch": 3, "noise": kind, "strength": s, "accuracy": 0.7 - s} for s in strengths
            ]
    selection.path.mkdir(parents=True)
    pd.DataFrame(flat).assign(images=100, max_over_min=1.0, correlation=0.0).to_csv(
        selection.path / landscape.FLATNESS, index=False
    )
    pd.DataFrame(noise).assign(images=100).to_csv(selection.path / landscape.NOISE, index=False)
    return selection


BOTH = [
    ("pilcro", 0.1, 0, FAST), ("pilcro", 0.1, 1, FAST), ("bare", None, 0, SLOW), ("bare", None, 1, NEVER),
    ("al2", None, 0, SLOW),
]  # fmt: skip


def test_flatness_and_noise_with_and_without(make):
    robust, _ = tables.tables(looked_at(make(*BOTH)))
    assert robust.name == "pilcro"
    cells: Any = robust.cells.set_index("regularizers")
    assert list(cells.index) == ["bare", "pilcro"]  # without goes before with; AL2 has no pair, and no place
    assert cells.loc["bare"].tolist() == [
        "2", "2.000 ± 0.000", "1.500 ± 0.707", f"40.5 ± {100 * np.std([0.71, 0.1], ddof=1):.1f}",
        "50.0 ± 0.0", "60.0 ± 0.0",
    ]  # fmt: skip
    assert cells.loc["pilcro", "cv after training"] == "1.000 ± 0.707"
    values: Any = robust.values.set_index(["label", "quantity"])
    assert values.loc[("pilcro", "cv after training"), "mean"] == 1
    assert values.loc[("pilcro", "test accuracy, %"), "n"] == 2


def test_speed_counts_epochs_and_those_that_never_arrive(make):
    (speed,) = tables.tables(make(*BOTH))  # no landscapes are needed for it
    assert speed.name == "pilcro_speed"
    cells: Any = speed.cells.set_index("regularizers")
    assert list(cells.columns) == ["n", *(f"epochs to {target} %" for target in (60, 70, 80, 90))]
    assert cells.loc["bare"].tolist() == ["2", "3.0 (1 of 2)", "4.0 (1 of 2)", "never (0 of 2)", "never (0 of 2)"]
    assert cells.loc["pilcro"].tolist() == ["2", "2.0 ± 0.0", "3.0 ± 0.0", "4.0 ± 0.0", "4.0 ± 0.0"]
    values: Any = speed.values.set_index(["label", "accuracy"])
    assert values.loc[("bare", 60), ["reached", "n"]].tolist() == [1, 2]
    assert math.isnan(values.loc[("bare", 90), "mean"])


def test_each_is_held_against_the_same_without_pilcro(make):
    regs = [("pilcro", 0.1), ("bn+pilcro", 0.1), ("bare", None), ("pilcro", 0.02)]
    better = {"pilcro": 0.2, "bn+pilcro": 0.1}
    runs = [
        (reg, share, seed, (0.1, 0.5, 0.6 + seed / 100 + better.get(reg, 0) * (1 + seed / 50)))
        for reg, share in regs
        for seed in range(3)
    ]
    robust, _ = tables.tables(looked_at(make(*runs)))
    values: Any = robust.values.set_index(["label", "quantity"])
    against = values["against"].xs("test accuracy, %", level="quantity")
    assert against.fillna("").to_dict() == {
        "bare": "", "pilcro (share 0.1)": "bare", "pilcro (share 0.02)": "bare", "bn+pilcro (share 0.1)": "",
    }  # fmt: skip
    row = values.loc[("pilcro (share 0.1)", "test accuracy, %")]
    assert row["difference"] == pytest.approx(100 * np.mean([0.2, 0.204, 0.208]))
    assert row["p"] < row["p_holm"] < 0.05
    assert robust.cells["test accuracy, %"].str.endswith("*").tolist() == [False, True, True, False]
    assert "against the same without PILCRO" in robust.notes[-1]
    assert values.loc[("pilcro (share 0.1)", "cv before training"), "test"] == "no spread"


def test_a_value_that_some_never_reach_is_not_tested(make):
    late = (0.1, 0.3, 0.62, 0.9)
    (speed,) = tables.tables(make(*BOTH[:2], ("pilcro", 0.1, 2, late), *BOTH[2:4], ("bare", None, 2, FAST)))
    values: Any = speed.values.set_index(["label", "accuracy"])
    assert set(values.loc["pilcro", "test"]) == {"a value that is not finite"}
    (all_do,) = tables.tables(make(*[(reg, share, seed, accuracies) for reg, share, runs in (
        ("pilcro", 0.1, (FAST, FAST, FAST)), ("bare", None, (late, late, FAST)),
    ) for seed, accuracies in enumerate(runs)], lr=0.5))  # fmt: skip
    row: Any = all_do.values.set_index(["label", "accuracy"]).loc[("pilcro", 60)]
    assert (row["difference"], row["test"], row["pairs"]) == (pytest.approx(-2 / 3), "paired", 3)


def test_an_accuracy_that_is_lost_again_was_reached(make):
    (speed,) = tables.tables(make(("pilcro", 0.1, 0, (0.3, 0.97, 0.2)), ("bare", None, 0, (0.1, 0.2, 0.3))))
    assert speed.values.set_index(["label", "accuracy"]).loc[("pilcro", 97), "mean"] == 2


def test_runs_that_reach_nothing_have_a_table(make):
    (speed,) = tables.tables(make(("pilcro", 0.1, 0, (0.01, 0.02)), ("bare", None, 0, (0.01, 0.02))))
    assert speed.cells["epochs to 10 %"].tolist() == ["never (0 of 1)"] * 2


def test_each_pair_and_each_share_has_its_row(make):
    runs = [(reg, share, 0, SLOW) for reg, share in [
        ("pilcro", 0.1), ("bn+pilcro", 0.1), ("bare", None), ("bn", None), ("pilcro", 0.02),
    ]]  # fmt: skip
    (speed,) = tables.tables(make(*runs))
    assert speed.cells["regularizers"].tolist() == [
        "bare", "pilcro (share 0.1)", "pilcro (share 0.02)", "bn", "bn+pilcro (share 0.1)",
    ]  # fmt: skip


def test_other_settings_have_their_own_tables(make):
    one = make(*BOTH)
    other = make(*BOTH[:3], lr=0.5)
    both = looked_at(select(one.runs, other.runs))
    sheets = tables.tables(both)
    assert [sheet.name for sheet in sheets] == [
        "pilcro--lr-0.03", "pilcro_speed--lr-0.03", "pilcro--lr-0.5", "pilcro_speed--lr-0.5",
    ]  # fmt: skip
    assert "lr 0.5" in sheets[2].title


def test_without_pilcro_there_is_no_table(make):
    assert tables.tables(looked_at(make(("bare", None, 0, SLOW), ("al2", None, 0, SLOW)))) == []


def test_every_table_says_that_it_is_our_reconstruction_in_every_format(make):
    for sheet in tables.tables(looked_at(make(*BOTH))):
        assert "our reconstruction" in sheet.title
        assert "our reconstruction" in sheet.notes[0]
        assert sheet.markdown().count("our reconstruction") >= 2
        assert sheet.latex().count("our reconstruction") >= 2
        assert sheet.records()


def test_a_study_can_have_these_tables_alone(make, capsys):
    from memstudy.cli.progress import Voice
    from memstudy.study.tables import make_tables

    selection = looked_at(make(*BOTH))
    (selection.path / "study.json").write_text('{"report": {"tables": ["pilcro"]}}')
    summary = make_tables(selection, Voice())
    assert {path.stem for path in (selection.path / "tables").iterdir()} == {"pilcro", "pilcro_speed"}
    assert {row["table"] for row in summary["numbers"]} == {"pilcro", "pilcro_speed"}
    assert capsys.readouterr().out.count("our reconstruction") >= 4
