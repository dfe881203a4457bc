"""Differences between methods, as tables have them: laws on frames, by hand, and with controls that lose them.

The numbers are simulated, because laws of tests are about known distributions; that tables of trained networks
have them is tested with each table.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from memstudy import presets
from memstudy.analysis.significance import seeds_needed
from memstudy.randomness import numpy_generator
from memstudy.report import frames
from memstudy.report.cells import starred
from memstudy.report.differences import COLUMNS, compared, mean_over_runs, star_notes
from memstudy.report.origin import BEHIND
from tests.kit.runs import select, write_run

SEEDS = ("0/0", "1/0", "2/0", "3/0", "4/0")


def normal(*shape, seed=0):
    return numpy_generator(seed, "test").normal(size=shape)


def table(values, seeds=SEEDS, against="bare", **others):
    """Rows of runs: a number for each seed by method, or by (method, quantity)."""
    rows = [
        {"label": key if isinstance(key, str) else key[0], "quantity": "" if isinstance(key, str) else key[1]}
        | {"seeds": seed, "value": value, "against": against}
        | others
        for key, numbers in values.items()
        for seed, value in zip(seeds, numbers, strict=False)
    ]
    return pd.DataFrame(rows)


def found(rows, **options) -> Any:
    return compared(rows, ["label", "quantity"], **options).set_index(["label", "quantity"])


def stars_in(values):
    return sum(starred(row, 1).count("*") > 0 for row in values.to_dict("records"))


def test_it_is_the_paired_test_of_the_difference_of_the_means_shown():
    a, b = 50 + normal(2, 5)
    values = found(table({"bare": b, "al2": a}))
    row, expected = values.loc[("al2", "")], stats.ttest_rel(a, b)
    assert row["difference"] == pytest.approx(row["mean"] - values.loc[("bare", ""), "mean"])
    assert row["p"] == row["p_holm"] == pytest.approx(expected.pvalue)
    assert (row["low"], row["high"]) == pytest.approx(tuple(expected.confidence_interval()))
    assert (row["against"], row["test"], row["pairs"], row["n"]) == ("bare", "paired", 5, 5)
    assert values.loc[("bare", ""), COLUMNS].isna().all()


def test_the_order_of_rows_does_not_matter():
    rows = table({(method, q): normal(5, seed=i) for i, (method, q) in enumerate(np.ndindex(4, 3))} | {})
    rows["label"], rows["against"] = rows["label"].astype(str), "0"
    shuffled = rows.sample(frac=1, random_state=1)
    one, other = (found(each).sort_index() for each in (shuffled, rows))
    pd.testing.assert_frame_equal(one.drop(columns=BEHIND), other.drop(columns=BEHIND))


def test_holm_is_over_all_tests_of_the_table():
    """The i-th smallest of m p-values is multiplied by m - i + 1, and no smaller than the one before it."""
    values = {
        (m, q): normal(5, seed=i) for i, (m, q) in enumerate([(m, q) for q in "abc" for m in ("bare", "x", "y")])
    }
    tested = found(table(values | {("z", "d"): (1.0, 2.0)})).dropna(subset="p")  # z has no reference
    plain = {key: stats.ttest_rel(values[key], values["bare", key[1]]).pvalue for key in tested.index}
    order = sorted(plain, key=lambda key: plain[key])
    assert len(order) == 6
    expected = np.maximum.accumulate([min(1, (6 - place) * plain[key]) for place, key in enumerate(order)])
    assert tested.loc[order, "p_holm"].tolist() == pytest.approx(expected.tolist())


def test_luck_alone_gets_no_star_and_an_effect_does():
    """10 tables of 20 methods without effect, and one with that of twelve standard deviations."""
    plain = by_luck = by_effect = 0
    for draw in range(10):
        luck = 3 * normal(5, seed=draw + 100)
        names = ["bare", *(f"m{index}" for index in range(20)), "effect"]
        values = dict(zip(names, luck + normal(len(names), 5, seed=draw), strict=True))
        tested = found(table(values | {"effect": values["effect"] + 12})).reset_index("quantity", drop=True)
        plain += (tested["p"].drop("effect") < 0.05).any()
        by_luck += stars_in(tested.drop("effect"))
        by_effect += stars_in(tested.loc[["effect"]])
    assert plain >= 5
    assert by_luck <= 2
    assert by_effect >= 8


def test_pairs_are_of_both_seeds():
    """Luck that is shared by weights and labels alike; the controls are shuffled seeds and other labels."""
    seeds = [f"{weights}/{labels}" for weights in range(3) for labels in range(3)]
    luck, noise = 10 * normal(9), normal(9, seed=1)
    values = {"bare": luck, "al2": luck + 3 + noise}
    assert found(table(values, seeds)).loc[("al2", ""), "p"] < 0.001
    moved = table(values, seeds)
    ours = moved["label"] == "al2"
    moved.loc[ours, "seeds"] = np.roll(moved.loc[ours, "seeds"], 4)
    assert found(moved).loc[("al2", ""), "p"] > 0.05
    other = table(values, seeds)
    other.loc[ours, "seeds"] += "7"  # the same weights, other labels
    row = found(other).loc[("al2", "")]
    assert (row["test"], row["pairs"]) == ("Welch", 0)
    assert row["p"] == pytest.approx(stats.ttest_ind(values["al2"], values["bare"], equal_var=False).pvalue)


def test_a_run_says_both_of_its_seeds(tmp_path):
    seeds = ((0, 0), (0, 1), (1, 0))
    runs = [write_run(tmp_path, presets.build(seed=seed, corrupt_seed=other)) for seed, other in seeds]
    ((setting, labels),) = frames.comparable_runs(select(runs))
    assert labels["seeds"].tolist() == ["0/0", "0/1", "1/0"]
    assert setting.labels()["seeds"].tolist() == labels["seeds"].tolist()


def test_only_seeds_that_both_have_make_pairs():
    a, b = normal(2, 5)
    rows = table({"bare": b, "al2": a})
    missing = rows.drop(rows.index[[1, 7]])  # bare has no second seed, al2 no third one
    row, both = found(missing).loc[("al2", "")], [0, 3, 4]
    assert (row["n"], row["pairs"]) == (4, 3)
    assert row["difference"] == pytest.approx((a[both] - b[both]).mean())
    assert row["p"] == pytest.approx(stats.ttest_rel(a[both], b[both]).pvalue)


def test_without_a_reference_there_is_no_difference():
    """One group has bare, the other has not; and a method that has none at all."""
    numbers = normal(4, 5)
    values = found(table({("bare", "a"): numbers[0], ("al2", "a"): numbers[1], ("al2", "b"): numbers[2]}))
    assert values["p"].notna().tolist() == [False, True, False]
    assert values.loc[("al2", "b"), COLUMNS].isna().all()
    alone = found(table({"bare": numbers[0], "al2": numbers[1]}, against=""))
    assert alone[COLUMNS].isna().all(axis=None)
    assert star_notes(alone, "bare") == ()


def test_each_method_can_have_its_own_reference():
    a, b, c = normal(3, 5)
    rows = table({"bn": a, "bn+pilcro": b, "pilcro": c})
    rows["against"] = rows["label"].map({"bn": "", "bn+pilcro": "bn", "pilcro": "bare"})
    values = found(rows)
    assert values["against"].fillna("").tolist() == ["", "bn", ""]
    assert values.loc[("bn+pilcro", ""), "difference"] == pytest.approx((b - a).mean())


@pytest.mark.parametrize(
    ("ours", "theirs", "difference", "reason"),
    [
        ([3.0], [1.0], 2.0, "fewer than two values"),
        ([3.0, 4.0, 5.0], [1.0, 2.0, 3.0], 2.0, "no spread"),
        ([3.0, math.inf], [1.0, 2.0], math.nan, "a value that is not finite"),
        ([3.0, math.nan], [1.0, 2.0], 1.5, "fewer than two values"),
        ([math.nan, math.nan], [1.0, 2.0], math.nan, "fewer than two values"),
    ],
)
def test_where_nothing_can_be_tested_it_says_why_and_there_is_no_star(ours, theirs, difference, reason):
    values = found(table({"bare": theirs, "al2": ours}))
    row = values.loc[("al2", "")]
    assert row["difference"] == pytest.approx(difference, nan_ok=True)
    assert row["test"] == reason
    assert np.isnan([row["low"], row["high"], row["p"], row["p_holm"]]).all()
    assert stars_in(values) == 0
    notes = star_notes(values, "bare")
    assert len(notes) == (reason.startswith("fewer") and not math.isnan(difference))
    assert all("one seed has no spread by which to estimate how many it would take" in note for note in notes)


def test_two_seeds_get_no_star_however_clear_and_the_note_says_what_n_it_would_take():
    """Here with a plain p-value below .001."""
    bare, effects = np.array([50.0, 52.0]), {"a": [9.0, 9.001], "b": [9.0, 11.0], "c": [0.1, 0.9]}
    values = found(table({"bare": bare} | {name: bare + effect for name, effect in effects.items()}))
    values = values.droplevel("quantity")
    assert stats.ttest_rel(bare + effects["a"], bare).pvalue < 0.001
    assert stars_in(values) == 0
    assert values.loc[list(effects), "test"].tolist() == ["fewer than three pairs"] * 3
    assert values.loc[list(effects), "p_holm"].isna().all()
    for name, effect in effects.items():
        half = stats.t.ppf(0.975, 1) * np.std(effect, ddof=1) / math.sqrt(2)
        assert values.loc[name, "high"] - values.loc[name, "difference"] == pytest.approx(half)
        spread = np.std(effect, ddof=1) / stats.norm.ppf(0.75)  # half of all normal values are nearer than that
        assert values.loc[name, "seeds_needed"] == seeds_needed(np.mean(effect) / spread, 3)
    needed = values.loc[list(effects), "seeds_needed"].tolist()
    assert needed[0] == 3 < needed[1] < needed[2]
    (note,) = star_notes(values, "bare")
    assert (
        f"half of these 3 would have p < .05 after Holm's adjustment, with a chance of 80 %, at n = {needed[1]}"
        in note
    )


def test_a_star_needs_no_more_seeds_and_what_has_none_says_how_many():
    a, b = 50 + normal(2, 5)
    values = found(table({"bare": b, "al2": a, "sure": b + 20 + a / 100})).droplevel("quantity")
    assert values["p_holm"].map(lambda p: p < 0.05).tolist() == [False, False, True]
    assert values["seeds_needed"].isna().tolist() == [True, False, True]
    assert values.loc["al2", "seeds_needed"] > 5


def test_some_tested_and_some_not():
    a, b = 50 + normal(2, 5)
    values = found(table({"bare": b, "al2": a, "two": a[:2] + 1, "one": a[:1]}))
    stars, rest = star_notes(values, "bare")
    assert "for 1 test." in stars
    assert rest == "Not tested, as there are fewer than 3 seeds: 2 of these differences."


def test_an_untested_row_is_not_adjusted_for():
    a, b = normal(2, 5)
    values = found(table({("bare", "a"): b, ("al2", "a"): a, ("bare", "b"): b, ("al2", "b"): b + 1}))
    assert values.loc[("al2", "b"), "test"] == "no spread"
    assert values.loc[("al2", "a"), "p_holm"] == values.loc[("al2", "a"), "p"]
    assert "for 1 test." in star_notes(values, "bare")[0]


def test_runs_are_compared_at_the_last_epoch_that_both_have():
    a, b = normal(2, 5)
    rows = table({"bare": b, "al2": a}, epoch=9)
    rows.loc[rows.index[-1], ["epoch", "value"]] = 4, 1000.0  # stopped early
    row = found(rows, epoch="epoch").loc[("al2", "")]
    assert row["difference"] == pytest.approx((a[:4] - b[:4]).mean())
    assert (row["pairs"], row["n"]) == (4, 5)
    assert found(rows).loc[("al2", ""), "difference"] > 100  # it would count
    rows.loc[rows["label"] == "al2", "epoch"] = 5
    apart = found(rows, epoch="epoch").loc[("al2", "")]
    assert math.isnan(apart["difference"])
    assert apart["test"] == "fewer than two values"


def test_what_stars_mean_is_said_once_and_counted():
    values = found(table({(m, q): normal(5, seed=ord(q) + len(m)) for q in "ab" for m in ("bare", "x", "yyy")}))
    (sentence,) = star_notes(values, "bare at the same rate")
    assert "against bare at the same rate;" in sentence
    assert "(paired over seeds)" in sentence
    assert "Holm's method for 4 tests." in sentence


def test_cells_have_stars_by_the_adjusted_p_value():
    row: dict[Any, Any] = {"mean": 81.0, "sd": 1.0, "p": 0.001, "p_holm": 0.04}
    assert starred(row, 1) == "81.0 ± 1.0*"
    assert starred(row | {"p_holm": math.nan}, 1) == "81.0 ± 1.0"
    assert starred(row | {"mean": math.nan, "p_holm": math.nan}, 1) == "–"


def test_a_summary_counts_numbers_and_has_no_infinite_mean():
    rows = table({"a": (1.0, 3.0, math.nan), "b": (1.0, math.inf, 2.0)})
    values: Any = mean_over_runs(rows, ["label"]).set_index("label")
    assert values.loc["a"].tolist() == pytest.approx([2, math.sqrt(2), 2])
    assert values.loc["b", ["mean", "sd"]].isna().all()
