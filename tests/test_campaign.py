"""The campaign's committed result: the page has its figures, and what is saved is read back."""

from __future__ import annotations

import subprocess
from importlib import import_module

import pytest

from tests.reliability import committed
from tests.reliability.__main__ import CONTINUED, carried_out
from tests.reliability.tally import Row, Size

ROWS = [Row("kills", "run", "SIGKILL", 3, 2, ("a loss",)), Row("kills", "table", "Ctrl-C", 1, 1)]


def test_the_page_has_the_committed_figures():
    page = committed.PAGE.read_text(encoding="utf-8")
    assert committed.with_figures(page) == page
    assert committed.overview()


def test_a_part_that_is_saved_again_replaces_its_line_and_no_other(tmp_path):
    committed.save("kills", ROWS, 0, 61.5, tmp_path)
    committed.save("terms", ROWS[1:], 0, 2.0, tmp_path)
    committed.save("kills", ROWS[:1], 7, 60.0, tmp_path)
    kills, terms = committed.overview(tmp_path)
    assert (kills["part"], kills["tried"], kills["survived"], kills["seed"]) == ("kills", "3", "2", "7")
    assert (terms["part"], terms["tried"], terms["survived"], terms["seconds"]) == ("terms", "1", "1", "2")
    assert (tmp_path / "kills.csv").read_text() == "case,what,tried,survived\nrun,SIGKILL,3,2\n"
    assert "| kills | 3 | 2 |" in committed.with_figures(f"{committed.BEGIN}{committed.END}", tmp_path)


def test_a_part_that_is_continued_keeps_what_was_saved_and_has_a_line_a_commit(tmp_path, monkeypatch):
    committed.save("faults", ROWS[:1], 0, 61.0, tmp_path)
    committed.save("faults", ROWS[1:], 0, 2.0, tmp_path, more=True)
    (line,) = committed.overview(tmp_path)
    assert (line["tried"], line["survived"], line["seconds"]) == ("4", "3", "63")
    assert committed.cases("faults", tmp_path) == {"run", "table"}
    circumstances = committed._circumstances()
    monkeypatch.setattr(committed, "_circumstances", lambda: circumstances | {"commit": "another"})
    committed.save("faults", [Row("faults", "pack", "no space", 5, 5)], 0, 1.0, tmp_path, more=True)
    assert [one["tried"] for one in committed.overview(tmp_path)] == ["4", "5"]
    assert committed.cases("faults", tmp_path) == {"run", "table", "pack"}


@pytest.mark.parametrize("part", CONTINUED)
def test_what_was_saved_is_left_out_of_a_part_that_is_continued(tmp_path, monkeypatch, part):
    begun = []

    def campaign(size, seed, done=()):
        for case in ("run", "table", "pack"):
            if case not in done:
                begun.append(case)
                yield Row(part, case, "no space", 1, 1)
                yield Row(part, case, "permission", 1, 1)

    monkeypatch.setattr(import_module(f"tests.reliability.{part}"), "campaign", campaign)
    monkeypatch.setattr(committed.save, "__defaults__", (tmp_path, False))
    monkeypatch.setattr(committed.cases, "__defaults__", (tmp_path,))
    rows = carried_out(part, Size.CI, 0, save=True, more=False)
    assert len(rows) == 6
    kept = (tmp_path / f"{part}.csv").read_text()
    (tmp_path / f"{part}.csv").write_text("".join(line for line in kept.splitlines(True) if "table" not in line))
    begun.clear()
    carried_out(part, Size.CI, 0, save=True, more=True)
    assert begun == ["table"]
    assert committed.cases(part, tmp_path) == {"run", "table", "pack"}


@pytest.mark.parametrize(("differs", "commit"), [(0, "abc"), (1, "abc-dirty")])
def test_results_that_were_saved_before_make_the_commit_no_other(monkeypatch, differs, commit):
    monkeypatch.setattr(subprocess, "run", lambda words, **_: subprocess.CompletedProcess(words, differs))
    assert committed._commit("abc-dirty") == commit
    assert committed._commit("abc") == "abc"
