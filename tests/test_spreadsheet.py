"""No text of a table is a formula in a spreadsheet, no number is changed, and all is read back exactly."""

import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstudy import spreadsheet

TEXTS = [
    "=cmd()",
    "+1+cmd",
    "-a",
    "@SUM(A1)",
    "\tx",
    "\rx",
    "'=x",
    "''-x",
    "-0.5",
    "+1e-3",
    "-inf",
    "al2",
    "'",
    "it's",
]


@given(st.text() | st.sampled_from(TEXTS))
def test_text_is_inert_and_read_back(text):
    cell = spreadsheet.inert(text)
    assert spreadsheet.restored(cell) == text
    if cell == text and text[:1] in [*"=+-@\t\r"]:
        float(text)


@pytest.mark.parametrize("number", ["-0.5", "+1e-3", "-inf", "-1", "-.5"])
def test_numbers_stay(number):
    assert spreadsheet.inert(number) == number


def test_a_table_with_formulas_in_every_place():
    rows = pd.DataFrame({"=name": TEXTS, "value": [-0.1 * place for place in range(len(TEXTS))]})
    text = spreadsheet.csv(rows)
    plain = pd.DataFrame({"value": rows["value"]})
    assert spreadsheet.csv(plain) == plain.to_csv(index=False)  # control: the same digits
    back = pd.read_csv(io.StringIO(text, newline=""), dtype={0: str}, keep_default_na=False)
    assert spreadsheet.restored(back.columns[0]) == "=name"
    assert [spreadsheet.restored(cell) for cell in back.iloc[:, 0]] == TEXTS


@pytest.mark.parametrize("values", [[1, None], [True, "a"], [1, 2], [None, None], [0.1, "x"]])
def test_values_of_several_kinds_stay_what_they_are(values):
    rows = pd.DataFrame({"a": pd.Series(values, dtype=object), "b": range(2)}, index=[5, 3])
    assert spreadsheet.csv(rows) == rows.to_csv(index=False)
