"""Color scales: round numbers around the values, dark to light in gray, too, and one bar a figure."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from memstudy.derived.similarity.maps import between_names, one_setting_a_side
from memstudy.report.color_scales import color_map, ramp, round_scale
from memstudy.report.heat_maps import HeatMap, epoch_maps, named_maps
from memstudy.report.look import WIDTHS, Look

NAMES = ("bare", "do (p 0.5)", "bn+al2", "wd", "al2", "loco", "bn+normloss")


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.23, 0.46], [0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5]),
        ([0.31, math.nan, 0.93], [0.2, 0.4, 0.6, 0.8, 1.0]),
        ([0.44, 0.44], [0.38, 0.4, 0.42, 0.44, 0.46, 0.48, 0.5]),
        ([-0.02, 0.9], [-0.2, 0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ([math.nan], [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
    ],
)
def test_a_scale_ends_at_round_numbers_just_outside_its_values(values, ticks):
    assert round_scale(values) == pytest.approx(ticks)


def test_no_scale_of_a_similarity_goes_beyond_1():
    for low in np.linspace(-0.1, 0.9, 41):
        for high in np.linspace(low + 0.1, 1, 17):
            ticks = round_scale([low, high])
            assert ticks[0] <= low + 1e-9
            assert high - 1e-9 <= ticks[-1] <= 1 + 1e-9


def test_a_ramp_goes_from_dark_to_light_in_gray_too():
    marks = ramp([24, 0, 5, 5])
    assert list(marks) == [0, 5, 24]
    gray = [np.dot(to_rgb(mark.color), (0.299, 0.587, 0.114)) for mark in marks.values()]
    assert gray[0] < gray[1] < gray[2] < 0.85  # a line is seen on white
    steps = [np.dot(color_map()(x)[:3], (0.299, 0.587, 0.114)) for x in np.linspace(0, 1, 64)]
    assert (np.diff(steps) > 0).all()


# Which pairs a map has


def pairs(couples):
    return pd.DataFrame([{"a": a, "b": b, "svcca": 0.3 + 0.01 * i} for i, (a, b) in enumerate(couples)])


def test_names_that_are_all_compared_make_a_symmetric_square():
    (found,) = between_names(pairs([("x", "y"), ("x", "z"), ("y", "z")]), "svcca")
    assert list(found.table.index) == list(found.table.columns) == ["x", "y", "z"]
    assert np.array_equal(found.table, found.table.T, equal_nan=True)
    assert np.array_equal(found.hatched, np.eye(3, dtype=bool))


def test_pairs_that_do_not_exist_leave_no_holes():
    """Two settings of two methods: the rows are one, the columns the other; names in any order."""
    names = ["bare, 25 %", "bare, 50 %", "do, 25 %", "do, 50 %"]
    couples = [(a, b) for a in names for b in names if a < b and a[-4:] != b[-4:]]
    (found,) = between_names(pairs(couples), "svcca")
    assert found.table.shape == (2, 2)
    assert found.table.notna().all(axis=None)
    short = one_setting_a_side(found, ["25 %", "50 %"])
    assert [short.rows, short.columns] == ["50 %", "25 %"]
    assert list(short.table.index) == list(short.table.columns) == ["bare", "do"]


def test_pairs_apart_from_all_others_have_no_common_map():
    """AL2's own protocol: networks of two machines, of which none is compared with one of the other."""
    assert between_names(pairs([("bare", "al2"), ("bn", "bn+al2")]), "svcca") == []


def test_a_network_that_collapsed_is_hatched_and_a_pair_above_the_diagonal_is_blank():
    rows = pairs([("a, 1", "b, 2"), ("a, 1", "c, 3"), ("b, 2", "c, 3")])
    rows.loc[0, "svcca"] = math.nan
    (found,) = between_names(rows, "svcca")
    assert found.hatched.loc["a, 1", "b, 2"]
    rows = pairs([("x", "y"), ("x", "z"), ("x", "w"), ("y", "w")])  # no y with z, and none of z with w
    rows.loc[0, "svcca"] = math.nan
    (found,) = between_names(rows, "svcca")
    assert found.hatched.to_numpy().sum() == 1
    assert found.table.notna().to_numpy().sum() == 3


# In print


def square(names, seed=0):
    values = np.random.default_rng(seed).uniform(0.2, 0.46, (len(names), len(names)))
    values[0, -1], values[-1, 0] = 0.21, 0.46
    np.fill_diagonal(values, math.nan)
    return HeatMap(pd.DataFrame(values, index=list(names), columns=list(names)))


def bars(figure):
    return [axis for axis in figure.axes if axis.get_label() == "<colorbar>"]


def within(figure):
    figure.draw_without_rendering()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    plt.close(figure)
    return min(box.x0, box.y0, width - box.x1, height - box.y1) > -0.01


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("methods", [3, 8, 30])
def test_maps_of_names_have_one_bar_and_lie_within_their_figure(width, methods):
    names = [f"{NAMES[i % len(NAMES)]} {i}" for i in range(methods)]
    with Look(width=width).applied():
        figure, columns = named_maps({"other seed": square(names), "same seed": square(names, 1)}, "SVCCA")
        (bar,) = bars(figure)
        assert bar.get_xlim() == (0.2, 0.5)  # not 0 to 1
        assert columns == ""
        assert figure.get_figwidth() == width
        assert figure.get_figheight() <= 11  # a page, and little more for 30 names twice
        assert within(figure)


@pytest.mark.parametrize("width", WIDTHS)
def test_columns_without_names_are_told_by_their_numbers(width):
    rows, columns = [f"{name} at one rate" for name in NAMES], [f"{name}, of another rate" for name in NAMES]
    table = square(NAMES).table.set_axis(rows, axis="index").set_axis(columns, axis="columns")
    with Look(width=width).applied():
        figure, words = named_maps({"other seed and other labels": HeatMap(table)}, "SVCCA")
        assert words.startswith("Columns: 8 bare, of another rate, 9 do (p 0.5), of another rate, ")
        assert next(label.get_text() for label in figure.axes[0].get_xticklabels()) == "8"
        assert within(figure)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("methods", [1, 3])
def test_maps_of_epochs_have_one_bar_and_lie_within_their_figure(width, methods):
    maps = {f"method {i}": square(range(0, 700, 120), seed=i) for i in range(methods)}
    with Look(width=width).applied():
        figure = epoch_maps(maps, "SVCCA")
        assert len(bars(figure)) == 1
        assert within(figure)
