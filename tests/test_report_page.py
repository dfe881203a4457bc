"""The report page: one file that asks for nothing, in which every text stays text."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from memstudy.derived.methods.answer import answers
from memstudy.derived.workbench import Workbench
from memstudy.report.page import tables
from memstudy.report.page.parts import Prose
from memstudy.report.page.safety import json_text
from memstudy.report.table import Table
from memstudy.store import Store
from memstudy.study.reporting import page_of
from memstudy.training import resolve_device
from tests import results

HOSTILE = "</script><b>$x$ \u2028 & 'quoted'"


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Path:
    """A copy of the committed runs, and what was derived of them."""
    return results.copied(tmp_path_factory.mktemp("page"))


def test_data_in_a_script_cannot_end_it():
    text = json_text({HOSTILE: [HOSTILE]})
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == {HOSTILE: [HOSTILE]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text(float("nan"))


def test_the_page_of_the_quick_study_is_one_small_file(command, stored):
    called = ["report", "--study", "quick", "--runs-dir", str(stored)]
    done = command(*called, "--json")
    assert done.exit_code == 0, done.output
    path = stored / "studies" / "quick" / "report.html"
    summary = json.loads(done.stdout)
    assert summary["report"] == str(path)
    content = path.read_bytes()
    assert (
        len(content) == summary["bytes"] < 2_000_000
    )  # without samples; tests/test_samples.py has what these take
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", content.decode().partition("<script>")[0])
    assert command(*called).exit_code == 0
    assert path.read_bytes() == content


def test_what_cannot_be_reported_or_written_is_one_sentence(command, stored, tmp_path):
    (tmp_path / "file").write_text("")
    for words, sentence in {
        ("--study", "nope"): "unknown study 'nope'",
        ("--study", "quick", "-o", str(tmp_path / "file" / "page.html")): "choose another place with -o",
    }.items():
        done = command("report", *words, "--runs-dir", str(stored))
        assert done.exit_code == 2
        assert sentence in done.stderr
        assert done.stderr.count("\n") == 1


def test_the_verdict_says_what_is_least_and_that_two_seeds_are_too_few(stored):
    (answer,) = answers(Store(stored).select((), "quick"))
    assert answer.answer.startswith("do+al2 memorizes least: 5.4 ± 0.3 %")
    assert any("fewer than 3 seeds nothing is tested" in sentence for sentence in answer.sureness)
    assert answer.table is not None
    assert list(answer.table.cells["method"])[:2] == ["do+al2", "wd+al2"]


def test_the_verdict_of_more_seeds_has_tests_and_what_cannot_be_told_apart(stored):
    (two_methods,) = answers(Store(stored).select((), "calibration"))
    assert two_methods.answer.startswith("al2 memorizes least: 7.0 ± 0.8 %")
    lead = "43.9 [41.4, 46.4] points more, 95 % interval in brackets; paired t-test, p = 1e-06, adjusted 1e-06."
    assert two_methods.sureness[0].endswith(lead)
    assert two_methods.sureness[1] == (
        "That it memorizes less is significant against bare (p < .05; two-sided t-test over seeds)."
    )
    many = next(answers(Store(stored).select((), "noise_grid_lite")))
    told = " ".join(many.sureness)
    assert (
        "is significant against bn+pilcro, bn+normloss (p < .05; two-sided t-tests over seeds, adjusted by" in told
    )
    assert "It cannot be told apart from do+al2," in told


def test_the_verdict_of_one_seed_says_that_order_may_be_luck(store_copy):
    names = [run.name for run in store_copy.select((), "tiny").runs if run.recipe.seed == 0]
    (answer,) = answers(store_copy.select(names))
    assert any("may be luck" in sentence for sentence in answer.sureness)
    assert "n = 1 seed)" in answer.answer


def test_each_number_of_memorization_leads_to_its_runs(stored):
    selection = Store(stored).select((), "quick")
    page, left_out = page_of(selection, Workbench(resolve_device("cpu")))
    assert left_out == []
    (table,) = (part for section in page.sections for part in section.parts
                if isinstance(part, Table) and part.name == "memorization")  # fmt: skip
    shown = tables.element(table, page.sources)
    told = json.loads(shown["data"])["told"]
    row = next(row for row in shown["rows"] if [cell["text"] for cell in row[:2]] == ["BN", "24"])
    behind = told[row[4]["told"]]
    assert row[4]["text"] == "86.9 ± 3.4"
    assert [page.sources[place].run.split("-")[2] for place in behind["runs"]] == ["bn", "bn"]
    assert dict(behind["facts"])["n, seeds"] == "2"
    with_al2 = dict(told[row[5]["told"]]["facts"])
    assert with_al2["difference to without AL2"].startswith("-66.")
    assert with_al2["test"] == "none: fewer than three pairs"


def test_what_cannot_be_shown_is_said_on_the_page(stored):
    path = stored / "studies" / "quick" / "ablation_curves.csv"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    try:
        page, clauses = page_of(Store(stored).select((), "quick"), Workbench(resolve_device("cpu")))
    finally:
        path.write_bytes(whole)
    assert any(clause.startswith("ablate: ") and str(path) in clause for clause in clauses)
    said = page.sections[-1].parts[0]
    assert isinstance(said, Prose)
    assert said.paragraphs == tuple(f"Not on this page: {clause}." for clause in clauses)
