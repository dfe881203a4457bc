"""A table in its four forms: Markdown, LaTeX, CSV and JSON."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstudy.report.cells import DASH, frame, interval, mean, noted, number, p_value
from memstudy.report.table import Table, latex_row, markdown_row, tex

VALUES = pd.DataFrame({"method": ["bare", "al2"], "mean": [1 / 3, np.nan], "n": [2, 0]})
PLAIN = Table(
    "plain", "Test error, %", ("A note of $5.", "Another."),
    frame([{"method": "bare", "n": "2", "mean": "0.33 ± 0.10*"}, {"method": "a|b_c", "n": "0"}]),
    VALUES, words=("method",),
)  # fmt: skip
COLUMNS = pd.MultiIndex.from_tuples(
    [("", "baseline"), ("", "epoch"), ("L_c", "without"), ("L_c", "with"), ("n", "all")]
)
GROUPED = Table(
    "grouped", "Two levels", (),
    pd.DataFrame(
        [["Bare", "0", "1.0", "2.0", "3"], ["Bare", "4", "1.1", "2.1", "3"], ["DO", "4", "1.2", DASH, "2"]],
        columns=COLUMNS,
    ),
    VALUES, words=("baseline",), group="baseline",
)  # fmt: skip


def test_markdown_by_hand():
    assert PLAIN.markdown() == (
        "**Test error, %**\n\n"
        "| method | n | mean |\n| --- | ---: | ---: |\n"
        "| bare | 2 | 0.33 ± 0.10* |\n| a\\|b_c | 0 | – |\n\n"
        "A note of \\$5.\n\nAnother.\n"
    )


def test_latex_by_hand():
    assert PLAIN.latex().splitlines() == [
        r"\begin{table}", r"\centering", r"\caption{Test error, \%}", r"\begin{tabular}{lrr}", r"\toprule",
        r"method & n & mean \\", r"\midrule", r"bare & 2 & 0.33 $\pm$ 0.10* \\", r"a|b\_c & 0 & -- \\",
        r"\bottomrule", r"\end{tabular}", r"\par\smallskip\footnotesize A note of \$5.",
        r"\par\smallskip\footnotesize Another.", r"\end{table}",
    ]  # fmt: skip


def test_two_levels_of_columns_are_joined_in_markdown():
    lines = GROUPED.markdown().splitlines()
    assert lines[2] == "| baseline | epoch | L_c, without | L_c, with | n, all |"
    assert lines[3] == "| --- | ---: | ---: | ---: | ---: |"
    assert [line.split(" | ")[0] for line in lines[4:7]] == ["| Bare", "| Bare", "| DO"]


def test_two_levels_and_groups_in_latex():
    lines = GROUPED.latex().splitlines()
    assert lines[3] == r"\begin{tabular}{lrrrr}"
    assert lines[5:7] == [
        r" & & \multicolumn{2}{c}{$L_c$} & \multicolumn{1}{c}{n} \\",
        r"baseline & epoch & without & with & all \\",
    ]
    assert lines[7:12] == [
        r"\midrule", r"Bare & 0 & 1.0 & 2.0 & 3 \\", r" & 4 & 1.1 & 2.1 & 3 \\", r"\midrule",
        r"DO & 4 & 1.2 & -- & 2 \\",
    ]  # fmt: skip


def test_csv_has_all_digits_and_json_no_nan():
    back = pd.read_csv(io.StringIO(PLAIN.csv()))
    pd.testing.assert_frame_equal(back, VALUES, check_exact=True)
    assert PLAIN.records() == [{"method": "bare", "mean": 1 / 3, "n": 2}, {"method": "al2", "mean": None, "n": 0}]
    json.dumps(PLAIN.records(), allow_nan=False)


def test_it_is_written_in_three_forms(tmp_path):
    written = PLAIN.write(tmp_path / "tables")
    assert [path.name for path in written] == ["plain.md", "plain.tex", "plain.csv"]
    assert [path.read_text() for path in written] == [PLAIN.markdown(), PLAIN.latex(), PLAIN.csv()]


@pytest.mark.parametrize("wrong", [{"words": ("metod",)}, {"words": ("method",), "group": "metod"}])
def test_a_column_that_is_none_is_named(wrong):
    with pytest.raises(ValueError, match=r"the table plain has no column 'metod', only \['method', 'n', 'mean'\]"):
        Table("plain", "", (), PLAIN.cells, VALUES, **wrong)


text = st.text(st.sampled_from("ab5 |$%&#_{}^~\\–±×λ<>*()[],."), max_size=12)
grids = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(text, min_size=width, max_size=width), min_size=1)
)


@given(grids)
def test_every_row_has_every_column_whatever_its_text(rows):
    cells = pd.DataFrame(rows, columns=[f"column {index}" for index in range(len(rows[0]))])
    table = Table("t", "", (), cells, VALUES, words=("column 0",))
    body = table.markdown().splitlines()[4 : 4 + len(rows)]
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in body] == [len(rows[0]) + 1] * len(rows)
    body = table.latex().splitlines()[7 : 7 + len(rows)]
    assert [len(re.findall(r"(?<!\\)&", line)) for line in body] == [len(rows[0]) - 1] * len(rows)


numbers = st.one_of(st.floats(-1e6, 1e6), st.just(float("nan")))


@given(st.lists(st.tuples(numbers, numbers), min_size=1))
def test_a_missing_number_is_a_dash_in_every_form_of_a_table(pairs):
    rows = [
        {
            "a": mean(a, b, 2),
            "b": interval(b, a, a, 1, "+"),
            "c": noted(number(a, "g"), number(b, ".1f")),
            "d": p_value(abs(b)),
        }
        for a, b in pairs
    ]
    table = Table("t", "", (), frame(rows), VALUES, words=())
    lines = table.markdown().splitlines()[4 : 4 + len(pairs)]
    assert "nan" not in table.markdown() + table.latex()
    for (a, b), line in zip(pairs, lines, strict=True):
        shown = [cell.startswith(DASH) for cell in line.strip("| ").split(" | ")]
        assert shown == [np.isnan(a), np.isnan(b), np.isnan(a), np.isnan(b)]


@pytest.mark.parametrize(
    "words", ["100 % of a_b & #3 for $5", r"~/{x}\y^2", "λ²·|w| ≤ σ – L_c, not L_cat", "a > b"]
)
def test_latex_escapes_everything_once(words):
    made = tex(words)
    assert made.isascii()
    math = re.sub(r"\\.", "", made)
    assert math.count("$") % 2 == 0
    plain = "".join(re.sub(r"\\text\w+\{\}", "", re.sub(r"(?<!\\)\$.*?(?<!\\)\$", "", made)))
    assert not re.search(r"(?<!\\)[%&#_{}$^~<>|]", plain)


def test_escapes_by_hand():
    assert tex("λ²·|w|² of L_c") == r"$\lambda ^2 \cdot |w| ^2$ of $L_c$"
    assert tex(r"50 % {a_b} 5 ± 1* – \x") == r"50 \% \{a\_b\} 5 $\pm$ 1* -- \textbackslash{}x"
    assert markdown_row(["a|b", "c"]) == r"| a\|b | c |"
    assert latex_row(["a&b", "c"]) == r"a\&b & c \\"
