"""A table in its forms that need no measuring: Markdown, CSV, JSON and HTML; what is best, and what is brief."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstudy.report import markdown
from memstudy.report.cells import DASH, frame, interval, mean, noted, number, p_value
from memstudy.report.table import HIGH, LOW, Table

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


def test_two_levels_of_columns_are_joined_in_markdown():
    lines = GROUPED.markdown().splitlines()
    assert lines[2] == "| baseline | epoch | L_c, without | L_c, with | n, all |"
    assert lines[3] == "| --- | ---: | ---: | ---: | ---: |"
    assert [line.split(" | ")[0] for line in lines[4:7]] == ["| Bare", "| Bare", "| DO"]


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
    inner = table.html().split("<tbody>")[1].split("</tbody>")[0]
    assert len(re.findall("<t[hd]", inner)) == len(rows) * len(rows[0])


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
    assert "nan" not in table.markdown() + table.latex() + table.html()
    for (a, b), line in zip(pairs, lines, strict=True):
        shown = [cell.startswith(DASH) for cell in line.strip("| ").split(" | ")]
        assert shown == [np.isnan(a), np.isnan(b), np.isnan(a), np.isnan(b)]


def test_a_cell_with_a_line_break_stays_in_its_row():
    assert markdown.escaped("a|b") == r"a\|b"
    assert markdown.escaped("c\nd") == "c d"


def test_html_has_a_caption_scopes_and_escaped_text():
    table = replace(GROUPED, title="a < b & c", notes=("<script>",))
    tree = ElementTree.fromstring(table.html())
    assert tree.findtext("caption") == "a < b & c"
    upper, lower = tree.findall("thead/tr")
    assert [(cell.tag, cell.get("scope"), cell.get("colspan"), cell.text) for cell in upper] == [
        ("td", None, "2", None), ("th", "colgroup", "2", "L_c"), ("th", "colgroup", None, "n"),
    ]  # fmt: skip
    assert [cell.get("scope") for cell in lower] == ["col"] * 5
    first = tree.find("tbody/tr")
    assert first is not None
    assert [(cell.tag, cell.get("scope"), cell.text) for cell in first] == [
        ("th", "row", "Bare"), ("th", "row", "0"), ("td", None, "1.0"), ("td", None, "2.0"), ("td", None, "3"),
    ]  # fmt: skip
    assert tree.findtext("tfoot/tr/td") == "<script>"


def test_keys_tell_rows_apart():
    assert GROUPED.keys == 2  # a baseline has several epochs
    assert PLAIN.keys == 1
    same = pd.DataFrame([["a", "1"], ["a", "1"]], columns=["x", "y"])
    assert Table("t", "", (), same, same, words=("x",)).keys == 1  # nothing does


ACCURACIES = pd.DataFrame(
    [["a", "0", "81.0 ± 9.0", "0.10*"], ["b", "0", "81.0 ± 1.0", "0.20"], ["a", "1", "9.5", DASH],
     ["b", "1", "10.5 (12.0)", "never"], ["c", "2", "99", "1"]],
    columns=["method", "epoch", "accuracy", "loss"],
)  # fmt: skip
BETTER = {"accuracy": HIGH, "loss": LOW}


def test_the_best_of_a_column_is_by_number_and_not_by_text():
    table = Table("t", "", (), ACCURACIES, VALUES, words=("method",), better=BETTER)
    assert table.best == {(4, 2), (0, 3)}
    among = replace(table, among=("epoch",))
    assert among.best == {(0, 2), (1, 2), (3, 2), (0, 3)}  # ties are both best; what is alone is not
    assert replace(table, better={}).best == set()


def test_a_better_that_is_neither_high_nor_low_is_refused():
    with pytest.raises(ValueError, match="may say high or low is better, not 'higher'"):
        Table("t", "", (), ACCURACIES, VALUES, words=(), better={"loss": "higher"})


def test_the_best_of_an_upper_heading():
    table = replace(GROUPED, better={"L_c": LOW})
    assert table.best == {(0, 2), (0, 3)}


def test_without_stars_there_are_no_notes_on_them():
    notes = ("Mean over n seeds.", "Stars: * p < .05.", "No stars: few seeds.")
    cells = pd.DataFrame([["conv*", "0.33 ± 0.10***"], ["a", "+1.2 [+0.3, +2.1]*"], ["b", "1 (2.0**)"]],
                         columns=["method", "x"])  # fmt: skip
    bare = Table("t", "", notes, cells, VALUES, words=("method",)).unstarred()
    assert bare.notes == notes[:1]
    assert bare.cells["x"].tolist() == ["0.33 ± 0.10", "+1.2 [+0.3, +2.1]", "1 (2.0)"]
    assert bare.cells["method"].tolist() == ["conv*", "a", "b"]  # a name keeps what is no mark


def test_briefly_the_last_epoch_of_each_is_shown():
    assert GROUPED.brief().rows == [GROUPED.rows[1], GROUPED.rows[2]]
    assert PLAIN.brief().rows == PLAIN.rows  # there are no epochs


def test_keys_that_are_all_equal_go_to_a_note():
    cells = pd.DataFrame([["mnist", "a", "1"], ["mnist", "b", "2"]], columns=["set", "method", "x"])
    table = Table("t", "", ("Note.",), cells, VALUES, words=("set", "method")).without_constants()
    assert (table.headings, table.words) == (["method", "x"], ("method",))
    assert table.notes == ("In all rows: set mnist.", "Note.")
    assert PLAIN.without_constants() == PLAIN
