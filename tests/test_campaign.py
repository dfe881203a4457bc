"""The campaign's committed result: the page has its figures, and what is saved is read back."""

from __future__ import annotations

from tests.reliability import committed
from tests.reliability.tally import Row

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
