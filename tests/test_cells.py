"""What stands in a table's cells, by hand and as laws."""

import numpy as np
import pandas as pd
import pytest

from memstudy.report.cells import DASH, amount, frame, interval, mean, noted, number, p_value, span, starred

MISSING = [float("nan"), np.float64("nan"), pd.NA, None]


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("form", [".2f", ".0f", "+.1f", "g", ",", "#.3g", ".0e"])
def test_a_missing_number_is_a_dash_in_every_form(missing, form):
    assert number(missing, form) == DASH


@pytest.mark.parametrize(
    "made",
    [
        mean(np.nan, np.nan, 2),
        mean(np.nan, 0.1, 2),
        starred({"mean": np.nan, "sd": np.nan, "p_holm": np.nan}, 1),
        interval(np.nan, np.nan, np.nan, 1),
        interval(np.nan, np.nan, np.nan, 1, "+"),
        amount(np.nan),
        p_value(np.nan),
        noted(number(np.nan, "g"), number(np.nan, "g")),
        frame([{"a": "1"}, {"b": "2"}])["a"][1],
    ],
)
def test_a_cell_without_a_number_is_a_dash_and_nothing_else(made):
    assert made == DASH


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (number(1234567, ","), "1,234,567"),
        (number(0.0302, "#.3g"), "0.0302"),
        (number(100.0, "g"), "100"),
        (mean(0.846, 0.0212, 2), "0.85 ± 0.02"),
        (mean(0.846, np.nan, 2), "0.85"),
        (starred({"mean": 5.0, "sd": 0.25, "p_holm": 0.004}, 2), "5.00 ± 0.25**"),
        (starred({"mean": 5.0, "sd": np.nan, "p_holm": np.nan}, 2), "5.00"),
        (interval(1.24, 0.31, 2.09, 1), "1.2 [0.3, 2.1]"),
        (interval(1.24, -0.31, 2.09, 1, "+"), "+1.2 [-0.3, +2.1]"),
        (interval(-0.04, -0.04, 0.04, 1, "+"), "+0.0 [+0.0, +0.0]"),
        (interval(1.24, np.nan, np.nan, 1, "+"), "+1.2"),
        (noted("95.20 ± 0.10*", "94.95"), "95.20 ± 0.10* (94.95)"),
        (noted("95.20", DASH), "95.20"),
        (noted("95.20", ""), "95.20"),
        (noted(DASH, "94.95"), "– (94.95)"),
        (amount(23.4412), "23.44"),
        (amount(999.96), "1000"),
        (amount(12345.6), "12,346"),
        (p_value(1.0), "1.00"),
        (p_value(0.031), "0.03"),
        (p_value(0.0000234), "2e-05"),
        (p_value(0.0), "<1e-99"),
        (span([3, 3, 3]), "3"),
        (span([3, 2, 5]), "2–5"),
        (span([3, 2], " to "), "2 to 3"),
        (span([]), "0"),
        (span(pd.Series([2, 3])), "2–3"),
    ],
)
def test_by_hand(made, expected):
    assert made == expected


def test_columns_come_in_the_order_in_which_rows_first_have_them():
    found = frame([{"a": "1", "c": "2"}, {"a": "3", "b": "4"}])
    assert list(found.columns) == ["a", "c", "b"]
    assert found.to_numpy().tolist() == [["1", "2", "–"], ["3", "–", "4"]]
    assert frame([{"a": "1"}, {"b": "2"}], absent="").to_numpy().tolist() == [["1", ""], ["", "2"]]
